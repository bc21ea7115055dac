//! A file system in memory that can lose power.
//!
//! Invariant: after [`MemoryDisk::crash`] a file holds everything that was synced, and of what
//! was not, an arbitrary choice of 4 KiB blocks; directory changes survive in order up to an
//! arbitrary point after the last `sync_dir`. The choice is a function of the seed alone.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile};
use crate::buffer::BLOCK_BYTES;

/// A disk in memory. Clones share the content.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    now: BTreeMap<PathBuf, Inode>,
    durable: BTreeMap<PathBuf, Inode>,
    /// Directory changes since the last sync of their directory, in order.
    unsynced: Vec<Change>,
}

type Inode = Arc<Mutex<Content>>;

#[derive(Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Offsets and bytes written since the last sync, in order.
    unsynced: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone)]
enum Change {
    Link(PathBuf, Inode),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
}

struct MemoryFile(Inode);

/// A small deterministic random number generator (splitmix64).
#[derive(Clone, Debug)]
pub struct SplitMix(pub u64);

impl SplitMix {
    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    /// Loses power: what was not synced is lost, in part or whole, as `seed` decides. Files that
    /// were open must be opened again; what is written to them now goes nowhere.
    pub fn crash(&self, seed: u64) {
        let mut random = SplitMix(seed);
        let mut state = lock(&self.state);
        let kept = random.below(state.unsynced.len() as u64 + 1) as usize;
        let changes: Vec<Change> = state.unsynced.drain(..).take(kept).collect();
        for change in changes {
            change.apply(&mut state.durable);
        }
        for inode in state.durable.values_mut() {
            let survived = lock(inode).after_crash(&mut random);
            *inode = Arc::new(Mutex::new(survived));
        }
        state.now = state.durable.clone();
    }

    /// Flips one bit of a file, behind everybody's back.
    pub fn flip_bit(&self, path: &Path, byte: u64, bit: u8) -> io::Result<()> {
        let inode = self.inode(path)?;
        let mut content = lock(&inode);
        let byte = usize::try_from(byte).map_err(io::Error::other)?;
        let Content { now, durable, .. } = &mut *content;
        for bytes in [now, durable] {
            if let Some(byte) = bytes.get_mut(byte) {
                *byte ^= 1 << (bit % 8);
            }
        }
        Ok(())
    }

    fn inode(&self, path: &Path) -> io::Result<Inode> {
        lock(&self.state).now.get(path).cloned().ok_or_else(|| not_found(path))
    }

    fn change(&self, change: Change) {
        let mut state = lock(&self.state);
        change.apply(&mut state.now);
        state.unsynced.push(change);
    }
}

impl Change {
    fn apply(&self, entries: &mut BTreeMap<PathBuf, Inode>) {
        match self {
            Change::Link(path, inode) => {
                entries.insert(path.clone(), inode.clone());
            }
            Change::Rename(from, to) => {
                if let Some(inode) = entries.remove(from) {
                    entries.insert(to.clone(), inode);
                }
            }
            Change::Unlink(path) => {
                entries.remove(path);
            }
        }
    }

    /// Whether syncing `dir` makes the change durable.
    fn is_in(&self, dir: &Path) -> bool {
        let path = match self {
            Change::Link(path, _) | Change::Rename(_, path) | Change::Unlink(path) => path,
        };
        path.parent() == Some(dir)
    }
}

impl Content {
    fn after_crash(&self, random: &mut SplitMix) -> Content {
        let mut bytes = self.durable.clone();
        // All, nothing or a mixture: uniform choices per block would hardly ever give the first
        // two.
        let mode = random.below(3);
        for (offset, written) in &self.unsynced {
            for (index, block) in written.chunks(BLOCK_BYTES).enumerate() {
                let survives = mode == 1 || mode == 2 && random.below(2) == 1;
                if survives {
                    write_into(&mut bytes, block, offset + index * BLOCK_BYTES);
                }
            }
        }
        Content { now: bytes.clone(), durable: bytes, unsynced: Vec::new() }
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(MemoryFile(self.inode(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = Inode::default();
        self.change(Change::Link(path.to_owned(), inode.clone()));
        Ok(Arc::new(MemoryFile(inode)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inode(from)?;
        self.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inode(path)?;
        self.change(Change::Unlink(path.to_owned()));
        Ok(())
    }

    /// Directories exist as soon as something is in them.
    fn create_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = lock(&self.state);
        let mut names: Vec<String> = Vec::new();
        for entry in state.now.keys() {
            let Ok(rest) = entry.strip_prefix(path) else { continue };
            let Some(first) = rest.iter().next().and_then(|name| name.to_str()) else { continue };
            if names.last().is_none_or(|last| last != first) {
                names.push(first.to_owned());
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        // A journal commits in order: everything up to the last change of this directory.
        let Some(last) = state.unsynced.iter().rposition(|change| change.is_in(path)) else {
            return Ok(());
        };
        let changes: Vec<Change> = state.unsynced.drain(..=last).collect();
        for change in changes {
            change.apply(&mut state.durable);
        }
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.0).now.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let content = lock(&self.0);
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let found = start.checked_add(buf.len()).and_then(|end| content.now.get(start..end));
        let found = found.ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(found);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut content = lock(&self.0);
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        write_into(&mut content.now, bytes, offset);
        content.unsynced.push((offset, bytes.to_vec()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut content = lock(&self.0);
        let writes = std::mem::take(&mut content.unsynced);
        for (offset, bytes) in writes {
            write_into(&mut content.durable, &bytes, offset);
        }
        Ok(())
    }
}

fn write_into(file: &mut Vec<u8>, bytes: &[u8], offset: usize) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}

/// A panic in one test thread must not hide what the others would say.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
}
