//! The disk helper: one thread for blocking file work that no core should wait for. Segments are
//! made ahead here, checkpoints are written here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use bytes::Bytes;
use thalweg_storage::{
    CheckpointFile, FinishedCheckpoint, LayoutFile, LogPosition, RealDisk, SegmentFactory,
    SegmentRef, SegmentRequest, StorageError,
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
    /// Starts the thread; `layout` is absent without a log.
    pub fn start(
        data_dir: &Path,
        layout: Option<Arc<LayoutFile>>,
        post: Post,
    ) -> std::io::Result<Helper> {
        let (work, inbox) = mpsc::channel();
        let hold = layout.as_ref().map(|layout| layout.file_hold()).unwrap_or_default();
        let mut desk = Desk {
            factory: SegmentFactory::new(Arc::new(RealDisk), data_dir).with_hold(hold),
            layout,
            post,
            checkpoints: HashMap::new(),
        };
        std::thread::Builder::new().name("disk-helper".to_owned()).spawn(move || {
            while let Ok(work) = inbox.recv() {
                desk.work(work);
            }
        })?;
        Ok(Helper { work, data_dir: data_dir.to_owned() })
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

struct Desk {
    factory: SegmentFactory,
    layout: Option<Arc<LayoutFile>>,
    post: Post,
    checkpoints: HashMap<CoreId, Result<CheckpointFile, StorageError>>,
}

impl Desk {
    fn work(&mut self, work: Work) {
        match work {
            Work::Segment { core, request } => {
                let result = self.factory.prepare(request);
                let spare = request.recycle.filter(|free| self.factory.path(*free).exists());
                self.answer(core, Note::Segment(Box::new(result), spare));
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
                let Some(file) = self.checkpoints.remove(&core) else { return };
                let result = file.and_then(|file| file.install(&finished, durable));
                self.answer(core, Note::Checkpoint(Box::new(result.map(|()| start))));
            }
        }
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

    fn answer(&self, core: CoreId, note: Note) {
        self.post.send_from_outside(core, Message::Tell(note));
    }
}
