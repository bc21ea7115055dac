//! Which segments hold bytes that someone may read, and which may go.
//!
//! Invariant: a segment is free only when no stream of this core has bytes in it and no retained
//! checkpoint needs it: both begin behind it in the log, and both began after its bytes were moved
//! to a sealed segment. Segments of an earlier layout are shared: one that is free here is
//! released, and goes when every core has released it.
//!
//! Deliberately absent: files. What to seal is decided in [`crate::sealed::plan`].

use std::collections::BTreeMap;

use crate::extents::{Extents, Resealed};
use crate::location::{LogId, SegmentRef};
use crate::planted::{self, Bug};
use crate::sealed::Footer;

/// What one core knows of the segments: those of its log, and those of earlier layouts.
#[derive(Clone, Debug)]
pub struct SegmentTable {
    pub(crate) log: LogId,
    pub(crate) cores: usize,
    pub(crate) files: BTreeMap<SegmentRef, SegmentUse>,
    /// The retained checkpoints.
    pub(crate) older: Retained,
    newer: Retained,
    /// Checkpoints begun since the start.
    begun: u64,
    pub(crate) next_sealed: u32,
}

/// A retained checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Retained {
    /// The first segment of its log tail.
    pub(crate) start: u32,
    /// How many checkpoints had begun with it; 0 for those found at the start.
    begun: u64,
}

/// What a segment holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SegmentUse {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of streams that were written to it. Of segments of the log that an earlier start
    /// wrote, only those that lived at this one.
    pub written: u64,
    /// Records or chunks in it.
    pub spans: u64,
    /// Bytes that streams of this core have in it.
    pub live: u64,
    /// The first checkpoint that does not need it.
    free_from: u64,
    /// Being sealed, or just written.
    pub(crate) busy: bool,
    /// Sealed as far as it can be: what is left could not be read.
    pub(crate) settled: bool,
}

impl SegmentTable {
    /// A table of the core that writes `log`, whose retained checkpoints' log tails begin in these
    /// segments, on a server of so many cores.
    pub(crate) fn new(log: LogId, cores: usize, older_start: u32, newer_start: u32) -> Self {
        let retained = |start| Retained { start, begun: 0 };
        SegmentTable {
            log,
            cores,
            files: BTreeMap::new(),
            older: retained(older_start),
            newer: retained(newer_start),
            begun: 0,
            next_sealed: 1,
        }
    }

    /// A segment was there at the start. `retained`: a checkpoint that nobody has read may still
    /// need it.
    pub(crate) fn found(
        &mut self,
        segment: SegmentRef,
        file_bytes: u64,
        footer: Option<&Footer>,
        retained: bool,
    ) {
        if segment.log == self.log && segment.is_sealed() {
            self.next_sealed = self.next_sealed.max(segment.index() + 1);
        }
        let file = self.files.entry(segment).or_default();
        file.file_bytes = file_bytes;
        file.free_from = retained.into();
        if let Some(footer) = footer {
            (file.written, file.spans) = (footer.data_bytes, footer.chunks);
        }
    }

    /// Streams had so many bytes there at the start, in so many places.
    pub(crate) fn found_live(&mut self, segment: SegmentRef, bytes: u64, spans: u64) {
        let file = self.files.entry(segment).or_default();
        file.live += bytes;
        file.written = file.written.max(file.live);
        if !segment.is_sealed() {
            file.spans += spans;
        }
    }

    /// A segment of the log of so many bytes came to be: there may be some that end up without any
    /// payload.
    pub fn started(&mut self, segment: SegmentRef, file_bytes: u64) {
        self.files.entry(segment).or_default().file_bytes = file_bytes;
    }

    /// Payload bytes became durable in a segment: call for each placement of a written group, even
    /// if the stream is gone by now.
    pub fn record_written(&mut self, segment: SegmentRef, len: u32) {
        let file = self.files.entry(segment).or_default();
        file.live += u64::from(len);
        file.written += u64::from(len);
        file.spans += 1;
    }

    /// A stream is gone. Call when its `Delete` record is durable, with its extents as they are
    /// then: every record before the `Delete` has been placed.
    pub fn record_deleted(&mut self, extents: &Extents) {
        for span in extents.iter() {
            self.release(span.location.segment, span.len.into());
        }
    }

    /// Bytes of a living stream moved to `output`.
    pub fn record_resealed(&mut self, resealed: &Resealed, output: SegmentRef) {
        for (segment, len) in &resealed.removed {
            self.release(*segment, (*len).into());
        }
        self.files.entry(output).or_default().live += resealed.added;
    }

    fn release(&mut self, segment: SegmentRef, len: u64) {
        let file = self.files.entry(segment).or_default();
        file.live = file.live.saturating_sub(len);
    }

    /// The core begins a checkpoint. One that fails is begun again.
    pub fn checkpoint_begins(&mut self) {
        self.begun += 1;
    }

    /// The checkpoint begun last is installed; its log tail begins in segment `start`.
    pub fn checkpoint_installed(&mut self, start: u32) {
        self.older = self.newer;
        self.newer = Retained { start, begun: self.begun };
    }

    /// The number of a checkpoint that begins from now on: it will not need what was just moved.
    pub(crate) fn mark_moved(&mut self, segment: SegmentRef) {
        let from = self.begun + 1;
        if let Some(file) = self.files.get_mut(&segment) {
            file.free_from = from;
        }
    }

    /// Removes up to `max` free segments of the log from the table and returns them, oldest first:
    /// to be recycled by [`crate::SegmentFactory::prepare`] or removed.
    pub fn take_free(&mut self, max: usize) -> Vec<SegmentRef> {
        let log = self.log;
        let free = self.take(max, |segment| segment.log == log && !segment.is_sealed());
        free.into_iter().map(|(segment, _)| segment).collect()
    }

    /// Removes all other free segments from the table and returns them: sealed ones, which are to
    /// be removed, and those of earlier layouts, to be removed when every core has returned them
    /// (see [`crate::sealed::Releases`]).
    pub fn take_obsolete(&mut self) -> Vec<(SegmentRef, SegmentUse)> {
        let log = self.log;
        self.take(usize::MAX, |segment| segment.log != log || segment.is_sealed())
    }

    /// Bytes that checkpoints would set free, while the log is in segment `current`: whole files
    /// that hold nothing live, and of other files what is in `dying`, which counts as live until a
    /// checkpoint is installed.
    #[must_use]
    pub fn waiting_bytes(&self, current: u32, dying: &BTreeMap<SegmentRef, u64>) -> u64 {
        let waiting = self.files.iter().map(|(segment, file)| {
            let past = segment.log != self.log || segment.is_sealed() || segment.number < current;
            let dying = dying.get(segment).copied().unwrap_or_default();
            match file.live <= dying && !file.busy && past && !self.is_free(*segment, file) {
                true => file.file_bytes,
                false => dying,
            }
        });
        waiting.sum()
    }

    /// The log of the core.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.log
    }

    fn take(
        &mut self,
        max: usize,
        wanted: impl Fn(SegmentRef) -> bool,
    ) -> Vec<(SegmentRef, SegmentUse)> {
        let free = self
            .files
            .iter()
            .filter(|(segment, file)| wanted(**segment) && self.is_free(**segment, file));
        let free: Vec<_> = free.map(|(segment, file)| (*segment, *file)).take(max).collect();
        for (segment, _) in &free {
            self.files.remove(segment);
        }
        free
    }

    fn is_free(&self, segment: SegmentRef, file: &SegmentUse) -> bool {
        file.live == 0 && !file.busy && self.older.begun >= file.free_from && self.is_past(segment)
    }

    /// Whether no retained checkpoint replays a segment.
    pub(crate) fn is_past(&self, segment: SegmentRef) -> bool {
        segment.log != self.log
            || segment.is_sealed()
            || segment.number < self.older.start
            || planted::is(Bug::ReuseSegmentEarly)
    }

    /// What each segment holds, for metrics.
    pub fn iter(&self) -> impl Iterator<Item = (SegmentRef, SegmentUse)> + '_ {
        self.files.iter().map(|(segment, file)| (*segment, *file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extents::ReadSpan;
    use crate::location::Location;

    fn segment(log: u32, number: u32) -> SegmentRef {
        SegmentRef { log: LogId(log), number }
    }

    fn span(position: u64, segment: SegmentRef) -> ReadSpan {
        let location = Location { segment, file_offset: 4136, record_len: 60 };
        ReadSpan { position, len: 10, location }
    }

    fn obsolete(table: &mut SegmentTable) -> Vec<SegmentRef> {
        table.take_obsolete().into_iter().map(|(segment, _)| segment).collect()
    }

    fn checkpoint(table: &mut SegmentTable, start: u32) {
        table.checkpoint_begins();
        table.checkpoint_installed(start);
    }

    #[test]
    fn free_after_two_checkpoints() {
        let mut table = SegmentTable::new(LogId(2), 1, 1, 1);
        let mut extents = Extents::default();
        for (position, segment) in [(0, segment(1, 9)), (10, segment(2, 1)), (20, segment(2, 2))] {
            assert!(extents.push(span(position, segment)));
            table.record_written(segment, 10);
        }
        table.started(segment(2, 3), 4096);
        checkpoint(&mut table, 3);
        checkpoint(&mut table, 3);
        assert_eq!(table.take_free(9), [], "live bytes");
        table.record_deleted(&extents);
        assert_eq!(table.take_free(1), [segment(2, 1)]);
        assert_eq!(table.take_free(9), [segment(2, 2)], "not the old log's, not the tail's");
        assert_eq!(obsolete(&mut table), [segment(1, 9)]);
        checkpoint(&mut table, 4);
        assert_eq!(table.take_free(9), [], "the older checkpoint still begins in 3");
        checkpoint(&mut table, 4);
        assert_eq!(table.take_free(9), [segment(2, 3)]);
    }

    #[test]
    fn what_was_moved_waits_for_two_checkpoints_that_began_later() {
        let mut table = SegmentTable::new(LogId(2), 1, 5, 5);
        let (old, new) = (segment(2, 1), SegmentRef::sealed(LogId(2), 1));
        let mut extents = Extents::default();
        assert!(extents.push(span(0, old)));
        table.started(old, 4096);
        table.record_written(old, 10);
        table.checkpoint_begins();
        let resealed = extents.reseal(&[old], &[span(0, new)]).unwrap();
        table.record_resealed(&resealed, new);
        table.mark_moved(old);
        table.checkpoint_installed(6);
        checkpoint(&mut table, 6);
        assert_eq!(table.take_free(9), [], "the older one began before");
        let none = BTreeMap::new();
        assert_eq!((table.waiting_bytes(6, &none), table.waiting_bytes(1, &none)), (4096, 0));
        checkpoint(&mut table, 6);
        assert_eq!(table.take_free(9), [old]);
        assert_eq!(obsolete(&mut table), []);
        table.record_deleted(&extents);
        assert_eq!(obsolete(&mut table), [new]);
    }

    #[test]
    fn a_file_waits_whole_when_all_that_lives_in_it_is_dying() {
        let mut table = SegmentTable::new(LogId(2), 1, 5, 5);
        let file = segment(2, 1);
        table.started(file, 4096);
        table.record_written(file, 10);
        let waiting =
            |table: &SegmentTable, dying| table.waiting_bytes(6, &BTreeMap::from([(file, dying)]));
        assert_eq!((waiting(&table, 0), waiting(&table, 9), waiting(&table, 10)), (0, 9, 4096));
        assert_eq!(table.waiting_bytes(1, &BTreeMap::from([(file, 10)])), 10, "still written");
    }
}
