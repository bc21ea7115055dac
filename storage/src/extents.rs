//! Where one stream's bytes lie: the index of a stream, in memory.
//!
//! Invariant: entries are ascending by position and do not overlap. 24 bytes per record, plus 12
//! for each run of records in one segment; a stream without bytes allocates nothing.
//!
//! The seam for sealing: a sealed segment holds a stream's bytes of that segment in one piece, so
//! sealing replaces a run's entries by a single one. Readers ask [`Extents::covering`] and need
//! not know. Deliberately absent: the bytes, and any knowledge of which segments exist.

mod trim;

use crate::error::Damage;
use crate::location::{Location, LogId, SegmentRef};
use crate::wire::{Fields, Put};

/// The places of one stream's bytes, ascending.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Extents {
    entries: Vec<Entry>,
    runs: Vec<Run>,
}

/// One record's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    position: u64,
    len: u32,
    file_offset: u32,
    record_len: u32,
}

/// Consecutive entries in one segment: from `first` to the next run's `first`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    first: u32,
    segment: SegmentRef,
}

const _: () = assert!(size_of::<Entry>() == 24 && size_of::<Run>() == 12);

/// Bytes of an entry and of a run in a checkpoint.
const ENTRY_BYTES: usize = 20;
const RUN_BYTES: usize = 12;

/// A record to read and the bytes of the stream that it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadSpan {
    /// The position of the first byte.
    pub position: u64,
    /// Bytes of the stream in the record.
    pub len: u32,
    /// The record: read `record_len` bytes, then [`crate::record::payload_of`].
    pub location: Location,
}

impl Extents {
    /// Adds the bytes that follow in the stream. Returns `false` and changes nothing if the span
    /// begins before the end of what is there.
    #[must_use]
    pub fn push(&mut self, span: ReadSpan) -> bool {
        let Some(first) = u32::try_from(self.entries.len()).ok() else { return false };
        if span.len == 0 || self.end().is_some_and(|end| span.position < end) {
            return false;
        }
        let ReadSpan { position, len, location } = span;
        if self.runs.last().is_none_or(|run| run.segment != location.segment) {
            self.runs.push(Run { first, segment: location.segment });
        }
        let Location { file_offset, record_len, .. } = location;
        self.entries.push(Entry { position, len, file_offset, record_len });
        true
    }

    /// The records that hold the bytes from `from` on, at most the first `max_bytes` of them. The
    /// first record may begin before `from` and the last one may end later; one record is given
    /// even if it is longer than `max_bytes`.
    pub fn covering(&self, from: u64, max_bytes: u64) -> impl Iterator<Item = ReadSpan> + '_ {
        let first = self.entries.partition_point(|entry| entry.end() <= from);
        let until = from.saturating_add(max_bytes.max(1));
        let last = self.entries.partition_point(|entry| entry.position < until);
        self.spans(first, last.max(first))
    }

    /// All records, ascending.
    pub fn iter(&self) -> impl Iterator<Item = ReadSpan> + '_ {
        self.spans(0, self.entries.len())
    }

    /// Records in the index.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the stream has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The position after the last byte; `None` without bytes.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        self.entries.last().map(Entry::end)
    }

    /// Bytes of memory behind this index, itself not counted.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.runs.capacity() * size_of::<Run>()
    }

    fn spans(&self, first: usize, last: usize) -> impl Iterator<Item = ReadSpan> + '_ {
        let mut run = self.runs.partition_point(|run| run.first as usize <= first);
        (first..last).map(move |index| {
            while self.runs.get(run).is_some_and(|next| next.first as usize <= index) {
                run += 1;
            }
            let Entry { position, len, file_offset, record_len } = self.entries[index];
            // The first run begins at entry 0, so there is always one before the next.
            let segment = self.runs[run - 1].segment;
            ReadSpan { position, len, location: Location { segment, file_offset, record_len } }
        })
    }

    pub(crate) fn encode(&self, out: &mut impl Put) {
        out.put_len(self.runs.len());
        for run in &self.runs {
            out.put_u32(run.first);
            out.put_u32(run.segment.log.0);
            out.put_u32(run.segment.number);
        }
        out.put_len(self.entries.len());
        for entry in &self.entries {
            out.put_u64(entry.position);
            out.put_u32(entry.len);
            out.put_u32(entry.file_offset);
            out.put_u32(entry.record_len);
        }
    }

    pub(crate) fn decode(fields: &mut Fields<'_>) -> Result<Extents, Damage> {
        let run_count = fields.count(RUN_BYTES)?;
        let mut runs = Vec::with_capacity(run_count);
        for _ in 0..run_count {
            let first = fields.u32()?;
            let segment = SegmentRef { log: LogId(fields.u32()?), number: fields.u32()? };
            runs.push(Run { first, segment });
        }
        let count = fields.count(ENTRY_BYTES)?;
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let position = fields.u64()?;
            let (len, file_offset, record_len) = (fields.u32()?, fields.u32()?, fields.u32()?);
            entries.push(Entry { position, len, file_offset, record_len });
        }
        let extents = Extents { entries, runs };
        extents.check()?;
        Ok(extents)
    }

    /// The invariant, for indexes that come from a file.
    fn check(&self) -> Result<(), Damage> {
        let field = |what, found| Err(Damage::Field { what, found });
        let firsts: Vec<u32> = self.runs.iter().map(|run| run.first).collect();
        let begins = firsts.first().is_none_or(|first| *first == 0);
        let in_range = firsts.last().is_none_or(|last| (*last as usize) < self.entries.len());
        if !begins || !in_range || !firsts.is_sorted_by(|a, b| a < b) {
            return field("order of extent runs", firsts.len() as u64);
        }
        if self.runs.is_empty() != self.entries.is_empty() {
            return field("number of extent runs", 0);
        }
        let mut end = 0;
        for entry in &self.entries {
            let sound = entry.len > 0 && entry.record_len >= entry.len && entry.position >= end;
            match entry.position.checked_add(entry.len.into()) {
                Some(after) if sound => end = after,
                _ => return field("extent position", entry.position),
            }
        }
        Ok(())
    }
}

impl Entry {
    fn end(&self) -> u64 {
        self.position + u64::from(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(position: u64, len: u32, number: u32) -> ReadSpan {
        let segment = SegmentRef { log: LogId(1), number };
        let location =
            Location { segment, file_offset: 4136 + position as u32, record_len: len + 44 };
        ReadSpan { position, len, location }
    }

    fn sample() -> Extents {
        let mut extents = Extents::default();
        for (position, len, number) in [(10, 5, 1), (15, 5, 1), (20, 10, 2), (30, 1, 4)] {
            assert!(extents.push(span(position, len, number)));
        }
        extents
    }

    #[test]
    fn covering_gives_whole_records() {
        let extents = sample();
        let check = |from: u64, max: u64, want: &[(u64, u32)]| {
            let spans = extents.covering(from, max);
            let number = |span: &ReadSpan| span.location.segment.number;
            let got: Vec<_> = spans.map(|span| (span.position, number(&span))).collect();
            assert_eq!(got, want, "from {from}, {max} bytes");
        };
        check(0, 100, &[(10, 1), (15, 1), (20, 2), (30, 4)]);
        check(12, 1, &[(10, 1)]);
        check(12, 4, &[(10, 1), (15, 1)]);
        check(15, 0, &[(15, 1)]);
        check(25, 5, &[(20, 2)]);
        check(25, 6, &[(20, 2), (30, 4)]);
        check(31, 10, &[]);
        check(u64::MAX, u64::MAX, &[]);
    }

    #[test]
    fn refuses_to_go_back() {
        let mut extents = sample();
        assert!(!extents.push(span(30, 1, 4)));
        assert!(!extents.push(span(31, 0, 4)));
        assert!(extents.push(span(31, 2, 4)));
        assert!(extents.covers(10, 0, 33));
        assert!(!extents.covers(0, 0, 33));
        assert_eq!(Extents::default().memory_bytes(), 0);
    }

    #[test]
    fn survives_a_checkpoint() {
        for extents in [sample(), Extents::default()] {
            let mut bytes = Vec::new();
            extents.encode(&mut bytes);
            assert_eq!(Extents::decode(&mut Fields::new(&bytes)), Ok(extents));
        }
    }
}
