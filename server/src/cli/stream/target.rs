//! From what was typed to the URL of a stream.

use reqwest::Url;

use super::failure::Failure;

/// A full URL as it is, anything else as a decoded path below `base`.
pub(super) fn stream_url(base: &str, stream: &str) -> Result<Url, Failure> {
    if stream.starts_with("http://") || stream.starts_with("https://") {
        return parse(stream);
    }
    let path = stream.strip_prefix('/').unwrap_or(stream);
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(Failure::Usage(format!(
            "{stream:?} is neither a URL nor a stream path: \
             a path has segments such as `chats/42`, none of them empty, `.` or `..`"
        )));
    }
    below(base, path.split('/'))
}

/// `segments` below the base URL.
pub(super) fn below<'a>(
    base: &str,
    segments: impl IntoIterator<Item = &'a str>,
) -> Result<Url, Failure> {
    let mut url = parse(base)?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    Ok(url)
}

fn parse(text: &str) -> Result<Url, Failure> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(|| {
        Failure::Usage(format!(
            "{text:?} is not a URL such as http://127.0.0.1:4437/v1/stream \
             (give one with --url or STREAM_URL)"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_paths() {
        let base = "http://h:1/v1/stream";
        let check = |base: &str, stream: &str, want: Option<&str>| {
            let got = stream_url(base, stream).ok().map(String::from);
            assert_eq!(got.as_deref(), want, "{base} {stream}");
        };
        check(base, "a/b", Some("http://h:1/v1/stream/a/b"));
        check(base, "/a", Some("http://h:1/v1/stream/a"));
        check("http://h:1/v1/stream/", "a", Some("http://h:1/v1/stream/a"));
        check("http://h:1", "a", Some("http://h:1/a"));
        check(base, "a b%20€", Some("http://h:1/v1/stream/a%20b%2520%E2%82%AC"));
        check(base, "what?", Some("http://h:1/v1/stream/what%3F"));
        check(base, "https://x/y%20z", Some("https://x/y%20z"));
        check("nonsense", "https://x/y", Some("https://x/y"));
        check("nonsense", "y", None);
        for bad in ["", "/", "a//b", "a/", "../a", "a/."] {
            check(base, bad, None);
        }
    }
}
