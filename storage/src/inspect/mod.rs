//! Looks at a data directory without changing it: every file, every sum, every reference.
//!
//! ```text
//! FORMAT, LAYOUT -> checkpoints, chunk by chunk -> logs, group by group, record by record
//!    -> streams, as recovery would have them -> every place that a stream names -> forks
//! ```
//!
//! Recovery stops at the first damage; this goes on and collects [`Finding`]s, each with file,
//! offset and the bytes of streams that cannot be read because of it. Invariants: nothing is
//! opened for writing, given a disk that does not ([`crate::ReadOnlyDisk`]); arbitrary bytes never
//! make it panic. Deliberately absent: repairs, which are in [`crate::repair`].

mod base;
mod directory;
mod finding;
mod groups;
mod log;
mod lost;
mod references;
mod relations;
mod replay;
mod sealed;
mod single;
mod stats;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use thalweg_proto::stream::record::StreamId;

pub use base::CheckpointReport;
pub use finding::{Affected, Finding, Severity};
pub(crate) use groups::salvage;
pub use log::{LogReport, LoggedRecord, SegmentReport, SegmentState, Visitor};
pub use lost::LOST_MAGIC;
pub(crate) use lost::{LOST_FILE_BYTES, place_lost};
pub use replay::FoundStream;
pub(crate) use replay::first_needed;
pub use single::{read_checkpoint, read_records};
pub use stats::{LargeStream, SegmentUse, Stats, Written};

use crate::disk::Disk;
use crate::error::IoFailure;
pub use crate::format_file::FormatFile;
use crate::layout::{CoreLayout, Layout};
use crate::location::{LogId, LogPosition, SegmentRef};
use crate::recovery::StoredSubscriptions;
use replay::Replay;
use view::View;

/// Everything that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inspection {
    /// What `FORMAT` says, if it can be read.
    pub format: Option<FormatFile>,
    /// The layout: what `LAYOUT` says, or what the other files suggest.
    pub layout: Layout,
    /// Whether `LAYOUT` could be read.
    pub layout_is_good: bool,
    /// The checkpoints that the layout names.
    pub checkpoints: Vec<CheckpointReport>,
    /// The logs, those of earlier layouts first.
    pub logs: Vec<LogReport>,
    /// The streams.
    pub streams: BTreeMap<StreamId, FoundStream>,
    /// Streams with the id of another one.
    pub duplicates: Vec<FoundStream>,
    /// Subscriptions.
    pub subscriptions: StoredSubscriptions,
    /// The largest stream id ever given out, as far as is known.
    pub max_stream_id: StreamId,
    /// Records that a start would read.
    pub tail_records: u64,
    /// What is wrong, and what is worth knowing.
    pub findings: Vec<Finding>,
}

/// Why a directory cannot be inspected at all.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The disk refused.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// It is something else.
    #[error(
        "{} is not a data directory: it has neither FORMAT nor LAYOUT nor logs",
        path.display()
    )]
    NotADataDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// A newer version wrote it.
    #[error(
        "{} has format {found} (created by {created_by}); this binary reads up to {}: use a newer one",
        path.display(), crate::format::FORMAT_VERSION
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The program that created it.
        created_by: String,
    },
    /// There is no such log.
    #[error("{} has no log {}; it has {known}", path.display(), log.0)]
    NoSuchLog {
        /// The directory.
        path: PathBuf,
        /// The log asked for.
        log: LogId,
        /// Those that there are.
        known: String,
    },
}

/// The directory that is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) dir: &'a Path,
    pub(crate) progress: &'a dyn Fn(u64),
}

/// Looks at all of a data directory. `progress` is told of bytes as they are read.
pub fn inspect(
    disk: &dyn Disk,
    dir: &Path,
    progress: &dyn Fn(u64),
) -> Result<Inspection, InspectError> {
    let look = Look { disk, dir, progress };
    let mut findings = Vec::new();
    let format = directory::format(look, &mut findings)?;
    let (layout, layout_is_good) = directory::layout(look, &mut findings)?;
    let mut found = Inspection {
        format,
        layout,
        layout_is_good,
        checkpoints: Vec::new(),
        logs: Vec::new(),
        streams: BTreeMap::new(),
        duplicates: Vec::new(),
        subscriptions: StoredSubscriptions::default(),
        max_stream_id: StreamId(0),
        tail_records: 0,
        findings,
    };
    let cores = found.layout.cores.clone();
    for log in look.logs()? {
        if cores.iter().all(|core| core.log != log) {
            let report = log::walk(look, log, None, &mut found.findings, &mut Nobody)?;
            found.logs.push(report);
        }
    }
    for (index, core) in cores.iter().enumerate() {
        found.add_core(look, index, core)?;
    }
    found.drop_trimmed();
    found.explain_gaps();
    references::check(look, &mut found.streams, &mut found.findings);
    let orphaned = directory::orphaned(look)?;
    relations::check(&found.streams, &orphaned, &mut found.findings);
    directory::leftovers(look, &found.layout, &mut found.findings)?;
    found.name_streams();
    Ok(found)
}

/// Reads one log from its oldest file to its end.
pub fn read_log(
    disk: &dyn Disk,
    dir: &Path,
    log: LogId,
    visitor: &mut dyn Visitor,
) -> Result<(LogReport, Vec<Finding>), InspectError> {
    let look = Look { disk, dir, progress: &|_| {} };
    let mut findings = Vec::new();
    directory::format(look, &mut findings)?;
    let (layout, _) = directory::layout(look, &mut findings)?;
    let known = look.logs()?;
    if !known.contains(&log) {
        let known: Vec<String> = known.iter().map(|log| log.0.to_string()).collect();
        let known = match known.len() {
            0 => "none".to_owned(),
            _ => known.join(", "),
        };
        return Err(InspectError::NoSuchLog { path: dir.to_owned(), log, known });
    }
    let start = match layout.cores.iter().find(|core| core.log == log) {
        Some(core) => Some(base::load(look, core, &mut Vec::new(), &mut Vec::new())?.start),
        None => None,
    };
    findings.clear();
    let report = log::walk(look, log, start, &mut findings, visitor)?;
    Ok((report, findings))
}

impl Inspection {
    /// Whether anything is damaged.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Damage)
    }

    /// The end of each core's log.
    #[must_use]
    pub fn ends(&self) -> Vec<Option<LogPosition>> {
        let end = |core: &CoreLayout| {
            self.logs.iter().find(|log| log.log == core.log).and_then(|log| log.end)
        };
        self.layout.cores.iter().map(end).collect()
    }

    fn add_core(
        &mut self,
        look: Look<'_>,
        index: usize,
        core: &CoreLayout,
    ) -> Result<(), InspectError> {
        let base = base::load(look, core, &mut self.checkpoints, &mut self.findings)?;
        let mut replay = Replay::new(index);
        let start = base.start;
        let subscriptions = (base.subscriptions, base.events);
        replay.begin(base.streams, subscriptions, base.last_lsn, base.max_stream_id);
        // The replay has the findings too, and knows which streams they concern.
        let report = log::walk(look, core.log, Some(start), &mut Vec::new(), &mut replay)?;
        let end = report.end.unwrap_or(start);
        let end_file = SegmentRef { log: core.log, number: end.segment }.to_string();
        for found in replay.finish((Path::new(&end_file), end.file_offset)) {
            let id = found.stream.state.id;
            if let Some(other) = self.streams.insert(id, found) {
                self.duplicates.push(other);
                let what = format!("two streams have the id {}", id.0);
                let file = core.log.dir(Path::new(""));
                self.findings.push(Finding::damage("duplicate-id", file, 0, what));
            }
        }
        self.findings.append(&mut replay.findings);
        self.max_stream_id = self.max_stream_id.max(replay.max_stream_id);
        self.tail_records += replay.records;
        let StoredSubscriptions { snapshot, mut events } =
            std::mem::take(&mut replay.subscriptions);
        self.subscriptions.snapshot = self.subscriptions.snapshot.take().or(snapshot);
        self.subscriptions.events.append(&mut events);
        self.logs.push(report);
        Ok(())
    }

    /// As recovery does: a checkpoint may have the places of bytes that retention has dropped since,
    /// and their files may be gone.
    fn drop_trimmed(&mut self) {
        let forks = self
            .streams
            .values()
            .filter_map(|found| found.stream.state.config.fork.as_ref().map(|fork| fork.source_id));
        let sources: BTreeSet<StreamId> = forks.collect();
        for (id, found) in &mut self.streams {
            if !sources.contains(id) {
                let _ = found.stream.extents.drop_before(found.stream.state.earliest);
            }
        }
    }

    /// Gaps that no finding in a log explains: a checkpoint says so itself.
    fn explain_gaps(&mut self) {
        for (id, found) in &self.streams {
            for &(from, to) in &found.lost {
                let is_known =
                    self.findings.iter().flat_map(|finding| &finding.affected).any(|affected| {
                        affected.id == *id && affected.from <= from && affected.to >= to
                    });
                if !is_known {
                    let file = self.layout.cores.get(found.core).map(|core| core.log);
                    let file = file.map_or(PathBuf::new(), |log| log.dir(Path::new("")));
                    let what = "bytes of the stream have no place";
                    let mut finding = Finding::damage("gap", file, 0, what);
                    finding.affects(*id, from, to);
                    self.findings.push(finding);
                }
            }
        }
    }

    fn name_streams(&mut self) {
        // A record that is damaged was found twice, if a stream names it: that one says more.
        let telling: BTreeSet<(PathBuf, u64)> = self
            .findings
            .iter()
            .filter(|finding| !finding.affected.is_empty())
            .map(|finding| (finding.file.clone(), finding.offset))
            .collect();
        self.findings.retain(|finding| {
            !finding.affected.is_empty()
                || finding.kind != "record"
                || !telling.contains(&(finding.file.clone(), finding.offset))
        });
        for affected in self.findings.iter_mut().flat_map(|finding| &mut finding.affected) {
            let found = self.streams.get(&affected.id);
            affected.path = found.map(|found| found.stream.state.path.clone());
        }
    }
}

impl<'a> Look<'a> {
    pub(crate) fn view(self, path: &Path) -> Result<Option<View<'a>>, IoFailure> {
        View::open(self.disk, path, self.progress)
    }

    /// A whole file; `None` if there is none.
    pub(crate) fn read(self, path: &Path) -> Result<Option<bytes::Bytes>, IoFailure> {
        let Some(mut view) = self.view(path)? else { return Ok(None) };
        view.bytes(0, view.len()).map(Some)
    }

    /// The numbers of a log's segments, ascending.
    pub(crate) fn numbers(self, log: LogId) -> Result<Vec<u32>, IoFailure> {
        let names = self.list(&log.dir(self.dir))?;
        let mut numbers: Vec<u32> =
            names.iter().filter_map(|name| SegmentRef::number_of(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The sealed segments of a log, ascending.
    pub(crate) fn sealed(self, log: LogId) -> Result<Vec<SegmentRef>, IoFailure> {
        let names = self.list(&log.dir(self.dir))?;
        let segments = names.iter().filter_map(|name| SegmentRef::of_file_name(log, name));
        let mut sealed: Vec<SegmentRef> = segments.filter(|name| name.is_sealed()).collect();
        sealed.sort_unstable();
        Ok(sealed)
    }

    /// The logs that have a directory, ascending.
    pub(crate) fn logs(self) -> Result<Vec<LogId>, IoFailure> {
        let names = self.list(self.dir)?;
        let mut logs: Vec<LogId> =
            names.iter().filter_map(|name| LogId::of_dir_name(name)).collect();
        logs.sort_unstable();
        Ok(logs)
    }

    pub(crate) fn list(self, dir: &Path) -> Result<Vec<String>, IoFailure> {
        use crate::error::IoContext;
        self.disk.list(dir).context("list", dir)
    }
}

/// Reads a log for what is wrong with it alone.
struct Nobody;

impl Visitor for Nobody {}
