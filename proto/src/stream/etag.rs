//! Entity tags (section 10.1): what was returned, and whether that was the end.

use super::record::StreamId;

/// `"<stream>:<start>:<end>"`, with `:c` when the answer says that the stream is closed. The same
/// range has the same tag from any core, after any restart.
#[must_use]
pub fn etag(id: StreamId, start: u64, end: u64, closed: bool) -> String {
    let closed = if closed { ":c" } else { "" };
    format!("\"{}:{start}:{end}{closed}\"", id.0)
}

/// Whether an `If-None-Match` value matches a tag (RFC 9110 section 13.1.2, weak comparison).
#[must_use]
pub fn none_match(header: &str, etag: &str) -> bool {
    header.split(',').map(str::trim).any(|candidate| {
        candidate == "*" || candidate.strip_prefix("W/").unwrap_or(candidate) == etag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_vary_with_range_and_closure() {
        assert_eq!(etag(StreamId(7), 0, 12, false), "\"7:0:12\"");
        assert_eq!(etag(StreamId(7), 12, 12, true), "\"7:12:12:c\"");
        let check =
            |header: &str, want| assert_eq!(none_match(header, "\"7:0:12\""), want, "{header}");
        check("\"7:0:12\"", true);
        check("\"x\", W/\"7:0:12\"", true);
        check("*", true);
        check("\"7:0:12:c\"", false);
        check("7:0:12", false);
    }
}
