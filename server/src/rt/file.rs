//! Files on the ring.

use std::fs::File;
use std::io;

use bytes::{Bytes, BytesMut};
use thalweg_storage::AlignedBuf;

use super::sys::FileBuf;

/// A file that a core reads or writes through its driver.
pub struct RingFile(monoio::fs::File);

impl RingFile {
    /// Takes over an open file.
    pub fn new(file: File) -> io::Result<RingFile> {
        monoio::fs::File::from_std(file).map(RingFile)
    }

    /// Writes a whole buffer at an offset and gives it back.
    pub async fn write_all_at(&self, buf: AlignedBuf, offset: u64) -> (io::Result<()>, AlignedBuf) {
        let (result, FileBuf(buf)) = self.0.write_all_at(FileBuf(buf), offset).await;
        (result, buf)
    }

    /// Reads exactly `len` bytes at an offset.
    pub async fn read_exact_at(&self, len: usize, offset: u64) -> io::Result<Bytes> {
        let buf = BytesMut::zeroed(len);
        let (result, buf) = self.0.read_exact_at(buf, offset).await;
        result.map(|()| buf.freeze())
    }

    /// fdatasync.
    pub async fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data().await
    }
}
