//! Sealing and compaction, as far as a core takes part: it plans, says which bytes live, moves its
//! index to the new file, and gives back what nothing needs any more.
//!
//! Invariant: the index moves only to a file that is durable; what it moved away from goes only
//! when both retained checkpoints began later. A crash at any moment leaves files that the next
//! start can do without, and none that it misses.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use thalweg_storage::{Plan, SealError, Sealed};

use super::Core;
use crate::compactor::{Done, Task};
use crate::local::{Sender, oneshot};
use crate::metrics::Counter;
use crate::rt;
use crate::shard::SealCursor;

/// How often a core looks whether there is something to seal or to give back.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// How long after a sealing failed another is tried.
const RETRY_PAUSE: Duration = Duration::from_secs(30);
/// How long other work gets between two slices.
const SLICE_PAUSE: Duration = Duration::from_millis(1);

/// The state of one core's compaction, and what it has done since the start.
#[derive(Default)]
pub struct Compaction {
    answer: RefCell<Option<Sender<Done>>>,
    /// For metrics.
    pub counters: CompactionCounters,
}

/// Counts since the start.
#[derive(Default)]
pub struct CompactionCounters {
    /// Full segments of the log that were sealed.
    pub segments_sealed: Counter,
    /// Sealed segments that were rewritten or merged.
    pub segments_compacted: Counter,
    /// Jobs that came to nothing.
    pub failures: Counter,
    /// Bytes read.
    pub bytes_read: Counter,
    /// Bytes written. Over the bytes of groups it says how often a byte is written once more.
    pub bytes_written: Counter,
    /// Bytes of files given back.
    pub bytes_reclaimed: Counter,
}

impl Core {
    /// Seals, compacts and gives back for ever. Returns at once where there is no log.
    pub async fn run_compaction(self: Rc<Core>) {
        if !self.shard.borrow_mut().log().is_durable() {
            return;
        }
        rt::spawn(Rc::clone(&self).run_giving_back());
        loop {
            rt::sleep(LOOK_PAUSE).await;
            while let Some(plan) = self.next_plan() {
                if let Err(error) = self.seal(&plan).await {
                    self.sealing_failed(&plan, &error);
                    rt::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Beside the sealing, which may take long or wait for space.
    async fn run_giving_back(self: Rc<Core>) {
        loop {
            rt::sleep(LOOK_PAUSE).await;
            self.give_back();
        }
    }

    /// How many files wait to be sealed, rewritten or merged; for metrics.
    pub fn compaction_queue(&self) -> usize {
        let mut shard = self.shard.borrow_mut();
        shard.log().segment_table().map_or(0, |segments| segments.queue())
    }

    /// The compactor has answered.
    pub(super) fn compactor_done(&self, done: Done) {
        let waiting = self.compaction.answer.borrow_mut().take();
        if let Some(waiting) = waiting {
            waiting.send(done);
        }
    }

    fn next_plan(&self) -> Option<Plan> {
        if !self.config.storage.compaction || self.draining.get() {
            return None;
        }
        self.shard.borrow_mut().log().segment_table()?.plan()
    }

    async fn seal(&self, plan: &Plan) -> Result<(), Box<SealError>> {
        let Done::Streams(ids) = self.compactor(Task::Begin(plan.clone())).await? else {
            return Ok(());
        };
        let mut cursor = SealCursor::default();
        loop {
            let slice = self.shard.borrow().spans_in(&ids, &mut cursor, &plan.inputs);
            match slice {
                None => break,
                Some(slice) if slice.is_empty() => rt::sleep(SLICE_PAUSE).await,
                Some(slice) => drop(self.compactor(Task::Copy(slice)).await?),
            }
        }
        drop(ids);
        if let Done::Sealed(sealed) = self.compactor(Task::Finish).await? {
            self.move_to(plan, &sealed).await;
            self.count(plan, &sealed);
        }
        Ok(())
    }

    /// The new file is durable: moves all streams to it.
    async fn move_to(&self, plan: &Plan, sealed: &Sealed) {
        for error in &sealed.unreadable {
            tracing::error!(%error, "damaged data was met while sealing");
        }
        if let Some(facts) = &sealed.file {
            self.with_segments(|segments| segments.sealing_ends(plan, facts));
        }
        let mut rest = &sealed.chunks[..];
        while !rest.is_empty() {
            rest = self.shard.borrow_mut().move_spans(plan, rest);
            rt::sleep(SLICE_PAUSE).await;
        }
        self.with_segments(|segments| segments.sealed(plan, sealed));
    }

    fn count(&self, plan: &Plan, sealed: &Sealed) {
        let counters = &self.compaction.counters;
        let full = plan.inputs.iter().filter(|input| !input.is_sealed()).count() as u64;
        counters.segments_sealed.add(full);
        counters.segments_compacted.add(plan.inputs.len() as u64 - full);
        counters.bytes_read.add(sealed.bytes_read);
        counters.bytes_written.add(sealed.bytes_written);
        tracing::debug!(
            core = self.id,
            inputs = plan.inputs.len(),
            reason = ?plan.reason,
            output = %plan.output,
            read = sealed.bytes_read,
            written = sealed.bytes_written,
            "sealed"
        );
    }

    fn sealing_failed(&self, plan: &Plan, error: &SealError) {
        tracing::error!(core = self.id, output = %plan.output, %error, "sealing failed");
        self.compaction.counters.failures.add(1);
        let unreadable = match error {
            SealError::Damaged { segment, .. } => Some(*segment),
            SealError::TooLarge { .. } => plan.inputs.first().copied(),
            _ => None,
        };
        self.with_segments(|segments| segments.not_sealed(plan, unreadable));
    }

    /// Removes files that nothing needs, and sees to it that those which only wait for checkpoints
    /// do not wait for ever.
    fn give_back(self: &Rc<Core>) {
        self.remove_spares();
        let mut obsolete = Vec::new();
        let mut log = None;
        self.with_segments(|segments| {
            obsolete = segments.take_obsolete();
            log = Some(segments.log());
        });
        for (segment, used) in &obsolete {
            self.files.close(*segment);
            self.compaction.counters.bytes_reclaimed.add(used.file_bytes);
        }
        if let Some(log) = log.filter(|_| !obsolete.is_empty()) {
            let files = obsolete.into_iter().map(|(segment, _)| segment).collect();
            self.compactor.send(self.id, Task::Release(log, files));
        }
        let waiting = self.shard.borrow_mut().log().waiting_bytes();
        if waiting >= self.config.storage.segment_bytes {
            self.checkpoint_for_space(waiting);
        }
    }

    fn with_segments(&self, work: impl FnOnce(&mut thalweg_storage::SegmentTable)) {
        if let Some(segments) = self.shard.borrow_mut().log().segment_table() {
            work(segments);
        }
    }

    /// Asks the compactor and waits for its answer.
    async fn compactor(&self, task: Task) -> Result<Done, Box<SealError>> {
        let (sender, receiver) = oneshot();
        *self.compaction.answer.borrow_mut() = Some(sender);
        self.compactor.send(self.id, task);
        match receiver.recv().await {
            Some(Done::Failed(error)) => Err(error),
            Some(done) => Ok(done),
            // Only one question is under way.
            None => Ok(Done::Copied),
        }
    }

    /// A free segment of the log was removed.
    pub(super) fn count_reclaimed(&self, bytes: u64) {
        self.compaction.counters.bytes_reclaimed.add(bytes);
    }
}
