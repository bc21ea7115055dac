//! A disk that stops working after a number of changes, as a process that is killed would.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thalweg_storage::{Disk, DiskFile, MemoryDisk};

pub(crate) struct FailingDisk {
    pub(crate) inner: MemoryDisk,
    pub(crate) changes_left: Arc<AtomicU64>,
}

struct FailingFile(Arc<dyn DiskFile>, Arc<AtomicU64>);

fn spend(changes_left: &AtomicU64) -> io::Result<()> {
    let spent =
        changes_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    spent.map(|_| ()).map_err(|_| io::Error::other("killed"))
}

impl FailingDisk {
    fn wrap(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FailingFile(file, Arc::clone(&self.changes_left)))
    }
}

impl Disk for FailingDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.inner.open(path).map(|file| self.wrap(file))
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        spend(&self.changes_left)?;
        self.inner.create(path).map(|file| self.wrap(file))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        spend(&self.changes_left)?;
        self.inner.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        spend(&self.changes_left)?;
        self.inner.remove(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.inner.list(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        spend(&self.changes_left)?;
        self.inner.sync_dir(path)
    }
}

impl DiskFile for FailingFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_at(buf, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        spend(&self.1)?;
        self.0.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        spend(&self.1)?;
        self.0.sync()
    }
}
