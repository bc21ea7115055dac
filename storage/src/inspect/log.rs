//! One log, segment by segment, from its oldest file to its end.
//!
//! Invariant: whatever is found, the walk goes on with the next thing that can be read; what lies
//! between is a finding. A file that cannot be read at all is one too.

use std::path::PathBuf;

use thalweg_proto::stream::record::Record;

use super::finding::Finding;
use super::groups::{Broken, End, Group, Groups, Step, read_group, salvage};
use super::lost::LOST_MAGIC;
use super::view::View;
use super::{Look, sealed};
use crate::error::IoFailure;
use crate::group::GroupHeader;
use crate::location::{Location, LogId, LogPosition, Lsn, SegmentRef};
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::writer::Durability;

/// What is told of a log as it is read.
pub trait Visitor {
    /// A segment that was begun.
    fn segment(&mut self, _header: &SegmentHeader) {}
    /// A good group, before its records.
    fn group(&mut self, _segment: SegmentRef, _at: u64, _header: &GroupHeader) {}
    /// A record.
    fn record(&mut self, _record: LoggedRecord) {}
    /// Whether records of sealed segments are wanted too; they take another read.
    fn wants_sealed(&self) -> bool {
        false
    }
    /// Something that was found before what comes next.
    fn finding(&mut self, _finding: &Finding) {}
}

/// A record where it lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoggedRecord {
    /// Its number; unknown if it was found among damaged bytes.
    pub lsn: Option<Lsn>,
    /// Its place.
    pub location: Location,
    /// The record.
    pub record: Record,
    /// Whether it is in the part of the log that a start reads.
    pub in_tail: bool,
}

/// A log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogReport {
    /// Which.
    pub log: LogId,
    /// Whether a core writes it.
    pub active: bool,
    /// Its files.
    pub segments: Vec<SegmentReport>,
    /// Where the next group goes, in a log that a core writes.
    pub end: Option<LogPosition>,
}

/// A segment file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentReport {
    /// Which.
    pub segment: SegmentRef,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// What it is.
    pub state: SegmentState,
    /// Good groups.
    pub groups: u64,
    /// Their records.
    pub records: u64,
    /// Bytes of these records.
    pub record_bytes: u64,
    /// Where the last good group ends.
    pub end: u64,
}

/// What a segment file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegmentState {
    /// It has records.
    Begun,
    /// It was made ahead, or is free.
    NotBegun,
    /// Sorted by stream, out of earlier ones.
    Sealed,
    /// A stand-in for bytes that were lost.
    Lost,
}

/// Reads a log. `start` is where recovery begins, in a log that a core writes.
pub(super) fn walk(
    look: Look<'_>,
    log: LogId,
    start: Option<LogPosition>,
    findings: &mut Vec<Finding>,
    visitor: &mut dyn Visitor,
) -> Result<LogReport, IoFailure> {
    let report = LogReport { log, active: start.is_some(), segments: Vec::new(), end: start };
    let mut walk = Walk { look, log, start, findings, visitor, report, last: None, over: false };
    for number in look.numbers(log)? {
        walk.file(number)?;
    }
    walk.finish();
    let mut report = walk.report;
    for segment in look.sealed(log)? {
        report.segments.push(sealed::check(look, segment, findings, visitor)?);
    }
    Ok(report)
}

struct Walk<'a, 'b> {
    look: Look<'a>,
    log: LogId,
    start: Option<LogPosition>,
    findings: &'b mut Vec<Finding>,
    visitor: &'b mut dyn Visitor,
    report: LogReport,
    /// The last segment that was begun, and why it ended.
    last: Option<(LogPosition, End)>,
    /// Recovery ends before the files that follow.
    over: bool,
}

impl Walk<'_, '_> {
    fn file(&mut self, number: u32) -> Result<(), IoFailure> {
        let segment = self.name(number);
        let Some(mut view) = self.look.view(&segment.path(self.look.dir))? else { return Ok(()) };
        self.report.segments.push(SegmentReport {
            segment,
            file_bytes: view.len(),
            state: SegmentState::NotBegun,
            groups: 0,
            records: 0,
            record_bytes: 0,
            end: 0,
        });
        if let Err(error) = self.read(number, &mut view) {
            let file = self.file_name(number);
            self.found(Finding::damage("unreadable", file, 0, error));
        }
        Ok(())
    }

    fn read(&mut self, number: u32, view: &mut View<'_>) -> Result<(), IoFailure> {
        let Some(header) = self.header(number, view)? else { return Ok(()) };
        self.link(number, &header)?;
        if self.over {
            return Ok(());
        }
        self.here(|report| report.state = SegmentState::Begun);
        self.visitor.segment(&header);
        let start = self.start.filter(|start| start.segment == number && start.file_offset > 0);
        let (groups, end) = match start {
            None => self.groups(number, view, Groups::of(&header))?,
            Some(start) => {
                let before = Groups::of(&header).up_to(start.file_offset);
                let (before, end) = self.groups(number, view, before)?;
                self.check_start(number, start, &before, &end);
                let LogPosition { file_offset, lsn, chain, .. } = start;
                self.groups(number, view, Groups::from(&header, file_offset, lsn, chain))?
            }
        };
        let Groups { at, lsn, chain, .. } = groups;
        self.here(|report| report.end = at);
        if view.len() < header.bytes && end.torn_bytes > 0 {
            let what = "the group that begins here is cut off; what it had is not known";
            self.found(Finding::damage("cut-off", self.file_name(number), at, what));
            self.salvage((number, at, view.len()))?;
        }
        let position = LogPosition { segment: number, file_offset: at, lsn, chain };
        if self.in_tail(number) {
            self.report.end = Some(position);
        }
        self.last = Some((position, end));
        Ok(())
    }

    /// The header of a segment that was begun. A damaged one is made up from the group behind it.
    fn header(
        &mut self,
        number: u32,
        view: &mut View<'_>,
    ) -> Result<Option<SegmentHeader>, IoFailure> {
        let block = view.bytes(0, SEGMENT_HEADER_BYTES as u64)?;
        if block.starts_with(&LOST_MAGIC) {
            self.here(|report| report.state = SegmentState::Lost);
            return Ok(None);
        }
        let file = self.file_name(number);
        match SegmentHeader::decode(&block) {
            Ok(header) if header.segment == self.name(number) => {
                if view.len() < header.bytes {
                    let what = format!("the file ends here, its header says {}", header.bytes);
                    self.found(Finding::damage("short-file", file, view.len(), what));
                }
                Ok(Some(header))
            }
            Ok(header) => {
                let what = format!("the header is that of {}", header.segment);
                self.found(Finding::damage("header", file, 0, what));
                Ok(None)
            }
            Err(damage) => {
                let made_up = self.header_of_groups(number, view)?;
                let is_old = !self.in_tail(number) && block.iter().any(|byte| *byte != 0);
                let follows = made_up.as_ref().is_some_and(|(_, follows)| *follows);
                let is_used = follows || is_old || self.must_be_begun(number);
                if is_used {
                    self.found(Finding::damage("header", file, 0, damage));
                }
                Ok(made_up.filter(|_| is_used).map(|(header, _)| header))
            }
        }
    }

    /// What the header must have said, by the first group that can be read, and whether that group
    /// was durable and follows what is before it.
    fn header_of_groups(
        &self,
        number: u32,
        view: &mut View<'_>,
    ) -> Result<Option<(SegmentHeader, bool)>, IoFailure> {
        let start = self.start.filter(|start| start.segment == number && start.file_offset > 0);
        let at = start.map_or(SEGMENT_HEADER_BYTES as u64, |start| start.file_offset);
        let end = view.len();
        let mut found = read_group(view, SEGMENT_HEADER_BYTES as u64, end)?;
        if found.is_err() && start.is_some() {
            found = read_group(view, at, end)?;
        }
        let Ok(group) = found else { return Ok(None) };
        let GroupHeader { salt, first_lsn, chain, durability, .. } = group.header;
        let before = match (&self.last, self.start) {
            (Some((position, _)), _) if position.segment + 1 == number => Some(*position),
            (_, Some(start)) if start.segment == number => Some(start),
            _ => None,
        };
        let follows = self.must_be_begun(number)
            || durability == Durability::Sync
                && before
                    .is_some_and(|before| first_lsn == before.lsn.next() && chain == before.chain);
        let header = SegmentHeader {
            segment: self.name(number),
            durability,
            salt,
            bytes: view.len(),
            previous_lsn: Lsn(first_lsn.0.saturating_sub(1)),
            previous_chain: chain,
        };
        Ok(Some((header, follows)))
    }

    /// Compares the beginning of a segment with the end of the one before.
    fn link(&mut self, number: u32, header: &SegmentHeader) -> Result<(), IoFailure> {
        let begins = (header.previous_lsn, header.previous_chain);
        let (position, in_order) = match (&self.last, self.start) {
            (Some((last, _)), _) if last.segment + 1 == number => {
                (*last, (last.lsn, last.chain) == begins)
            }
            (_, Some(start)) if start.segment == number && start.file_offset == 0 => {
                (start, (start.lsn, start.chain) == begins)
            }
            // Freed ones are missing before the part of the log that a start reads.
            (Some((last, _)), Some(start)) if number > start.segment => (*last, false),
            (None, Some(start)) if number > start.segment => (start, false),
            _ => return Ok(()),
        };
        if in_order {
            return Ok(());
        }
        if self.in_tail(number) && header.durability == Durability::Async {
            let file = self.file_name(number);
            let what = "a start ends before this segment, which does not follow";
            self.found(Finding::note("dropped", file, 0, what));
            self.over = true;
            return Ok(());
        }
        let (expected, after) = (position.lsn.next(), header.previous_lsn);
        let what = format!(
            "record {expected} should be here and is not, but segment {number} was begun after \
             record {after}"
        );
        let file = self.file_name(position.segment);
        self.found(Finding::damage("missing-records", file, position.file_offset, what));
        if let Some((last, end)) = &self.last {
            let claimed = (last.segment, last.file_offset, last.file_offset + end.torn_bytes);
            self.salvage(claimed)?;
        }
        Ok(())
    }

    /// Reads groups to the end of the walk.
    fn groups(
        &mut self,
        number: u32,
        view: &mut View<'_>,
        mut groups: Groups,
    ) -> Result<(Groups, End), IoFailure> {
        loop {
            let in_tail = self.in_tail(number)
                && self
                    .start
                    .is_none_or(|start| start.segment < number || groups.at >= start.file_offset);
            match groups.next(view)? {
                Step::End(end) => return Ok((groups, end)),
                Step::Broken(broken) => self.broken(number, &groups, &broken)?,
                Step::Good(group) => self.group(number, &group, in_tail),
            }
        }
    }

    fn group(&mut self, number: u32, group: &Group, in_tail: bool) {
        let segment = self.name(number);
        self.visitor.group(segment, group.at, &group.header);
        let (mut next, mut bytes) = (group.header.first_lsn, 0);
        for record in group.records() {
            match record {
                Ok((offset, record, len)) => {
                    let (lsn, location) = (Some(next), location(segment, offset, len));
                    self.visitor.record(LoggedRecord { lsn, location, record, in_tail });
                    next = next.next();
                    bytes += len as u64;
                }
                Err((offset, damage)) => {
                    let file = self.file_name(number);
                    self.found(Finding::damage("record", file, offset, damage));
                }
            }
        }
        self.here(|report| {
            report.groups += 1;
            report.records += u64::from(group.header.records);
            report.record_bytes += bytes;
        });
    }

    fn broken(&mut self, number: u32, groups: &Groups, broken: &Broken) -> Result<(), IoFailure> {
        let Broken { from, to, damage, next } = broken;
        let what = format!("{damage}; record {next} follows at byte {to}");
        let file = self.file_name(number);
        self.found(Finding::damage("group", file, *from, what));
        debug_assert!(groups.at == *to, "the walk goes on there");
        self.salvage((number, *from, *to))
    }

    /// Hands out the records among damaged bytes whose own sums are good.
    fn salvage(&mut self, (number, from, to): (u32, u64, u64)) -> Result<(), IoFailure> {
        let segment = self.name(number);
        let Some(mut view) = self.look.view(&segment.path(self.look.dir))? else { return Ok(()) };
        let in_tail = self.in_tail(number)
            && self.start.is_none_or(|start| start.segment < number || from >= start.file_offset);
        for found in salvage(&view.bytes(from, to - from)?) {
            let location = location(segment, from + found.offset as u64, found.len);
            let record = found.record;
            self.visitor.record(LoggedRecord { lsn: None, location, record, in_tail });
        }
        Ok(())
    }

    /// The checkpoint and the log must agree about the place where recovery begins.
    fn check_start(&mut self, number: u32, start: LogPosition, before: &Groups, end: &End) {
        let file = self.file_name(number);
        if before.at < start.file_offset {
            let damage = end.damage;
            self.found(Finding::damage("group", file, before.at, damage));
        } else if (before.lsn, before.chain) != (start.lsn, start.chain) {
            let what = format!(
                "the checkpoint begins here after record {}, the log has record {}",
                start.lsn, before.lsn
            );
            self.found(Finding::damage("chain", file, start.file_offset, what));
        }
    }

    fn finish(&mut self) {
        let Some(start) = self.start else { return };
        let reached = self.last.as_ref().map_or(0, |(position, _)| position.segment);
        if start.file_offset > 0 && reached < start.segment {
            let file = self.file_name(start.segment);
            let what = "the file is missing, and recovery begins in it";
            self.found(Finding::damage("missing-file", file, 0, what));
        } else {
            self.check_next(if reached < start.segment { start.segment } else { reached + 1 });
        }
        let Some((position, end)) = self.last.take().filter(|_| reached >= start.segment) else {
            return;
        };
        let file = self.file_name(position.segment);
        if end.dropped {
            let what = "groups behind the end were never synced; a start drops them";
            self.found(Finding::note("dropped", file, position.file_offset, what));
        } else if end.torn_bytes > 0 {
            let what = format!("an unfinished write of {} bytes; a start drops it", end.torn_bytes);
            self.found(Finding::note("torn", file, position.file_offset, what));
        }
    }

    /// The segment where the log would go on had its full size before the one after it was made.
    fn check_next(&mut self, next: u32) {
        let number = |report: &SegmentReport| report.segment.number;
        if !self.report.segments.iter().any(|report| number(report) > next) {
            return;
        }
        let found = self.report.segments.iter().find(|report| number(report) == next);
        let found = found.map_or(0, |report| report.file_bytes);
        if found < SEGMENT_HEADER_BYTES as u64 {
            let what = "the file is cut short or missing, and the one after it was made when this \
                        one was in use; what it had is not known";
            self.found(Finding::damage("short-file", self.file_name(next), found, what));
        }
    }

    /// Recovery begins in the middle of this segment.
    fn must_be_begun(&self, number: u32) -> bool {
        self.start.is_some_and(|start| start.segment == number && start.file_offset > 0)
    }

    fn in_tail(&self, number: u32) -> bool {
        self.start.is_some_and(|start| number >= start.segment)
    }

    fn found(&mut self, finding: Finding) {
        self.visitor.finding(&finding);
        self.findings.push(finding);
    }

    fn here(&mut self, change: impl FnOnce(&mut SegmentReport)) {
        if let Some(report) = self.report.segments.last_mut() {
            change(report);
        }
    }

    fn name(&self, number: u32) -> SegmentRef {
        SegmentRef { log: self.log, number }
    }

    fn file_name(&self, number: u32) -> PathBuf {
        PathBuf::from(self.name(number).to_string())
    }
}

fn location(segment: SegmentRef, offset: u64, len: usize) -> Location {
    // Walks end at 4 GiB.
    Location { segment, file_offset: offset as u32, record_len: len as u32 }
}
