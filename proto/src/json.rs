//! JSON mode (section 9.1): a body becomes messages, each stored as its own bytes and a comma, so
//! that any range between messages is served by adding brackets, never by parsing.
//!
//! A stored message holds no line break: JSON allows them only between tokens, where a space
//! means the same, and without them an SSE event is one `data:` line.

use std::fmt;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::limits::READ_PAGE_BYTES;
use crate::stream::record::Payload;

/// Why a JSON body is refused (400).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JsonError {
    /// Not JSON; the parser's words.
    Invalid(Box<str>),
    /// Not UTF-8.
    NotUtf8,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::Invalid(why) => write!(f, "the body is not valid JSON: {why}"),
            JsonError::NotUtf8 => f.write_str("the body is not valid JSON: it is not UTF-8"),
        }
    }
}

/// Validates a body and flattens one level of array into messages (sections 9.1.2 - 9.1.4). An
/// empty array gives an empty payload; whether that is allowed depends on the method.
pub fn flatten(body: &[u8]) -> Result<Payload, JsonError> {
    let text = std::str::from_utf8(body).map_err(|_| JsonError::NotUtf8)?;
    let invalid = |error: serde_json::Error| JsonError::Invalid(error.to_string().into());
    if !text.trim_ascii_start().starts_with('[') {
        let message: &RawValue = serde_json::from_str(text).map_err(invalid)?;
        let mut out = Vec::with_capacity(message.get().len() + 1);
        push_message(&mut out, message.get().as_bytes());
        return Ok(Payload { bytes: Bytes::from(out), cuts: Vec::new() });
    }
    let messages: Vec<&RawValue> = serde_json::from_str(text).map_err(invalid)?;
    let mut out = Vec::with_capacity(body.len() + messages.len());
    let mut cuts = Vec::new();
    let mut page_start = 0;
    for message in messages {
        let start = out.len();
        if start > page_start && start - page_start + message.get().len() + 1 > READ_PAGE_BYTES {
            cuts.push(start as u32);
            page_start = start;
        }
        push_message(&mut out, message.get().as_bytes());
    }
    Ok(Payload { bytes: Bytes::from(out), cuts })
}

/// Finds the position after the first `count` messages of stored bytes. `None` when there are
/// fewer. Used by forks with a sub-offset (section 4.2) only.
#[must_use]
pub fn skip_messages(stored: &[u8], count: u64) -> Option<usize> {
    let mut at = 0;
    for _ in 0..count {
        let rest = stored.get(at..).filter(|rest| !rest.is_empty())?;
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<&RawValue>();
        values.next()?.ok()?;
        at += values.byte_offset() + 1;
    }
    Some(at)
}

/// The array that readers get: brackets around stored messages whose last comma is cut off.
#[must_use]
pub fn as_array_of(messages: Bytes) -> [Bytes; 3] {
    [Bytes::from_static(b"["), messages, Bytes::from_static(b"]")]
}

fn push_message(out: &mut Vec<u8>, message: &[u8]) {
    let start = out.len();
    out.extend_from_slice(message);
    for byte in &mut out[start..] {
        // A store in any case: the compiler makes whole vectors of it.
        *byte = if matches!(*byte, b'\n' | b'\r') { b' ' } else { *byte };
    }
    out.push(b',');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(body: &str, want: Option<&str>) {
        let got = flatten(body.as_bytes()).ok().map(|payload| payload.bytes);
        assert_eq!(got.as_deref(), want.map(str::as_bytes), "{body}");
    }

    #[test]
    fn one_level_is_flattened() {
        check(r#"{"event":"created"}"#, Some(r#"{"event":"created"},"#));
        check(r#" [{"a":1}, {"b":[2]} ] "#, Some(r#"{"a":1},{"b":[2]},"#));
        check("[[1,2],[3,4]]", Some("[1,2],[3,4],"));
        check("[[[1,2,3]]]", Some("[[1,2,3]],"));
        check("[]", Some(""));
        check("null", Some("null,"));
        check("{\n  \"a\":\r\n 1}", Some("{   \"a\":   1},"));
        for bad in ["", " ", "{", "[1,]", "[1] 2", "{} {}", "nul", "'a'", "\u{feff}1", "[1", "]"] {
            check(bad, None);
        }
        assert_eq!(flatten(b"\"\xff\""), Err(JsonError::NotUtf8));
    }

    #[test]
    fn deep_nesting_neither_overflows_nor_panics() {
        let deep = "[".repeat(200_000);
        assert!(flatten(deep.as_bytes()).is_err());
        let closed = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(flatten(closed.as_bytes()).is_ok());
    }

    #[test]
    fn long_batches_have_cuts_between_messages() {
        let message = format!("\"{}\"", "x".repeat(1024 * 1024));
        let payload = flatten(format!("[{}]", vec![message; 9].join(",")).as_bytes()).unwrap();
        assert_eq!(payload.cuts.len(), 2);
        for cut in payload.cuts {
            assert_eq!(payload.bytes[cut as usize - 1], b',');
            assert_eq!(payload.bytes[cut as usize], b'"');
        }
    }

    #[test]
    fn messages_are_counted_not_commas() {
        let stored = br#"{"a":1,"b":","},[1,2],3,"#;
        let check = |count, want| assert_eq!(skip_messages(stored, count), want, "{count}");
        check(0, Some(0));
        check(1, Some(16));
        check(2, Some(22));
        check(3, Some(stored.len()));
        check(4, None);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "\\PC*".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::hash_map("\\PC*", inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(batch in prop::collection::vec(json(), 1..8), pretty: bool) {
            let value = serde_json::Value::Array(batch);
            let body = if pretty { format!("{value:#}") } else { value.to_string() };
            let stored = flatten(body.as_bytes()).unwrap().bytes;
            let array = as_array_of(stored.slice(..stored.len() - 1)).concat();
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&array).unwrap(), value);
            prop_assert!(!array.contains(&b'\n'));
        }

        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            let _ = flatten(&body);
            let _ = skip_messages(&body, 3);
        }
    }
}
