//! The blocking I/O seam: the handful of file operations that recovery, segment preparation and
//! checkpoints need, so that the real disk and a crashing one run the same code.
//!
//! Deliberately absent: the hot path. Group writes and cold reads go through the server's ring.

mod memory;
mod read_only;
mod real;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use memory::{MemoryDisk, SplitMix};
pub use read_only::ReadOnlyDisk;
pub use real::RealDisk;

/// A file system, as far as storage needs one. What is written is durable after
/// [`DiskFile::sync`], what is created, renamed or removed after [`Disk::sync_dir`].
pub trait Disk: Send + Sync {
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Creates a file, emptied if it exists.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// The same for a file that is only written in aligned blocks: past the cache where the file
    /// system can do that.
    fn create_direct(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.create(path)
    }
    /// Renames a file, replacing the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Creates a directory and its parents unless they exist.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, sorted; empty if there is no such directory.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Makes the entries of a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Bytes in the file.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }
    /// Names that the file has: more than one if a backup shares it.
    fn links(&self) -> io::Result<u64> {
        Ok(1)
    }
    /// Fills `buf` from `offset`; `UnexpectedEof` beyond the end.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`, extending the file if needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
}

/// Reads a whole file.
pub(crate) fn read_all(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Replaces a file so that a crash leaves the old or the new content, whole.
pub(crate) fn replace(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.tmp"));
    let file = disk.create(&temporary)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    disk.rename(&temporary, &dir.join(name))?;
    disk.sync_dir(dir)
}
