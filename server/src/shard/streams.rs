//! The streams of a shard, by id and by path, and the ids of new ones.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use foldhash::fast::RandomState;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::record::StreamId;
use thalweg_proto::time::Timestamp;

use super::slot::Slot;

/// See the module. A path names at most one stream; a deleted stream keeps its slot, but not its
/// path, once a successor has taken it.
pub(super) struct Streams {
    slots: HashMap<StreamId, Box<Slot>, RandomState>,
    /// Ordered for listings and checkpoints.
    ids: BTreeMap<StreamId, ()>,
    paths: BTreeMap<StreamPath, StreamId>,
    max_id: StreamId,
}

impl Streams {
    /// From recovered slots; `max_id` is the largest id ever used on this server.
    pub(super) fn new(recovered: Vec<Slot>, max_id: StreamId) -> Streams {
        let mut streams = Streams {
            slots: HashMap::default(),
            ids: BTreeMap::new(),
            paths: BTreeMap::new(),
            max_id,
        };
        for slot in recovered {
            streams.insert(slot);
        }
        streams
    }

    /// Adds a stream; its path now names it.
    pub(super) fn insert(&mut self, slot: Slot) {
        let id = slot.state.id;
        self.max_id = self.max_id.max(id);
        self.paths.insert(slot.state.path.clone(), id);
        self.ids.insert(id, ());
        self.slots.insert(id, Box::new(slot));
    }

    /// Forgets a stream.
    pub(super) fn remove(&mut self, id: StreamId) -> Option<Slot> {
        let slot = self.slots.remove(&id)?;
        self.ids.remove(&id);
        if self.paths.get(&slot.state.path) == Some(&id) {
            self.paths.remove(&slot.state.path);
        }
        Some(*slot)
    }

    /// By id.
    pub(super) fn get(&self, id: StreamId) -> Option<&Slot> {
        self.slots.get(&id).map(|slot| &**slot)
    }

    /// By id.
    pub(super) fn get_mut(&mut self, id: StreamId) -> Option<&mut Slot> {
        self.slots.get_mut(&id).map(|slot| &mut **slot)
    }

    /// By path.
    pub(super) fn at(&self, path: &StreamPath) -> Option<&Slot> {
        self.get(*self.paths.get(path)?)
    }

    /// By path.
    pub(super) fn at_mut(&mut self, path: &StreamPath) -> Option<&mut Slot> {
        let id = *self.paths.get(path)?;
        self.get_mut(id)
    }

    /// In the order of paths, from a bound on.
    pub(super) fn from_path<'a>(&'a self, from: Bound<&str>) -> impl Iterator<Item = &'a Slot> {
        let range = self.paths.range::<str, _>((from, Bound::Unbounded));
        range.filter_map(|(_, id)| self.get(*id))
    }

    /// In the order of ids.
    pub(super) fn after(&self, after: Option<StreamId>) -> impl Iterator<Item = &Slot> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.ids.range((from, Bound::Unbounded)).filter_map(|(id, ())| self.get(*id))
    }

    /// The largest id ever used, as far as this core knows.
    pub(super) fn max_id(&self) -> StreamId {
        self.max_id
    }

    /// How many streams there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// An id that was never used before, larger than `than`: the time in milliseconds, unless
    /// that has been used. Time makes ids unique even where earlier ones are forgotten
    /// (`durability = "memory"`), the maximum makes them unique where clocks go backwards.
    pub(super) fn next_id(&mut self, now: Timestamp, than: u64) -> StreamId {
        self.max_id = StreamId(now.0.max(self.max_id.0 + 1).max(than + 1));
        self.max_id
    }
}
