//! One file: its bytes as they read now, and as they would after a power cut.

use std::collections::BTreeSet;
use std::ops::Range;

use super::SECTOR_BYTES;
use crate::random::Random;

/// See the module.
#[derive(Default)]
pub(super) struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors in which the two may differ.
    dirty: BTreeSet<usize>,
}

/// What a crash leaves of sectors that are on their way.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    /// All of them.
    All,
    /// None.
    None,
    /// Each by chance.
    Some,
}

impl Fate {
    /// Uniform choices for each sector would hardly ever give all or nothing.
    pub(super) fn choose(random: &mut Random) -> Fate {
        match random.below(3) {
            0 => Fate::All,
            1 => Fate::None,
            _ => Fate::Some,
        }
    }

    pub(super) fn survives(self, random: &mut Random) -> bool {
        match self {
            Fate::All => true,
            Fate::None => false,
            Fate::Some => random.chance(1, 2),
        }
    }
}

impl Content {
    pub(super) fn len(&self) -> usize {
        self.now.len()
    }

    pub(super) fn read(&self, range: Range<usize>) -> Option<&[u8]> {
        self.now.get(range)
    }

    /// Into the cache.
    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR_BYTES..=(end - 1) / SECTOR_BYTES);
    }

    /// Makes everything durable.
    pub(super) fn sync(&mut self) {
        for sector in std::mem::take(&mut self.dirty) {
            self.persist(sector);
        }
        // A file may be longer than what was written to it.
        self.durable.resize(self.now.len(), 0);
    }

    /// Makes the sectors of a range durable.
    pub(super) fn sync_range(&mut self, range: Range<usize>) {
        let sectors = range.start / SECTOR_BYTES..range.end.div_ceil(SECTOR_BYTES);
        for sector in sectors {
            if self.dirty.remove(&sector) {
                self.persist(sector);
            }
        }
    }

    /// Power is lost, or a sync has failed: of the dirty sectors some are durable, the others are
    /// gone. Returns how many are.
    pub(super) fn settle(&mut self, random: &mut Random) -> u64 {
        let fate = Fate::choose(random);
        let mut lost = 0;
        for sector in std::mem::take(&mut self.dirty) {
            if fate.survives(random) {
                self.persist(sector);
            } else {
                lost += 1;
            }
        }
        self.now.clone_from(&self.durable);
        lost
    }

    /// Flips a bit, in the cache and on the disk.
    pub(super) fn flip(&mut self, byte: usize, bit: u8) {
        for bytes in [&mut self.now, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(byte) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    fn persist(&mut self, sector: usize) {
        let start = sector * SECTOR_BYTES;
        let end = (start + SECTOR_BYTES).min(self.now.len());
        if start >= end {
            return;
        }
        if self.durable.len() < end {
            self.durable.resize(end, 0);
        }
        self.durable[start..end].copy_from_slice(&self.now[start..end]);
    }
}
