//! Start-up: from files to streams, blocking.
//!
//! ```text
//! LAYOUT -> per log: newest good checkpoint -> its log tail -> streams
//!        -> same cores and placement: go on in the same segments
//!        -> otherwise: new logs, new checkpoints, then LAYOUT in one step
//! ```
//!
//! Invariants: records act through `StreamState::apply` alone; a torn tail is dropped, since it
//! was never acknowledged, but damage with acknowledged data behind it is refused; until the new
//! LAYOUT is durable, nothing that the old one needs is touched. Deliberately absent: fork
//! references, which the server counts from the streams it gets.

mod census;
mod cleanup;
mod error;
mod files;
mod log;
pub(crate) mod relayout;
mod replay;
mod tail;
mod trim;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::StreamState;
use thalweg_proto::stream::record::StreamId;

pub use error::{Corruption, Finding, RecoveryError};

use crate::disk::{self, Disk};
use crate::error::{IoContext, IoFailure};
use crate::extents::Extents;
use crate::layout::{CHECKPOINTS_NAME, LAYOUT_NAME, Layout, LayoutFile};
use crate::location::{LogId, Lsn, SegmentRef};
use crate::parallel;
use crate::segments::SegmentTable;
use crate::writer::ResumePoint;
use log::RecoveredLog;

/// A stream with the places of its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredStream {
    /// Its state.
    pub state: StreamState,
    /// Where its bytes lie.
    pub extents: Extents,
    /// The last record applied to it, in the log of the core that had it.
    pub last_lsn: Lsn,
}

/// What a core starts with.
#[derive(Debug)]
pub struct CoreRecovery {
    /// The streams that `place` gives to this core, ascending by id.
    pub streams: Vec<StoredStream>,
    /// Where its log goes on.
    pub resume: ResumePoint,
    /// What its segments hold.
    pub segments: SegmentTable,
}

/// The subscription state of the server.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoredSubscriptions {
    /// The newest snapshot given to a checkpoint.
    pub snapshot: Option<Bytes>,
    /// The events after it, in log order.
    pub events: Vec<Bytes>,
}

/// What recovery read, for the start-up message and metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RecoveryStats {
    /// Streams recovered.
    pub streams: u64,
    /// Bytes of checkpoints read.
    pub checkpoint_bytes: u64,
    /// Checkpoints that were damaged, so that an older one was used.
    pub checkpoints_damaged: u64,
    /// Segments of log tails read.
    pub segments: u64,
    /// Records replayed.
    pub records: u64,
    /// Bytes of the groups replayed.
    pub log_bytes: u64,
    /// Blocks behind the ends of the logs, in bytes, that an unfinished write left.
    pub torn_tail_bytes: u64,
    /// Whether streams were moved to other cores.
    pub relayout: bool,
}

impl RecoveryStats {
    /// Counts what was read of another log.
    fn add(&mut self, other: &RecoveryStats) {
        self.checkpoint_bytes += other.checkpoint_bytes;
        self.checkpoints_damaged += other.checkpoints_damaged;
        self.segments += other.segments;
        self.records += other.records;
        self.log_bytes += other.log_bytes;
        self.torn_tail_bytes += other.torn_tail_bytes;
    }
}

/// Everything that was stored.
pub struct Recovery {
    /// One entry for each core.
    pub cores: Vec<CoreRecovery>,
    /// The layout in force; checkpoints are installed in it.
    pub layout: Arc<LayoutFile>,
    /// Subscriptions.
    pub subscriptions: StoredSubscriptions,
    /// The largest stream id ever given out; 0 if none was.
    pub max_stream_id: StreamId,
    /// What was read.
    pub stats: RecoveryStats,
}

/// The core of a path.
pub type Place<'a> = dyn Fn(&StreamPath) -> usize + Sync + 'a;

/// Reads a data directory, for so many cores; `place` gives the core of a path. A new directory is
/// initialized. Lock it first ([`crate::DataDirLock`]) and check its format
/// ([`crate::data_dir::check_format`]).
pub fn recover(
    disk: &Arc<dyn Disk>,
    data_dir: &Path,
    cores: usize,
    place: &Place<'_>,
) -> Result<Recovery, RecoveryError> {
    recover_on(1, disk, data_dir, cores, place)
}

/// The same, on so many threads at most: logs have nothing to do with each other. With one thread
/// the disk is asked in a fixed order.
pub fn recover_on(
    threads: usize,
    disk: &Arc<dyn Disk>,
    data_dir: &Path,
    cores: usize,
    place: &Place<'_>,
) -> Result<Recovery, RecoveryError> {
    assert!(cores > 0, "there is at least one core");
    let layout = load_layout(&**disk, data_dir, cores)?;
    let mut stats = RecoveryStats::default();
    let in_order = layout.cores.iter().copied().enumerate().collect();
    let recovered = parallel::each(threads, in_order, |(index, core)| {
        let is_here = |path: &StreamPath| place(path) == index;
        log::recover_log(&**disk, data_dir, &core, &is_here)
    });
    let mut logs = Vec::with_capacity(recovered.len());
    for log in recovered {
        let (log, read) = log?;
        stats.add(&read);
        logs.push(log);
    }
    let max_stream_id = logs.iter().map(|log| log.max_stream_id).max().unwrap_or(StreamId(0));
    let mut subscriptions = StoredSubscriptions::default();
    for log in &mut logs {
        subscriptions.snapshot = subscriptions.snapshot.or(log.subscriptions.snapshot.take());
        subscriptions.events.append(&mut log.subscriptions.events);
    }
    trim::drop_trimmed(&mut logs);
    let usage = cleanup::check_segments(&**disk, data_dir, &logs)?;
    let stored = layout.clone();
    // From here on, something may be written.
    crate::data_dir::upgrade_format(&**disk, data_dir)?;
    let (layout, logs) = if logs.len() == cores && !logs.iter().any(|log| log.census.misplaced) {
        (fallen_back(layout, &logs), logs)
    } else {
        stats.relayout = true;
        relayout::relayout(
            (disk, data_dir),
            (&layout, logs),
            (cores, place),
            (&subscriptions, max_stream_id),
        )?
    };
    let in_force = if stats.relayout { &layout } else { &stored };
    cleanup::remove_leftovers(&**disk, data_dir, in_force, &usage)?;
    stats.streams = logs.iter().map(|log| log.streams.len() as u64).sum();
    let progress = logs.iter().map(RecoveredLog::progress).collect();
    let layout = Arc::new(LayoutFile::new(Arc::clone(disk), data_dir, layout, progress));
    let files = files::list_files(&**disk, data_dir)?;
    let into_core = |log: RecoveredLog| log.into_core(&files, cores);
    let cores = parallel::each(threads, logs, into_core);
    Ok(Recovery { cores, layout, subscriptions, max_stream_id, stats })
}

/// Reads `LAYOUT`, or initializes a directory that never had one.
fn load_layout(disk: &dyn Disk, data_dir: &Path, cores: usize) -> Result<Layout, RecoveryError> {
    let path = data_dir.join(LAYOUT_NAME);
    match disk::read_all(disk, &path) {
        Ok(bytes) => {
            Layout::decode(&bytes).map_err(|damage| RecoveryError::Layout { path, damage })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            refuse_orphaned_segments(disk, data_dir)?;
            let layout = Layout::first(cores);
            create_dirs(disk, data_dir, layout.cores.iter().map(|core| core.log))?;
            layout.store(disk, data_dir)?;
            Ok(layout)
        }
        Err(source) => Err(IoFailure { action: "read", path, source }.into()),
    }
}

/// Logs without a layout are somebody's data, not a new directory.
fn refuse_orphaned_segments(disk: &dyn Disk, data_dir: &Path) -> Result<(), RecoveryError> {
    for name in disk.list(data_dir).context("list", data_dir)? {
        let Some(log) = LogId::of_dir_name(&name) else { continue };
        let dir = log.dir(data_dir);
        let files = disk.list(&dir).context("list", &dir)?;
        if files.iter().any(|file| SegmentRef::of_file_name(log, file).is_some()) {
            return Err(RecoveryError::LayoutMissing {
                path: data_dir.join(LAYOUT_NAME),
                log: dir,
            });
        }
    }
    Ok(())
}

fn create_dirs(
    disk: &dyn Disk,
    data_dir: &Path,
    logs: impl Iterator<Item = LogId>,
) -> Result<(), IoFailure> {
    let dirs = logs.map(|log| log.dir(data_dir)).chain([data_dir.join(CHECKPOINTS_NAME)]);
    for dir in dirs {
        disk.create_dir(&dir).context("create", &dir)?;
    }
    disk.sync_dir(data_dir).context("sync", data_dir)
}

/// The layout with the checkpoints that were good: a damaged one must not become the one to fall
/// back to.
fn fallen_back(mut layout: Layout, logs: &[RecoveredLog]) -> Layout {
    for (core, log) in layout.cores.iter_mut().zip(logs) {
        if core.newest != log.used_checkpoint {
            core.newest = log.used_checkpoint;
            core.previous = None;
        }
    }
    layout
}
