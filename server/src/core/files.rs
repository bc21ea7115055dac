//! The segment files that a core has open: the one it writes, and a few that it reads.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use thalweg_storage::SegmentRef;
use thalweg_storage::planted::{self, Bug};

use super::Core;
use crate::config::Durability;
use crate::config::limits::OPEN_FOR_READING;
use crate::rt::{Opening, RingFile};

type Open = (SegmentRef, Rc<RingFile>);

/// The files of one core's log.
#[derive(Default)]
pub(super) struct LogFiles {
    writing: RefCell<Option<Open>>,
    /// Under `durability = "async"`: finished segments whose end was not synced yet.
    finished: RefCell<Vec<Open>>,
    /// Most recently used last.
    reading: RefCell<Vec<Open>>,
    /// Groups are written through the system's cache: the file system refuses direct writes.
    cached: Cell<bool>,
}

impl LogFiles {
    /// The file to write a group to.
    pub(super) fn for_writing(&self, core: &Core, segment: SegmentRef) -> io::Result<Rc<RingFile>> {
        if let Some((open, file)) = &*self.writing.borrow()
            && *open == segment
        {
            return Ok(Rc::clone(file));
        }
        let asynchronous = core.config.durability == Durability::Async;
        let synced = !asynchronous && !planted::is(Bug::SkipSync);
        let opening = Opening::Write { synced, direct: !self.cached.get() };
        let path = core.helper.segment_path(segment);
        let file = Rc::new(self.with_descriptors(|| RingFile::open(&path, opening))?);
        let before = self.writing.replace(Some((segment, Rc::clone(&file))));
        if asynchronous {
            self.finished.borrow_mut().extend(before);
        }
        Ok(file)
    }

    /// A write was refused as it stands. Whether it may pass through the cache, which has not been
    /// tried yet: some file systems refuse only the write, for their larger blocks.
    pub(super) fn write_through_cache(&self) -> bool {
        self.finished.borrow_mut().extend(self.writing.take());
        !self.cached.replace(true)
    }

    /// The files that may hold writes that were not synced; finished ones are given up with it.
    pub(super) fn unsynced(&self) -> Vec<Open> {
        let mut files = self.finished.take();
        files.extend(self.writing.borrow().clone());
        files
    }

    /// A segment is not needed any more: an open file would keep its space.
    pub(super) fn close(&self, segment: SegmentRef) {
        self.reading.borrow_mut().retain(|(open, _)| *open != segment);
    }

    fn for_reading(&self, core: &Core, segment: SegmentRef) -> io::Result<Rc<RingFile>> {
        let found = self.reading.borrow().iter().position(|(open, _)| *open == segment);
        let entry = match found {
            Some(index) => self.reading.borrow_mut().remove(index),
            None => {
                let path = core.helper.segment_path(segment);
                let file = self.with_descriptors(|| RingFile::open(&path, Opening::Read))?;
                (segment, Rc::new(file))
            }
        };
        let mut reading = self.reading.borrow_mut();
        if reading.len() >= OPEN_FOR_READING {
            reading.remove(0);
        }
        reading.push(entry.clone());
        Ok(entry.1)
    }

    /// Opens a file; if there is no descriptor left, gives up those that are only kept.
    fn with_descriptors(&self, open: impl Fn() -> io::Result<RingFile>) -> io::Result<RingFile> {
        match open() {
            Err(error) if is_out_of_descriptors(&error) => {
                self.reading.borrow_mut().clear();
                open()
            }
            result => result,
        }
    }
}

/// Whether a file was not opened because the process, or the machine, has no descriptor left.
pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

impl Core {
    /// Reads bytes of a segment.
    pub(super) async fn read_segment(
        &self,
        segment: SegmentRef,
        offset: u64,
        len: usize,
    ) -> io::Result<Bytes> {
        let file = self.files.for_reading(self, segment)?;
        file.read_exact_at(len, offset).await
    }
}
