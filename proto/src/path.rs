//! Stream paths: relative to the base path, percent-decoded, checked once at the edge.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::limits::MAX_STREAM_PATH_BYTES;

/// The first path segment that is reserved for control APIs (section 6).
pub const RESERVED_SEGMENT: &str = "__ds";

/// A decoded stream path such as `events/abc`: UTF-8, at most
/// [`MAX_STREAM_PATH_BYTES`], no leading or trailing slash, no empty, `.` or `..` segment, no
/// control characters, first segment not `__ds`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamPath(Arc<str>);

/// Why a path is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathError {
    /// Nothing after the base path.
    Empty,
    /// More than [`MAX_STREAM_PATH_BYTES`] (414).
    TooLong,
    /// `//`, or a slash at an end.
    EmptySegment,
    /// `.` or `..`, encoded or not.
    DotSegment,
    /// `%2F` or `%5C`, or a backslash: servers and proxies disagree on what they mean.
    EncodedSlash,
    /// NUL or another control character, encoded or not.
    ControlCharacter,
    /// `%` without two hexadecimal digits.
    BadPercentEncoding,
    /// Not UTF-8 after decoding.
    NotUtf8,
    /// The first segment is `__ds`.
    Reserved,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathError::Empty => "the stream path is empty",
            PathError::TooLong => "the stream path is longer than 1024 bytes",
            PathError::EmptySegment => "the stream path has an empty segment",
            PathError::DotSegment => "the stream path has a `.` or `..` segment",
            PathError::EncodedSlash => "the stream path has an encoded slash or a backslash",
            PathError::ControlCharacter => "the stream path has a control character",
            PathError::BadPercentEncoding => "the stream path has a malformed percent-encoding",
            PathError::NotUtf8 => "the stream path is not UTF-8",
            PathError::Reserved => "the first path segment `__ds` is reserved for control APIs",
        })
    }
}

impl StreamPath {
    /// Decodes and checks the part of a URL path that follows the base path and its slash.
    pub fn from_url(encoded: &str) -> Result<StreamPath, PathError> {
        if !encoded.contains('%') {
            return StreamPath::new(encoded);
        }
        let decoded = percent_decode(encoded, |byte| matches!(byte, b'/' | b'\\'))?;
        StreamPath::new(&decoded)
    }

    /// Checks a decoded path, as it appears in JSON bodies.
    pub fn new(path: &str) -> Result<StreamPath, PathError> {
        if path.is_empty() {
            return Err(PathError::Empty);
        }
        if path.len() > MAX_STREAM_PATH_BYTES {
            return Err(PathError::TooLong);
        }
        let is_plain = path.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\');
        if !is_plain && path.chars().any(char::is_control) {
            return Err(PathError::ControlCharacter);
        }
        if !is_plain && path.contains('\\') {
            return Err(PathError::EncodedSlash);
        }
        for segment in path.as_bytes().split(|byte| *byte == b'/') {
            match segment {
                b"" => return Err(PathError::EmptySegment),
                b"." | b".." => return Err(PathError::DotSegment),
                _ => {}
            }
        }
        if path == RESERVED_SEGMENT
            || path.strip_prefix(RESERVED_SEGMENT).is_some_and(|rest| rest.starts_with('/'))
        {
            return Err(PathError::Reserved);
        }
        Ok(StreamPath(path.into()))
    }

    /// The decoded path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for StreamPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Decodes `%XX`. A decoded byte for which `refuse` holds is an [`PathError::EncodedSlash`].
pub fn percent_decode(text: &str, refuse: impl Fn(u8) -> bool) -> Result<String, PathError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let high = bytes.next().and_then(hex_value);
        let low = bytes.next().and_then(hex_value);
        let (Some(high), Some(low)) = (high, low) else {
            return Err(PathError::BadPercentEncoding);
        };
        let decoded = high << 4 | low;
        if refuse(decoded) {
            return Err(PathError::EncodedSlash);
        }
        out.push(decoded);
    }
    String::from_utf8(out).map_err(|_| PathError::NotUtf8)
}

fn hex_value(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_from_urls() {
        let check = |encoded: &str, want: Result<&str, PathError>| {
            let got = StreamPath::from_url(encoded);
            assert_eq!(got.as_ref().map(StreamPath::as_str), want.as_ref().copied(), "{encoded}");
        };
        check("events/abc", Ok("events/abc"));
        check("a%20b", Ok("a b"));
        check("%E2%82%AC", Ok("€"));
        check("x..y/...", Ok("x..y/..."));
        check("", Err(PathError::Empty));
        check("a//b", Err(PathError::EmptySegment));
        check("a/", Err(PathError::EmptySegment));
        check("a/../b", Err(PathError::DotSegment));
        check("a/%2e%2E/b", Err(PathError::DotSegment));
        check("a%2Fb", Err(PathError::EncodedSlash));
        check("a%5cb", Err(PathError::EncodedSlash));
        check("a%00b", Err(PathError::ControlCharacter));
        check("a%zzb", Err(PathError::BadPercentEncoding));
        check("a%4", Err(PathError::BadPercentEncoding));
        check("a%ff", Err(PathError::NotUtf8));
        check("__ds/subscriptions", Err(PathError::Reserved));
        check("%5F%5Fds/x", Err(PathError::Reserved));
        check(&"x".repeat(MAX_STREAM_PATH_BYTES), Ok(&"x".repeat(MAX_STREAM_PATH_BYTES)));
        check(&"x".repeat(MAX_STREAM_PATH_BYTES + 1), Err(PathError::TooLong));
    }
}
