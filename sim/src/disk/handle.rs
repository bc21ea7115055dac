//! The disk as one process has it for blocking work: each operation may be the last one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use thalweg_storage::{Disk, DiskFile};

use super::{Change, SimDisk, State};
use crate::lockstep::gate;

/// Whether a process may still use the disk.
pub(crate) struct Life {
    dead: AtomicBool,
    /// Operations until it is killed.
    left: AtomicU64,
}

impl Life {
    pub(crate) fn new() -> Arc<Life> {
        Arc::new(Life { dead: AtomicBool::new(false), left: AtomicU64::new(u64::MAX) })
    }

    /// Dies in front of the operation after so many.
    pub(crate) fn limit(&self, operations: u64) {
        self.left.store(operations, Ordering::Relaxed);
    }

    /// Nothing that the process does reaches the disk any more.
    pub(crate) fn end(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// One more operation.
    pub(super) fn spend(&self) -> io::Result<()> {
        gate();
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            self.end();
        } else if left != u64::MAX {
            self.left.store(left - 1, Ordering::Relaxed);
        }
        if self.is_over() { Err(io::Error::other("the simulated process is dead")) } else { Ok(()) }
    }
}

/// See the module. Clones are of the same process.
#[derive(Clone)]
pub(crate) struct Handle {
    disk: SimDisk,
    life: Arc<Life>,
}

struct HandleFile {
    handle: Handle,
    file: u64,
    path: PathBuf,
}

impl Handle {
    pub(crate) fn new(disk: SimDisk, life: Arc<Life>) -> Handle {
        Handle { disk, life }
    }

    fn file(&self, file: u64, path: &Path) -> Arc<dyn DiskFile> {
        Arc::new(HandleFile { handle: self.clone(), file, path: path.to_owned() })
    }
}

impl Disk for Handle {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.life.spend()?;
        let mut state = self.disk.lock();
        state.note("open", path, [0; 2]);
        let file = state.find(path)?;
        Ok(self.file(file, path))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.life.spend()?;
        let mut state = self.disk.lock();
        state.note("create", path, [0; 2]);
        state.need_space()?;
        let file = state.create(path);
        Ok(self.file(file, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.life.spend()?;
        let mut state = self.disk.lock();
        state.note("rename", to, [0; 2]);
        state.find(from)?;
        state.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.life.spend()?;
        let mut state = self.disk.lock();
        state.note("remove", path, [0; 2]);
        state.find(path)?;
        state.change(Change::Unlink(path.to_owned()));
        Ok(())
    }

    /// Directories exist as soon as something is in them.
    fn create_dir(&self, _path: &Path) -> io::Result<()> {
        self.life.spend()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.life.spend()?;
        Ok(self.disk.lock().list(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.life.spend()?;
        let mut state = self.disk.lock();
        state.note("sync_dir", path, [0; 2]);
        state.fail_sync()?;
        state.sync_dir(path);
        Ok(())
    }
}

impl HandleFile {
    fn enter(&self, what: &str, numbers: [u64; 2]) -> io::Result<std::sync::MutexGuard<'_, State>> {
        self.handle.life.spend()?;
        let mut state = self.handle.disk.lock();
        state.note(what, &self.path, numbers);
        Ok(state)
    }
}

impl DiskFile for HandleFile {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.enter("len", [0; 2])?;
        Ok(state.content(self.file).len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.enter("read", [offset, buf.len() as u64])?;
        let chance = state.faults.blocking_misdirect;
        if let Some(other) = state.misdirected(chance, self.file, buf.len()) {
            buf.copy_from_slice(&other);
            return Ok(());
        }
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let range = start..start.saturating_add(buf.len());
        let found = state.content(self.file).read(range).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(found);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.enter("write", [offset, bytes.len() as u64])?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        if offset + bytes.len() > state.content(self.file).len() {
            state.need_space()?;
        }
        state.fail_write()?;
        state.content(self.file).write(bytes, offset);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.enter("sync", [0; 2])?;
        if let Err(error) = state.fail_sync() {
            state.lose_unsynced(self.file);
            return Err(error);
        }
        state.content(self.file).sync();
        Ok(())
    }
}
