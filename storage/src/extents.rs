//! Where one stream's bytes lie: the index of a stream, in memory.
//!
//! Invariant: entries are ascending by position and do not overlap. 24 bytes per entry, plus 12
//! for each run of entries in one segment; a stream without bytes allocates nothing. An entry is
//! one record of the log, or a chunk of a sealed segment: several records, one after the other.
//! Sealing replaces entries of the first kind by few of the second ([`Extents::reseal`]).
//!
//! Deliberately absent: the bytes, and any knowledge of which segments exist.

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

/// The bytes of one record, or of several that follow one another in a sealed segment.
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

/// A record to read, or several in one piece, and the bytes of the stream that they hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadSpan {
    /// The position of the first byte.
    pub position: u64,
    /// Bytes of the stream in the span.
    pub len: u32,
    /// The records: read `record_len` bytes, then [`crate::record::SpanRecords`].
    pub location: Location,
}

/// What [`Extents::reseal`] changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resealed {
    /// Segments and bytes of the spans that are gone from the index.
    pub removed: Vec<(SegmentRef, u32)>,
    /// Bytes of the spans that took their place.
    pub added: u64,
}

impl ReadSpan {
    /// The position after the last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.position + u64::from(self.len)
    }
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

    /// The spans that hold the bytes from `from` on, at most the first `max_bytes` of them. The
    /// first one may begin before `from` and the last one may end later; one is given even if it
    /// is longer than `max_bytes`.
    pub fn covering(&self, from: u64, max_bytes: u64) -> impl Iterator<Item = ReadSpan> + '_ {
        let first = self.entries.partition_point(|entry| entry.end() <= from);
        let until = from.saturating_add(max_bytes.max(1));
        let last = self.entries.partition_point(|entry| entry.position < until);
        self.spans(first, last.max(first))
    }

    /// The spans that lie in one of these segments, ascending, those that end after `from`.
    pub fn in_segments<'a>(
        &'a self,
        segments: &'a [SegmentRef],
        from: u64,
    ) -> impl Iterator<Item = ReadSpan> + 'a {
        let ends = self.runs.iter().skip(1).map(|run| run.first as usize);
        let runs = self.runs.iter().zip(ends.chain([self.entries.len()]));
        let runs = runs.filter(|(run, _)| segments.contains(&run.segment));
        runs.flat_map(move |(run, end)| {
            let entries = &self.entries[run.first as usize..end];
            let first = entries.partition_point(|entry| entry.end() <= from);
            entries[first..].iter().map(|entry| entry.span(run.segment))
        })
    }

    /// Replaces the spans that lie in `inputs` by spans of a segment that holds the same bytes.
    /// `sealed` are all that it has of this stream, ascending; those whose bytes have gone from
    /// the index since then are left out. Returns `None` and changes nothing if a byte would have
    /// no place any more, or two.
    #[must_use]
    pub fn reseal(&mut self, inputs: &[SegmentRef], sealed: &[ReadSpan]) -> Option<Resealed> {
        let old: Vec<ReadSpan> = self.in_segments(inputs, 0).collect();
        let wanted: Vec<ReadSpan> = sealed.iter().copied().filter(overlaps(&old)).collect();
        if !old.iter().all(|span| is_covered(span, &wanted)) {
            return None;
        }
        let count = self.entries.len() - old.len() + wanted.len();
        *self = self.merged(inputs, &wanted, count)?;
        let removed = old.iter().map(|span| (span.location.segment, span.len)).collect();
        let added = wanted.iter().map(|span| u64::from(span.len)).sum();
        Some(Resealed { removed, added })
    }

    /// The spans outside of `inputs` and these, `count` together; `None` if two overlap.
    fn merged(&self, inputs: &[SegmentRef], others: &[ReadSpan], count: usize) -> Option<Extents> {
        let mut merged = Extents { entries: Vec::with_capacity(count), runs: Vec::new() };
        let kept = self.iter().filter(|span| !inputs.contains(&span.location.segment));
        let (mut kept, mut others) = (kept.peekable(), others.iter().copied().peekable());
        loop {
            let next = match (kept.peek(), others.peek()) {
                (Some(one), Some(other)) if one.position < other.position => kept.next(),
                (_, Some(_)) => others.next(),
                (_, None) => kept.next(),
            };
            match next {
                None => break,
                Some(span) if merged.push(span) => {}
                Some(_) => return None,
            }
        }
        merged.runs.shrink_to_fit();
        Some(merged)
    }

    /// All spans, ascending.
    pub fn iter(&self) -> impl Iterator<Item = ReadSpan> + '_ {
        self.spans(0, self.entries.len())
    }

    /// Spans in the index.
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
            // The first run begins at entry 0, so there is always one before the next.
            self.entries[index].span(self.runs[run - 1].segment)
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

    fn span(&self, segment: SegmentRef) -> ReadSpan {
        let Entry { position, len, file_offset, record_len } = *self;
        ReadSpan { position, len, location: Location { segment, file_offset, record_len } }
    }
}

/// Whether a span shares bytes with one of these, which are ascending.
fn overlaps(spans: &[ReadSpan]) -> impl Fn(&ReadSpan) -> bool + '_ {
    move |span| {
        let first = spans.partition_point(|other| other.end() <= span.position);
        spans.get(first).is_some_and(|other| other.position < span.end())
    }
}

/// Whether every byte of a span is in one of these, which are ascending.
fn is_covered(span: &ReadSpan, spans: &[ReadSpan]) -> bool {
    let first = spans.partition_point(|other| other.end() <= span.position);
    let mut at = span.position;
    for other in &spans[first..] {
        if at >= span.end() || other.position > at {
            break;
        }
        at = other.end();
    }
    at >= span.end()
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
    fn sealed_spans_take_the_place_of_the_others() {
        let segment = |number| SegmentRef { log: LogId(1), number };
        let sealed = |spans: &[(u64, u32)]| -> Vec<ReadSpan> {
            spans.iter().map(|(position, len)| span(*position, *len, 9)).collect()
        };
        let check = |inputs: &[u32], new: &[(u64, u32)], want: Option<&[(u64, u32)]>| {
            let mut extents = sample();
            let inputs: Vec<SegmentRef> = inputs.iter().map(|number| segment(*number)).collect();
            let resealed = extents.reseal(&inputs, &sealed(new));
            let spans = extents.iter().map(|span| (span.position, span.location.segment.number));
            let got: Vec<_> = spans.collect();
            assert_eq!(resealed.is_some().then_some(&got[..]), want, "{inputs:?} {new:?}");
            if resealed.is_none() {
                assert_eq!(extents, sample());
            }
        };
        check(&[1], &[(10, 10)], Some(&[(10, 9), (20, 2), (30, 4)]));
        check(&[1, 2], &[(10, 12), (22, 8)], Some(&[(10, 9), (22, 9), (30, 4)]));
        check(&[1, 4], &[(10, 10), (30, 1)], Some(&[(10, 9), (20, 2), (30, 9)]));
        check(&[2, 4], &[(20, 11)], Some(&[(10, 1), (15, 1), (20, 9)]));
        // The beginning was given up meanwhile; the stream has gone on.
        check(&[1], &[(0, 4), (4, 16)], Some(&[(4, 9), (20, 2), (30, 4)]));
        check(&[7], &[(10, 10)], Some(&[(10, 1), (15, 1), (20, 2), (30, 4)]));
        check(&[1], &[(10, 9)], None);
        check(&[1], &[], None);
        check(&[1], &[(10, 11)], None);
        let resealed = sample().reseal(&[segment(1)], &sealed(&[(10, 10)])).unwrap();
        assert_eq!(resealed, Resealed { removed: vec![(segment(1), 5); 2], added: 10 });
        let extents = sample();
        let inputs = [segment(1), segment(4)];
        let found: Vec<u64> = extents.in_segments(&inputs, 15).map(|span| span.position).collect();
        assert_eq!(found, [15, 30]);
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
