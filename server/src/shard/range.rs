//! Runs of one stream's own bytes: from the read cache and the hot tail at once, from the log
//! through the ring.
//!
//! A range ends where a page may end: anywhere for bytes, between messages for JSON.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;
use thalweg_proto::answer::offset_inside_message;
use thalweg_proto::content_type::Framing;
use thalweg_proto::path::StreamPath;
use thalweg_proto::problem::Problem;
use thalweg_proto::response::Pieces;
use thalweg_proto::stream::record::{Payload, StreamId};
use thalweg_storage::ReadSpan;

use super::Shard;
use super::history::{Chunk, Held};
use super::retention::trimmed_at;

/// Asks for bytes that a stream wrote itself.
#[derive(Clone, Debug)]
pub struct RangeRequest {
    /// The path that the stream had when it was written: it names the owner.
    pub path: StreamPath,
    /// The stream.
    pub id: StreamId,
    /// The first position.
    pub from: u64,
    /// The position to stop at.
    pub to: u64,
    /// About how many bytes at most.
    pub max_bytes: usize,
    /// How the bytes are framed.
    pub framing: Framing,
    /// Stop after the first record.
    pub one_record: bool,
}

/// Bytes of a stream.
#[derive(Clone, Debug)]
pub struct Range {
    /// The bytes, in order.
    pub pieces: Pieces,
    /// The position after them.
    pub end: u64,
}

/// Where the bytes of a range are.
pub enum Source {
    /// In memory, the read cache included: here they are.
    Hot(Range),
    /// In the log: read these records.
    Cold(SmallVec<[ReadSpan; 4]>),
}

/// Collects payloads into a range and decides where it ends.
pub struct Collector<'a> {
    request: &'a RangeRequest,
    range: Range,
    taken: usize,
    /// Small pieces, copied together: one send of them is cheaper than a vector for each.
    small: BytesMut,
    held: Held,
}

/// A piece below this is copied.
const SMALL_BYTES: usize = 4096;

impl<'a> Collector<'a> {
    /// An empty range at the request's first position. What is copied is counted as held.
    #[must_use]
    pub fn new(request: &'a RangeRequest, held: &Held) -> Collector<'a> {
        let range = Range { pieces: Pieces::new(), end: request.from };
        Collector { request, range, taken: 0, small: BytesMut::new(), held: held.clone() }
    }

    /// Takes what fits of a chunk that covers the current end. Returns whether more may be taken.
    pub fn take_chunk(&mut self, chunk: &Chunk) -> Result<bool, Box<Problem>> {
        self.take(chunk.start(), chunk.payload())
    }

    /// The position after what was taken.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.range.end
    }

    /// Takes what fits of the payload that begins at `position` and covers the current end.
    /// Returns whether more may be taken.
    pub fn take(&mut self, position: u64, payload: &Payload) -> Result<bool, Box<Problem>> {
        let len = payload.bytes.len() as u64;
        // A hole before the payload, which no log should have, ends the range.
        let Some(skip) = self.range.end.checked_sub(position) else { return Ok(false) };
        let skip = skip as usize;
        let stop = self.request.to.saturating_sub(position).min(len) as usize;
        if skip >= stop {
            return Ok(self.range.end < self.request.to);
        }
        let budget = self.request.max_bytes.saturating_sub(self.taken);
        let stop = match self.request.framing {
            Framing::Json => json_stop(payload, skip, stop, budget, self.taken == 0)?,
            Framing::Text | Framing::Binary => stop.min(skip.saturating_add(budget)),
        };
        if stop > skip {
            self.push(payload.bytes.slice(skip..stop));
        }
        let whole = stop as u64 == len;
        Ok(whole
            && !self.request.one_record
            && self.range.end < self.request.to
            && self.taken < self.request.max_bytes)
    }

    fn push(&mut self, piece: Bytes) {
        self.taken += piece.len();
        self.range.end += piece.len() as u64;
        if piece.len() < SMALL_BYTES {
            self.small.extend_from_slice(&piece);
        } else {
            self.flush();
            self.range.pieces.push(piece);
        }
    }

    fn flush(&mut self) {
        if !self.small.is_empty() {
            self.range.pieces.push(self.held.count_many(self.small.split()));
        }
    }

    /// Whether nothing was taken yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// The range so far.
    #[must_use]
    pub fn finish(mut self) -> Range {
        self.flush();
        self.range
    }
}

/// Where a page may stop in a JSON payload: at its end, or at a cut. A message longer than the
/// budget is taken whole when the page is empty, otherwise it is left for the next page.
fn json_stop(
    payload: &Payload,
    skip: usize,
    stop: usize,
    budget: usize,
    first: bool,
) -> Result<usize, Box<Problem>> {
    let cuts = &payload.cuts[..];
    if skip != 0 && !cuts.iter().any(|cut| *cut as usize == skip) {
        return Err(Box::new(offset_inside_message()));
    }
    if stop - skip <= budget {
        return Ok(stop);
    }
    let after = cuts.partition_point(|cut| *cut as usize <= skip);
    let cuts = cuts[after..].iter().map(|cut| *cut as usize).take_while(|cut| *cut <= stop);
    let fitting = cuts.clone().take_while(|cut| cut - skip <= budget).last();
    Ok(fitting.unwrap_or_else(|| if first { cuts.clone().next().unwrap_or(stop) } else { skip }))
}

impl Shard {
    /// Finds a range, as things are now; `None` if the stream is gone.
    pub fn locate(&mut self, request: &RangeRequest) -> Option<Result<Source, Box<Problem>>> {
        let slot = self.streams.get(request.id)?;
        if let Some(gone) = trimmed_at(slot, request.from) {
            return Some(Err(gone));
        }
        let mut collector = Collector::new(request, self.history.held());
        while collector.end() < slot.hot_start() {
            let chunk = match request.one_record {
                false => self.history.get(request.id, collector.end()),
                true => None,
            };
            let Some(chunk) = chunk else {
                let spans = slot.extents.covering(request.from, request.max_bytes as u64);
                let spans = spans.take_while(|span| span.position < request.to).collect();
                return Some(Ok(Source::Cold(spans)));
            };
            match collector.take_chunk(&chunk) {
                Ok(true) => {}
                Ok(false) => return Some(Ok(Source::Hot(collector.finish()))),
                Err(problem) => return Some(Err(problem)),
            }
        }
        let from = collector.end();
        let first =
            slot.hot.partition_point(|hot| hot.position + hot.payload.bytes.len() as u64 <= from);
        for hot in slot.hot.iter().skip(first) {
            if hot.position >= request.to {
                break;
            }
            match collector.take(hot.position, &hot.payload) {
                Ok(true) => {}
                Ok(false) => break,
                Err(problem) => return Some(Err(problem)),
            }
        }
        Some(Ok(Source::Hot(collector.finish())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(framing: Framing, from: u64, max_bytes: usize) -> RangeRequest {
        RangeRequest {
            path: StreamPath::new("s").unwrap(),
            id: StreamId(1),
            from,
            to: u64::MAX,
            max_bytes,
            framing,
            one_record: false,
        }
    }

    fn payload(text: &'static str, cuts: &[u32]) -> Payload {
        Payload { bytes: Bytes::from_static(text.as_bytes()), cuts: cuts.to_vec() }
    }

    fn collect(request: &RangeRequest, payloads: &[Payload]) -> Option<String> {
        let mut collector = Collector::new(request, &Held::default());
        let mut position = 0;
        for payload in payloads {
            let end = position + payload.bytes.len() as u64;
            if end > request.from && !collector.take(position, payload).ok()? {
                break;
            }
            position = end;
        }
        Some(String::from_utf8(collector.finish().pieces.concat()).unwrap())
    }

    #[test]
    fn pages_of_bytes_end_anywhere() {
        let payloads = [payload("abcd", &[]), payload("efgh", &[])];
        let check = |from, max, want: &str| {
            assert_eq!(collect(&request(Framing::Binary, from, max), &payloads).unwrap(), want);
        };
        check(0, 100, "abcdefgh");
        check(0, 3, "abc");
        check(3, 3, "def");
        check(6, 100, "gh");
    }

    #[test]
    fn pages_of_json_end_between_messages() {
        let payloads = [payload("1,", &[]), payload("22,33,44,", &[3, 6]), payload("5,", &[])];
        let check = |from, max, want: Option<&str>| {
            let got = collect(&request(Framing::Json, from, max), &payloads);
            assert_eq!(got.as_deref(), want, "from {from} max {max}");
        };
        check(0, 100, Some("1,22,33,44,5,"));
        check(0, 4, Some("1,"));
        check(0, 8, Some("1,22,33,"));
        check(2, 1, Some("22,"));
        check(5, 7, Some("33,44,"));
        check(3, 100, None);
    }
}
