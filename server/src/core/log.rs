//! The log's task: takes groups from the shard, writes them, says what is durable.
//!
//! One write is in flight per core; what arrives meanwhile is the next group. A failed write or
//! sync stops the process: after a failed sync nobody knows what is on the disk.

use std::io;
use std::rc::Rc;

use thalweg_storage::{Group, SegmentRef, TakeGroup};

use super::Core;
use crate::config::Durability;

impl Core {
    /// Writes groups for ever. Returns at once where there is no log.
    pub async fn run_log(self: Rc<Core>) {
        if !self.shard.borrow_mut().log().is_durable() {
            return;
        }
        if self.config.durability == Durability::Async {
            crate::rt::spawn(Rc::clone(&self).run_syncs());
        }
        loop {
            self.request_segment_ahead();
            let next = self.shard.borrow_mut().log().take_group();
            match next {
                TakeGroup::Nothing => self.log_news.notified().await,
                TakeGroup::NeedSegment { segment, min_bytes } => {
                    self.request_segment(segment, min_bytes);
                    self.log_news.notified().await;
                }
                TakeGroup::Group(group) => self.write(group).await,
            }
        }
    }

    async fn write(self: &Rc<Core>, mut group: Group) {
        let file = match self.files.for_writing(self, group.segment) {
            Ok(file) => file,
            Err(error) => fatal("open", group.segment, &error),
        };
        let (result, bytes) =
            file.write_all_at(std::mem::take(&mut group.bytes), group.file_offset).await;
        if let Err(error) = result {
            fatal("write", group.segment, &error);
        }
        let group_bytes = bytes.len();
        group.bytes = bytes;
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
            if let Err(error) = file.sync_data().await {
                fatal("sync", segment, &error);
            }
        }
    }
}

fn fatal(action: &str, segment: SegmentRef, error: &io::Error) -> ! {
    tracing::error!(
        action,
        ?segment,
        %error,
        "the log failed; stopping, because what is on the disk is not known any more"
    );
    std::process::abort();
}
