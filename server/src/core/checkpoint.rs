//! Checkpoints: written in the background, a slice of streams at a time, so that a restart reads
//! the newest one and the log after it, and not all of history.

use std::rc::Rc;
use std::time::{Duration, Instant};

use thalweg_proto::stream::record::StreamId;
use thalweg_storage::checkpoint::{CheckpointStart, SYNC_LOG};
use thalweg_storage::{CheckpointEncoder, LogPosition, StorageError};

use super::Core;
use crate::config::limits::CHECKPOINT_LOG_BYTES;
use crate::helper::Work;
use crate::rt;

/// Streams that are encoded before other work gets its turn.
const SLICE_STREAMS: usize = 256;
/// The same while the server stops: there is hardly any other work.
const LAST_SLICE_STREAMS: usize = 4096;
/// Records whose places are encoded before other work gets its turn.
const SLICE_RECORDS: usize = 16 * 1024;
/// How long after a checkpoint failed it is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(30);
/// How long other work gets.
const SLICE_PAUSE: Duration = Duration::from_millis(1);

/// A log of so many bytes behind a checkpoint is read back in a moment.
const SHORT_REPLAY_BYTES: u64 = 4 * 1024 * 1024;
/// A log of less than this part of a checkpoint is read back sooner than the checkpoint is written.
const REPLAY_FRACTION: u64 = 8;

/// How far the checkpoints of a core are.
#[derive(Clone, Copy, Default)]
pub(super) struct Progress {
    /// Bytes of log written since the newest checkpoint began.
    log_bytes: u64,
    /// Bytes of the newest checkpoint of this process.
    file_bytes: u64,
    running: bool,
    /// This process has written one.
    installed: bool,
    /// Bytes of log behind the newest one that is installed, while another is being written.
    before: u64,
    /// The last one failed; it is tried again after a pause.
    failed: bool,
    began: Option<Instant>,
}

impl Progress {
    /// Whether a restart gains nothing by another checkpoint: this process has written one, and
    /// the log behind it is short.
    fn is_recent(&self) -> bool {
        let short = SHORT_REPLAY_BYTES.max(self.file_bytes / REPLAY_FRACTION);
        self.installed && !self.running && !self.failed && self.log_bytes <= short
    }
}

impl Core {
    /// A group of so many bytes was written.
    pub(super) fn checkpoint_if_due(self: &Rc<Core>, group_bytes: usize) {
        let mut progress = self.checkpoints.get();
        progress.log_bytes += group_bytes as u64;
        self.checkpoints.set(progress);
        // Small segments are for little space: their log is kept short as well, but no checkpoint
        // is written for less log than it is long itself.
        let due = (2 * self.config.storage.segment_bytes).max(progress.file_bytes);
        if progress.log_bytes >= due.min(CHECKPOINT_LOG_BYTES) {
            self.checkpoint();
        }
    }

    /// So many bytes come free with checkpoints: they are worth some, if they are more than the
    /// checkpoints themselves.
    pub(super) fn checkpoint_for_space(self: &Rc<Core>, bytes: u64) {
        let progress = self.checkpoints.get();
        if bytes >= 2 * progress.file_bytes && !progress.failed {
            self.checkpoint();
        }
    }

    /// Begins a checkpoint, unless one is being written.
    pub fn checkpoint(self: &Rc<Core>) {
        let position = self.shard.borrow_mut().log().position();
        let progress = self.checkpoints.get();
        let Some(position) = position.filter(|_| !progress.running) else { return };
        let began = Some(self.clock.instant());
        self.checkpoints.set(Progress {
            log_bytes: 0,
            before: progress.before + progress.log_bytes,
            running: true,
            failed: false,
            began,
            ..progress
        });
        rt::spawn(Rc::clone(self).write_checkpoint(position));
    }

    /// Whether a checkpoint is being written.
    #[must_use]
    pub fn is_checkpointing(&self) -> bool {
        self.checkpoints.get().running
    }

    /// Begins the last checkpoint of a server that stops, unless it would be of no use.
    pub fn last_checkpoint(self: &Rc<Core>) {
        if self.checkpoints.get().is_recent() {
            let bytes = self.replay_bytes();
            tracing::debug!(
                core = self.id,
                bytes,
                "no last checkpoint: the log behind one is short"
            );
        } else {
            self.checkpoint();
        }
    }

    /// Bytes of log behind the newest checkpoint of this process: what a restart would replay.
    #[must_use]
    pub fn replay_bytes(&self) -> u64 {
        let progress = self.checkpoints.get();
        progress.before + progress.log_bytes
    }

    async fn write_checkpoint(self: Rc<Core>, position: LogPosition) {
        let start = self.checkpoint_start(position);
        let mut encoder = CheckpointEncoder::begin(start);
        let mut after = Some(StreamId(0));
        while let Some(last) = after {
            after = self.encode_slice(&mut encoder, last, start.max_stream_id);
            self.helper.send(Work::CheckpointChunks(self.id, encoder.take_chunks()));
            rt::sleep(SLICE_PAUSE).await;
        }
        let subscriptions = self.with_subscriptions(|subscriptions| subscriptions.snapshot());
        let last = self.shard.borrow_mut().log().last();
        let finished = encoder.finish(last, subscriptions.as_deref());
        self.checkpoints.set(Progress { file_bytes: finished.bytes, ..self.checkpoints.get() });
        let durable = loop {
            let durable = self.shard.borrow_mut().log().position();
            match durable {
                Some(durable) if durable.lsn >= finished.needs => break durable,
                _ => rt::sleep(SLICE_PAUSE).await,
            }
        };
        self.helper.send(Work::CheckpointEnd(self.id, Box::new(finished), durable));
    }

    fn checkpoint_start(&self, position: LogPosition) -> CheckpointStart {
        let mut shard = self.shard.borrow_mut();
        shard.log().checkpoint_begins();
        let (log, max_stream_id) = (shard.log().id(), shard.max_stream_id());
        CheckpointStart { log, position, max_stream_id }
    }

    /// Adds the next streams; returns the last one added while there may be more.
    fn encode_slice(
        &self,
        encoder: &mut CheckpointEncoder,
        after: StreamId,
        until: StreamId,
    ) -> Option<StreamId> {
        let mut shard = self.shard.borrow_mut();
        let placed = shard.log().durable();
        let mut last = None;
        // Streams made since the beginning are in the log behind it.
        let slots = shard.streams_after(Some(after)).take_while(|slot| slot.state.id <= until);
        let mut records = 0;
        let most = if self.draining.get() { LAST_SLICE_STREAMS } else { SLICE_STREAMS };
        for slot in slots.take(most) {
            last = Some(slot.state.id);
            records += slot.extents.len();
            // A stream whose deletion is on its way is gone as soon as the checkpoint counts.
            if !slot.deleted {
                encoder.add(&slot.state, &slot.extents, slot.last_lsn, placed);
            }
            if records >= SLICE_RECORDS {
                break;
            }
        }
        last
    }

    pub(super) fn checkpoint_done(self: &Rc<Core>, result: Result<LogPosition, StorageError>) {
        let progress = self.checkpoints.get();
        let failed = result.is_err();
        let before = if failed { progress.before } else { 0 };
        let installed = progress.installed || !failed;
        self.checkpoints.set(Progress { running: false, failed, installed, before, ..progress });
        match result {
            Ok(start) => {
                tracing::debug!(core = self.id, segment = start.segment, "checkpoint written");
                let took = progress.began.map(|began| self.clock.instant() - began);
                self.metrics.last_checkpoint.set(took.unwrap_or_default());
                self.metrics.checkpoint_installed.set(self.clock.now());
                self.metrics.checkpoints.increment();
                self.shard.borrow_mut().log().checkpoint_installed(start.segment);
            }
            Err(StorageError::Io(error)) if error.action == SYNC_LOG => {
                tracing::error!(%error, "a sync failed; stopping: the disk cannot be trusted");
                rt::fatal();
            }
            Err(error) => {
                tracing::error!(core = self.id, %error, "checkpoint failed");
                self.metrics.checkpoint_failures.increment();
                let core = Rc::clone(self);
                rt::spawn(async move {
                    rt::sleep(RETRY_PAUSE).await;
                    core.checkpoint();
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_checkpoint_is_written_where_it_saves_time() {
        const MIB: u64 = 1024 * 1024;
        let progress = |file_bytes, log_bytes| Progress {
            file_bytes,
            log_bytes,
            installed: true,
            ..Progress::default()
        };
        for (what, progress, want) in [
            ("the first of this process", Progress::default(), false),
            ("nothing since", progress(MIB, 0), true),
            ("a little since", progress(MIB, 4 * MIB), true),
            ("much since", progress(MIB, 5 * MIB), false),
            ("little beside a large one", progress(800 * MIB, 100 * MIB), true),
            ("much beside a large one", progress(800 * MIB, 101 * MIB), false),
            ("it has failed", Progress { failed: true, ..progress(MIB, 0) }, false),
            ("one is under way", Progress { running: true, ..progress(MIB, 0) }, false),
        ] {
            assert_eq!(progress.is_recent(), want, "{what}");
        }
    }
}
