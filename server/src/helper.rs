//! The disk helper: one thread for blocking file work that no core should wait for. Segments are
//! made ahead here, checkpoints are written here.
//!
//! The thread is a loop around a [`Desk`], which does one piece of work and returns its answer, so
//! that a simulation can do without the thread.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use bytes::Bytes;
use thalweg_storage::{
    CheckpointFile, Disk, FinishedCheckpoint, LayoutFile, LogPosition, SegmentFactory, SegmentRef,
    SegmentRequest, StorageError,
};

use crate::mailbox::message::{Message, Note};
use crate::mailbox::{CoreId, Post};
use crate::rt::trim_memory;

/// Something for the helper to do. It answers with a [`Note`] to the core.
pub enum Work {
    /// Make a segment ready. Answers [`Note::Segment`].
    Segment {
        /// For whom.
        core: CoreId,
        /// What, how large, from which free file.
        request: SegmentRequest,
    },
    /// Remove a segment that nobody needs any more.
    RemoveSegment(SegmentRef),
    /// Give free memory back to the system.
    Trim,
    /// A piece of a core's checkpoint; the first one begins it.
    CheckpointChunks(CoreId, Vec<Bytes>),
    /// The end of it. Answers [`Note::Checkpoint`].
    CheckpointEnd(CoreId, Box<FinishedCheckpoint>, LogPosition),
}

/// The sending end. Cheap to clone.
#[derive(Clone)]
pub struct Helper {
    work: mpsc::Sender<Work>,
    data_dir: PathBuf,
}

impl Helper {
    /// Both ends; whoever has the other one does the work.
    #[must_use]
    pub fn new(data_dir: &Path) -> (Helper, mpsc::Receiver<Work>) {
        let (work, inbox) = mpsc::channel();
        (Helper { work, data_dir: data_dir.to_owned() }, inbox)
    }

    /// Starts a thread that works at `desk`.
    pub fn start(data_dir: &Path, mut desk: Desk, post: Post) -> std::io::Result<Helper> {
        let (helper, inbox) = Helper::new(data_dir);
        std::thread::Builder::new().name("disk-helper".to_owned()).spawn(move || {
            while let Ok(work) = inbox.recv() {
                if let Some((core, note)) = desk.work(work) {
                    post.send_from_outside(core, Message::Tell(note));
                }
            }
        })?;
        Ok(helper)
    }

    /// Hands over something to do.
    pub fn send(&self, work: Work) {
        // The thread ends only with the process.
        if self.work.send(work).is_err() {
            tracing::error!("the disk helper has stopped");
        }
    }

    /// Where a segment is.
    #[must_use]
    pub fn segment_path(&self, segment: SegmentRef) -> PathBuf {
        segment.path(&self.data_dir)
    }
}

/// What the work is done with.
pub struct Desk {
    disk: Arc<dyn Disk>,
    factory: SegmentFactory,
    layout: Option<Arc<LayoutFile>>,
    checkpoints: HashMap<CoreId, Result<CheckpointFile, StorageError>>,
}

impl Desk {
    /// A desk for a data directory; `layout` is absent without a log.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, data_dir: &Path, layout: Option<Arc<LayoutFile>>) -> Desk {
        let hold = layout.as_ref().map(|layout| layout.file_hold()).unwrap_or_default();
        let factory = SegmentFactory::new(Arc::clone(&disk), data_dir).with_hold(hold);
        Desk { disk, factory, layout, checkpoints: HashMap::new() }
    }

    /// Does one piece of work. Returns the answer, and for whom.
    pub fn work(&mut self, work: Work) -> Option<(CoreId, Note)> {
        match work {
            Work::Segment { core, request } => {
                let result = self.factory.prepare(request);
                let is_there =
                    |free: &SegmentRef| self.disk.open(&self.factory.path(*free)).is_ok();
                let spare = request.recycle.filter(is_there);
                return Some((core, Note::Segment(Box::new(result), spare)));
            }
            Work::RemoveSegment(segment) => {
                if let Err(error) = self.factory.remove(segment) {
                    tracing::warn!(%error, "a free segment could not be removed");
                }
            }
            Work::Trim => trim_memory(),
            Work::CheckpointChunks(core, chunks) => self.chunks(core, &chunks),
            Work::CheckpointEnd(core, finished, durable) => {
                self.chunks(core, &[]);
                let start = finished.start;
                let file = self.checkpoints.remove(&core)?;
                let result = file.and_then(|file| file.install(&finished, durable));
                return Some((core, Note::Checkpoint(Box::new(result.map(|()| start)))));
            }
        }
        None
    }

    fn chunks(&mut self, core: CoreId, chunks: &[Bytes]) {
        let Some(layout) = &self.layout else { return };
        let file =
            self.checkpoints.entry(core).or_insert_with(|| CheckpointFile::create(layout, core));
        for chunk in chunks {
            let written = match file {
                Ok(file) => file.write(chunk),
                Err(_) => return,
            };
            if let Err(error) = written {
                *file = Err(error);
            }
        }
    }
}
