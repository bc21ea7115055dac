//! A copy of a data directory that version 1 can read.
//!
//! ```text
//! Inspection -> every record of every stream, into plain segments -> checkpoints -> LAYOUT -> FORMAT
//! ```
//!
//! Invariant: the source is not touched. What version 1 cannot express is listed before anything
//! is written ([`obstacles`]); told to drop it, retention settings go, and bytes that retention has
//! dropped become lost ones: reading them is an error, their offsets stay taken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::config::StreamConfig;
use thalweg_proto::stream::record::Record;
use thalweg_proto::stream::retention::Retention;

use crate::checkpoint::{CheckpointEncoder, CheckpointStart};
use crate::data_dir::FORMAT_NAME;
use crate::disk::{self, Disk};
use crate::error::{IoContext, IoFailure};
use crate::extents::Extents;
use crate::inspect::{FoundStream, Inspection, Look};
use crate::layout::{CHECKPOINTS_NAME, LAYOUT_NAME, Layout};
use crate::location::{LogId, LogPosition, Lsn, SegmentRef};
use crate::recovery::StoredSubscriptions;
use crate::recovery::relayout::{FIRST_CHECKPOINT, write};
use crate::repair::{Rewritten, used_segments, with_places, write_lost_file};
use crate::rewrite::rewrite;
use crate::segment::SEGMENT_HEADER_BYTES;

/// The version that is written.
pub const DOWNGRADED_VERSION: u32 = 1;

/// Something that version 1 cannot express.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// A stream has a retention of its own.
    Retention(StreamPath, Retention),
    /// The beginning of a stream was dropped: it begins at this position.
    Trimmed(StreamPath, u64),
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Obstacle::Retention(path, Retention { bytes, seconds }) => {
                write!(f, "stream `{path}` keeps")?;
                if let Some(bytes) = bytes {
                    write!(f, " at most {bytes} bytes")?;
                }
                if let Some(seconds) = seconds {
                    write!(f, " at most {seconds} seconds")?;
                }
                Ok(())
            }
            Obstacle::Trimmed(path, earliest) => {
                write!(f, "stream `{path}` begins at {earliest}: retention has dropped the rest")
            }
        }
    }
}

/// What version 1 cannot express.
#[must_use]
pub fn obstacles(found: &Inspection) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    for FoundStream { stream, .. } in found.streams.values() {
        let state = &stream.state;
        if state.config.retention != Retention::default() {
            obstacles.push(Obstacle::Retention(state.path.clone(), state.config.retention));
        }
        if state.earliest > 0 {
            obstacles.push(Obstacle::Trimmed(state.path.clone(), state.earliest));
        }
    }
    obstacles
}

/// Writes the copy into an empty directory, without what [`obstacles`] lists.
pub fn downgrade(
    (disk, from): (&Arc<dyn Disk>, &Path),
    to: &Path,
    found: &Inspection,
    created_by: &str,
) -> Result<(), IoFailure> {
    let mut layout = found.layout.clone();
    let used = found.logs.iter().map(|log| log.log.0 + 1).max().unwrap_or(0);
    layout.next_log = layout.next_log.max(used);
    let streams: Vec<FoundStream> = found.streams.values().map(plain).collect();
    let lost = SegmentRef { log: LogId(layout.next_log), number: 1 };
    let log = LogId(layout.next_log + 1);
    layout.next_log += 2;
    let is_lossy = streams.iter().any(|stream| !stream.lost.is_empty());
    if is_lossy {
        write_lost_file(&**disk, to, lost)?;
    }
    let look = Look { disk: &**disk, dir: from, progress: &|_| {} };
    let change = |record| plain_record(record);
    let places = rewrite(look, (disk, to), log, streams.iter(), &|_| true, &change)?;
    let rewritten = Rewritten { damaged: used_segments(found), places };
    mark_segments(&**disk, to, log)?;
    let mut cores: BTreeMap<usize, Vec<FoundStream>> = BTreeMap::new();
    let count = layout.cores.len().max(1);
    for found in streams {
        let stream = with_places(&found, is_lossy.then_some(lost), &rewritten);
        let core = found.core.min(count - 1);
        cores.entry(core).or_default().push(FoundStream { stream, ..found });
    }
    let layout = layout.with_new_logs(count, FIRST_CHECKPOINT, None);
    write_checkpoints((&**disk, to), found, &layout, cores)?;
    let text = format!("format = {DOWNGRADED_VERSION}\ncreated-by = {created_by}\n");
    disk::replace(&**disk, to, FORMAT_NAME, text.as_bytes())
        .context("write", &to.join(FORMAT_NAME))?;
    let bytes = layout.encode_version(DOWNGRADED_VERSION);
    disk::replace(&**disk, to, LAYOUT_NAME, &bytes).context("write", &to.join(LAYOUT_NAME))
}

/// The stream without retention: it begins where version 1 says that it begins, and what is
/// dropped of it is lost.
fn plain(found: &FoundStream) -> FoundStream {
    let mut found = found.clone();
    let state = &mut found.stream.state;
    plain_config(&mut state.config);
    state.ages = None;
    state.earliest = 0;
    let start = state.start();
    let first = found.stream.extents.first().unwrap_or(state.tail);
    if first > start {
        found.lost.insert(0, (start, first));
    }
    found
}

fn plain_config(config: &mut StreamConfig) {
    config.retention = Retention::default();
    if let Some(fork) = &mut config.fork {
        fork.inherits_from = 0;
    }
}

fn plain_record(mut record: Record) -> Record {
    if let Record::Create { config, .. } = &mut record {
        plain_config(config);
    }
    record
}

/// Writes the version into the headers of a log's segments.
fn mark_segments(disk: &dyn Disk, dir: &Path, log: LogId) -> Result<(), IoFailure> {
    let log_dir = log.dir(dir);
    for name in disk.list(&log_dir).context("list", &log_dir)? {
        let path: PathBuf = log_dir.join(name);
        let file = disk.open(&path).context("open", &path)?;
        let mut block = vec![0; SEGMENT_HEADER_BYTES];
        file.read_at(&mut block, 0).context("read", &path)?;
        let crc_at = block.len() - 4;
        block[8..12].copy_from_slice(&DOWNGRADED_VERSION.to_le_bytes());
        let crc = crc32c::crc32c(&block[..crc_at]);
        block[crc_at..].copy_from_slice(&crc.to_le_bytes());
        file.write_at(&block, 0).context("write", &path)?;
        file.sync().context("sync", &path)?;
    }
    Ok(())
}

fn write_checkpoints(
    (disk, to): (&dyn Disk, &Path),
    found: &Inspection,
    layout: &Layout,
    mut cores: BTreeMap<usize, Vec<FoundStream>>,
) -> Result<(), IoFailure> {
    let dirs = layout.cores.iter().map(|core| core.log.dir(to));
    for dir in dirs.chain([to.join(CHECKPOINTS_NAME)]) {
        disk.create_dir(&dir).context("create", &dir)?;
    }
    let ends = found.logs.iter().filter_map(|log| log.end).map(|end| end.lsn);
    let lsns = found.streams.values().map(|found| found.stream.last_lsn);
    let last_lsn: Lsn = ends.chain(lsns).max().unwrap_or_default();
    let position = LogPosition::origin(last_lsn);
    for (index, core) in layout.cores.iter().enumerate() {
        let max_stream_id = found.max_stream_id;
        let start = CheckpointStart { log: core.log, position, max_stream_id };
        let mut encoder = CheckpointEncoder::begin_version(DOWNGRADED_VERSION, start);
        for FoundStream { stream, .. } in cores.remove(&index).unwrap_or_default() {
            let extents: &Extents = &stream.extents;
            encoder.add(&stream.state, extents, stream.last_lsn, last_lsn);
        }
        let nothing = StoredSubscriptions::default();
        let stored = if index == 0 { &found.subscriptions } else { &nothing };
        let snapshot = stored.snapshot.as_deref();
        let finished = encoder.finish_with_events(last_lsn, snapshot, &stored.events);
        write(disk, to, core.log, &finished)?;
    }
    disk.sync_dir(to).context("sync", to)
}
