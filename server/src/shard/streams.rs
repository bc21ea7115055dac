//! The streams of a shard, by id and by path, and the ids of new ones.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use foldhash::fast::RandomState;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::record::StreamId;
use thalweg_proto::time::Timestamp;

use super::slot::Slot;
use crate::config::limits::MAX_CORES;
use crate::mailbox::CoreId;

/// See the module. A path names at most one stream; a deleted stream keeps its slot, but not its
/// path, once a successor has taken it.
pub(super) struct Streams {
    slots: HashMap<StreamId, Box<Slot>, RandomState>,
    /// Ordered for listings and checkpoints.
    ids: BTreeMap<StreamId, ()>,
    /// Ordered for listings.
    paths: BTreeMap<StreamPath, StreamId>,
    /// The same for every request: a search in the ordered one compares a dozen paths, each
    /// somewhere else in memory.
    by_path: HashMap<StreamPath, StreamId, RandomState>,
    max_id: StreamId,
    core: CoreId,
}

impl Streams {
    /// From recovered slots, for one core; `max_id` is the largest id ever used on this server.
    pub(super) fn new(
        core: CoreId,
        recovered: impl IntoIterator<Item = Slot>,
        max_id: StreamId,
    ) -> Streams {
        let recovered = recovered.into_iter();
        let count = recovered.size_hint().0;
        let mut slots = HashMap::with_capacity_and_hasher(count, RandomState::default());
        let mut by_path = HashMap::with_capacity_and_hasher(count, RandomState::default());
        let (mut ids, mut paths) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut largest = max_id;
        for slot in recovered {
            let (id, path) = (slot.state.id, slot.state.path.clone());
            largest = largest.max(id);
            ids.push((id, ()));
            by_path.insert(path.clone(), id);
            paths.push((path, id));
            slots.insert(id, Box::new(slot));
        }
        // Made of all at once, an ordered map needs neither searches nor half-empty nodes.
        let (ids, paths) = (ids.into_iter().collect(), paths.into_iter().collect());
        Streams { slots, ids, paths, by_path, max_id: largest, core }
    }

    /// Adds a stream; its path now names it.
    pub(super) fn insert(&mut self, slot: Slot) {
        let id = slot.state.id;
        self.max_id = self.max_id.max(id);
        self.paths.insert(slot.state.path.clone(), id);
        self.by_path.insert(slot.state.path.clone(), id);
        self.ids.insert(id, ());
        self.slots.insert(id, Box::new(slot));
    }

    /// Forgets a stream.
    pub(super) fn remove(&mut self, id: StreamId) -> Option<Slot> {
        let slot = self.slots.remove(&id)?;
        self.ids.remove(&id);
        if self.by_path.get(&slot.state.path) == Some(&id) {
            self.paths.remove(&slot.state.path);
            self.by_path.remove(&slot.state.path);
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
        self.get(*self.by_path.get(path)?)
    }

    /// By path.
    pub(super) fn at_mut(&mut self, path: &StreamPath) -> Option<&mut Slot> {
        let id = *self.by_path.get(path)?;
        self.get_mut(id)
    }

    /// In the order of paths, from a bound on.
    pub(super) fn paths_from<'a>(&'a self, from: Bound<&str>) -> impl Iterator<Item = &'a Slot> {
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

    /// An id that was never used before on this server, larger than `than`.
    ///
    /// It is made of the time, so that ids are unique even where earlier ones are forgotten
    /// (`durability = "memory"`); it is larger than every earlier one of this core, for clocks
    /// that go backwards; and each core has its own residue, so that no two cores make the same.
    pub(super) fn next_id(&mut self, now: Timestamp, than: u64) -> StreamId {
        const STEP: u64 = MAX_CORES as u64;
        let least = now.0.saturating_mul(IDS_PER_MS).max(self.max_id.0 + 1).max(than + 1);
        let round = least.next_multiple_of(STEP) + self.core as u64;
        self.max_id = StreamId(if round >= least + STEP { round - STEP } else { round });
        self.max_id
    }
}

/// Ids that the clock makes room for in a millisecond, over all cores. With it, ids fit into the
/// sixteen digits of a token until the year 2286.
const IDS_PER_MS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_unique_over_all_cores_and_grow() {
        let mut cores: Vec<Streams> =
            (0..4).map(|core| Streams::new(core, Vec::new(), StreamId(7))).collect();
        let mut seen = HashSet::new();
        for now in [5, 5, 6, 1_700_000_000_000, 1_700_000_000_000, 3] {
            for streams in &mut cores {
                let before = streams.max_id();
                let id = streams.next_id(Timestamp(now), 100);
                assert!(id > before && id.0 > 100, "{id:?} after {before:?}");
                assert!(seen.insert(id), "{id:?} was given out twice");
            }
        }
    }
}
