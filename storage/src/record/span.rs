//! The records of a span, one after the other: a span of the log is one record, a chunk of a
//! sealed segment several.
//!
//! Invariant: every payload that is given was verified, and begins where the one before ended.

use bytes::Bytes;
use thalweg_proto::stream::record::{Payload, StreamId};

use super::decode::payload_at;
use super::{DATA_LEN_AT, LEN_AT, POSITION_AT, RECORD_HEADER_BYTES, STREAM_AT};
use crate::error::Damage;
use crate::wire::Fields;

/// A record of a span.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpanRecord {
    /// The position of its first byte of data in the stream.
    pub position: u64,
    /// Its data.
    pub payload: Payload,
    /// All of its bytes.
    pub bytes: Bytes,
}

/// Reads the records of a span. Ends behind the last one, or with the first damage.
#[derive(Clone, Debug)]
pub struct SpanRecords {
    bytes: Bytes,
    at: usize,
    stream: StreamId,
    position: u64,
}

impl SpanRecords {
    /// Of the bytes that a [`crate::ReadSpan`] names. `stream` and `position` are what the span is
    /// of.
    #[must_use]
    pub fn new(bytes: Bytes, stream: StreamId, position: u64) -> SpanRecords {
        SpanRecords { bytes, at: 0, stream, position }
    }

    /// Passes over the records that end at or before `position`, without verifying them: damage
    /// to bytes that nobody asked for should not keep those that somebody asked for away.
    #[must_use]
    pub fn from_position(mut self, position: u64) -> SpanRecords {
        while let Some((len, data_len)) = self.skippable()
            && self.position + data_len <= position
        {
            self.at += len;
            self.position += data_len;
        }
        self
    }

    /// The place in the span of the record that comes next.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// Lengths of the next record and of its data, if it looks like the one that should be here
    /// and another one follows, which will say whether that was true.
    fn skippable(&self) -> Option<(usize, u64)> {
        let head = peek(self.bytes.get(self.at..)?)?;
        let ours = (head.stream, head.position) == (self.stream, self.position);
        let follows = self.at + head.len + RECORD_HEADER_BYTES <= self.bytes.len();
        (ours && follows && head.data_len > 0).then_some((head.len, head.data_len))
    }
}

/// What the beginning of a record says. Nothing of it is verified.
pub(crate) struct Peek {
    pub(crate) len: usize,
    pub(crate) data_len: u64,
    pub(crate) stream: StreamId,
    pub(crate) position: u64,
}

/// Looks at the record at the beginning of `bytes`; `None` if there cannot be one.
pub(crate) fn peek(bytes: &[u8]) -> Option<Peek> {
    let head = bytes.get(..RECORD_HEADER_BYTES)?;
    let field = |at: usize| Fields::new(&head[at..]);
    let len = field(LEN_AT).u32().ok()? as usize;
    let data_len = field(DATA_LEN_AT).u32().ok()? as usize;
    let stream = StreamId(field(STREAM_AT).u64().ok()?);
    let position = field(POSITION_AT).u64().ok()?;
    let sound = len >= RECORD_HEADER_BYTES + data_len;
    sound.then_some(Peek { len, data_len: data_len as u64, stream, position })
}

impl Iterator for SpanRecords {
    type Item = Result<SpanRecord, Damage>;

    fn next(&mut self) -> Option<Result<SpanRecord, Damage>> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let rest = self.bytes.slice(self.at..);
        let (payload, len) = match payload_at(&rest, self.stream, self.position) {
            Ok(found) => found,
            Err(damage) => {
                self.bytes.truncate(self.at);
                return Some(Err(damage));
            }
        };
        let position = self.position;
        self.at += len;
        self.position += payload.bytes.len() as u64;
        Some(Ok(SpanRecord { position, payload, bytes: rest.slice(..len) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::AlignedBuf;
    use crate::record::encode;
    use thalweg_proto::stream::record::Record;
    use thalweg_proto::time::Timestamp;

    fn span(data: &[&'static str]) -> Bytes {
        let mut out = AlignedBuf::new();
        let mut position = 7;
        for data in data {
            let payload = Payload { bytes: data.as_bytes().into(), cuts: Vec::new() };
            let record = Record::Append {
                id: StreamId(3),
                at: Timestamp(1),
                position,
                payload,
                producer: None,
                seq: None,
                close: false,
            };
            encode(&record, &mut out);
            position += data.len() as u64;
        }
        Bytes::copy_from_slice(&out.as_ref()[..out.used()])
    }

    fn read(bytes: &Bytes, from: u64) -> (String, bool) {
        let records = SpanRecords::new(bytes.clone(), StreamId(3), 7).from_position(from);
        let (mut text, mut damaged) = (String::new(), false);
        for record in records {
            match record {
                Ok(record) => text += std::str::from_utf8(&record.payload.bytes).unwrap(),
                Err(_) => damaged = true,
            }
        }
        (text, damaged)
    }

    #[test]
    fn records_follow_one_another() {
        let bytes = span(&["ab", "c", "def"]);
        for (from, want) in [(0, "abcdef"), (8, "abcdef"), (9, "cdef"), (10, "def"), (12, "def")] {
            assert_eq!(read(&bytes, from), (want.to_owned(), false), "from {from}");
        }
    }

    #[test]
    fn damage_is_met_only_where_it_is() {
        let bytes = span(&["ab", "c", "def"]);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let flipped = Bytes::from(flipped);
            assert!(read(&flipped, 0).1, "bit {bit}");
            let (text, damaged) = read(&flipped, 10);
            assert!(damaged || text == "def", "bit {bit}: {text:?}");
        }
        let mut flipped = bytes.to_vec();
        flipped[41 + 4] ^= 1;
        assert_eq!(read(&flipped.into(), 10), ("def".to_owned(), false));
    }
}
