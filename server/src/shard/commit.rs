//! What happens when records become durable: they show to readers, replies leave, live readers
//! and subscriptions hear of it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use foldhash::fast::RandomState;
use thalweg_proto::stream::record::{Payload, Record, StreamId};
use thalweg_proto::time::Timestamp;
use thalweg_storage::{Lsn, Placement};

use super::pending::{Commit, Waiting};
use super::{Note, Output, Shard};
use crate::fanout::batch::LiveBatch;

/// What a run of recent bytes costs beside its bytes: its entry, its allocation.
const HOT_OVERHEAD_BYTES: usize = 160;

/// Recent bytes over all streams, oldest first, under one budget.
pub(super) struct HotTail {
    order: VecDeque<(StreamId, usize)>,
    bytes: usize,
    budget: usize,
    /// Without a log the hot tail is the only copy and is never given up.
    evicts: bool,
}

impl HotTail {
    pub(super) fn new(budget: usize, evicts: bool) -> HotTail {
        HotTail { order: VecDeque::new(), bytes: 0, budget, evicts }
    }

    /// Bytes kept, with what they cost beside themselves.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// News of one stream within a batch of commits.
struct News {
    id: StreamId,
    from: u64,
    pieces: Vec<Bytes>,
}

/// The news of a batch of commits, in the order of the streams' first.
#[derive(Default)]
struct NewsDesk {
    items: Vec<News>,
    by_stream: HashMap<StreamId, usize, RandomState>,
}

/// What a record means for readers; `None` if nothing.
pub(super) fn commit_of(record: Record, lsn: Lsn) -> Option<Commit> {
    let deletes = matches!(record, Record::Delete { .. });
    let hides = matches!(record, Record::SoftDelete { .. });
    let closes =
        matches!(record, Record::Append { close: true, .. } | Record::Create { close: true, .. });
    let trims = matches!(record, Record::Trim { .. });
    let id = record.stream_id()?;
    let (position, payload) = match record {
        Record::Create { config, payload, .. } => (config.start(), payload),
        Record::Append { position, payload, .. } => (position, payload),
        Record::Trim { to, .. } => (to, Payload::default()),
        _ => (0, Payload::default()),
    };
    Some(Commit { lsn, id, position, payload, deletes, hides, closes, trims })
}

impl Shard {
    /// Everything up to `durable` is on the disk; `placements` says where the data is, in order.
    pub fn committed(&mut self, durable: Lsn, placements: &[Placement], now: Timestamp) {
        let mut placements = placements.iter();
        let mut news = NewsDesk::default();
        while let Some(commit) = self.pending.next_commit(durable) {
            let placement = (!commit.payload.bytes.is_empty()).then(|| placements.next()).flatten();
            self.reveal(commit, placement, &mut news);
        }
        self.evict();
        for waiting in self.pending.due(durable) {
            match waiting {
                Waiting::Reply(to, answer) => self.outputs.push_back(Output::Reply(to, answer)),
                Waiting::Retry(op, to) => self.handle(*op, to, now),
                Waiting::Tell(core, note) => self.outputs.push_back(Output::Tell(core, note)),
            }
        }
        // After the replies: an acknowledgement does not wait for ten thousand readers.
        for news in news.items {
            self.announce(news);
        }
    }

    fn reveal(&mut self, commit: Commit, placement: Option<&Placement>, news: &mut NewsDesk) {
        if commit.deletes {
            return self.forget(commit.id);
        }
        if commit.trims {
            return self.trimmed(commit.id, commit.position);
        }
        if commit.hides {
            self.end_readers(commit.id);
        }
        let Some(slot) = self.streams.get_mut(commit.id) else { return };
        if let Some(placement) = placement {
            let follows = slot.extents.push(placement.span);
            debug_assert!(follows, "placements come in log order");
        }
        let len = commit.payload.bytes.len();
        slot.reveal(commit.position, &commit.payload);
        slot.visible_closed |= commit.closes;
        if len > 0 {
            self.counters.appended_records += 1;
            self.counters.appended_bytes += len as u64;
        }
        self.trims.watch(slot);
        if len > 0 && self.hot.evicts {
            self.hot.bytes += len + HOT_OVERHEAD_BYTES;
            self.hot.order.push_back((commit.id, len + HOT_OVERHEAD_BYTES));
        }
        let interesting = slot.followers != 0 || !self.watch.is_empty();
        if interesting && (len > 0 || commit.closes) {
            news.add(commit);
        }
    }

    /// A soft deletion is durable: only forks may read on.
    fn end_readers(&mut self, id: StreamId) {
        let Some(slot) = self.streams.get_mut(id) else { return };
        let followers = std::mem::take(&mut slot.followers);
        let path = slot.state.path.clone();
        for core in cores_of(followers) {
            self.tell(core, Note::Ended(path.clone()));
        }
    }

    /// A deletion is durable: nothing of the stream is left but its segments' bytes.
    fn forget(&mut self, id: StreamId) {
        let Some(slot) = self.streams.remove(id) else { return };
        slot.give_back_all();
        self.log.forget(slot.extents);
        self.history.forget(id);
        for core in cores_of(slot.followers) {
            self.tell(core, Note::Ended(slot.state.path.clone()));
        }
        if let Some(fork) = &slot.state.config.fork {
            let note = Note::Unfork { path: fork.source.clone(), id: fork.source_id };
            self.tell(self.owner(&fork.source), note);
        }
        if self.watch.matches(&slot.state.path) {
            self.tell(0, Note::Vanished(slot.state.path.clone()));
        }
    }

    fn announce(&mut self, news: News) {
        let Some(slot) = self.streams.get_mut(news.id) else { return };
        if slot.watched.0 != self.watch.revision() {
            let watched = self.watch.matches(&slot.state.path);
            slot.watched = (self.watch.revision(), watched);
        }
        let (watched, followers) = (slot.watched.1, slot.followers);
        let path = slot.state.path.clone();
        let tail = slot.visible_offset();
        if followers != 0 {
            let batch = Arc::new(LiveBatch::new(
                path.clone(),
                slot.state.id,
                slot.state.config.content_type.clone(),
                news.from,
                tail,
                concat(news.pieces),
                slot.visible_closed,
            ));
            for core in cores_of(followers) {
                self.tell(core, Note::Live(Arc::clone(&batch)));
            }
        }
        if watched {
            self.tell(0, Note::Advanced { path, tail });
        }
    }

    /// Gives up the oldest recent bytes beyond the budget.
    fn evict(&mut self) {
        while self.hot.bytes > self.hot.budget {
            let Some((id, len)) = self.hot.order.pop_front() else { return };
            self.hot.bytes -= len;
            if let Some(slot) = self.streams.get_mut(id) {
                slot.hot.pop_front();
            }
        }
    }
}

impl NewsDesk {
    fn add(&mut self, commit: Commit) {
        let next = self.items.len();
        let index = *self.by_stream.entry(commit.id).or_insert(next);
        if index == next {
            self.items.push(News { id: commit.id, from: commit.position, pieces: Vec::new() });
        }
        self.items[index].pieces.push(commit.payload.bytes);
    }
}

fn concat(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.swap_remove(0);
    }
    let mut all = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces.iter().for_each(|piece| all.extend_from_slice(piece));
    all.freeze()
}

fn cores_of(mask: u128) -> impl Iterator<Item = usize> {
    (0..u128::BITS as usize).filter(move |core| mask & (1 << core) != 0)
}
