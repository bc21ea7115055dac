//! The shard: owns every stream that hashes to its core, and the records on their way to the
//! core's log.
//!
//! Invariants: `decide` never mutates; a record is applied to the accepted state the moment it
//! is handed to the log, and shows to readers only once it is durable; a reply leaves when
//! what it depends on is durable, refusals included. Handlers run to completion.
//!
//! Deliberately absent: sockets, files, clocks, `await`. What needs them leaves as an
//! [`Output`] and comes back as a message, so that a simulation can run a shard by itself.

mod append;
mod commit;
mod create;
mod delete;
mod expiry;
mod fork;
pub mod history;
mod list;
mod log;
pub mod page;
mod pending;
mod quota;
pub mod range;
mod read;
mod retention;
mod seal;
mod slot;
mod streams;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use thalweg_proto::path::StreamPath;
use thalweg_proto::problem::Problem;
use thalweg_proto::request::CreateRequest;
use thalweg_proto::response::Response;
use thalweg_proto::stream::record::{Record, StreamId};
use thalweg_proto::stream::retention::Retention;
use thalweg_proto::subscription::Interest;
use thalweg_proto::time::Timestamp;
use thalweg_storage::planted::{self, Bug};
use thalweg_storage::{Lsn, ReadSpan};

use crate::mailbox::CoreId;
use crate::mailbox::message::{Answer, Note, Op, PublicUrl};
use history::{History, HistoryCounters};
use page::PagePlan;
use range::RangeRequest;
use streams::Streams;

pub use log::Log;
pub use pending::ReplyTo;
pub use range::Collector;
pub use read::LookBack;
pub use seal::SealCursor;
pub use slot::Slot;

/// Something that the shard cannot do by itself.
pub enum Output {
    /// Send a reply.
    Reply(ReplyTo, Answer),
    /// Tell a core, this one included.
    Tell(CoreId, Note),
    /// Read, or ask another core, and carry on from there.
    Job(Job),
}

/// Work that waits for a disk or another core.
pub enum Job {
    /// Read a page and reply with it.
    Page(PagePlan, ReplyTo),
    /// Read records and reply with the range.
    Range(RangeRequest, Vec<ReadSpan>, ReplyTo),
    /// Ask the source's owner for the fork point, then call [`Shard::create_fork`].
    Fork(Box<CreateRequest>, PublicUrl, ReplyTo),
    /// Read from the anchor to the next data boundary, then call [`Shard::fork_at`].
    SubOffset {
        /// What to read.
        run: Option<RangeRequest>,
        /// The source.
        source: StreamId,
        /// The anchor.
        anchor: u64,
        /// How far past it.
        sub_offset: u64,
        /// Who asked.
        to: ReplyTo,
    },
}

/// What a shard is told about the server.
#[derive(Clone, Copy, Debug)]
pub struct ShardConfig {
    /// This core.
    pub core: CoreId,
    /// How many there are.
    pub cores: usize,
    /// Bytes of recent data to keep in memory.
    pub hot_tail_bytes: usize,
    /// Bytes of history to keep in memory once they were read.
    pub read_cache_bytes: usize,
    /// Bytes that may wait for the disk before requests are refused with 503.
    pub max_pending_bytes: usize,
    /// The limits of streams that have none of their own.
    pub retention: Retention,
}

/// See the module.
pub struct Shard {
    config: ShardConfig,
    streams: Streams,
    log: Log,
    pending: pending::Pending,
    outputs: VecDeque<Output>,
    hot: commit::HotTail,
    history: History,
    expiries: expiry::Expiries,
    owed: expiry::Owed,
    trims: retention::Trims,
    counting: quota::Counting,
    /// Soft-deleted streams that were recovered.
    hidden: Vec<StreamId>,
    watch: Arc<Interest>,
    disk_full: bool,
    counters: Counters,
}

/// What a shard counts, for metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Records with data that became visible.
    pub appended_records: u64,
    /// Their bytes.
    pub appended_bytes: u64,
    /// Reads answered from memory.
    pub hot_reads: u64,
    /// Reads that needed the log or another core.
    pub cold_reads: u64,
    /// Beginnings of streams that were dropped.
    pub trims: u64,
    /// Their bytes.
    pub trimmed_bytes: u64,
}

/// What a shard holds and has counted.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Streams.
    pub streams: u64,
    /// Bytes of the hot tail.
    pub hot_bytes: u64,
    /// Bytes of the read cache.
    pub history_bytes: u64,
    /// Bytes that only answers under way hold.
    pub held_bytes: u64,
    /// What the read cache counted.
    pub history: HistoryCounters,
    /// Records not durable yet.
    pub pending_records: u64,
    /// Bytes not written yet.
    pub pending_bytes: u64,
    /// Segments that hold something.
    pub segments: u64,
    /// Bytes in them that a stream still has.
    pub live_bytes: u64,
    /// Whether appends are refused for want of space.
    pub disk_full: bool,
    /// What was counted.
    pub counters: Counters,
}

impl Shard {
    /// A shard over recovered streams.
    #[must_use]
    pub fn new(
        config: ShardConfig,
        log: Log,
        recovered: impl IntoIterator<Item = Slot>,
        max_id: StreamId,
        now: Timestamp,
    ) -> Shard {
        let mut expiries = expiry::Expiries::default();
        let mut trims = retention::Trims::new(config.retention);
        let mut hidden = Vec::new();
        // One pass over what may be a million streams.
        let recovered = recovered.into_iter().map(|mut slot| {
            expiry::forgive_unlogged_reads(&mut slot, now);
            expiries.watch(&slot);
            trims.adopt(&mut slot.state);
            trims.watch(&mut slot);
            hidden.extend(slot.soft_deleted().then_some(slot.state.id));
            slot
        });
        let streams = Streams::new(config.core, recovered, max_id);
        Shard {
            hot: commit::HotTail::new(config.hot_tail_bytes, log.is_durable()),
            history: History::new(config.read_cache_bytes),
            config,
            streams,
            log,
            pending: pending::Pending::default(),
            outputs: VecDeque::new(),
            expiries,
            owed: expiry::Owed::default(),
            trims,
            counting: quota::Counting::default(),
            hidden,
            watch: Arc::default(),
            disk_full: false,
            counters: Counters::default(),
        }
    }

    /// Does what is asked. The reply comes out of [`Shard::poll_output`], now or later.
    pub fn handle(&mut self, op: Op, to: ReplyTo, now: Timestamp) {
        match op {
            Op::Create(request, url) => self.create(request, url, to, now),
            Op::Append(request) => self.append(&request, to, now),
            Op::Delete(path) => self.delete(&path, to, now),
            Op::Metadata(path) => self.metadata(path, to, now),
            Op::Read(request, follower) => self.read(request, follower, to, now),
            Op::List(request) => self.list(&request, to, now),
            Op::Fork(path, wanted) => self.fork(path, wanted, to, now),
            Op::Range(request) => self.range(request, to),
            Op::Scan(wanted) => self.scan(&wanted, to),
            // Not for a shard: the core passes it to the subscriptions.
            Op::Control(_) => {}
        }
    }

    /// Takes a note that concerns streams.
    pub fn note(&mut self, note: Note, now: Timestamp) {
        match note {
            Note::Unfollow { core, path } => self.unfollow(core, &path),
            Note::Unfork { path: _, id } => self.unfork(id, now),
            Note::Watch(set) => self.watch = set,
            _ => {}
        }
    }

    /// The next thing to do for the shard.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The log that this shard feeds.
    pub fn log(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Whether everything accepted is durable and answered.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.outputs.is_empty()
    }

    /// All streams, for a checkpoint: those with ids above `after`, ascending.
    pub fn streams_after(&self, after: Option<StreamId>) -> impl Iterator<Item = &Slot> {
        self.streams.after(after)
    }

    /// How many streams there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For metrics.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let (segments, live_bytes) = self.log.segments();
        Facts {
            streams: self.len() as u64,
            hot_bytes: self.hot.bytes() as u64,
            history_bytes: self.history.bytes() as u64,
            held_bytes: self.history.held_alone() as u64,
            history: self.history.counters(),
            pending_records: self.log.pending_records(),
            pending_bytes: self.log.pending_bytes() as u64,
            segments,
            live_bytes,
            disk_full: self.disk_full,
            counters: self.counters,
        }
    }

    fn owner(&self, path: &StreamPath) -> CoreId {
        crate::router::owner(path, self.config.cores)
    }

    fn reply(&mut self, to: ReplyTo, answer: Answer) {
        self.outputs.push_back(Output::Reply(to, answer));
    }

    fn tell(&mut self, core: CoreId, note: Note) {
        self.outputs.push_back(Output::Tell(core, note));
    }

    /// Replies once `lsn` is durable.
    fn reply_after(&mut self, lsn: Lsn, to: ReplyTo, answer: Answer) {
        if lsn <= self.log.durable() || planted::is(Bug::AckBeforeSync) {
            self.reply(to, answer);
        } else {
            self.pending.wait(lsn, pending::Waiting::Reply(to, answer));
        }
    }

    /// Looks at the operation again once `lsn` is durable.
    fn retry_after(&mut self, lsn: Lsn, op: Op, to: ReplyTo) {
        self.pending.wait(lsn, pending::Waiting::Retry(Box::new(op), to));
    }

    /// Hands a record to the log, and applies it to the accepted state of its stream.
    fn write(&mut self, record: Record) -> Lsn {
        let lsn = self.log.append(&record);
        if let Some(slot) = record.stream_id().and_then(|id| self.streams.get_mut(id)) {
            slot.state.apply(&record);
            slot.last_lsn = lsn;
        }
        if let Some(commit) = commit::commit_of(record, lsn) {
            self.pending.commit_later(commit);
        }
        lsn
    }

    /// Stores a change of the subscriptions; `note` comes back to this core once it is durable.
    pub fn store_event(&mut self, event: Bytes, note: Option<Note>) -> Lsn {
        let lsn = self.write(Record::Subscription { event });
        if let Some(note) = note {
            self.pending.wait(lsn, pending::Waiting::Tell(self.config.core, note));
        }
        lsn
    }

    /// Replies to somebody once `lsn` is durable; for the subscriptions actor.
    pub fn respond_after(&mut self, lsn: Lsn, to: ReplyTo, response: Response) {
        self.reply_after(lsn, to, Answer::Response(Box::new(response)));
    }

    /// Whether the log can get no more space: appends are refused until it can.
    pub fn set_disk_full(&mut self, full: bool) {
        self.disk_full = full;
    }

    /// The largest stream id that this core knows of.
    #[must_use]
    pub fn max_stream_id(&self) -> StreamId {
        self.streams.max_id()
    }

    fn overloaded(&self) -> Option<Problem> {
        if self.disk_full {
            return Some(thalweg_proto::answer::disk_full());
        }
        let waiting = self.log.pending_bytes();
        (waiting > self.config.max_pending_bytes).then(thalweg_proto::answer::overloaded)
    }
}

/// The answer for a refusal.
fn refused(problem: Problem) -> Answer {
    Answer::Response(Box::new(problem.into_response()))
}

#[cfg(test)]
mod tests;
