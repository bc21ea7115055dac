//! Makes segment files ready to be written: blocking, for a helper thread.
//!
//! Invariant: a prepared segment has its full size, every block of it is allocated and written,
//! and its first block is zero, so that recovery does not take it for a segment in use. What an
//! earlier life left behind the first block stays: the salt tells it apart. A file that is there is
//! replaced in one step: it never becomes shorter, which is how recovery knows one that was cut.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::buffer::AlignedBuf;
use crate::disk::{Disk, DiskFile};
use crate::error::{IoContext, IoFailure};
use crate::hold::FileHold;
use crate::location::SegmentRef;
use crate::segment::SEGMENT_HEADER_BYTES;
use crate::wire::Put;

/// Prepares segment files in one data directory.
#[derive(Clone)]
pub struct SegmentFactory {
    disk: Arc<dyn Disk>,
    data_dir: PathBuf,
    hold: FileHold,
}

/// What to prepare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentRequest {
    /// The segment, from [`crate::LogWriter::next_segment`] or [`crate::TakeGroup::NeedSegment`].
    pub segment: SegmentRef,
    /// Bytes of the file: a multiple of 4 KiB.
    pub bytes: u64,
    /// A random number.
    pub salt: u64,
    /// A free segment to use instead of a new file, from [`crate::SegmentTable::take_free`].
    pub recycle: Option<SegmentRef>,
}

/// A segment file that can be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PreparedSegment {
    /// Its name.
    pub segment: SegmentRef,
    /// Bytes of the file.
    pub bytes: u64,
    /// The salt of its groups.
    pub salt: u64,
}

/// How the name of a segment file ends that is to replace one of another size.
pub(crate) const REPLACEMENT: &str = "log.tmp";
/// Small: a piece is one write and one sync, and the appends of that moment wait behind it.
const ZEROS_BYTES: usize = 256 * 1024;

impl SegmentFactory {
    /// A factory for one data directory.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, data_dir: &Path) -> SegmentFactory {
        SegmentFactory { disk, data_dir: data_dir.to_owned(), hold: FileHold::default() }
    }

    /// The same, removing and recycling nothing while `hold` is in force.
    #[must_use]
    pub fn with_hold(self, hold: FileHold) -> SegmentFactory {
        SegmentFactory { hold, ..self }
    }

    /// The path of a segment, to open it with.
    #[must_use]
    pub fn path(&self, segment: SegmentRef) -> PathBuf {
        segment.path(&self.data_dir)
    }

    /// Makes a segment ready: reuses the file if an earlier start prepared it, recycles a free
    /// one, or writes zeros into a new one.
    pub fn prepare(&self, request: SegmentRequest) -> Result<PreparedSegment, IoFailure> {
        let SegmentRequest { segment, bytes, salt, recycle } = request;
        let prepared = PreparedSegment { segment, bytes, salt };
        if self.reuse(segment, segment, bytes)? {
            return Ok(prepared);
        }
        if let Some(free) = recycle {
            match self.hold.unless_held(|| self.reuse(free, segment, bytes)) {
                Some(Ok(true)) => return Ok(prepared),
                Some(Err(error)) => return Err(error),
                Some(Ok(false)) | None => self.remove(free)?,
            }
        }
        self.create(segment, bytes)?;
        Ok(prepared)
    }

    /// Removes a free segment that is not wanted for recycling.
    pub fn remove(&self, segment: SegmentRef) -> Result<(), IoFailure> {
        let path = self.path(segment);
        match self.hold.remove(&*self.disk, &path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            result => result.context("remove", &path),
        }
    }

    /// Turns one file into another segment if it exists and has the right size.
    fn reuse(&self, from: SegmentRef, to: SegmentRef, bytes: u64) -> Result<bool, IoFailure> {
        let path = self.path(from);
        let file = match self.disk.open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            result => result.context("open", &path)?,
        };
        if file.len().context("measure", &path)? != bytes {
            return Ok(false);
        }
        // A backup may share the file: what is in it stays.
        if from != to && file.links().context("measure", &path)? > 1 {
            return Ok(false);
        }
        // Before the rename, so that no crash leaves an old header under a new name.
        file.write_at(&[0; SEGMENT_HEADER_BYTES], 0).context("write", &path)?;
        file.sync().context("sync", &path)?;
        if from != to {
            self.disk.rename(&path, &self.path(to)).context("rename", &path)?;
        }
        self.sync_dir(to)?;
        Ok(true)
    }

    fn create(&self, segment: SegmentRef, bytes: u64) -> Result<(), IoFailure> {
        let path = self.path(segment);
        let replaces = self.disk.open(&path).is_ok();
        let new = if replaces { path.with_extension(REPLACEMENT) } else { path.clone() };
        let file = self.disk.create_direct(&new).context("create", &new)?;
        match write_zeros(&*file, &new, bytes) {
            // Some file systems refuse only the write, for their larger blocks.
            Err(error) if error.source.kind() == std::io::ErrorKind::InvalidInput => {
                let file = self.disk.create(&new).context("create", &new)?;
                write_zeros(&*file, &new, bytes)?;
            }
            result => result?,
        }
        if replaces {
            self.disk.rename(&new, &path).context("rename", &new)?;
        }
        self.sync_dir(segment)
    }

    fn sync_dir(&self, segment: SegmentRef) -> Result<(), IoFailure> {
        let dir = segment.log.dir(&self.data_dir);
        self.disk.sync_dir(&dir).context("sync", &dir)
    }
}

/// Real zeros, not a hole: overwriting allocated blocks is what makes syncs cheap.
fn write_zeros(file: &dyn DiskFile, path: &Path, bytes: u64) -> Result<(), IoFailure> {
    let mut zeros = AlignedBuf::new();
    zeros.put(&vec![0; ZEROS_BYTES]);
    let mut at = 0;
    while at < bytes {
        let len = (bytes - at).min(ZEROS_BYTES as u64);
        file.write_at(&zeros.as_ref()[..len as usize], at).context("write", path)?;
        at += len;
        // Piece by piece: one sync of all of it would hold up the syncs of appends.
        file.sync().context("sync", path)?;
    }
    Ok(())
}
