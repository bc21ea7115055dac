//! Writes a sealed segment: records of ascending streams in, a durable file out.
//!
//! Invariant: the file has a temporary name until all of it is durable. Written and synced in
//! small pieces: one large sync would hold up the syncs of appends.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thalweg_proto::stream::record::StreamId;

use super::footer::Footer;
use super::header::SealedHeader;
use super::index::IndexEntry;
use super::{CHUNK_BYTES, Pace, SealError};
use crate::buffer::{AlignedBuf, BLOCK_BYTES};
use crate::disk::{Disk, DiskFile};
use crate::error::{IoContext, IoFailure};
use crate::location::SegmentRef;
use crate::planted::{self, Bug};
use crate::wire::Put;

/// A sealed segment that is being written.
pub(super) struct SealedWriter {
    disk: Arc<dyn Disk>,
    segment: SegmentRef,
    dir: PathBuf,
    path: PathBuf,
    temporary: PathBuf,
    file: Arc<dyn DiskFile>,
    /// What comes next in the file, from `written` on.
    piece: AlignedBuf,
    pub(super) written: u64,
    pub(super) index: Vec<IndexEntry>,
}

/// Bytes of one write and one sync.
const PIECE_BYTES: usize = 256 * 1024;

const _: () = assert!(PIECE_BYTES.is_multiple_of(BLOCK_BYTES));

impl SealedWriter {
    pub(super) fn create(
        disk: &Arc<dyn Disk>,
        data_dir: &Path,
        segment: SegmentRef,
    ) -> Result<SealedWriter, IoFailure> {
        let dir = segment.log.dir(data_dir);
        let path = segment.path(data_dir);
        let temporary = path.with_added_extension("tmp");
        disk.create_dir(&dir).context("create", &dir)?;
        let file = disk.create_direct(&temporary).context("create", &temporary)?;
        let mut piece = AlignedBuf::new();
        SealedHeader { segment }.encode(&mut piece);
        let disk = Arc::clone(disk);
        let index = Vec::new();
        Ok(SealedWriter { disk, segment, dir, path, temporary, file, piece, written: 0, index })
    }

    pub(super) fn segment(&self) -> SegmentRef {
        self.segment
    }

    /// Adds a record of a stream: streams ascend, and the records of a stream.
    pub(super) fn push(
        &mut self,
        stream: StreamId,
        position: u64,
        len: u32,
        record: &[u8],
        pace: Pace<'_>,
    ) -> Result<(), SealError> {
        let file_offset = self.written + self.piece.used() as u64;
        let end = file_offset + record.len() as u64;
        let (Ok(file_offset), Ok(record_bytes), Ok(_)) =
            (u32::try_from(file_offset), u32::try_from(record.len()), u32::try_from(end))
        else {
            return Err(SealError::TooLarge { segment: self.segment });
        };
        let entry = IndexEntry { stream, position, len, file_offset, record_bytes, records: 1 };
        match self.index.last_mut() {
            Some(last) if last.takes(&entry) => {
                last.len += len;
                last.record_bytes += record_bytes;
                last.records += 1;
            }
            _ => self.index.push(entry),
        }
        Ok(self.put(record, pace)?)
    }

    /// Forgets the chunks of the stream that came last: its records stay, and nobody finds them.
    pub(super) fn abandon(&mut self, stream: StreamId) {
        let kept = self.index.partition_point(|entry| entry.stream < stream);
        self.index.truncate(kept);
    }

    /// Writes index and footer and makes all of it durable. Returns the footer and the bytes of
    /// the file.
    pub(super) fn finish(&mut self, pace: Pace<'_>) -> Result<(Footer, u64), SealError> {
        let index_at = self.written + self.piece.used() as u64;
        let index = std::mem::take(&mut self.index);
        let mut crc = 0;
        let mut bytes = Vec::with_capacity(PIECE_BYTES);
        for entries in index.chunks(PIECE_BYTES / super::INDEX_ENTRY_BYTES) {
            bytes.clear();
            entries.iter().for_each(|entry| entry.encode(&mut bytes));
            crc = crc32c::crc32c_append(crc, &bytes);
            self.put(&bytes, pace)?;
        }
        let sum = |of: fn(&IndexEntry) -> u32| index.iter().map(|entry| u64::from(of(entry))).sum();
        let footer = Footer {
            segment: self.segment,
            index_at,
            chunks: index.len() as u64,
            records: sum(|entry| entry.records),
            data_bytes: sum(|entry| entry.len),
            index_crc: crc,
        };
        self.index = index;
        let padding = self.piece.len() - self.piece.used();
        self.put(&[0; BLOCK_BYTES][..padding], pace)?;
        let mut block = Vec::new();
        footer.encode(&mut block);
        self.put(&block, pace)?;
        self.flush(pace)?;
        self.disk.rename(&self.temporary, &self.path).context("rename", &self.temporary)?;
        self.disk.sync_dir(&self.dir).context("sync", &self.dir)?;
        Ok((footer, self.written))
    }

    /// Removes what was written. What cannot be removed now goes at the next start.
    pub(super) fn remove(&self) {
        let _ = self.disk.remove(&self.temporary);
    }

    fn put(&mut self, mut bytes: &[u8], pace: Pace<'_>) -> Result<(), IoFailure> {
        while !bytes.is_empty() {
            let room = PIECE_BYTES - self.piece.used();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.piece.put(now);
            bytes = later;
            if self.piece.used() == PIECE_BYTES {
                self.flush(pace)?;
            }
        }
        Ok(())
    }

    /// Writes the piece, which is whole blocks.
    fn flush(&mut self, pace: Pace<'_>) -> Result<(), IoFailure> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let written = match self.file.write_at(self.piece.as_ref(), self.written) {
            // Some file systems refuse only the write, for their larger blocks.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.file = self.disk.open(&self.temporary).context("open", &self.temporary)?;
                self.file.write_at(self.piece.as_ref(), self.written)
            }
            result => result,
        };
        written.context("write", &self.temporary)?;
        if !planted::is(Bug::SkipSealSync) {
            self.file.sync().context("sync", &self.temporary)?;
        }
        let bytes = self.piece.len() as u64;
        self.written += bytes;
        self.piece.clear();
        pace(bytes);
        Ok(())
    }
}

impl IndexEntry {
    /// Whether a record that follows in the file belongs to this chunk.
    fn takes(&self, next: &IndexEntry) -> bool {
        let follows = self.stream == next.stream
            && self.position + u64::from(self.len) == next.position
            && self.file_offset.checked_add(self.record_bytes) == Some(next.file_offset);
        let bytes = self.record_bytes.checked_add(next.record_bytes);
        follows && bytes.is_some_and(|bytes| bytes <= CHUNK_BYTES)
    }
}
