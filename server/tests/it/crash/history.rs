//! What one writer knows of one stream: what was acknowledged, and what may or may not be there.
//!
//! Each stream has one writer at a time, and it sends on one connection, so the server must have
//! taken its requests in order: what is stored is all of `frames`, then a prefix of `flight`.

use std::collections::VecDeque;

use crate::support::{Request, Response};

/// An append that has been sent and not acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) request: Request,
    /// None for a close without data.
    pub(super) frames: Vec<String>,
    pub(super) producer: bool,
    pub(super) close: bool,
}

/// One incarnation of a stream.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) path: String,
    pub(super) json: bool,
    /// Names the frames of this incarnation, and its producer.
    pub(super) tag: String,
    /// What is certainly stored, in order.
    pub(super) frames: Vec<String>,
    /// Tokens that the server gave out, and how many frames lie before each.
    pub(super) marks: Vec<(String, usize)>,
    /// The final token of a stream that is certainly closed.
    pub(super) closed: Option<String>,
    pub(super) flight: VecDeque<Flight>,
    /// The newest acknowledged append of the producer, to be repeated.
    pub(super) last_acknowledged: Option<Request>,
    pub(super) epoch: u64,
    pub(super) next_seq: u64,
    next_frame: u64,
}

impl Log {
    pub(super) fn new(path: &str, json: bool, tag: String) -> Log {
        Log {
            path: path.to_owned(),
            json,
            tag,
            frames: Vec::new(),
            marks: Vec::new(),
            closed: None,
            flight: VecDeque::new(),
            last_acknowledged: None,
            epoch: 0,
            next_seq: 0,
            next_frame: 0,
        }
    }

    /// A fork at a mark: it reads the same bytes under the same tokens up to there.
    pub(super) fn fork(&self, path: &str, tag: String, mark: usize) -> Log {
        let mut fork = Log::new(path, self.json, tag);
        fork.marks = self.marks[..=mark].to_vec();
        fork.frames = self.frames[..self.marks[mark].1].to_vec();
        fork
    }

    pub(super) fn content_type(&self) -> &'static str {
        if self.json { "application/json" } else { "text/plain" }
    }

    /// New frames that no other append has.
    pub(super) fn new_frames(&mut self, count: usize, padding: usize) -> Vec<String> {
        let mut frame = || {
            self.next_frame += 1;
            encode(&format!("{}.{}", self.tag, self.next_frame), padding)
        };
        (0..count).map(|_| frame()).collect()
    }

    /// The body that carries frames: the only batch of JSON, or one piece of text.
    pub(super) fn body(&self, frames: &[String]) -> String {
        match (self.json, frames) {
            (true, [frame]) => format!("\"{frame}\""),
            (true, frames) => format!("[\"{}\"]", frames.join("\",\"")),
            (false, frames) => frames.iter().map(|frame| format!("{frame}\n")).collect(),
        }
    }

    /// Makes an append and puts it on its way.
    pub(super) fn launch(&mut self, frames: Vec<String>, producer: bool, close: bool) -> Request {
        let mut request = Request::post(&self.path);
        if !frames.is_empty() {
            request = request.with("content-type", self.content_type()).body(self.body(&frames));
        }
        if close {
            request = request.with("stream-closed", "true");
        }
        if producer {
            request = request.producer(&self.tag, self.epoch, self.next_seq);
            self.next_seq += 1;
        }
        let flight = Flight { request: request.clone(), frames, producer, close };
        self.flight.push_back(flight);
        request
    }

    /// A new epoch fences what came before, so nothing may be on its way.
    pub(super) fn next_epoch(&mut self) {
        self.epoch += 1;
        self.next_seq = 0;
    }

    /// The answer to the oldest append on its way; `Err` if it is not the one it should be.
    pub(super) fn acknowledge(&mut self, response: &Response) -> Result<(), String> {
        let flight = self.flight.pop_front().ok_or("an answer to nothing")?;
        let stored = flight.producer && !flight.frames.is_empty();
        let want = if stored { 200 } else { 204 };
        if response.status != want || response.is_closed() != flight.close {
            return Err(format!(
                "{} instead of {want} for {flight:?}: {response:?}",
                response.status
            ));
        }
        self.store(flight, Some(response.next_offset().to_owned()));
        Ok(())
    }

    /// Something is certainly stored, though nobody may have said at which offset.
    pub(super) fn store(&mut self, flight: Flight, offset: Option<String>) {
        let Flight { request, frames, producer, close } = flight;
        self.frames.extend(frames);
        if producer {
            self.last_acknowledged = Some(request);
        }
        if let Some(offset) = offset {
            let above = self
                .marks
                .last()
                .is_none_or(|(last, _)| *last < offset || (close && *last == offset));
            assert!(above, "{}: {offset} after {:?}", self.path, self.marks.last());
            if close {
                self.closed = Some(offset.clone());
            }
            self.marks.push((offset, self.frames.len()));
        }
    }
}

/// `<name>|<padding>|<length of the rest>|<checksum of the rest>`: a cut or mixed frame shows.
fn encode(name: &str, padding: usize) -> String {
    let text = format!("{name}|{}", "p".repeat(padding));
    format!("{text}|{}|{:016x}", text.len(), checksum(&text))
}

/// Whether a frame is whole.
pub(super) fn is_whole(frame: &str) -> bool {
    let Some((rest, sum)) = frame.rsplit_once('|') else { return false };
    let Some((text, length)) = rest.rsplit_once('|') else { return false };
    length.parse() == Ok(text.len()) && sum == format!("{:016x}", checksum(text))
}

/// FNV-1a.
fn checksum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[test]
fn frames_show_damage() {
    let frame = encode("a.1", 7);
    assert!(is_whole(&frame));
    for at in 0..frame.len() {
        assert!(!is_whole(&frame[..at]) && !is_whole(&frame[at + 1..]), "{at} of {frame}");
    }
}
