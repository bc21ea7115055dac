//! Sealing and compaction, as far as a core takes part: it plans, says which bytes live, moves its
//! index to the new file, and gives back what nothing needs any more.
//!
//! Invariant: the index moves only to a file that is durable; what it moved away from goes only
//! when both retained checkpoints began later. A crash at any moment leaves files that the next
//! start can do without, and none that it misses.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use thalweg_storage::{Plan, SealError, Sealed};

use super::Core;
use crate::compactor::{Done, Task};
use crate::local::{Sender, oneshot};
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
    pub segments_sealed: Cell<u64>,
    /// Sealed segments that were rewritten or merged.
    pub segments_compacted: Cell<u64>,
    /// Jobs that came to nothing.
    pub failures: Cell<u64>,
    /// Bytes read.
    pub bytes_read: Cell<u64>,
    /// Bytes written.
    pub bytes_written: Cell<u64>,
    /// Bytes of files given back.
    pub bytes_reclaimed: Cell<u64>,
    /// Bytes of groups written to the log.
    pub bytes_appended: Cell<u64>,
}

impl CompactionCounters {
    /// Bytes written in all for each byte written to the log: 1 without any sealing.
    #[must_use]
    pub fn write_amplification(&self) -> f64 {
        let appended = self.bytes_appended.get();
        match appended {
            0 => 1.0,
            _ => 1.0 + self.bytes_written.get() as f64 / appended as f64,
        }
    }
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
        add(&counters.segments_sealed, full);
        add(&counters.segments_compacted, plan.inputs.len() as u64 - full);
        add(&counters.bytes_read, sealed.bytes_read);
        add(&counters.bytes_written, sealed.bytes_written);
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
        add(&self.compaction.counters.failures, 1);
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
            add(&self.compaction.counters.bytes_reclaimed, used.file_bytes);
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

    /// A group of so many bytes was written to the log.
    pub(super) fn count_appended(&self, bytes: usize) {
        add(&self.compaction.counters.bytes_appended, bytes as u64);
    }

    /// A free segment of the log was removed.
    pub(super) fn count_reclaimed(&self, bytes: u64) {
        add(&self.compaction.counters.bytes_reclaimed, bytes);
    }
}

fn add(counter: &Cell<u64>, more: u64) {
    counter.set(counter.get() + more);
}
