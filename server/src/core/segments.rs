//! Segments made ahead of need, by the disk helper.
//!
//! Invariant: one request is under way at a time, and a segment that has been begun is never asked
//! for again: the helper would take its file for an unused one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use thalweg_storage::{IoFailure, PreparedSegment, SegmentRef, SegmentRequest};

use super::Core;
use crate::helper::Work;
use crate::rt;

/// How long after a segment could not be made it is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Free segments kept for recycling; the others are removed.
const SPARES: usize = 2;

/// What is asked for, and what may be recycled.
#[derive(Default)]
pub(super) struct Segments {
    under_way: Cell<bool>,
    /// The request under way names a free segment to use.
    recycling: Cell<bool>,
    spares: RefCell<Vec<SegmentRef>>,
}

impl Core {
    /// Asks for the next segment before it is needed.
    pub(super) fn request_segment_ahead(&self) {
        if self.segments.under_way.get() {
            return;
        }
        let wanted = self.shard.borrow_mut().log().wants_segment();
        if let Some(segment) = wanted {
            self.request_segment(segment, self.config.storage.segment_bytes);
        }
    }

    /// Asks for a segment of at least so many bytes. If another request is under way, its answer
    /// leads back here.
    pub(super) fn request_segment(&self, segment: SegmentRef, bytes: u64) {
        if self.segments.under_way.replace(true) {
            return;
        }
        let recycle = self.take_spare();
        self.segments.recycling.set(recycle.is_some());
        let request = SegmentRequest { segment, bytes, salt: self.random(), recycle };
        self.helper.send(Work::Segment { core: self.id, request });
    }

    /// The answer. `spare` is a free segment that was not used for it after all.
    pub(super) fn segment_prepared(
        self: &Rc<Core>,
        result: Result<PreparedSegment, IoFailure>,
        spare: Option<SegmentRef>,
    ) {
        let recycled = self.segments.recycling.get() && spare.is_none();
        self.segments.spares.borrow_mut().extend(spare);
        match result {
            Ok(segment) => {
                self.segments.under_way.set(false);
                self.metrics.segments_made.increment();
                self.metrics.segments_recycled.add(u64::from(recycled));
                self.shared.health.set_disk_full(self.id, false);
                self.with_shard(|shard, _| {
                    shard.set_disk_full(false);
                    shard.log().provide_segment(segment);
                });
                self.log_news.notify();
            }
            Err(error) if error.action == "sync" => {
                tracing::error!(%error, "a sync failed; stopping: the disk cannot be trusted");
                rt::fatal();
            }
            Err(error) => {
                tracing::error!(%error, "no segment could be made; appends are refused until one can");
                self.metrics.segment_failures.increment();
                self.shared.health.set_disk_full(self.id, true);
                self.with_shard(|shard, _| shard.set_disk_full(true));
                let core = Rc::clone(self);
                rt::spawn(async move {
                    rt::sleep(RETRY_PAUSE).await;
                    core.segments.under_way.set(false);
                    core.log_news.notify();
                });
            }
        }
    }

    /// Free segments kept for recycling; for metrics.
    pub fn free_segments(&self) -> usize {
        self.segments.spares.borrow().len()
    }

    fn take_spare(&self) -> Option<SegmentRef> {
        self.remove_spares();
        self.segments.spares.borrow_mut().pop()
    }

    /// Removes free segments that are not kept for recycling.
    pub(super) fn remove_spares(&self) {
        let mut spares = self.segments.spares.borrow_mut();
        for segment in self.shard.borrow_mut().log().take_free() {
            self.files.close(segment);
            spares.push(segment);
        }
        while spares.len() > SPARES {
            if let Some(segment) = spares.pop() {
                self.count_reclaimed(self.config.storage.segment_bytes);
                self.metrics.segments_removed.increment();
                self.helper.send(Work::RemoveSegment(segment));
            }
        }
    }
}
