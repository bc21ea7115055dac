//! The read cache: verified bytes of streams that came out of the log, least recently used first to
//! go. Whoever reads history again, or along with others, is answered from here: one read, one
//! check of the CRCs, for all of them.
//!
//! Invariants: every byte was verified on its way in; a stream's bytes never change, so what is
//! kept never becomes wrong, only unreadable, and goes with its stream. What is kept is within the
//! budget. Deliberately absent: files and `await`; who loads a chunk is the core.

mod chunk;
mod held;
mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;

use thalweg_proto::stream::record::StreamId;

use crate::config::limits::LEAST_HELD_BYTES;

pub use chunk::{Chunk, ChunkBuilder};
pub use held::Held;
pub use plan::ChunkPlan;

/// See the module.
pub(super) struct History {
    chunks: BTreeMap<Key, Kept>,
    /// By last use, oldest first.
    order: BTreeMap<u64, Key>,
    bytes: usize,
    budget: usize,
    uses: u64,
    held: Held,
    counters: HistoryCounters,
}

/// What the cache has counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryCounters {
    /// Chunks that were there.
    pub hits: u64,
    /// Chunks that were read from the log.
    pub misses: u64,
    /// Chunks that went for others.
    pub evictions: u64,
}

type Key = (StreamId, u64);

struct Kept {
    chunk: Arc<Chunk>,
    used: u64,
}

/// What a chunk costs beside its bytes.
const OVERHEAD_BYTES: usize = 256;
/// One chunk is at most this part of the budget.
const BUDGET_PART: usize = 4;

impl History {
    pub(super) fn new(budget: usize) -> History {
        History {
            chunks: BTreeMap::new(),
            order: BTreeMap::new(),
            bytes: 0,
            budget,
            uses: 0,
            held: Held::default(),
            counters: HistoryCounters::default(),
        }
    }

    /// The chunk that has a position of a stream.
    pub(super) fn get(&mut self, id: StreamId, position: u64) -> Option<Arc<Chunk>> {
        let (key, kept) = self.chunks.range_mut(..=(id, position)).next_back()?;
        if key.0 != id || kept.chunk.end() <= position {
            return None;
        }
        self.counters.hits += 1;
        self.uses += 1;
        self.order.remove(&kept.used);
        kept.used = self.uses;
        self.order.insert(self.uses, *key);
        Some(Arc::clone(&kept.chunk))
    }

    /// A chunk was read. It is kept if it is small enough.
    pub(super) fn insert(&mut self, id: StreamId, chunk: Arc<Chunk>) {
        self.counters.misses += 1;
        let (key, cost) = ((id, chunk.start()), cost(&chunk));
        if cost > self.largest() {
            return;
        }
        self.remove(key);
        while self.bytes + cost > self.budget {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.remove(oldest);
            self.counters.evictions += 1;
        }
        self.uses += 1;
        self.bytes += cost;
        self.order.insert(self.uses, key);
        self.chunks.insert(key, Kept { chunk, used: self.uses });
    }

    /// Gives up what lies wholly before a position of a stream.
    pub(super) fn trim(&mut self, id: StreamId, earliest: u64) {
        let gone = self.chunks.range((id, 0)..(id, earliest));
        let gone = gone.filter(|(_, kept)| kept.chunk.end() <= earliest);
        let gone: Vec<Key> = gone.map(|(key, _)| *key).collect();
        gone.into_iter().for_each(|key| self.remove(key));
    }

    /// A stream is gone.
    pub(super) fn forget(&mut self, id: StreamId) {
        self.trim(id, u64::MAX);
    }

    /// The end of the chunk that lies nearest before a position, and the start of the one after.
    fn neighbours(&self, id: StreamId, position: u64) -> (u64, u64) {
        let before = self.chunks.range((id, 0)..=(id, position)).next_back();
        let after = self.chunks.range((id, position)..=(id, u64::MAX)).next();
        let end = before.map_or(0, |(_, kept)| kept.chunk.end());
        (end, after.map_or(u64::MAX, |(key, _)| key.1))
    }

    fn remove(&mut self, key: Key) {
        if let Some(kept) = self.chunks.remove(&key) {
            self.bytes -= cost(&kept.chunk);
            self.order.remove(&kept.used);
        }
    }

    /// The largest chunk that is kept.
    fn largest(&self) -> usize {
        self.budget / BUDGET_PART
    }

    /// Bytes kept, with what they cost beside themselves.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Memory for readers that is counted.
    pub(super) fn held(&self) -> &Held {
        &self.held
    }

    /// Bytes that answers hold and nobody else: they were read for one reader, or have gone from
    /// the cache since.
    pub(super) fn held_alone(&self) -> usize {
        self.held.bytes().saturating_sub(self.bytes)
    }

    /// Whether answers hold so much that pages should be small.
    pub(super) fn is_stretched(&self) -> bool {
        self.held_alone() > self.budget.max(LEAST_HELD_BYTES)
    }

    pub(super) fn counters(&self) -> HistoryCounters {
        self.counters
    }
}

fn cost(chunk: &Chunk) -> usize {
    chunk.memory_bytes() + OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use thalweg_proto::content_type::Framing;
    use thalweg_proto::stream::record::Payload;

    use super::*;

    const ID: StreamId = StreamId(7);

    fn chunk(start: u64, len: usize, held: &Held) -> Arc<Chunk> {
        let mut builder = ChunkBuilder::new(start, len, Framing::Binary);
        let payload = Payload { bytes: Bytes::from(vec![1; len]), cuts: Vec::new() };
        assert!(builder.push(start, &payload));
        Arc::new(builder.finish(held))
    }

    fn history(budget: usize, chunks: &[(StreamId, u64, usize)]) -> History {
        let mut history = History::new(budget);
        for (id, start, len) in chunks {
            let chunk = chunk(*start, *len, &history.held);
            history.insert(*id, chunk);
        }
        history
    }

    fn starts(history: &History, id: StreamId) -> Vec<u64> {
        history.chunks.keys().filter(|key| key.0 == id).map(|key| key.1).collect()
    }

    #[test]
    fn a_position_finds_its_chunk_and_no_other() {
        let other = StreamId(8);
        let mut history = history(1 << 20, &[(ID, 10, 10), (ID, 30, 5), (other, 12, 100)]);
        for (id, position, want) in [
            (ID, 9, None),
            (ID, 10, Some(10)),
            (ID, 19, Some(10)),
            (ID, 20, None),
            (ID, 34, Some(30)),
            (ID, 35, None),
            (other, 11, None),
            (other, 111, Some(12)),
            (StreamId(9), 20, None),
        ] {
            let got = history.get(id, position).map(|chunk| chunk.start());
            assert_eq!(got, want, "{id:?} at {position}");
        }
    }

    #[test]
    fn the_least_recently_used_goes_first_and_the_budget_holds() {
        let budget = 4 * (1000 + OVERHEAD_BYTES);
        let mut history = history(budget, &[(ID, 0, 1000), (ID, 1000, 1000), (ID, 2000, 1000)]);
        history.get(ID, 0);
        for start in [3000, 4000] {
            let chunk = chunk(start, 1000, &history.held);
            history.insert(ID, chunk);
            assert!(history.bytes <= budget);
        }
        assert_eq!(starts(&history, ID), [0, 2000, 3000, 4000]);
        let large = chunk(9000, 2000, &history.held);
        history.insert(ID, large);
        assert_eq!(starts(&history, ID), [0, 2000, 3000, 4000], "too large to be kept");
        assert_eq!(history.held.bytes(), 4000, "and it is not held");
        let counters = history.counters;
        assert_eq!((counters.hits, counters.misses, counters.evictions), (1, 6, 1));
    }

    #[test]
    fn what_readers_hold_is_counted_until_they_let_go() {
        let mut history = history(4 * (1000 + OVERHEAD_BYTES), &[(ID, 0, 1000)]);
        let read = history.get(ID, 0).map(|chunk| chunk.payload().bytes.slice(10..20));
        history.forget(ID);
        assert_eq!((history.bytes, history.held_alone()), (0, 1000), "a slice holds all of it");
        drop(read);
        assert_eq!(history.held_alone(), 0);
    }

    #[test]
    fn trimming_keeps_what_is_still_read() {
        let mut history = history(1 << 20, &[(ID, 0, 10), (ID, 10, 10), (StreamId(8), 0, 10)]);
        history.trim(ID, 15);
        assert_eq!(starts(&history, ID), [10]);
        history.trim(ID, 20);
        assert_eq!(starts(&history, ID), [0; 0]);
        assert_eq!(starts(&history, StreamId(8)), [0]);
        assert_eq!(history.order.len(), 1);
    }
}
