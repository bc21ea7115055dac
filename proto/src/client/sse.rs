//! Server-Sent Events, push-style: [`SseParser::push`] bytes as they arrive, take
//! [`SseParser::next_event`] until there is none.
//!
//! Invariant: the events depend on the bytes alone, not on how they were cut into pushes; a cut may
//! fall inside a UTF-8 sequence or between CR and LF.
//!
//! Follows the WHATWG event stream format with one difference: an event of the Durable Streams
//! protocol without data lines (`event: data` for an empty payload) is still an event here, because
//! its control event follows. Deliberately absent: `retry` and reconnection, which belong to the
//! client, and what `data` and `control` mean.

use std::collections::VecDeque;

/// Bytes of one event, above which a peer is not believed to speak this protocol.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 128 * 1024 * 1024;

/// One event of the stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SseEvent {
    /// The `event` field; `message` when there was none.
    pub name: String,
    /// The `data` lines, joined by LF. Invalid UTF-8 has been replaced.
    pub data: String,
    /// The `id` field, if the event had one.
    pub id: Option<String>,
}

/// The event or the line it is in grew beyond the parser's bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventTooLarge {
    /// The bound in bytes.
    pub limit: usize,
}

impl std::fmt::Display for EventTooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the server sent an event of more than {} bytes", self.limit)
    }
}

impl std::error::Error for EventTooLarge {}

/// An incremental parser of one event stream.
#[derive(Debug)]
pub struct SseParser {
    ready: VecDeque<SseEvent>,
    /// The line under way, without its end.
    line: Vec<u8>,
    /// The last byte was CR: an LF right after it belongs to the same line end.
    after_cr: bool,
    /// Nothing but a byte-order mark has been seen.
    at_start: bool,
    name: String,
    data: Vec<u8>,
    data_lines: usize,
    id: Option<String>,
    limit: usize,
}

impl Default for SseParser {
    fn default() -> SseParser {
        SseParser::new(DEFAULT_MAX_EVENT_BYTES)
    }
}

impl SseParser {
    /// A parser that refuses events of more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> SseParser {
        SseParser {
            ready: VecDeque::new(),
            line: Vec::new(),
            after_cr: false,
            at_start: true,
            name: String::new(),
            data: Vec::new(),
            data_lines: 0,
            id: None,
            limit,
        }
    }

    /// Takes the next bytes of the response body.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), EventTooLarge> {
        while !bytes.is_empty() {
            if self.after_cr {
                self.after_cr = false;
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
                continue;
            }
            let end = memchr::memchr2(b'\r', b'\n', bytes);
            let (text, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + text.len() + self.data.len() > self.limit {
                return Err(EventTooLarge { limit: self.limit });
            }
            self.line.extend_from_slice(text);
            bytes = rest;
            if let Some((&terminator, rest)) = rest.split_first() {
                self.after_cr = terminator == b'\r';
                bytes = rest;
                self.end_line();
            }
        }
        Ok(())
    }

    /// The next complete event. An event is complete at its empty line; what the end of the
    /// response cuts off is dropped, as the format asks.
    pub fn next_event(&mut self) -> Option<SseEvent> {
        self.ready.pop_front()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = if std::mem::take(&mut self.at_start) {
            line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line)
        } else {
            &line
        };
        if text.is_empty() {
            self.dispatch();
        } else {
            self.field(text);
        }
        self.line = line;
        self.line.clear();
    }

    fn field(&mut self, line: &[u8]) {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, rest) = line.split_at(colon);
        let value = rest.strip_prefix(b":").unwrap_or(rest);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            b"data" => {
                if self.data_lines > 0 {
                    self.data.push(b'\n');
                }
                self.data_lines += 1;
                self.data.extend_from_slice(value);
            }
            b"id" if !value.contains(&0) => {
                self.id = Some(String::from_utf8_lossy(value).into_owned());
            }
            // Comments (an empty name), `retry` and unknown fields.
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        let id = self.id.take();
        let lines = std::mem::take(&mut self.data_lines);
        if lines == 0 && name.is_empty() {
            return;
        }
        let name = if name.is_empty() { DEFAULT_NAME.to_owned() } else { name };
        let data = String::from_utf8(data)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        self.ready.push_back(SseEvent { name, data, id });
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const DEFAULT_NAME: &str = "message";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<SseEvent> {
        let mut parser = SseParser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.push(piece).expect("within the limit");
            while let Some(event) = parser.next_event() {
                events.push(event);
            }
        }
        events
    }

    #[test]
    fn events() {
        let check = |text: &str, want: &[(&str, &str)]| {
            let got = parse([text.as_bytes()]);
            let got: Vec<_> =
                got.iter().map(|event| (event.name.as_str(), event.data.as_str())).collect();
            assert_eq!(got, want, "{text:?}");
        };
        check("data:a\n\n", &[("message", "a")]);
        check("data: a\n\n", &[("message", "a")]);
        check("data:  a\n\n", &[("message", " a")]);
        check("event:data\ndata:x\ndata:\ndata: y\n\n", &[("data", "x\n\ny")]);
        check("event: data\r\ndata: x\r\n\r\n", &[("data", "x")]);
        check("event: data\rdata: x\r\r", &[("data", "x")]);
        check("data\n\n", &[("message", "")]);
        check("event: data\n\n", &[("data", "")]);
        check("\u{feff}data: x\n\n", &[("message", "x")]);
        check(": comment\n\ndata: x\nretry: 10\nnonsense\n\n", &[("message", "x")]);
        check("data: {\"a\":\"b:c\"}\n\n", &[("message", "{\"a\":\"b:c\"}")]);
        check("data: cut off\n", &[]);
        check(
            "event: data\ndata: x\n\nevent: control\ndata: {}\n\n",
            &[("data", "x"), ("control", "{}")],
        );
    }

    #[test]
    fn ids_and_bad_utf8() {
        let events = parse([&b"id: 7\ndata: a\xffb\n\ndata: c\n\n"[..]]);
        assert_eq!(events[0].id.as_deref(), Some("7"));
        assert_eq!(events[0].data, "a\u{fffd}b");
        assert_eq!(events[1].id, None);
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = SseParser::new(16);
        assert_eq!(parser.push(b"data: 12345678\n"), Ok(()));
        assert_eq!(parser.push(b"data: 12345678\n"), Err(EventTooLarge { limit: 16 }));
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            lines in prop::collection::vec(
                prop_oneof![
                    "(data|event|id|retry|x)?:? ?[a-c:€ ]{0,6}".prop_map(String::from),
                    Just(String::new()),
                ],
                0..24,
            ),
            ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 24),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let text: String =
                lines.iter().zip(&ends).flat_map(|(line, end)| [line.as_str(), end]).collect();
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
            prop_assert_eq!(parse(pieces), parse([bytes]));
        }
    }
}
