//! The ends of a process: with the machine, or alone.

use std::collections::BTreeSet;

use super::content::Fate;
use super::{Change, InFlight, SimDisk, State};

impl SimDisk {
    /// The machine loses power: what was not synced is lost, in part or whole.
    pub(crate) fn lose_power(&self) {
        let mut state = self.lock();
        let state = &mut *state;
        state.end_writes();
        let kept = state.random.below(state.unsynced.len() as u64 + 1) as usize;
        state.counts.lost_changes += (state.unsynced.len() - kept) as u64;
        let changes: Vec<Change> = state.unsynced.drain(..).take(kept).collect();
        for change in changes {
            change.apply(&mut state.durable);
        }
        state.now = state.durable.clone();
        state.forget_unlinked();
        for content in state.files.values_mut() {
            state.counts.lost_sectors += content.settle(&mut state.random);
        }
    }

    /// The process is killed: the cache survives it, and what was under way may or may not end.
    pub(crate) fn kill(&self) {
        let mut state = self.lock();
        state.end_writes();
        state.forget_unlinked();
    }
}

impl State {
    /// Writes under way reach the cache in part or whole.
    fn end_writes(&mut self) {
        let writes = std::mem::take(&mut self.in_flight);
        for write in writes.into_values() {
            let fate = Fate::choose(&mut self.random);
            self.write_in_part(&write, fate);
        }
    }

    /// Some sectors of a write reach the cache.
    pub(super) fn write_in_part(&mut self, write: &InFlight, fate: Fate) {
        for (index, sector) in write.bytes.chunks(super::SECTOR_BYTES).enumerate() {
            if fate.survives(&mut self.random) {
                let offset = write.offset + index * super::SECTOR_BYTES;
                self.content(write.file).write(sector, offset);
            }
        }
    }

    /// Files without a name go with the process that had them open.
    fn forget_unlinked(&mut self) {
        let linked: BTreeSet<u64> =
            self.now.values().chain(self.durable.values()).copied().collect();
        let changes = self.unsynced.iter().filter_map(|change| match change {
            Change::Link(_, file) => Some(*file),
            _ => None,
        });
        let changed: BTreeSet<u64> = changes.collect();
        self.files.retain(|file, _| linked.contains(file) || changed.contains(file));
    }
}
