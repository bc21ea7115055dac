//! One answer of a live SSE reader, without I/O: bytes in, data and positions out.
//!
//! ```text
//! head --200--> events --end of the answer--> ended
//! ```
//!
//! Of a server that speaks no Durable Streams every event is data, its `id` is the position, and the
//! answer's head alone says that the server will tell what is published.
//!
//! Invariant: what comes out depends on the bytes alone, not on how they were cut into pieces.
//!
//! Deliberately absent: connections, the clock, and what the messages mean.

use std::sync::LazyLock;

use bytes::{Buf, BytesMut};
use http::{Method, StatusCode};
use memchr::memmem;
use thalweg_proto::client::response::StreamFields;
use thalweg_proto::client::sse::{EventTooLarge, SseParser};
use thalweg_proto::http1::{BodyDecoder, CodecError, Progress, ResponseHeadStatus};
use thalweg_proto::http1::{ResponseHead, parse_response_head};

/// Why a reader cannot go on with its connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SseError {
    #[error("the answer is malformed: {0}")]
    Malformed(#[from] CodecError),
    #[error("the answer is {0}")]
    Refused(StatusCode),
    #[error("the events are base64: the stream's content type must be application/json or text")]
    Base64,
    #[error(transparent)]
    Event(#[from] EventTooLarge),
    #[error("the connection ended before the answer's head")]
    NoAnswer,
    #[error("the answer was cut off: {0}")]
    Cut(CodecError),
    #[error("the answer ended before its first control event")]
    NoControl,
    #[error("more than {MAX_UNCONFIRMED} bytes of data without a control event")]
    Unconfirmed,
}

impl SseError {
    /// What failures are counted by.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            SseError::Malformed(_)
            | SseError::Event(_)
            | SseError::NoControl
            | SseError::Unconfirmed => "malformed answer",
            SseError::Refused(_) => "status",
            SseError::Base64 => "encoding",
            SseError::NoAnswer | SseError::Cut(_) => "connection",
        }
    }
}

/// One answer.
#[derive(Debug, Default)]
pub(crate) struct SseReader {
    wire: Wire,
    /// What has been received and is not understood yet: part of a head or of a chunk's frame.
    input: Vec<u8>,
    live: bool,
    /// Every event is data.
    plain: bool,
    /// Data since the last control event: the position does not include it yet.
    unconfirmed: Vec<u8>,
}

/// What a receive needs for as long as it takes; readers of a thread share it, so that each of them
/// keeps only what is cut off.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    input: BytesMut,
    body: BytesMut,
    unconfirmed: Vec<u8>,
}

#[derive(Debug, Default)]
enum Wire {
    #[default]
    Head,
    Events(BodyDecoder, SseParser),
    Ended,
}

impl SseReader {
    /// `plain`: of a server that speaks no Durable Streams.
    pub(crate) fn new(plain: bool) -> SseReader {
        SseReader { plain, ..SseReader::default() }
    }

    /// Whether a control event has come: the server will tell what is published from now on.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    /// Data that the next request will bring again, because no control event came after it.
    pub(crate) fn unconfirmed(&self) -> &[u8] {
        &self.unconfirmed
    }

    /// Whether the answer is complete: go on with a new request.
    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.wire, Wire::Ended)
    }

    /// Takes bytes. Sets `offset` to where the next request begins and `closed` when the stream
    /// has ended; calls `data` with each data event.
    pub(crate) fn receive(
        &mut self,
        bytes: &[u8],
        scratch: &mut Scratch,
        offset: &mut String,
        closed: &mut bool,
        data: &mut impl FnMut(&[u8]),
    ) -> Result<(), SseError> {
        scratch.input.clear();
        scratch.input.extend_from_slice(&std::mem::take(&mut self.input));
        scratch.input.extend_from_slice(bytes);
        if matches!(self.wire, Wire::Head) && !self.head(&mut scratch.input)? {
            self.input.extend_from_slice(&scratch.input);
            return Ok(());
        }
        let Wire::Events(decoder, parser) = &mut self.wire else { return Ok(()) };
        scratch.body.clear();
        let progress = decoder.decode(&mut scratch.input, &mut scratch.body)?;
        let (plain, live) = (self.plain, &mut self.live);
        let unconfirmed = &mut scratch.unconfirmed;
        unconfirmed.clear();
        if !self.unconfirmed.is_empty() {
            *unconfirmed = std::mem::take(&mut self.unconfirmed);
        }
        let mut too_much = false;
        let pushed = parser.push(&scratch.body, |event| match &*event.name {
            _ if plain => {
                data(&event.data);
                if let Some(id) = event.id {
                    *offset = String::from_utf8_lossy(&id).into_owned();
                }
            }
            b"data" => {
                data(&event.data);
                let has = unconfirmed.len();
                too_much |= has > 0 && has + event.data.len() > MAX_UNCONFIRMED;
                if !too_much {
                    unconfirmed.extend_from_slice(&event.data);
                }
            }
            b"control" => {
                *live = true;
                unconfirmed.clear();
                *closed |= CLOSED_FINDER.find(&event.data).is_some();
                if let Some(next) = next_offset(&event.data) {
                    offset.clear();
                    offset.push_str(next);
                }
            }
            _ => {}
        });
        if !unconfirmed.is_empty() {
            self.unconfirmed = std::mem::take(unconfirmed);
        }
        pushed?;
        if too_much {
            return Err(SseError::Unconfirmed);
        }
        self.input.extend_from_slice(&scratch.input);
        if progress == Progress::Done {
            self.wire = Wire::Ended;
            return if self.live { Ok(()) } else { Err(SseError::NoControl) };
        }
        Ok(())
    }

    /// The connection ended. An error if that cut the answer off.
    pub(crate) fn finish(&mut self) -> Result<(), SseError> {
        match &mut self.wire {
            Wire::Events(decoder, _) => decoder.finish().map_err(SseError::Cut)?,
            Wire::Head => return Err(SseError::NoAnswer),
            Wire::Ended => {}
        }
        self.wire = Wire::Ended;
        if self.live { Ok(()) } else { Err(SseError::NoControl) }
    }

    /// Takes the head from the front of `input`; whether it was whole.
    fn head(&mut self, input: &mut BytesMut) -> Result<bool, SseError> {
        let parsed = parse_response_head(input, &Method::GET)?;
        let ResponseHeadStatus::Complete(head, taken) = parsed else { return Ok(false) };
        input.advance(taken);
        let ResponseHead { status, fields, body, .. } = head;
        if status != StatusCode::OK {
            return Err(SseError::Refused(status));
        }
        if StreamFields::from_fields(&fields).base64 {
            return Err(SseError::Base64);
        }
        let decoder = body.decoder(u64::MAX)?;
        self.live = self.plain;
        self.wire = Wire::Events(decoder, SseParser::default());
        Ok(true)
    }
}

/// The value of `streamNextOffset`. Tokens are URL-safe, so there are no escapes in it.
fn next_offset(control: &[u8]) -> Option<&str> {
    let at = NEXT_OFFSET_FINDER.find(control)?;
    let value = control[at + NEXT_OFFSET.len()..].trim_ascii_start().strip_prefix(b":")?;
    let value = value.trim_ascii_start().strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', value)?;
    std::str::from_utf8(&value[..end]).ok()
}

const NEXT_OFFSET: &[u8] = b"\"streamNextOffset\"";
static NEXT_OFFSET_FINDER: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new(NEXT_OFFSET));
/// Of several data events before the control event; a single one may be as large as an event may.
const MAX_UNCONFIRMED: usize = 16 << 20;
static CLOSED_FINDER: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new(b"\"streamClosed\":true"));

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";

    fn event(data: &str, offset: &str) -> String {
        format!(
            "event: data\ndata:[{data}]\n\n\
             event: control\ndata:{{\"streamNextOffset\":\"{offset}\",\"streamCursor\":\"1\"}}\n\n"
        )
    }

    fn chunked(events: &[String]) -> Vec<u8> {
        let mut out = HEAD.to_owned() + "transfer-encoding: chunked\r\n\r\n";
        for event in events {
            out.push_str(&format!("{:x}\r\n{event}\r\n", event.len()));
        }
        (out + "0\r\n\r\n").into_bytes()
    }

    /// The data, the offset, and whether the stream was closed.
    fn feed(answer: &[u8], size: usize) -> Result<(SseReader, String, String, bool), SseError> {
        let (mut reader, mut scratch) = (SseReader::default(), Scratch::default());
        let (mut all, mut offset, mut closed) = (String::new(), String::new(), false);
        for piece in answer.chunks(size) {
            reader.receive(piece, &mut scratch, &mut offset, &mut closed, &mut |data| {
                all.push_str(&String::from_utf8_lossy(data));
            })?;
        }
        Ok((reader, all, offset, closed))
    }

    #[test]
    fn answers_cut_anywhere() {
        let answer = chunked(&[event("1,2", "a"), event("3", "b")]);
        for size in [1, 2, 3, 7, 64, answer.len()] {
            let (reader, all, offset, closed) = feed(&answer, size).unwrap();
            assert_eq!((all.as_str(), offset.as_str(), closed), ("[1,2][3]", "b", false));
            assert!(reader.is_live() && reader.is_ended());
        }
    }

    #[test]
    fn closure_and_ends() {
        let control = "event: control\ndata:{\"streamNextOffset\":\"a\",\"streamClosed\":true}\n\n";
        assert!(feed(&chunked(&[control.to_owned()]), 1).unwrap().3);

        let until_close = format!("{HEAD}\r\n{}", event("0", "a"));
        let (mut reader, ..) = feed(until_close.as_bytes(), 1).unwrap();
        assert!(!reader.is_ended());
        reader.finish().unwrap();
        assert!(reader.is_ended());

        let cut = chunked(&[event("0", "a")]);
        for length in [0, 10, cut.len() - 1] {
            assert!(feed(&cut[..length], 16).unwrap().0.finish().is_err(), "{length}");
        }
    }

    #[test]
    fn events_of_another_protocol() {
        let events = [": hi\n\n", "id: 7:0\ndata: {\"m\":1}\n\n", "event: x\ndata: 2\n\n"];
        let answer = chunked(&events.map(str::to_owned));
        for size in [1, 3, answer.len()] {
            let (mut reader, mut scratch) = (SseReader::new(true), Scratch::default());
            let (mut all, mut id, mut closed) = (String::new(), String::new(), false);
            let mut take = |data: &[u8]| all.push_str(&String::from_utf8_lossy(data));
            for piece in answer.chunks(size) {
                reader.receive(piece, &mut scratch, &mut id, &mut closed, &mut take).unwrap();
            }
            assert_eq!((all.as_str(), id.as_str(), closed), ("{\"m\":1}2", "7:0", false));
            assert!(reader.is_live() && reader.is_ended() && reader.unconfirmed().is_empty());
        }
        let (mut reader, mut scratch) = (SseReader::new(true), Scratch::default());
        let (head, mut id) = (format!("{HEAD}\r\n"), String::new());
        reader.receive(head.as_bytes(), &mut scratch, &mut id, &mut false, &mut |_| {}).unwrap();
        assert!(reader.is_live(), "the head is enough");
    }

    #[test]
    fn data_is_confirmed_by_a_control_event() {
        let data = "event: data\ndata:[1]\n\n".to_owned();
        let answer = chunked(&[event("0", "a"), data, event("2", "b")]);
        let control = answer.windows(14).rposition(|at| at == b"event: control").unwrap();
        let check = |length: usize, want: &str| {
            let (reader, ..) = feed(&answer[..length], 5).unwrap();
            assert_eq!(reader.unconfirmed(), want.as_bytes(), "{length}");
        };
        check(answer.len(), "");
        check(control, "[1][2]");
    }

    #[test]
    fn data_without_a_control_event_is_bounded() {
        let data = format!("event: data\ndata:[{}]\n\n", "1".repeat(MAX_UNCONFIRMED / 2));
        let large = format!("event: data\ndata:[{}]\n\n", "1".repeat(2 * MAX_UNCONFIRMED));
        let control = "event: control\ndata:{\"streamNextOffset\":\"a\"}\n\n";
        let (reader, ..) = feed(&chunked(&[large, control.to_owned()]), 1 << 20).unwrap();
        assert!(reader.is_live(), "one event may be larger");
        let error = feed(&chunked(&[data.clone(), data]), 1 << 20).unwrap_err();
        assert!(error.to_string().contains("16777216 bytes of data without"), "{error}");
    }

    #[test]
    fn refusals() {
        let check = |answer: &str, want: &str| {
            let error = feed(answer.as_bytes(), 3).unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
        };
        check("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "404");
        check("HTTP/1.1 200 OK\r\nstream-sse-data-encoding: base64\r\n\r\n", "base64");
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", "malformed");
        check("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", "before its first control event");
        check("SSH-2.0-x\r\n\r\n", "malformed");
    }
}
