//! An input of a sealed segment: a file that is read through a window.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::{Pace, SealError};
use crate::disk::{Disk, DiskFile};
use crate::error::{Damage, IoContext, IoFailure};
use crate::location::SegmentRef;

/// A file being read. Bytes that were read together are kept until others are asked for.
pub(super) struct Source {
    pub(super) segment: SegmentRef,
    pub(super) path: PathBuf,
    pub(super) file_bytes: u64,
    file: Arc<dyn DiskFile>,
    window: Bytes,
    window_at: u64,
    window_bytes: u64,
    /// Bytes read so far.
    pub(super) read: u64,
}

/// A segment of the log up to this size is read whole: its streams lie all over it.
const WHOLE_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of a larger one that are read around a record.
const SCATTERED_BYTES: u64 = 32 * 1024;
/// Bytes of a sealed segment that are read at once, a chunk: its streams are in order, and the dead
/// ones between them need not be read.
const SORTED_BYTES: u64 = 256 * 1024;
/// Bytes of one read.
const PIECE_BYTES: usize = 1024 * 1024;

impl Source {
    pub(super) fn open(
        disk: &dyn Disk,
        data_dir: &Path,
        segment: SegmentRef,
    ) -> Result<Source, IoFailure> {
        let path = segment.path(data_dir);
        let file = disk.open(&path).context("open", &path)?;
        let file_bytes = file.len().context("measure", &path)?;
        let window_bytes = match segment.is_sealed() {
            true => SORTED_BYTES,
            false if file_bytes <= WHOLE_BYTES => WHOLE_BYTES,
            false => SCATTERED_BYTES,
        };
        Ok(Source {
            segment,
            path,
            file_bytes,
            file,
            window: Bytes::new(),
            window_at: 0,
            window_bytes,
            read: 0,
        })
    }

    /// Bytes of the file.
    pub(super) fn slice(&mut self, at: u64, len: u64, pace: Pace<'_>) -> Result<Bytes, SealError> {
        let end = at.checked_add(len).filter(|end| *end <= self.file_bytes);
        let Some(end) = end else {
            let found = self.file_bytes.saturating_sub(at);
            return Err(self.damaged(at, Damage::Truncated { needed: len, found }));
        };
        let window_end = self.window_at + self.window.len() as u64;
        if at < self.window_at || end > window_end {
            self.fill(at, len.max(self.window_bytes).min(self.file_bytes - at), pace)?;
        }
        let from = (at - self.window_at) as usize;
        Ok(self.window.slice(from..from + len as usize))
    }

    /// Damage at a byte of this file.
    pub(super) fn damaged(&self, offset: u64, damage: Damage) -> SealError {
        let (segment, path) = (self.segment, self.path.clone());
        SealError::Damaged { segment, path, offset, damage }
    }

    fn fill(&mut self, at: u64, len: u64, pace: Pace<'_>) -> Result<(), IoFailure> {
        // Its memory is free before the next is taken.
        self.window = Bytes::new();
        let mut bytes = vec![0; len as usize];
        let mut done = at;
        for piece in bytes.chunks_mut(PIECE_BYTES) {
            self.file.read_at(piece, done).context("read", &self.path)?;
            done += piece.len() as u64;
            self.read += piece.len() as u64;
            pace(piece.len() as u64);
        }
        (self.window, self.window_at) = (bytes.into(), at);
        Ok(())
    }
}
