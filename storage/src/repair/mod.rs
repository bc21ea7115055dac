//! Makes a damaged data directory one that starts, and loses nothing silently.
//!
//! ```text
//! Inspection -> plan (says what would be done, and what is lost) -> apply:
//!    copies of LAYOUT and FORMAT -> quarantine/<name>/
//!    good bytes in damaged files -> written anew, into a log of their own
//!    new checkpoints of all streams that are known -> new LAYOUT, in one step
//!    damaged files -> quarantine/<name>/
//! ```
//!
//! What is lost to forks with their sources is listed there too: verify knows of it from then on.
//!
//! Invariants: no byte of an existing file is changed or removed, files only move; until the new
//! `LAYOUT` is durable the directory is as it was, apart from files that nothing names. Bytes of
//! streams that are lost keep their positions: reading them is an error, everything else serves,
//! and nothing is ever stored at these positions again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::CheckpointStart;
use crate::data_dir::{self, FORMAT_NAME};
use crate::disk::{self, Disk};
use crate::error::{IoContext, IoFailure};
use crate::extents::{Extents, ReadSpan};
use crate::format_file::FormatFile;
use crate::inspect::{
    Affected, FoundStream, Inspection, LOST_FILE_BYTES, LOST_MAGIC, Look, Severity, first_needed,
    place_lost,
};
use crate::layout::{CHECKPOINTS_NAME, LAYOUT_NAME, Layout};
use crate::location::{LogId, LogPosition, Lsn, SegmentRef};
use crate::recovery::relayout::{FIRST_CHECKPOINT, encode, write};
use crate::recovery::{StoredStream, StoredSubscriptions};
use crate::rewrite::{self, Places};

/// The directory, in the data directory, for what a repair puts aside.
pub const QUARANTINE_NAME: &str = "quarantine";

/// What a repair would do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Damaged files that go to the quarantine.
    pub moved: Vec<PathBuf>,
    /// Of these, files that also hold bytes of streams that are good: they are written anew.
    pub rewritten: Vec<PathBuf>,
    /// Bytes of streams that cannot be read any more.
    pub lost: Vec<Affected>,
    /// Bytes of streams of which nothing else is known: they are in the quarantine only.
    pub unknown: Vec<Affected>,
    /// Bytes that forks inherit from streams that do not have them any more.
    pub orphaned: Vec<Affected>,
}

/// Says what would be done; `None` if nothing is damaged.
#[must_use]
pub fn plan(found: &Inspection) -> Option<Plan> {
    if !found.is_damaged() {
        return None;
    }
    let used: BTreeSet<PathBuf> = used_segments(found).into_iter().map(file_of).collect();
    let mut plan = Plan::default();
    let damages = found.findings.iter().filter(|finding| finding.severity == Severity::Damage);
    let files: BTreeSet<&PathBuf> = damages.map(|finding| &finding.file).collect();
    for file in files {
        // Findings about streams as such name a directory.
        let is_file = file.parent().is_some_and(|parent| !parent.as_os_str().is_empty());
        if is_file {
            plan.moved.push(file.clone());
            plan.rewritten.extend(used.contains(file).then(|| file.clone()));
        }
    }
    for (id, stream) in &found.streams {
        for &(from, to) in &stream.lost {
            let path = Some(stream.stream.state.path.clone());
            plan.lost.push(Affected { id: *id, path, from, to });
        }
    }
    let forks = found.findings.iter().filter(|finding| finding.is_orphaned());
    plan.orphaned = forks.flat_map(|finding| &finding.affected).cloned().collect();
    let is_unknown = |affected: &&Affected| !found.streams.contains_key(&affected.id);
    let affected = found.findings.iter().flat_map(|finding| &finding.affected);
    plan.unknown = affected.filter(is_unknown).cloned().collect();
    Some(plan)
}

/// Does it. `name` becomes the directory in the quarantine, `report` a file in it, and
/// `created_by` goes into `FORMAT` if that is damaged. Lock the data directory first.
pub fn apply(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    found: &Inspection,
    plan: &Plan,
    (name, report, created_by): (&str, &str, &str),
) -> Result<PathBuf, IoFailure> {
    let quarantine = dir.join(QUARANTINE_NAME).join(name);
    let work = Repair { disk, dir, found, quarantine: quarantine.clone() };
    work.keep_copies(report)?;
    work.keep_orphaned(plan)?;
    // Before anything is written that an earlier version cannot read.
    if found.format.is_some() {
        data_dir::upgrade_format(&**disk, dir)?;
    }
    let mut next = found.layout.clone();
    let used = found.logs.iter().map(|log| log.log.0 + 1).max().unwrap_or(0);
    next.next_log = next.next_log.max(used);
    let lost = work.lost_file(&mut next)?;
    let rewritten = work.rewrite(plan, &mut next)?;
    let layout = work.new_checkpoints(&next, lost, &rewritten)?;
    if found.format.is_none() {
        let text = FormatFile::text_of_new(created_by);
        disk::replace(&**disk, dir, FORMAT_NAME, text.as_bytes())
            .context("write", &dir.join(FORMAT_NAME))?;
    }
    layout.store(&**disk, dir)?;
    for file in &plan.moved {
        work.move_file(file)?;
    }
    Ok(quarantine)
}

struct Repair<'a> {
    disk: &'a Arc<dyn Disk>,
    dir: &'a Path,
    found: &'a Inspection,
    quarantine: PathBuf,
}

impl Repair<'_> {
    /// What the repair replaces, and what it says.
    fn keep_copies(&self, report: &str) -> Result<(), IoFailure> {
        for name in [LAYOUT_NAME, FORMAT_NAME].map(Path::new) {
            let (from, to) = (self.dir.join(name), self.target(name)?);
            match disk::read_all(&**self.disk, &from) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                bytes => {
                    let bytes = bytes.context("read", &from)?;
                    let file = self.disk.create(&to).context("create", &to)?;
                    file.write_at(&bytes, 0).context("write", &to)?;
                    file.sync().context("sync", &to)?;
                }
            }
        }
        disk::replace(&**self.disk, &self.quarantine, REPORT_NAME, report.as_bytes())
            .context("write", &self.quarantine.join(REPORT_NAME))?;
        let parent = self.dir.join(QUARANTINE_NAME);
        for dir in [&parent, &self.dir.to_owned()] {
            self.disk.sync_dir(dir).context("sync", dir)?;
        }
        Ok(())
    }

    /// Notes what forks have lost: nothing else tells what is lost for good from new damage.
    fn keep_orphaned(&self, plan: &Plan) -> Result<(), IoFailure> {
        if plan.orphaned.is_empty() {
            return Ok(());
        }
        let line = |lost: &Affected| format!("{} {} {}\n", lost.id.0, lost.from, lost.to);
        let text: String = plan.orphaned.iter().map(line).collect();
        disk::replace(&**self.disk, &self.quarantine, ORPHANED_NAME, text.as_bytes())
            .context("write", &self.quarantine.join(ORPHANED_NAME))
    }

    /// A place in the quarantine for a file of the data directory.
    fn target(&self, file: &Path) -> Result<PathBuf, IoFailure> {
        let target = self.quarantine.join(file);
        let dir = target.parent().unwrap_or(&self.quarantine);
        self.disk.create_dir(dir).context("create", dir)?;
        Ok(target)
    }

    fn move_file(&self, file: &Path) -> Result<(), IoFailure> {
        let (from, to) = (self.dir.join(file), self.target(file)?);
        match self.disk.rename(&from, &to) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            result => result.context("rename", &from)?,
        }
        for dir in [from.parent(), to.parent()].into_iter().flatten() {
            self.disk.sync_dir(dir).context("sync", dir)?;
        }
        Ok(())
    }

    /// The file in which lost bytes have their places, if there are any.
    fn lost_file(&self, layout: &mut Layout) -> Result<Option<SegmentRef>, IoFailure> {
        if self.found.streams.values().all(|stream| stream.lost.is_empty()) {
            return Ok(None);
        }
        let segment = SegmentRef { log: LogId(layout.next_log), number: 1 };
        layout.next_log += 1;
        write_lost_file(&**self.disk, self.dir, segment)?;
        Ok(Some(segment))
    }

    /// Writes the good bytes of damaged files anew.
    fn rewrite(&self, plan: &Plan, layout: &mut Layout) -> Result<Rewritten, IoFailure> {
        let used = used_segments(self.found).into_iter();
        let damaged: BTreeSet<SegmentRef> =
            used.filter(|segment| plan.rewritten.contains(&file_of(*segment))).collect();
        if damaged.is_empty() {
            return Ok(Rewritten { damaged, places: Places::new() });
        }
        let log = LogId(layout.next_log);
        layout.next_log += 1;
        let streams = self.found.streams.values();
        let from = Look { disk: &**self.disk, dir: self.dir, progress: &|_| {} };
        let is_damaged = |segment| damaged.contains(&segment);
        let places =
            rewrite::rewrite(from, (self.disk, self.dir), log, streams, &is_damaged, &|record| {
                record
            })?;
        Ok(Rewritten { damaged, places })
    }

    /// Writes checkpoints of new logs, which nothing names yet, and returns the layout of them.
    fn new_checkpoints(
        &self,
        old: &Layout,
        lost: Option<SegmentRef>,
        rewritten: &Rewritten,
    ) -> Result<Layout, IoFailure> {
        let cores = old.cores.len().max(1);
        let layout = old.with_new_logs(cores, FIRST_CHECKPOINT, None);
        let mut streams: BTreeMap<usize, Vec<StoredStream>> = BTreeMap::new();
        for found in self.found.streams.values() {
            let stream = with_places(found, lost, rewritten);
            streams.entry(found.core.min(cores - 1)).or_default().push(stream);
        }
        let dirs = layout.cores.iter().map(|core| core.log.dir(self.dir));
        for dir in dirs.chain([self.dir.join(CHECKPOINTS_NAME)]) {
            self.disk.create_dir(&dir).context("create", &dir)?;
        }
        self.disk.sync_dir(self.dir).context("sync", self.dir)?;
        let position = LogPosition::origin(self.last_lsn());
        for (index, core) in layout.cores.iter().enumerate() {
            let max_stream_id = self.found.max_stream_id;
            let start = CheckpointStart { log: core.log, position, max_stream_id };
            let nothing = StoredSubscriptions::default();
            let subscriptions = if index == 0 { &self.found.subscriptions } else { &nothing };
            let of_core = streams.remove(&index).unwrap_or_default();
            write(&**self.disk, self.dir, core.log, &encode(start, &of_core, subscriptions))?;
        }
        let dir = self.dir.join(CHECKPOINTS_NAME);
        self.disk.sync_dir(&dir).context("sync", &dir)?;
        Ok(layout)
    }

    /// Later than every record so far.
    fn last_lsn(&self) -> Lsn {
        let ends = self.found.logs.iter().filter_map(|log| log.end).map(|end| end.lsn);
        let streams = self.found.streams.values().map(|found| found.stream.last_lsn);
        ends.chain(streams).max().unwrap_or_default()
    }
}

/// Writes the file in which lost bytes have their places.
pub(crate) fn write_lost_file(
    disk: &dyn Disk,
    dir: &Path,
    segment: SegmentRef,
) -> Result<(), IoFailure> {
    let (path, log_dir) = (segment.path(dir), segment.log.dir(dir));
    disk.create_dir(&log_dir).context("create", &log_dir)?;
    let file = disk.create(&path).context("create", &path)?;
    let mut bytes = vec![0; LOST_FILE_BYTES as usize];
    bytes[..LOST_MAGIC.len()].copy_from_slice(&LOST_MAGIC);
    file.write_at(&bytes, 0).context("write", &path)?;
    file.sync().context("sync", &path)?;
    disk.sync_dir(&log_dir).context("sync", &log_dir)
}

/// The stream with a place for every byte: those that are lost lie in `lost`.
pub(crate) fn with_places(
    found: &FoundStream,
    lost: Option<SegmentRef>,
    rewritten: &Rewritten,
) -> StoredStream {
    let state = &found.stream.state;
    let mut extents = Extents::default();
    let needed = first_needed(&found.stream);
    let mut at = found.stream.extents.first().map_or(needed, |first| first.min(needed));
    let mut push = |span: ReadSpan| {
        let is_placed = lost.is_none_or(|file| place_lost(&mut extents, file, (at, span.position)));
        // Both are in order: see `Extents`.
        if is_placed && extents.push(span) {
            at = span.position + u64::from(span.len);
        }
    };
    for span in found.stream.extents.iter().filter(|span| !found.is_lost(span)) {
        if rewritten.damaged.contains(&span.location.segment) {
            let from = Bound::Included((state.id, span.position));
            let to = Bound::Excluded((state.id, span.position + u64::from(span.len)));
            rewritten.places.range((from, to)).for_each(|(_, span)| push(*span));
        } else {
            push(span);
        }
    }
    if let Some(file) = lost {
        let is_placed = place_lost(&mut extents, file, (at, state.tail));
        debug_assert!(is_placed, "the tail is behind every place");
    }
    StoredStream { extents, ..found.stream.clone() }
}

/// The segments in which streams have bytes that can be read.
pub(crate) fn used_segments(found: &Inspection) -> BTreeSet<SegmentRef> {
    let mut used = BTreeSet::new();
    for stream in found.streams.values() {
        let spans = stream.stream.extents.iter().filter(|span| !stream.is_lost(span));
        used.extend(spans.map(|span| span.location.segment));
    }
    used
}

fn file_of(segment: SegmentRef) -> PathBuf {
    PathBuf::from(segment.to_string())
}

/// Good bytes of damaged files, and where they are now.
pub(crate) struct Rewritten {
    pub(crate) damaged: BTreeSet<SegmentRef>,
    pub(crate) places: Places,
}

/// What forks have lost, a line for each range: stream, from, to.
pub(crate) const ORPHANED_NAME: &str = "orphaned.txt";
/// What the quarantine says about itself.
const REPORT_NAME: &str = "report.txt";
