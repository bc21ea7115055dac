//! Server-Sent Events, push-style: [`SseParser::push`] bytes as they arrive, and be called with each
//! event that they complete.
//!
//! Invariant: the events depend on the bytes alone, not on how they were cut into pushes; a cut may
//! fall inside a UTF-8 sequence or between CR and LF. An event that lies whole in what was pushed, with
//! one line of data, is not copied.
//!
//! Follows the WHATWG event stream format with one difference: an event of the Durable Streams
//! protocol without data lines (`event: data` for an empty payload) is still an event here, because
//! its control event follows. Deliberately absent: `retry` and reconnection, which belong to the
//! client, and what `data` and `control` mean.

use std::borrow::Cow;

/// Bytes of one event, above which a peer is not believed to speak this protocol.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 128 * 1024 * 1024;

/// One event of the stream: bytes, because nobody has said yet that they are UTF-8.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SseEvent<'a> {
    /// The `event` field; empty when there was none, which the format calls `message`.
    pub name: Cow<'a, [u8]>,
    /// The `data` lines, joined by LF.
    pub data: Cow<'a, [u8]>,
    /// The `id` field, if the event had one.
    pub id: Option<Cow<'a, [u8]>>,
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

/// An incremental parser of one event stream. After an error it must not be used again.
#[derive(Debug)]
pub struct SseParser {
    /// The line under way, without its end.
    line: Vec<u8>,
    /// The last byte was CR: an LF right after it belongs to the same line end.
    after_cr: bool,
    /// Nothing but a byte-order mark has been seen.
    at_start: bool,
    event: Partial<'static>,
    limit: usize,
}

/// The lines of an event so far.
#[derive(Default, Debug)]
struct Partial<'a> {
    name: Cow<'a, [u8]>,
    /// `None`: there was no data line.
    data: Option<Cow<'a, [u8]>>,
    id: Option<Cow<'a, [u8]>>,
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
        let (line, event) = (Vec::new(), Partial::default());
        SseParser { line, after_cr: false, at_start: true, event, limit }
    }

    /// Takes the next bytes of the response body, and calls `each` with every event that is
    /// complete with them. An event is complete at its empty line; what the end of the response
    /// cuts off is dropped, as the format asks.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(SseEvent<'_>),
    ) -> Result<(), EventTooLarge> {
        let mut event: Partial<'_> = std::mem::take(&mut self.event);
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr)
                && let Some(rest) = bytes.strip_prefix(b"\n")
            {
                bytes = rest;
                continue;
            }
            let end = memchr::memchr2(b'\r', b'\n', bytes);
            let (text, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + text.len() + event.data.as_ref().map_or(0, |data| data.len())
                > self.limit
            {
                return Err(EventTooLarge { limit: self.limit });
            }
            let Some((&terminator, rest)) = rest.split_first() else {
                self.line.extend_from_slice(text);
                break;
            };
            self.after_cr = terminator == b'\r';
            bytes = rest;
            let line = match self.line.is_empty() {
                true => Cow::Borrowed(text),
                false => {
                    self.line.extend_from_slice(text);
                    Cow::Owned(std::mem::take(&mut self.line))
                }
            };
            let mark = usize::from(std::mem::take(&mut self.at_start)) * begins_with_mark(&line);
            match line.len() == mark {
                true => event.dispatch(&mut each),
                false => match line {
                    Cow::Borrowed(line) => event.field(&line[mark..], Cow::Borrowed),
                    Cow::Owned(line) => event.field(&line[mark..], |value| value.to_vec().into()),
                },
            }
        }
        self.event = event.into_owned();
        Ok(())
    }
}

impl<'a> Partial<'a> {
    /// Takes a line that is not empty; `own` makes of a part of it what is kept.
    fn field<'l>(&mut self, line: &'l [u8], own: impl FnOnce(&'l [u8]) -> Cow<'a, [u8]>) {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, rest) = line.split_at(colon);
        let value = rest.strip_prefix(b":").unwrap_or(rest);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"event" => self.name = own(value),
            b"data" => match &mut self.data {
                None => self.data = Some(own(value)),
                Some(data) => {
                    let data = data.to_mut();
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            },
            b"id" if !value.contains(&0) => self.id = Some(own(value)),
            // Comments (an empty name), `retry` and unknown fields.
            _ => {}
        }
    }

    fn dispatch(&mut self, each: &mut impl FnMut(SseEvent<'_>)) {
        let Partial { name, data, id } = std::mem::take(self);
        if data.is_some() || !name.is_empty() {
            each(SseEvent { name, data: data.unwrap_or_default(), id });
        }
    }

    fn into_owned(self) -> Partial<'static> {
        let own = |bytes: Cow<'_, [u8]>| Cow::Owned(bytes.into_owned());
        Partial { name: own(self.name), data: self.data.map(own), id: self.id.map(own) }
    }
}

/// How long the byte-order mark is that a line begins with.
fn begins_with_mark(line: &[u8]) -> usize {
    if line.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn own(bytes: &[u8]) -> Cow<'static, [u8]> {
        bytes.to_vec().into()
    }

    fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<SseEvent<'static>> {
        let mut parser = SseParser::default();
        let mut events = Vec::new();
        for piece in pieces {
            let pushed = parser.push(piece, |SseEvent { name, data, id }| {
                let id = id.map(|id| own(&id));
                events.push(SseEvent { name: own(&name), data: own(&data), id });
            });
            pushed.expect("within the limit");
        }
        events
    }

    #[test]
    fn events() {
        let check = |text: &str, want: &[(&str, &str)]| {
            let got = parse([text.as_bytes()]);
            let got: Vec<_> = got.iter().map(|event| (&*event.name, &*event.data)).collect();
            let want: Vec<_> =
                want.iter().map(|(name, data)| (name.as_bytes(), data.as_bytes())).collect();
            assert_eq!(got, want, "{text:?}");
        };
        check("data:a\n\n", &[("", "a")]);
        check("data: a\n\n", &[("", "a")]);
        check("data:  a\n\n", &[("", " a")]);
        check("event:data\ndata:x\ndata:\ndata: y\n\n", &[("data", "x\n\ny")]);
        check("event: data\r\ndata: x\r\n\r\n", &[("data", "x")]);
        check("event: data\rdata: x\r\r", &[("data", "x")]);
        check("data\n\n", &[("", "")]);
        check("event: data\n\n", &[("data", "")]);
        check("\u{feff}data: x\n\n", &[("", "x")]);
        check(": comment\n\ndata: x\nretry: 10\nnonsense\n\n", &[("", "x")]);
        check("data: {\"a\":\"b:c\"}\n\n", &[("", "{\"a\":\"b:c\"}")]);
        check("data: cut off\n", &[]);
        check(
            "event: data\ndata: x\n\nevent: control\ndata: {}\n\n",
            &[("data", "x"), ("control", "{}")],
        );
    }

    #[test]
    fn ids_and_bad_utf8() {
        let events = parse([&b"id: 7\ndata: a\xffb\n\ndata: c\n\n"[..]]);
        assert_eq!(events[0].id.as_deref(), Some(&b"7"[..]));
        assert_eq!(events[0].data, &b"a\xffb"[..]);
        assert_eq!(events[1].id, None);
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = SseParser::new(16);
        let mut push = || parser.push(b"data: 12345678\n", |event| panic!("{event:?}"));
        assert_eq!(push(), Ok(()));
        assert_eq!(push(), Err(EventTooLarge { limit: 16 }));
    }

    #[test]
    fn whole_events_are_not_copied() {
        let text = b"id: 7\nevent: data\ndata: x\n\ndata: y\ndata: z\n\n";
        let mut borrowed = Vec::new();
        let each = |event: SseEvent<'_>| borrowed.push(matches!(event.data, Cow::Borrowed(_)));
        SseParser::default().push(text, each).expect("within the limit");
        assert_eq!(borrowed, [true, false]);
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
