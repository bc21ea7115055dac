//! The log's task: takes groups from the shard, writes them, says what is durable. Also the cold
//! reads, the segments made ahead, and the checkpoints.
//!
//! One write is in flight per core; what arrives meanwhile is the next group. A failed write or
//! sync stops the process: after a failed sync nobody knows what is on the disk.

use std::cell::{Cell, RefCell};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::rc::Rc;

use bytes::Bytes;
use thalweg_storage::{
    Group, IoFailure, Location, PreparedSegment, SegmentRef, SegmentRequest, TakeGroup,
};

use super::Core;
use crate::config::Durability;
use crate::helper::Work;
use crate::rt::RingFile;

/// Segment files that a core keeps open for reading.
const OPEN_FOR_READING: usize = 64;
/// How long after a segment could not be made it is tried again.
const SEGMENT_RETRY: std::time::Duration = std::time::Duration::from_secs(1);

/// The files of one core's log.
#[derive(Default)]
pub struct LogFiles {
    writing: RefCell<Option<(SegmentRef, Rc<RingFile>)>>,
    /// Most recently used last.
    reading: RefCell<Vec<(SegmentRef, Rc<RingFile>)>>,
    /// The segment being made, with its size.
    requested: Cell<Option<(SegmentRef, u64)>>,
}

impl Core {
    /// Writes groups for ever. Returns at once where there is no log.
    pub async fn run_log(self: Rc<Core>) {
        if !self.shard.borrow_mut().log().is_durable() {
            return;
        }
        if self.config.durability == Durability::Async {
            crate::rt::spawn(Rc::clone(&self).run_syncs());
        }
        loop {
            self.request_segment_ahead();
            let next = self.shard.borrow_mut().log().take_group();
            match next {
                TakeGroup::Nothing => self.log_news.notified().await,
                TakeGroup::NeedSegment { segment, min_bytes } => {
                    self.request_segment(segment, None, min_bytes);
                    self.log_news.notified().await;
                }
                TakeGroup::Group(group) => self.write(group).await,
            }
        }
    }

    async fn write(self: &Rc<Core>, mut group: Group) {
        let file = match self.writing_file(group.segment) {
            Ok(file) => file,
            Err(error) => fatal("open", group.segment, &error),
        };
        let (result, bytes) =
            file.write_all_at(std::mem::take(&mut group.bytes), group.file_offset).await;
        if let Err(error) = result {
            fatal("write", group.segment, &error);
        }
        let group_bytes = bytes.len();
        group.bytes = bytes;
        self.with_shard(|shard, now| {
            let placements = std::mem::take(&mut group.placements);
            for placement in &placements {
                shard.log().placed(placement);
            }
            shard.log().written(group);
            let durable = shard.log().durable();
            shard.committed(durable, &placements, now);
        });
        self.checkpoint_if_due(group_bytes);
    }

    /// `durability = "async"`: syncs on a timer what was acknowledged before.
    async fn run_syncs(self: Rc<Core>) {
        loop {
            crate::rt::sleep(self.config.async_sync_interval).await;
            self.sync_log().await;
        }
    }

    /// Makes what was acknowledged early durable: the server stops.
    pub async fn sync_log(&self) {
        let file = self.files.writing.borrow().clone();
        if let Some((segment, file)) = file
            && let Err(error) = file.sync_data().await
        {
            fatal("sync", segment, &error);
        }
    }

    /// Reads one record's bytes.
    pub(super) async fn read_record(&self, location: Location) -> io::Result<Bytes> {
        let file = self.reading_file(location.segment)?;
        file.read_exact_at(location.record_len as usize, u64::from(location.file_offset)).await
    }

    fn writing_file(&self, segment: SegmentRef) -> io::Result<Rc<RingFile>> {
        let mut writing = self.files.writing.borrow_mut();
        if let Some((open, file)) = &*writing
            && *open == segment
        {
            return Ok(Rc::clone(file));
        }
        let path = self.helper.segment_path(segment);
        let sync = match self.config.durability {
            Durability::Async => 0,
            _ => libc::O_DSYNC,
        };
        let open = |flags| OpenOptions::new().write(true).custom_flags(flags).open(&path);
        // Not every file system can write past its cache; the sync is what matters.
        let file = open(sync | libc::O_DIRECT).or_else(|_| open(sync))?;
        let file = Rc::new(RingFile::new(file)?);
        *writing = Some((segment, Rc::clone(&file)));
        Ok(file)
    }

    fn reading_file(&self, segment: SegmentRef) -> io::Result<Rc<RingFile>> {
        let mut reading = self.files.reading.borrow_mut();
        if let Some(index) = reading.iter().position(|(open, _)| *open == segment) {
            let found = reading.remove(index);
            let file = Rc::clone(&found.1);
            reading.push(found);
            return Ok(file);
        }
        let file = OpenOptions::new().read(true).open(self.helper.segment_path(segment))?;
        let file = Rc::new(RingFile::new(file)?);
        if reading.len() >= OPEN_FOR_READING {
            reading.remove(0);
        }
        reading.push((segment, Rc::clone(&file)));
        Ok(file)
    }

    fn request_segment_ahead(&self) {
        if self.files.requested.get().is_some() {
            return;
        }
        let wanted = self.shard.borrow_mut().log().wants_segment();
        if let Some((segment, recycle)) = wanted {
            self.request_segment(segment, recycle, self.config.storage.segment_bytes);
        }
    }
}

impl Core {
    pub(super) fn segment_prepared(self: &Rc<Core>, result: Result<PreparedSegment, IoFailure>) {
        match result {
            Ok(segment) => {
                self.files.requested.set(None);
                self.with_shard(|shard, _| {
                    shard.set_disk_full(false);
                    shard.log().provide_segment(segment);
                });
                self.log_news.notify();
            }
            Err(error) => {
                tracing::error!(%error, "no segment could be made; appends are refused until one can");
                self.with_shard(|shard, _| shard.set_disk_full(true));
                let core = Rc::clone(self);
                crate::rt::spawn(async move {
                    crate::rt::sleep(SEGMENT_RETRY).await;
                    core.files.requested.set(None);
                    core.request_segment_ahead();
                    core.log_news.notify();
                });
            }
        }
    }

    fn request_segment(&self, segment: SegmentRef, recycle: Option<SegmentRef>, bytes: u64) {
        // A record may need a larger one than was asked for ahead.
        let asked = |(asked, size): (SegmentRef, u64)| asked == segment && size >= bytes;
        if self.files.requested.get().is_some_and(asked) {
            return;
        }
        self.files.requested.set(Some((segment, bytes)));
        let request = SegmentRequest { segment, bytes, salt: self.random(), recycle };
        self.helper.send(Work::Segment { core: self.id, request });
    }
}

fn fatal(action: &str, segment: SegmentRef, error: &io::Error) -> ! {
    tracing::error!(
        action,
        ?segment,
        %error,
        "the log failed; stopping, because what is on the disk is not known any more"
    );
    std::process::abort();
}
