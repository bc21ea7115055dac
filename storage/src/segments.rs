//! Which segments of a core's log still hold bytes that someone may read.
//!
//! Invariant: a segment is free only when no stream has bytes in it and both retained checkpoints
//! begin after it, so that falling back to the older one still finds its log. Segments of an
//! earlier layout are counted by several cores and therefore never freed here: the next start
//! reclaims them.

use std::collections::BTreeMap;

use crate::extents::Extents;
use crate::location::{LogId, SegmentRef};
use crate::planted::{self, Bug};

/// Live bytes per segment, as one core sees them.
#[derive(Clone, Debug)]
pub struct SegmentTable {
    log: LogId,
    live: BTreeMap<SegmentRef, u64>,
    /// First segments of the log tails of the older and the newer retained checkpoint.
    older_start: u32,
    newer_start: u32,
}

impl SegmentTable {
    /// A table of the core that writes `log`, whose retained checkpoints' log tails begin in these
    /// segments.
    pub(crate) fn new(log: LogId, older_start: u32, newer_start: u32) -> SegmentTable {
        SegmentTable { log, live: BTreeMap::new(), older_start, newer_start }
    }

    /// A segment came to be. [`SegmentTable::record_written`] does it too; this is for segments
    /// that end up without any payload.
    pub fn started(&mut self, segment: SegmentRef) {
        self.live.entry(segment).or_insert(0);
    }

    /// Payload bytes became durable in a segment: call for each placement of a written group, even
    /// if the stream is gone by now.
    pub fn record_written(&mut self, segment: SegmentRef, len: u32) {
        *self.live.entry(segment).or_insert(0) += u64::from(len);
    }

    /// A stream is gone. Call when its `Delete` record is durable, with its extents as they are
    /// then: every record before the `Delete` has been placed.
    pub fn record_deleted(&mut self, extents: &Extents) {
        for span in extents.iter() {
            let live = self.live.entry(span.location.segment).or_insert(0);
            *live = live.saturating_sub(u64::from(span.len));
        }
    }

    /// A new checkpoint is installed, whose log tail begins in segment `start`.
    pub fn checkpoint_installed(&mut self, start: u32) {
        self.older_start = self.newer_start;
        self.newer_start = start;
    }

    /// Removes up to `max` free segments from the table and returns them, oldest first: to be
    /// recycled by [`crate::SegmentFactory::prepare`] or removed.
    pub fn take_free(&mut self, max: usize) -> Vec<SegmentRef> {
        let is_free = |segment: &SegmentRef, live: u64| {
            let unneeded = segment.number < self.older_start || planted::is(Bug::ReuseSegmentEarly);
            live == 0 && segment.log == self.log && unneeded
        };
        let free = self.live.iter().filter(|(segment, live)| is_free(segment, **live));
        let free: Vec<SegmentRef> = free.map(|(segment, _)| *segment).take(max).collect();
        for segment in &free {
            self.live.remove(segment);
        }
        free
    }

    /// Live payload bytes of each segment, for metrics and compaction.
    pub fn iter(&self) -> impl Iterator<Item = (SegmentRef, u64)> + '_ {
        self.live.iter().map(|(segment, live)| (*segment, *live))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extents::ReadSpan;
    use crate::location::Location;

    #[test]
    fn free_after_two_checkpoints() {
        let segment = |log, number| SegmentRef { log: LogId(log), number };
        let mut table = SegmentTable::new(LogId(2), 1, 1);
        let mut extents = Extents::default();
        for (position, segment) in [(0, segment(1, 9)), (10, segment(2, 1)), (20, segment(2, 2))] {
            let location = Location { segment, file_offset: 4136, record_len: 60 };
            assert!(extents.push(ReadSpan { position, len: 10, location }));
            table.record_written(segment, 10);
        }
        table.started(segment(2, 3));
        table.checkpoint_installed(3);
        table.checkpoint_installed(3);
        assert_eq!(table.take_free(9), [], "live bytes");
        table.record_deleted(&extents);
        assert_eq!(table.take_free(1), [segment(2, 1)]);
        assert_eq!(table.take_free(9), [segment(2, 2)], "not the old log's, not the tail's");
        table.checkpoint_installed(4);
        assert_eq!(table.take_free(9), [], "the older checkpoint still begins in 3");
        table.checkpoint_installed(4);
        assert_eq!(table.take_free(9), [segment(2, 3)]);
    }
}
