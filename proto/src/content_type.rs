//! Content types: kept as given, compared by media type alone, classified once (section 9).

use std::fmt;
use std::sync::Arc;

use crate::limits::MAX_CONTENT_TYPE_BYTES;

const JSON: &str = "application/json";

thread_local! {
    /// What most requests say: shared instead of checked and copied again.
    static USUAL: ContentType = ContentType { text: JSON.into(), framing: Framing::Json };
}

/// How a stream's bytes are framed for readers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// `application/json`: messages with boundaries, arrays on the wire.
    Json,
    /// `text/*`: bytes, carried as text in SSE.
    Text,
    /// Everything else: bytes, carried as base64 in SSE.
    Binary,
}

/// A syntactically plausible content type. Equality is by media type, case-insensitively and
/// without parameters (section 5.1 matches configurations, the suite ignores case and charset).
#[derive(Clone)]
pub struct ContentType {
    text: Arc<str>,
    framing: Framing,
}

impl ContentType {
    /// Parses a header value: `type/subtype` of token characters, optional parameters.
    #[must_use]
    pub fn parse(value: &str) -> Option<ContentType> {
        if value == JSON {
            return Some(USUAL.with(ContentType::clone));
        }
        let value = value.trim();
        let media = media_type(value);
        let (kind, subtype) = media.split_once('/')?;
        let printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
        if value.len() > MAX_CONTENT_TYPE_BYTES
            || !is_token(kind)
            || !is_token(subtype)
            || !printable
        {
            return None;
        }
        let framing = if media.eq_ignore_ascii_case(JSON) {
            Framing::Json
        } else if kind.eq_ignore_ascii_case("text") {
            Framing::Text
        } else {
            Framing::Binary
        };
        Some(ContentType { text: value.into(), framing })
    }

    /// `application/octet-stream`, the type of a stream created without one.
    #[must_use]
    pub fn octet_stream() -> ContentType {
        ContentType { text: "application/octet-stream".into(), framing: Framing::Binary }
    }

    /// The value as it was given at creation.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How readers get the bytes.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }
}

impl PartialEq for ContentType {
    fn eq(&self, other: &ContentType) -> bool {
        self.text == other.text
            || media_type(&self.text).eq_ignore_ascii_case(media_type(&other.text))
    }
}

impl Eq for ContentType {}

impl fmt::Debug for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.text)
    }
}

fn media_type(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classified_and_compared_by_media_type() {
        let framing = |text: &str| ContentType::parse(text).map(|parsed| parsed.framing());
        assert_eq!(framing("application/json"), Some(Framing::Json));
        assert_eq!(framing("Application/JSON; charset=utf-8"), Some(Framing::Json));
        assert_eq!(framing("text/plain"), Some(Framing::Text));
        assert_eq!(framing("application/ndjson"), Some(Framing::Binary));
        for bad in ["", "json", "a/b/c", "text/", "/plain", "te xt/plain", "text/plain;\u{7f}"] {
            assert_eq!(framing(bad), None, "{bad}");
        }
        assert_eq!(ContentType::parse("TEXT/plain;a=b"), ContentType::parse("text/plain"));
        assert_ne!(ContentType::parse("text/plain"), ContentType::parse("text/html"));
    }
}
