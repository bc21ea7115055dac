//! How a client asks: its next long-poll differs from the last one only in the offset and the
//! cursor that it was told, so it is recognized by comparing bytes and not parsed.
//!
//! Invariant: what matches would be parsed as the same request, at the offset that was told, with
//! the cursor found. Everything else is left to the parser.

use std::ops::Range;

use bytes::BytesMut;
use thalweg_proto::offset::TOKEN_LEN;

/// The head of a long-poll, and where in it the two values stand.
#[derive(PartialEq, Eq, Debug)]
pub struct Template {
    head: Box<[u8]>,
    /// In the order in which they stand.
    values: Box<[(Value, Range<usize>)]>,
}

/// What differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Value {
    Offset,
    Cursor,
}

impl Template {
    /// The template of a whole head; `None`: it is not a plain long-poll.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Template> {
        let line = &head[..head.windows(2).position(|pair| pair == b"\r\n")?];
        let target = line.strip_prefix(b"GET ")?.strip_suffix(b" HTTP/1.1")?;
        let query = target.iter().position(|byte| *byte == b'?')? + 1;
        let (mut at, mut values, mut is_long_poll) = (b"GET ".len() + query, Vec::new(), false);
        for pair in target[query..].split(|byte| *byte == b'&') {
            let end = at + pair.len();
            let name_len = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let (name, value) = (&pair[..name_len], (at + name_len + 1).min(end)..end);
            match name {
                b"live" => is_long_poll = &head[value] == b"long-poll",
                b"offset" => values.push((Value::Offset, value)),
                b"cursor" => values.push((Value::Cursor, value)),
                // It may stand for one of these.
                _ if name.iter().any(|byte| matches!(byte, b'%' | b'+')) => return None,
                _ => {}
            }
            at = end + 1;
        }
        let count = |wanted| values.iter().filter(|(value, _)| *value == wanted).count();
        let is_plain = count(Value::Offset) == 1 && count(Value::Cursor) <= 1;
        (is_long_poll && is_plain).then(|| Template { head: head.into(), values: values.into() })
    }

    /// Whether `bytes` are this request at `offset` and nothing else; then, the cursor in it.
    #[must_use]
    pub fn matches(&self, bytes: &[u8], offset: &[u8; TOKEN_LEN]) -> Option<Option<u64>> {
        let (mut rest, mut at, mut cursor) = (bytes, 0, None);
        for (value, range) in &self.values {
            rest = rest.strip_prefix(&self.head[at..range.start])?;
            at = range.end;
            match value {
                Value::Offset => rest = rest.strip_prefix(&offset[..])?,
                Value::Cursor => {
                    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                    if !(1..=MAX_CURSOR_DIGITS).contains(&digits) {
                        return None;
                    }
                    let number = |sum, digit: &u8| 10 * sum + u64::from(digit - b'0');
                    cursor = Some(rest[..digits].iter().fold(0, number));
                    rest = &rest[digits..];
                }
            }
        }
        (*rest == self.head[at..]).then_some(cursor)
    }

    /// The request at `offset` with a cursor, for the parser.
    #[must_use]
    pub fn filled(&self, offset: &[u8; TOKEN_LEN], cursor: Option<u64>) -> BytesMut {
        let (mut out, mut at) = (BytesMut::with_capacity(self.head.len() + TOKEN_LEN), 0);
        for (value, range) in &self.values {
            out.extend_from_slice(&self.head[at..range.start]);
            at = range.end;
            match (value, cursor) {
                (Value::Offset, _) => out.extend_from_slice(offset),
                (Value::Cursor, Some(cursor)) => {
                    out.extend_from_slice(cursor.to_string().as_bytes());
                }
                (Value::Cursor, None) => out.extend_from_slice(&self.head[range.clone()]),
            }
        }
        out.extend_from_slice(&self.head[at..]);
        out
    }
}

/// More than any cursor has, and fewer than a number of 64 bits.
const MAX_CURSOR_DIGITS: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;
    use thalweg_proto::offset::Offset;

    fn head(query: &str) -> Vec<u8> {
        format!("GET /s?{query} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes()
    }

    #[test]
    fn the_next_request_is_recognized() {
        let token = Offset { epoch: 7, position: 5 }.token();
        let text = String::from_utf8_lossy(&token).into_owned();
        let check = |first: &str, second: &str, want: Option<Option<u64>>| {
            let template = Template::of(&head(first)).expect(first);
            let second = head(&second.replace('@', &text));
            assert_eq!(template.matches(&second, &token), want, "{first}");
            if let Some(cursor) = want {
                assert_eq!(template.filled(&token, cursor), second[..], "{first}");
            }
            let more = [&second[..], b"G"].concat();
            assert_eq!(template.matches(&more, &token), None, "{first}");
            for end in 0..second.len() {
                assert_eq!(template.matches(&second[..end], &token), None, "{first}");
            }
        };
        check("offset=-1&live=long-poll", "offset=@&live=long-poll", Some(None));
        check("live=long-poll&offset=now", "live=long-poll&offset=@", Some(None));
        check(
            "offset=1&live=long-poll&cursor=9",
            "offset=@&live=long-poll&cursor=10",
            Some(Some(10)),
        );
        check(
            "cursor=9&live=long-poll&offset=1",
            "cursor=0&live=long-poll&offset=@",
            Some(Some(0)),
        );
        check(
            "cursor=&live=long-poll&offset=",
            "cursor=12&live=long-poll&offset=@",
            Some(Some(12)),
        );
        check("offset=1&live=long-poll", "offset=@&live=long-poll&cursor=1", None);
        check("offset=1&live=long-poll&cursor=9", "offset=@&live=long-poll&cursor=", None);
        check("offset=1&live=long-poll&cursor=9", "offset=@&live=long-poll&cursor=1x", None);
        check("offset=1&live=long-poll", "offset=@0&live=long-poll", None);
        check("offset=1&live=long-poll", "offset=now&live=long-poll", None);
        let nineteen = format!("offset=@&live=long-poll&cursor={}", "1".repeat(19));
        check("offset=1&live=long-poll&cursor=9", &nineteen, None);
    }

    #[test]
    fn what_is_no_plain_long_poll() {
        for query in [
            "offset=1",
            "offset=1&live=sse",
            "live=long-poll",
            "offset=1&offset=2&live=long-poll",
            "offset=1&live=long-poll&cursor=1&cursor=2",
            "offset=1&live=long-poll&live=sse",
            "offset=1&live=long-poll&o%66fset=2",
        ] {
            assert_eq!(Template::of(&head(query)), None, "{query}");
        }
        for head in
            ["", "GET /s HTTP/1.1\r\n\r\n", "GET /s?offset=1&live=long-poll HTTP/1.0\r\n\r\n"]
        {
            assert_eq!(Template::of(head.as_bytes()), None, "{head}");
        }
    }
}
