//! Files on the ring. This is the one place that opens files for a core.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use thalweg_storage::AlignedBuf;

use super::simulated::{self, WorldFile};
use super::sys::FileBuf;

/// A file that a core reads or writes through its driver.
pub struct RingFile(Backend);

enum Backend {
    Ring(monoio::fs::File),
    Simulated(Box<dyn WorldFile>),
}

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// To read from it.
    Read,
    /// To write whole blocks to it.
    Write {
        /// A write is complete when it is durable (`O_DSYNC`).
        synced: bool,
        /// Past the system's cache, where the file system can do that (`O_DIRECT`).
        direct: bool,
    },
}

impl RingFile {
    /// Opens an existing file.
    pub fn open(path: &Path, opening: Opening) -> io::Result<RingFile> {
        if let Some(world) = simulated::world() {
            return world.open(path, opening).map(|file| RingFile(Backend::Simulated(file)));
        }
        let file = match opening {
            Opening::Read => File::open(path)?,
            Opening::Write { synced, direct } => open_to_write(path, synced, direct)?,
        };
        monoio::fs::File::from_std(file).map(|file| RingFile(Backend::Ring(file)))
    }

    /// Writes a whole buffer at an offset and gives it back.
    pub async fn write_all_at(&self, buf: AlignedBuf, offset: u64) -> (io::Result<()>, AlignedBuf) {
        match &self.0 {
            Backend::Ring(file) => {
                let (result, FileBuf(buf)) = file.write_all_at(FileBuf(buf), offset).await;
                (result, buf)
            }
            Backend::Simulated(file) => file.write_all_at(buf, offset).await,
        }
    }

    /// Reads exactly `len` bytes at an offset.
    pub async fn read_exact_at(&self, len: usize, offset: u64) -> io::Result<Bytes> {
        match &self.0 {
            Backend::Ring(file) => {
                use monoio::buf::IoBufMut;
                let buf = BytesMut::with_capacity(len).slice_mut(..len);
                let (result, buf) = file.read_exact_at(buf, offset).await;
                result.map(|()| buf.into_inner().freeze())
            }
            Backend::Simulated(file) => file.read_exact_at(len, offset).await,
        }
    }

    /// fdatasync.
    pub async fn sync_data(&self) -> io::Result<()> {
        match &self.0 {
            Backend::Ring(file) => file.sync_data().await,
            Backend::Simulated(file) => file.sync_data().await,
        }
    }
}

fn open_to_write(path: &Path, synced: bool, direct: bool) -> io::Result<File> {
    let open = |flags| OpenOptions::new().write(true).custom_flags(flags).open(path);
    let sync = if synced { libc::O_DSYNC } else { 0 };
    match direct {
        // Not every file system can write past its cache; the sync is what matters.
        true => open(sync | libc::O_DIRECT).or_else(|_| open(sync)),
        false => open(sync),
    }
}
