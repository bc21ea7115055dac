//! Giving up the beginning of a stream: whole entries, and where that may be.

use super::{Entry, Extents, Run};

impl Extents {
    /// The position of the first byte that has a place; `None` without bytes.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.entries.first().map(|entry| entry.position)
    }

    /// The last position up to `position` at which an entry begins: what lies before can be
    /// dropped. `None` if there is none.
    #[must_use]
    pub fn boundary_before(&self, position: u64) -> Option<u64> {
        let after = self.entries.partition_point(|entry| entry.position <= position);
        after.checked_sub(1).map(|last| self.entries[last].position)
    }

    /// Removes the entries that end at `position` or before, and returns them.
    #[must_use]
    pub fn drop_before(&mut self, position: u64) -> Extents {
        let count = self.entries.partition_point(|entry| entry.end() <= position);
        if count == 0 {
            return Extents::default();
        }
        let entries: Vec<Entry> = self.entries.drain(..count).collect();
        let begun = self.runs.partition_point(|run| (run.first as usize) < count);
        let runs: Vec<Run> = self.runs[..begun].to_vec();
        // The last run that was begun may go on in what is kept.
        let next_begins = self.runs.get(begun).is_some_and(|run| run.first as usize == count);
        let gone = if next_begins || self.entries.is_empty() { begun } else { begun - 1 };
        self.runs.drain(..gone);
        for run in &mut self.runs {
            run.first = run.first.saturating_sub(count as u32);
        }
        Extents { entries, runs }
    }

    /// Whether the entries are contiguous up to `tail`, and begin where the stream begins: at
    /// `start`, or not later than what retention keeps.
    pub(crate) fn covers(&self, start: u64, earliest: u64, tail: u64) -> bool {
        let needed = earliest.max(start);
        let first = self.first().unwrap_or(needed);
        if first < start || first > needed {
            return false;
        }
        let mut at = first;
        for entry in &self.entries {
            if entry.position != at {
                return false;
            }
            at = entry.end();
        }
        at == tail
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::extents::ReadSpan;
    use crate::location::{Location, LogId, SegmentRef};

    fn extents(lens: &[(u32, u32)]) -> Extents {
        let mut extents = Extents::default();
        let mut position = 100;
        for (len, number) in lens {
            let segment = SegmentRef { log: LogId(1), number: *number };
            let file_offset = 4136 + position as u32;
            let location = Location { segment, file_offset, record_len: len + 44 };
            assert!(extents.push(ReadSpan { position, len: *len, location }));
            position += u64::from(*len);
        }
        extents
    }

    #[test]
    fn boundaries_are_beginnings() {
        let extents = extents(&[(10, 1), (5, 1), (20, 2)]);
        let check = |position, want| {
            assert_eq!(extents.boundary_before(position), want, "{position}");
        };
        check(99, None);
        check(100, Some(100));
        check(109, Some(100));
        check(110, Some(110));
        check(134, Some(115));
        check(u64::MAX, Some(115));
        assert_eq!(Extents::default().boundary_before(5), None);
    }

    #[test]
    fn what_covers_a_stream() {
        let check = |start, earliest, tail, want| {
            let covers = extents(&[(10, 1), (5, 1)]).covers(start, earliest, tail);
            assert_eq!(covers, want, "{start} {earliest} {tail}");
        };
        check(100, 0, 115, true);
        check(0, 100, 115, true);
        check(0, 112, 115, true);
        check(0, 99, 115, false);
        check(101, 101, 115, false);
        check(100, 100, 116, false);
        let nothing = Extents::default();
        assert!(nothing.covers(7, 0, 7) && nothing.covers(0, 9, 9) && !nothing.covers(0, 8, 9));
    }

    proptest! {
        #[test]
        fn dropping_splits_in_two(
            lens in prop::collection::vec((1..20u32, 0..2u32), 0..30),
            position in 90..500u64,
        ) {
            let mut number = 1;
            let lens: Vec<(u32, u32)> = lens
                .into_iter()
                .map(|(len, step)| {
                    number += step;
                    (len, number)
                })
                .collect();
            let whole = extents(&lens);
            let mut kept = whole.clone();
            let dropped = kept.drop_before(position);
            let both: Vec<ReadSpan> = dropped.iter().chain(kept.iter()).collect();
            prop_assert_eq!(both, whole.iter().collect::<Vec<_>>());
            prop_assert!(dropped.end().is_none_or(|end| end <= position));
            let first_end = kept.iter().next().map(|span| span.position + u64::from(span.len));
            prop_assert!(first_end.is_none_or(|end| end > position));
            prop_assert!(kept.check().is_ok() && dropped.check().is_ok());
        }
    }
}
