//! `LAYOUT`: which logs the cores write and which checkpoints are theirs.
//!
//! Invariant: the file is replaced as a whole, after everything it names is durable. So a crash
//! leaves the old layout or the new one, and both are complete. One `LayoutFile` per process; the
//! helper threads of all cores share it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{self, Disk};
use crate::error::{Damage, IoContext, IoFailure, StorageError};
use crate::format::{FORMAT_VERSION, check_version};
use crate::hold::FileHold;
use crate::location::LogId;
use crate::wire::{Fields, Put};

/// The name of the file in the data directory.
pub const LAYOUT_NAME: &str = "LAYOUT";
/// The directory of the checkpoints in the data directory.
pub const CHECKPOINTS_NAME: &str = "checkpoints";
/// The first bytes of the file.
pub const LAYOUT_MAGIC: [u8; 8] = *b"THALWEGL";

const MAGIC_AT: usize = 0;
const VERSION_AT: usize = MAGIC_AT + 8;
const CORES_AT: usize = VERSION_AT + 4;
const GENERATION_AT: usize = CORES_AT + 4;
const NEXT_LOG_AT: usize = GENERATION_AT + 8;
/// Bytes before the cores' entries.
const HEADER_BYTES: usize = NEXT_LOG_AT + 4;
/// Bytes of a core's entry: log, whether there is an older checkpoint, newest, older.
const CORE_BYTES: usize = 4 + 4 + 8 + 8;

const _: () = assert!(HEADER_BYTES == 28 && CORE_BYTES == 24);

/// What the file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Counts changes of the number of cores and of the placement.
    pub generation: u64,
    /// The next log id that was never used.
    pub next_log: u32,
    /// One entry for each core.
    pub cores: Vec<CoreLayout>,
}

/// What one core writes and where its recovery begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreLayout {
    /// The log it writes.
    pub log: LogId,
    /// The number of the newest checkpoint; 0 for the empty beginning of a log, without a file.
    pub newest: u64,
    /// The number of the checkpoint before, to fall back to.
    pub previous: Option<u64>,
}

/// The layout in force.
pub struct LayoutFile {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) data_dir: PathBuf,
    pub(crate) hold: FileHold,
    state: Mutex<State>,
}

struct State {
    layout: Layout,
    progress: Vec<CheckpointProgress>,
}

/// What a core's next checkpoint needs to know, beyond the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CheckpointProgress {
    /// Its number; never one that a damaged file has.
    pub(crate) next_number: u64,
    /// The first segment of the log that may not be synced: recovery or an earlier checkpoint
    /// synced the ones before.
    pub(crate) unsynced_from: u32,
}

impl Layout {
    /// The layout of a new data directory.
    pub(crate) fn first(cores: usize) -> Layout {
        Layout { generation: 0, next_log: 0, cores: Vec::new() }.with_new_logs(cores, 0, None)
    }

    /// A new generation in which each core begins a new log, with this checkpoint.
    pub(crate) fn with_new_logs(&self, cores: usize, newest: u64, previous: Option<u64>) -> Layout {
        let next_log = self.next_log + cores as u32;
        let core = |log| CoreLayout { log: LogId(log), newest, previous };
        let cores = (self.next_log..next_log).map(core).collect();
        Layout { generation: self.generation + 1, next_log, cores }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.encode_version(FORMAT_VERSION)
    }

    /// The same for an earlier version.
    pub(crate) fn encode_version(&self, version: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.cores.len() * CORE_BYTES + 4);
        out.put(&LAYOUT_MAGIC);
        out.put_u32(version);
        out.put_len(self.cores.len());
        out.put_u64(self.generation);
        out.put_u32(self.next_log);
        for core in &self.cores {
            out.put_u32(core.log.0);
            out.put_u32(core.previous.is_some().into());
            out.put_u64(core.newest);
            out.put_u64(core.previous.unwrap_or(0));
        }
        let crc = crc32c::crc32c(&out);
        out.put_u32(crc);
        out
    }

    /// Reads the whole file.
    pub fn decode(bytes: &[u8]) -> Result<Layout, Damage> {
        let mut fields = Fields::new(bytes);
        if fields.take(LAYOUT_MAGIC.len())? != LAYOUT_MAGIC {
            return Err(Damage::Text { what: "magic of the layout" });
        }
        let covered = bytes.len() - 4;
        let stored = Fields::new(&bytes[covered..]).u32()?;
        let found = crc32c::crc32c(&bytes[..covered]);
        if stored != found {
            return Err(Damage::Checksum { what: "layout", stored, found });
        }
        check_version("layout version", fields.u32()?)?;
        let count = fields.count(CORE_BYTES)?;
        let (generation, next_log) = (fields.u64()?, fields.u32()?);
        let mut cores = Vec::with_capacity(count);
        for _ in 0..count {
            let log = LogId(fields.u32()?);
            let has_previous = fields.u32()? != 0;
            let (newest, previous) = (fields.u64()?, fields.u64()?);
            cores.push(CoreLayout { log, newest, previous: has_previous.then_some(previous) });
        }
        fields.take(4)?;
        fields.finish("length of the layout")?;
        Ok(Layout { generation, next_log, cores })
    }

    /// Replaces the file.
    pub(crate) fn store(&self, disk: &dyn Disk, data_dir: &Path) -> Result<(), IoFailure> {
        let path = data_dir.join(LAYOUT_NAME);
        disk::replace(disk, data_dir, LAYOUT_NAME, &self.encode()).context("replace", &path)
    }
}

impl LayoutFile {
    /// The layout that recovery found in force.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        data_dir: &Path,
        layout: Layout,
        progress: Vec<CheckpointProgress>,
    ) -> LayoutFile {
        let state = Mutex::new(State { layout, progress });
        LayoutFile { disk, data_dir: data_dir.to_owned(), hold: FileHold::default(), state }
    }

    /// What the file says now.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.lock().layout.clone()
    }

    /// Keeps the files of the directory where they are, while a backup takes them.
    #[must_use]
    pub fn file_hold(&self) -> FileHold {
        self.hold.clone()
    }

    /// The log of a core, with a checkpoint number that was never used.
    pub(crate) fn begin_checkpoint(
        &self,
        core: usize,
    ) -> Result<(LogId, CheckpointProgress), StorageError> {
        let mut state = self.lock();
        let cores = state.layout.cores.len();
        let Some(entry) = state.layout.cores.get(core).copied() else {
            return Err(StorageError::NoSuchCore { core, cores });
        };
        let progress = state.progress[core];
        state.progress[core].next_number += 1;
        Ok((entry.log, progress))
    }

    /// Makes a durable checkpoint the newest of its core; the log is synced up to the beginning of
    /// segment `synced_to`. Returns the number of the checkpoint that nothing refers to any more.
    pub(crate) fn install(
        &self,
        core: usize,
        number: u64,
        synced_to: u32,
    ) -> Result<Option<u64>, StorageError> {
        // Held while writing: two cores' installations must not overwrite each other.
        let mut state = self.lock();
        let mut layout = state.layout.clone();
        let entry = &mut layout.cores[core];
        let obsolete = entry.previous.replace(entry.newest);
        entry.newest = number;
        layout.store(&*self.disk, &self.data_dir)?;
        state.layout = layout;
        state.progress[core].unsynced_from = synced_to;
        Ok(obsolete)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a checkpoint file in the checkpoints directory.
pub(crate) fn checkpoint_name(log: LogId, number: u64) -> String {
    format!("checkpoint-{}-{number:016}", log.0)
}

/// The path of a checkpoint file in a data directory.
pub(crate) fn checkpoint_path(data_dir: &Path, log: LogId, number: u64) -> PathBuf {
    data_dir.join(CHECKPOINTS_NAME).join(checkpoint_name(log, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_file_and_notices_damage() {
        let mut layout = Layout::first(3).with_new_logs(2, 1, None);
        layout.cores[1].previous = Some(0);
        assert_eq!((layout.generation, layout.next_log, layout.cores[0].log), (2, 5, LogId(3)));
        let bytes = layout.encode();
        assert_eq!(Layout::decode(&bytes), Ok(layout));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Layout::decode(&flipped).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(Layout::decode(&bytes[..len]).is_err(), "{len} bytes");
        }
    }
}
