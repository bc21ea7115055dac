//! The log's task: takes groups from the shard, writes them, says what is durable.
//!
//! One write is in flight per core; what arrives meanwhile is the next group, and the pace says
//! whether that waits a moment for more. A failed write or
//! sync stops the process: after a failed sync nobody knows what is on the disk.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use thalweg_storage::{Group, SegmentRef, TakeGroup};

use super::Core;
use super::files::is_out_of_descriptors;
use crate::config::Durability;
use crate::metrics::COUNTS;
use crate::rt::Timer;

impl Core {
    /// Writes groups for ever. Returns at once where there is no log.
    pub async fn run_log(self: Rc<Core>) {
        if !self.shard.borrow_mut().log().is_durable() {
            return;
        }
        if self.config.durability == Durability::Async {
            crate::rt::spawn(Rc::clone(&self).run_syncs());
        }
        let timer = self.start_group_timer();
        loop {
            self.request_segment_ahead();
            if self.is_frozen() || !self.group_is_due() {
                self.log_news.notified().await;
                continue;
            }
            let next = self.shard.borrow_mut().log().take_group();
            match next {
                TakeGroup::Nothing => self.log_news.notified().await,
                TakeGroup::NeedSegment { segment, min_bytes } => {
                    self.request_segment(segment, min_bytes);
                    self.log_news.notified().await;
                }
                TakeGroup::Group(group) => self.write(group, timer.as_deref()).await,
            }
        }
    }

    async fn write(self: &Rc<Core>, mut group: Group, timer: Option<&Timer>) {
        let began = self.clock.instant();
        loop {
            let file = match self.files.for_writing(self, group.segment) {
                Ok(file) => file,
                // Nothing was written yet, and connections come and go.
                Err(error) if is_out_of_descriptors(&error) => {
                    tracing::warn!(core = self.id, %error, "no descriptor for the log; appends wait");
                    crate::rt::sleep(DESCRIPTOR_PAUSE).await;
                    continue;
                }
                Err(error) => fatal("open", group.segment, &error),
            };
            let bytes = std::mem::take(&mut group.bytes);
            let (result, bytes) = file.write_all_at(bytes, group.file_offset).await;
            group.bytes = bytes;
            match result {
                Ok(()) => break,
                // Refused before anything was written.
                Err(error)
                    if error.kind() == io::ErrorKind::InvalidInput
                        && self.files.write_through_cache() => {}
                Err(error) => fatal("write", group.segment, &error),
            }
        }
        let group_bytes = group.bytes.len();
        self.count_group(&group, began);
        self.pace_next(&group, timer);
        self.with_shard(|shard, now| {
            let placements = std::mem::take(&mut group.placements);
            for placement in &placements {
                shard.log().placed(placement);
            }
            shard.log().written(group);
            let durable = shard.log().durable();
            shard.committed(durable, &placements, now);
        });
        self.checkpoint_if_due(group_bytes);
    }

    fn count_group(&self, group: &Group, began: Instant) {
        if !COUNTS {
            return;
        }
        let now = self.clock.instant();
        self.metrics.group_written.set(Some(now));
        let durable = self.shard.borrow_mut().log().durable();
        self.metrics.group_write.record_time(now - began);
        self.metrics.group_bytes.record(group.bytes.len() as u64);
        self.metrics.group_records.record(group.last_lsn.0.saturating_sub(durable.0));
    }

    /// Whether a group should be written as soon as none is in flight.
    fn group_is_due(&self) -> bool {
        let (records, bytes) = self.pending();
        let due = self.pace.borrow_mut().is_due(records, || self.clock.instant());
        due || bytes >= LARGE_GROUP_BYTES
    }

    /// The same without a look at the clock: the alarm sees to that.
    pub(super) fn group_is_full(&self) -> bool {
        let (records, bytes) = self.pending();
        records > 0 && (self.pace.borrow().is_reached(records) || bytes >= LARGE_GROUP_BYTES)
    }

    fn pending(&self) -> (u64, usize) {
        let mut shard = self.shard.borrow_mut();
        let log = shard.log();
        (log.pending_records(), log.pending_bytes())
    }

    /// A group is written and will be acknowledged at once: says how long the next may wait.
    fn pace_next(&self, group: &Group, timer: Option<&Timer>) {
        let Some(timer) = timer else { return };
        let pending = {
            let mut shard = self.shard.borrow_mut();
            let log = shard.log();
            (group.last_lsn.0 - log.durable().0, log.last().0 - group.last_lsn.0)
        };
        let mut pace = self.pace.borrow_mut();
        if let Some(time) = pace.written(pending.0, pending.1, self.clock.instant())
            && timer.set(time).is_err()
        {
            pace.stop_waiting();
        }
    }

    /// The alarm that ends a wait for more records; without one, no group waits.
    fn start_group_timer(self: &Rc<Core>) -> Option<Rc<Timer>> {
        let timer = Rc::new(Timer::new().ok()??);
        let (core, alarm) = (Rc::clone(self), Rc::clone(&timer));
        crate::rt::spawn(async move {
            while alarm.rung().await.is_ok() {
                core.log_news.notify();
            }
            core.pace.borrow_mut().stop_waiting();
            core.log_news.notify();
        });
        Some(timer)
    }

    /// `durability = "async"`: syncs on a timer what was acknowledged before.
    async fn run_syncs(self: Rc<Core>) {
        loop {
            crate::rt::sleep(self.config.async_sync_interval).await;
            self.sync_log().await;
        }
    }

    /// Makes durable what was acknowledged early.
    pub async fn sync_log(&self) {
        for (segment, file) in self.files.unsynced() {
            let began = self.clock.instant();
            if let Err(error) = file.sync_data().await {
                fatal("sync", segment, &error);
            }
            self.metrics.sync.record_time(self.clock.instant() - began);
        }
    }
}

/// A group of so many bytes is worth a write of its own.
const LARGE_GROUP_BYTES: usize = 256 * 1024;
/// How long the log waits for a descriptor before it tries again.
const DESCRIPTOR_PAUSE: Duration = Duration::from_millis(50);

fn fatal(action: &str, segment: SegmentRef, error: &io::Error) -> ! {
    tracing::error!(
        action,
        ?segment,
        %error,
        "the log failed; stopping, because what is on the disk is not known any more"
    );
    crate::rt::fatal();
}
