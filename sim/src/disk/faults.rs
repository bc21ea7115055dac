//! What goes wrong, and how often.

use std::io;
use std::path::PathBuf;

use super::{SimDisk, State};
use crate::random::Random;

/// Chances in a million operations of that kind, and states of the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// EIO on a write.
    pub(crate) write_error: u64,
    /// EIO on a sync.
    pub(crate) sync_error: u64,
    /// EIO on a read through the ring.
    pub(crate) read_error: u64,
    /// A read through the ring that is given other bytes of the disk.
    pub(crate) misdirect: u64,
    /// The same of a blocking read: of recovery, or of sealing.
    pub(crate) blocking_misdirect: u64,
    /// No space is left: what needs more is refused.
    pub(crate) full: bool,
    /// Direct writes are refused, as some file systems do.
    pub(crate) no_direct: bool,
}

impl State {
    /// Whether a fault of this chance happens now.
    fn strikes(&mut self, chance: u64) -> bool {
        chance > 0 && self.random.below(1_000_000) < chance
    }

    fn error(&mut self) -> io::Error {
        self.counts.errors += 1;
        io::Error::from_raw_os_error(EIO)
    }

    pub(super) fn fail_write(&mut self) -> io::Result<()> {
        if self.strikes(self.faults.write_error) { Err(self.error()) } else { Ok(()) }
    }

    pub(super) fn fail_sync(&mut self) -> io::Result<()> {
        if self.strikes(self.faults.sync_error) { Err(self.error()) } else { Ok(()) }
    }

    pub(super) fn fail_read(&mut self) -> io::Result<()> {
        if self.strikes(self.faults.read_error) { Err(self.error()) } else { Ok(()) }
    }

    pub(super) fn need_space(&mut self) -> io::Result<()> {
        if !self.faults.full {
            return Ok(());
        }
        self.counts.full += 1;
        Err(io::Error::from_raw_os_error(ENOSPC))
    }

    /// Other bytes than the ones that were asked for, of some file: maybe of the same.
    pub(super) fn misdirected(&mut self, chance: u64, file: u64, len: usize) -> Option<Vec<u8>> {
        if !self.strikes(chance) {
            return None;
        }
        let files: Vec<u64> = self.now.values().copied().collect();
        let mut random = self.random.clone();
        let other = if random.chance(1, 2) { file } else { *random.pick(&files)? };
        let room = self.content(other).len().checked_sub(len)?;
        let offset = random.below(room as u64 + 1) as usize / super::SECTOR_BYTES;
        self.random = random;
        let start = offset * super::SECTOR_BYTES;
        let bytes = self.content(other).read(start..start + len)?.to_vec();
        self.counts.misdirected += 1;
        Some(bytes)
    }
}

impl SimDisk {
    /// Flips a bit of a file that `choose` likes, behind everybody's back. `choose` is given the
    /// path and the length and returns the bytes that may be hit.
    pub(crate) fn flip_bit(
        &self,
        random: &mut Random,
        choose: impl Fn(&str, usize) -> Option<std::ops::Range<usize>>,
    ) -> Option<(PathBuf, usize)> {
        let mut state = self.lock();
        let mut candidates = Vec::new();
        for (path, file) in &state.now {
            let len = state.files.get(file).map_or(0, super::content::Content::len);
            let range = path.to_str().and_then(|path| choose(path, len));
            candidates.extend(
                range.filter(|range| !range.is_empty()).map(|range| (path.clone(), *file, range)),
            );
        }
        let (path, file, range) = random.pick(&candidates)?.clone();
        let byte = range.start + random.index(range.len());
        state.content(file).flip(byte, random.below(8) as u8);
        state.counts.flipped += 1;
        Some((path, byte))
    }
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
