//! Another number of cores, or another placement: every stream gets its new core.
//!
//! Invariant: new logs have new ids and the old segments keep their names, so extents stay valid;
//! the old layout stays complete until the new `LAYOUT` replaces it in one step.

use std::path::Path;
use std::sync::Arc;

use thalweg_proto::stream::record::StreamId;

use super::log::RecoveredLog;
use super::{Place, RecoveryError, StoredStream, StoredSubscriptions, create_dirs};
use crate::checkpoint::{CheckpointEncoder, CheckpointStart, FinishedCheckpoint};
use crate::disk::{self, Disk};
use crate::error::{IoContext, IoFailure};
use crate::layout::{CHECKPOINTS_NAME, Layout, checkpoint_name};
use crate::location::{LogId, LogPosition, Lsn};
use crate::writer::ResumePoint;

/// The number of the checkpoint with which a new log begins.
pub(crate) const FIRST_CHECKPOINT: u64 = 1;

pub(super) fn relayout(
    (disk, data_dir): (&Arc<dyn Disk>, &Path),
    (old, logs): (&Layout, Vec<RecoveredLog>),
    (cores, place): (usize, &Place<'_>),
    (subscriptions, max_stream_id): (&StoredSubscriptions, StreamId),
) -> Result<(Layout, Vec<RecoveredLog>), RecoveryError> {
    let layout = old.with_new_logs(cores, FIRST_CHECKPOINT, None);
    // Later than every record so far: a stream's last record stays behind the log's beginning.
    let last_lsn = logs.iter().map(|log| log.resume.position.lsn).max().unwrap_or_default();
    let position = LogPosition::origin(last_lsn);
    let placed = place_streams(logs, cores, place);
    create_dirs(&**disk, data_dir, layout.cores.iter().map(|core| core.log))?;
    let mut new_logs = Vec::with_capacity(cores);
    for (index, (core, streams)) in layout.cores.iter().zip(placed).enumerate() {
        let start = CheckpointStart { log: core.log, position, max_stream_id };
        // Subscriptions belong to the first core.
        let nothing = StoredSubscriptions::default();
        let subscriptions = if index == 0 { subscriptions } else { &nothing };
        let checkpoint = encode(start, &streams, subscriptions);
        write(&**disk, data_dir, core.log, &checkpoint)?;
        new_logs.push(begin_log(start, streams, last_lsn));
    }
    let dir = data_dir.join(CHECKPOINTS_NAME);
    disk.sync_dir(&dir).context("sync", &dir)?;
    layout.store(&**disk, data_dir)?;
    Ok((layout, new_logs))
}

fn place_streams(
    logs: Vec<RecoveredLog>,
    cores: usize,
    place: &Place<'_>,
) -> Vec<Vec<StoredStream>> {
    let mut placed: Vec<Vec<StoredStream>> = (0..cores).map(|_| Vec::new()).collect();
    for stream in logs.into_iter().flat_map(|log| log.streams) {
        let core = place(&stream.state.path);
        assert!(core < cores, "a path is placed on one of {cores} cores, got {core}");
        placed[core].push(stream);
    }
    for streams in &mut placed {
        streams.sort_unstable_by_key(|stream| stream.state.id);
    }
    placed
}

pub(crate) fn encode(
    start: CheckpointStart,
    streams: &[StoredStream],
    subscriptions: &StoredSubscriptions,
) -> FinishedCheckpoint {
    let last_lsn: Lsn = start.position.lsn;
    let mut encoder = CheckpointEncoder::begin(start);
    for stream in streams {
        encoder.add(&stream.state, &stream.extents, stream.last_lsn, last_lsn);
    }
    let snapshot = subscriptions.snapshot.as_deref();
    encoder.finish_with_events(last_lsn, snapshot, &subscriptions.events)
}

pub(crate) fn write(
    disk: &dyn Disk,
    data_dir: &Path,
    log: LogId,
    checkpoint: &FinishedCheckpoint,
) -> Result<(), IoFailure> {
    let dir = data_dir.join(CHECKPOINTS_NAME);
    let name = checkpoint_name(log, FIRST_CHECKPOINT);
    let path = dir.join(&name);
    disk::replace(disk, &dir, &name, &checkpoint.chunks.concat()).context("write", &path)
}

fn begin_log(start: CheckpointStart, streams: Vec<StoredStream>, last_lsn: Lsn) -> RecoveredLog {
    let position = LogPosition::origin(last_lsn);
    RecoveredLog {
        census: streams.iter().collect(),
        streams,
        subscriptions: StoredSubscriptions::default(),
        max_stream_id: start.max_stream_id,
        resume: ResumePoint { log: start.log, position, segment: None },
        used_checkpoint: FIRST_CHECKPOINT,
        next_checkpoint: FIRST_CHECKPOINT + 1,
        begun: Vec::new(),
        older_start: position.segment,
        newer_start: position.segment,
        keeps_older: false,
    }
}
