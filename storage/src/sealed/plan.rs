//! What to seal next: pure decisions over what a core knows of its segments.
//!
//! Three things are worth I/O, in this order:
//!
//! - a sealed segment of which 40 % is dead or more: what lives is rewritten, at most 1.5 bytes for
//!   each that comes free;
//! - a full segment of the log that no retained checkpoint replays: once, unless it gains nothing
//!   (few long records, most of them alive);
//! - many files of about the same size, if they are small or hold small chunks: merging eight of
//!   them makes one of the next size, so a byte is rewritten once for each power of eight, and an
//!   idle stream ends with few entries. Large chunks are not merged: nothing would be gained.

use std::collections::BTreeMap;

use super::job::{Sealed, SealedFacts};
use crate::buffer::BLOCK_BYTES;
use crate::location::SegmentRef;
use crate::segments::{SegmentTable, SegmentUse};

/// A sealing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// What to read.
    pub inputs: Vec<SegmentRef>,
    /// What to write.
    pub output: SegmentRef,
    /// Why.
    pub reason: Reason,
}

/// Why segments are sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A segment of the log is full.
    Full,
    /// Too much of a sealed segment is dead.
    Dead,
    /// There are many small ones.
    Small,
}

/// A sealed segment with less than this share of its bytes alive is rewritten.
const LIVE_PERCENT: u64 = 60;
/// Full segments of the log whose records are this long on average stay as they are: reading them
/// in order is as good, and their index is as small.
const LONG_RECORD_BYTES: u64 = 64 * 1024;
/// Sealed segments whose chunks are this long on average are not merged.
const LONG_CHUNK_BYTES: u64 = 4 * 1024;
/// How many files are merged into one, and how much larger the next size is.
const MERGED_FILES: usize = 8;
/// The longest sealed segment that merging makes.
const MAX_MERGED_BYTES: u64 = 1024 * 1024 * 1024;
/// Files below this are merged whatever they hold.
const SMALL_FILE_BYTES: u64 = 8 * 1024 * 1024;

impl SegmentTable {
    /// What to seal next, if anything. Its inputs count as busy until [`SegmentTable::sealed`] or
    /// [`SegmentTable::not_sealed`].
    pub fn plan(&mut self) -> Option<Plan> {
        let (inputs, reason) = self
            .mostly_dead()
            .map(|input| (vec![input], Reason::Dead))
            .or_else(|| self.full_segment().map(|input| (vec![input], Reason::Full)))
            .or_else(|| self.mergeable().map(|inputs| (inputs, Reason::Small)))?;
        for input in &inputs {
            self.files.entry(*input).or_default().busy = true;
        }
        let output = SegmentRef::sealed(self.log, self.next_sealed);
        self.next_sealed += 1;
        Some(Plan { inputs, output, reason })
    }

    /// How many files wait to be sealed, compacted or merged.
    #[must_use]
    pub fn queue(&self) -> usize {
        let waiting = |(segment, file): &(&SegmentRef, &SegmentUse)| {
            self.is_dead(**segment, file) || self.is_worth_sealing(**segment, file)
        };
        self.idle().filter(waiting).count()
    }

    /// A sealed segment is durable: before the first stream's bytes are moved to it.
    pub fn sealing_ends(&mut self, plan: &Plan, facts: &SealedFacts) {
        let file = self.files.entry(plan.output).or_default();
        file.file_bytes = facts.file_bytes;
        file.written = facts.footer.data_bytes;
        file.spans = facts.footer.chunks;
        file.busy = true;
    }

    /// All streams have been moved that could be.
    pub fn sealed(&mut self, plan: &Plan, sealed: &Sealed) {
        for input in &plan.inputs {
            self.mark_moved(*input);
            self.end(*input, true);
        }
        if sealed.file.is_some() {
            self.end(plan.output, false);
        }
    }

    /// Nothing came of a plan. An input that cannot be read is not tried again before the next
    /// start.
    pub fn not_sealed(&mut self, plan: &Plan, unreadable: Option<SegmentRef>) {
        for input in &plan.inputs {
            self.end(*input, unreadable == Some(*input));
        }
    }

    fn end(&mut self, segment: SegmentRef, settled: bool) {
        if let Some(file) = self.files.get_mut(&segment) {
            file.busy = false;
            file.settled |= settled;
        }
    }

    /// Files with something alive that may be an input.
    fn idle(&self) -> impl Iterator<Item = (&SegmentRef, &SegmentUse)> {
        self.files.iter().filter(|(segment, file)| {
            file.live > 0 && !file.busy && !file.settled && self.is_past(**segment)
        })
    }

    fn mostly_dead(&self) -> Option<SegmentRef> {
        let dead = self.idle().filter(|(segment, file)| self.is_dead(**segment, file));
        // The cheapest first: it needs the least space, which may be short.
        dead.min_by_key(|(_, file)| file.live).map(|(segment, _)| *segment)
    }

    fn is_dead(&self, segment: SegmentRef, file: &SegmentUse) -> bool {
        // Others have bytes in a file of an earlier layout: about as many as this core.
        let share = if segment.log == self.log { 1 } else { self.cores as u64 };
        segment.is_sealed() && file.live * share * 100 < file.written * LIVE_PERCENT
    }

    fn full_segment(&self) -> Option<SegmentRef> {
        self.idle().find(|(segment, file)| self.is_worth_sealing(**segment, file)).map(|f| *f.0)
    }

    fn is_worth_sealing(&self, segment: SegmentRef, file: &SegmentUse) -> bool {
        let long = file.live >= file.spans.saturating_mul(LONG_RECORD_BYTES);
        let alive = file.live * 100 >= file.file_bytes * LIVE_PERCENT;
        let shared = segment.log != self.log;
        !segment.is_sealed() && (shared || !(long && alive))
    }

    /// The oldest eight of a size, in which enough is small.
    fn mergeable(&self) -> Option<Vec<SegmentRef>> {
        let mut sizes: BTreeMap<u32, Vec<(SegmentRef, u64)>> = BTreeMap::new();
        let own = |(segment, _): &(&SegmentRef, &SegmentUse)| {
            segment.is_sealed() && segment.log == self.log
        };
        for (segment, file) in self.idle().filter(own) {
            let small = file.file_bytes < SMALL_FILE_BYTES
                || file.written < file.spans.saturating_mul(LONG_CHUNK_BYTES);
            if !small {
                continue;
            }
            let files = sizes.entry(size_class(file.file_bytes)).or_default();
            files.push((*segment, file.file_bytes));
            let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
            if files.len() == MERGED_FILES && bytes <= MAX_MERGED_BYTES {
                return Some(files.iter().map(|(segment, _)| *segment).collect());
            }
        }
        None
    }
}

/// Sizes by powers of eight.
fn size_class(file_bytes: u64) -> u32 {
    (file_bytes / BLOCK_BYTES as u64).max(1).ilog2() / MERGED_FILES.ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::LogId;
    use crate::sealed::Footer;

    const MIB: u64 = 1024 * 1024;

    fn table(cores: usize) -> SegmentTable {
        SegmentTable::new(LogId(2), cores, 100, 100)
    }

    fn log_segment(table: &mut SegmentTable, number: u32, records: u64, len: u32) -> SegmentRef {
        let segment = SegmentRef { log: LogId(2), number };
        table.started(segment, 64 * MIB);
        (0..records).for_each(|_| table.record_written(segment, len));
        segment
    }

    fn sealed(
        table: &mut SegmentTable,
        (log, index): (u32, u32),
        live: u64,
        (written, chunks): (u64, u64),
    ) -> SegmentRef {
        let segment = SegmentRef::sealed(LogId(log), index);
        let footer = Footer {
            segment,
            index_at: 4096,
            chunks,
            records: chunks,
            data_bytes: written,
            index_crc: 0,
        };
        table.found(segment, written + 8192, Some(&footer), false);
        table.files.get_mut(&segment).unwrap().live = live;
        segment
    }

    #[test]
    fn full_segments_are_sealed_once() {
        let mut table = table(1);
        let first = log_segment(&mut table, 1, 100, 1000);
        log_segment(&mut table, 2, 1000, 65_000);
        let scattered = log_segment(&mut table, 3, 100, 65_536);
        log_segment(&mut table, 4, 1000, 65_536);
        log_segment(&mut table, 100, 100, 1000);
        log_segment(&mut table, 5, 0, 0);
        let plan = table.plan().unwrap();
        assert_eq!((plan.inputs.clone(), plan.reason), (vec![first], Reason::Full));
        assert_eq!(plan.output, SegmentRef::sealed(LogId(2), 1));
        assert_eq!(table.plan().unwrap().inputs[0].number, 2, "the first one is busy");
        assert_eq!(table.plan().unwrap().inputs, [scattered], "most of it is dead");
        assert_eq!(table.plan(), None, "long records, the end of the log, nothing alive");
        table.not_sealed(&plan, None);
        assert_eq!(table.plan().unwrap().inputs, [first]);
        table.not_sealed(&plan, Some(first));
        assert_eq!(table.plan(), None);
    }

    #[test]
    fn the_deadest_segment_is_rewritten() {
        let mut table = table(2);
        sealed(&mut table, (2, 1), 60 * MIB, (100 * MIB, 1000));
        let dead = sealed(&mut table, (2, 2), 59 * MIB, (100 * MIB, 1000));
        // Half of what lives in it belongs to the other core, as far as this one knows.
        sealed(&mut table, (1, 1), 30 * MIB, (100 * MIB, 1000));
        let shared = sealed(&mut table, (1, 2), 29 * MIB, (100 * MIB, 1000));
        assert_eq!(table.queue(), 2);
        assert_eq!(table.plan().unwrap().inputs, [shared]);
        let plan = table.plan().unwrap();
        assert_eq!((plan.inputs, plan.reason), (vec![dead], Reason::Dead));
        assert_eq!(plan.output, SegmentRef::sealed(LogId(2), 4));
        assert_eq!(table.plan(), None);
    }

    #[test]
    fn small_files_are_merged_by_eights() {
        let check = |file_bytes: u64, chunks: u64, files: u32, want: Option<usize>| {
            let mut table = table(1);
            for index in 1..=files {
                sealed(&mut table, (2, index), file_bytes, (file_bytes, chunks));
            }
            let got = table.plan().map(|plan| plan.inputs.len());
            assert_eq!(got, want, "{files} files of {file_bytes} bytes, {chunks} chunks");
        };
        check(100_000, 1, 7, None);
        check(100_000, 1, 9, Some(8));
        check(60 * MIB, 1000, 9, None);
        check(60 * MIB, 60_000, 9, Some(8));
        check(512 * MIB, 1_000_000, 9, None);
        let mut mixed = table(1);
        for index in 1..=7 {
            sealed(&mut mixed, (2, index), 20_000, (20_000, 1));
            sealed(&mut mixed, (2, 10 + index), 20_000_000, (20_000_000, 20_000));
        }
        assert_eq!(mixed.plan(), None);
    }
}
