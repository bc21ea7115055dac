//! One virtual SSE reader, without I/O: the bytes of its connections in, counts out.
//!
//! ```text
//! head --200--> events --end of the answer--> ended --begin_response()--> head
//! ```
//!
//! Invariants: what is counted depends on the bytes alone, not on how they were cut into pieces;
//! each sequence number counts once, so that a repeated message is a duplicate and a skipped one
//! that arrives later is out of order, never both.
//!
//! Deliberately absent: connections, and the clock. The caller reads it once per receive.

use std::ops::Range;

use bytes::BytesMut;
use http::{Method, StatusCode};
use memchr::memmem;
use thalweg_proto::client::response::StreamFields;
use thalweg_proto::client::sse::{EventTooLarge, SseEvent, SseParser};
use thalweg_proto::http1::{BodyDecoder, CodecError, Progress, ResponseHeadStatus};
use thalweg_proto::http1::{ResponseBody, parse_response_head};

use crate::message::{Stamp, stamps};
use crate::tally::Tally;
use crate::target::Target;

/// Why a reader cannot go on with its connection.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// Not HTTP/1.1 as we know it.
    #[error("the answer is malformed: {0}")]
    Malformed(#[from] CodecError),
    /// Any status but 200.
    #[error("the answer is {0}")]
    Refused(StatusCode),
    /// The stream is binary; messages of a run are JSON.
    #[error("the events are base64: the stream's content type must be application/json or text")]
    Base64,
    /// An event without end.
    #[error(transparent)]
    Event(#[from] EventTooLarge),
    /// The connection ended inside the answer, or could not be made.
    #[error("the connection broke: {0}")]
    Connection(#[from] std::io::Error),
}

/// One virtual reader.
#[derive(Debug)]
pub struct Reader {
    wire: Wire,
    /// What has been received and is not understood yet: part of a head or of a chunk's frame.
    input: BytesMut,
    /// Where the next request begins: of the last control event, verbatim.
    offset: String,
    seen: Seen,
    /// A control event has come: the server will tell us what is published from now on.
    live: bool,
    /// The stream was closed: there is nothing more to come.
    closed: bool,
}

#[derive(Debug)]
enum Wire {
    Head,
    // Boxed: between two connections a reader costs next to nothing.
    Events(Box<(BodyDecoder, SseParser)>),
    Ended,
}

impl Reader {
    /// A reader that begins at `offset`, a token of the server or `now` or `-1`.
    #[must_use]
    pub fn new(offset: &str) -> Reader {
        Reader {
            wire: Wire::Head,
            input: BytesMut::new(),
            offset: offset.to_owned(),
            seen: Seen::default(),
            live: false,
            closed: false,
        }
    }

    /// The request to send on a new connection.
    #[must_use]
    pub fn request(&self, target: &Target) -> Vec<u8> {
        let query = format!("?offset={}&live=sse", self.offset);
        target.request("GET", &query, "accept: text/event-stream\r\n", b"")
    }

    /// Whether the server has confirmed that this reader follows the stream.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Whether the answer is complete: go on with a new request.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.wire, Wire::Ended)
    }

    /// Whether the stream has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Messages received, each counted once.
    #[must_use]
    pub fn received(&self) -> u32 {
        self.seen.next - self.seen.missing()
    }

    /// Forgets the connection, not what came over it.
    pub fn begin_response(&mut self) {
        self.wire = Wire::Head;
        self.input = BytesMut::new();
    }

    /// Takes bytes that were received at `now_ns` of the run's clock.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        now_ns: u64,
        tally: &mut Tally,
    ) -> Result<(), ReaderError> {
        self.input.extend_from_slice(bytes);
        if matches!(self.wire, Wire::Head) && !self.head()? {
            return Ok(());
        }
        let Wire::Events(wire) = &mut self.wire else { return Ok(()) };
        let (decoder, parser) = &mut **wire;
        let mut body = BytesMut::new();
        let progress = decoder.decode(&mut self.input, &mut body)?;
        parser.push(&body)?;
        while let Some(event) = parser.next_event() {
            match event.name.as_str() {
                "data" => self.seen.messages(&event, now_ns, tally),
                "control" => {
                    self.live = true;
                    self.closed |= event.data.contains(CLOSED);
                    if let Some(offset) = next_offset(&event.data) {
                        self.offset.clear();
                        self.offset.push_str(offset);
                    }
                }
                _ => {}
            }
        }
        if progress == Progress::Done {
            self.wire = Wire::Ended;
        }
        Ok(())
    }

    /// The connection ended. An error if that cut the answer off.
    pub fn finish(&mut self) -> Result<(), ReaderError> {
        match &mut self.wire {
            Wire::Events(wire) => wire.0.finish()?,
            Wire::Head => {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            Wire::Ended => {}
        }
        self.wire = Wire::Ended;
        Ok(())
    }

    fn head(&mut self) -> Result<bool, ReaderError> {
        let ResponseHeadStatus::Complete(head, taken) =
            parse_response_head(&self.input, &Method::GET)?
        else {
            return Ok(false);
        };
        let _ = self.input.split_to(taken);
        if head.status != StatusCode::OK {
            return Err(ReaderError::Refused(head.status));
        }
        if StreamFields::from_fields(&head.fields).base64 {
            return Err(ReaderError::Base64);
        }
        let body: ResponseBody = head.body;
        self.wire = Wire::Events(Box::new((body.decoder(u64::MAX)?, SseParser::default())));
        Ok(true)
    }
}

/// Which sequence numbers have come.
#[derive(Default, Debug)]
struct Seen {
    /// One above the highest.
    next: u32,
    /// Those below it that have not come. A reader of a sound server never needs it.
    gaps: Vec<Range<u32>>,
}

impl Seen {
    fn messages(&mut self, event: &SseEvent, now_ns: u64, tally: &mut Tally) {
        for stamp in stamps(&event.data) {
            match stamp {
                Some(Stamp { run, .. }) if run != tally.run => tally.foreign += 1,
                Some(stamp) if stamp.sequence < tally.messages() => {
                    self.message(stamp, now_ns, tally);
                }
                _ => tally.damaged += 1,
            }
        }
    }

    fn message(&mut self, stamp: Stamp, now_ns: u64, tally: &mut Tally) {
        let sequence = stamp.sequence;
        if sequence >= self.next {
            if sequence > self.next {
                self.gaps.push(self.next..sequence);
            }
            self.next = sequence + 1;
        } else if self.fill(sequence) {
            tally.reordered += 1;
        } else {
            tally.duplicated += 1;
            return;
        }
        tally.deliver(sequence, now_ns.saturating_sub(stamp.intended_ns));
    }

    /// Takes a number out of its gap; `false` if it was in none.
    fn fill(&mut self, sequence: u32) -> bool {
        let at = self.gaps.iter().position(|gap| gap.contains(&sequence));
        let Some(at) = at else { return false };
        let gap = self.gaps.swap_remove(at);
        let parts = [gap.start..sequence, sequence + 1..gap.end];
        self.gaps.extend(parts.into_iter().filter(|part| !part.is_empty()));
        true
    }

    fn missing(&self) -> u32 {
        self.gaps.iter().map(|gap| gap.end - gap.start).sum()
    }
}

/// The value of `streamNextOffset`. Tokens are URL-safe, so there are no escapes in it.
fn next_offset(control: &str) -> Option<&str> {
    let at = memmem::find(control.as_bytes(), NEXT_OFFSET)?;
    let value = control[at + NEXT_OFFSET.len()..].trim_start().strip_prefix(':')?;
    let value = value.trim_start().strip_prefix('"')?;
    value.split_once('"').map(|(offset, _)| offset)
}

const NEXT_OFFSET: &[u8] = b"\"streamNextOffset\"";
const CLOSED: &str = "\"streamClosed\":true";

#[cfg(test)]
mod tests;
