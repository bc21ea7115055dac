//! Checkpoint files: blocking, for a helper thread.

use std::path::PathBuf;
use std::sync::Arc;

use super::encode::FinishedCheckpoint;
use crate::disk::DiskFile;
use crate::error::{IoContext, IoFailure, StorageError};
use crate::layout::{CHECKPOINTS_NAME, CheckpointProgress, LayoutFile, checkpoint_path};
use crate::location::{LogId, LogPosition, SegmentRef};

/// A checkpoint file that is being written under a temporary name.
pub struct CheckpointFile {
    layout: Arc<LayoutFile>,
    core: usize,
    log: LogId,
    progress: CheckpointProgress,
    path: PathBuf,
    temporary: PathBuf,
    file: Arc<dyn DiskFile>,
    written: u64,
    synced: u64,
}

/// The action of an [`IoFailure`] after which the log has lost what it was said to have: whoever gets
/// it must stop, because the next sync may succeed with the bytes gone.
pub const SYNC_LOG: &str = "sync the log";

/// What is written of a checkpoint between two syncs: all of it at once would keep the disk from
/// the log for as long as that takes.
const SYNC_BYTES: u64 = 4 << 20;

impl CheckpointFile {
    /// Creates the file of a core's next checkpoint.
    pub fn create(layout: &Arc<LayoutFile>, core: usize) -> Result<CheckpointFile, StorageError> {
        let (log, progress) = layout.begin_checkpoint(core)?;
        let path = checkpoint_path(&layout.data_dir, log, progress.next_number);
        let temporary = path.with_added_extension("tmp");
        let file = layout.disk.create(&temporary).context("create", &temporary)?;
        let layout = Arc::clone(layout);
        Ok(CheckpointFile {
            layout,
            core,
            log,
            progress,
            path,
            temporary,
            file,
            written: 0,
            synced: 0,
        })
    }

    /// Appends a chunk.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), StorageError> {
        self.file.write_at(chunk, self.written).context("write", &self.temporary)?;
        self.written += chunk.len() as u64;
        if self.written - self.synced >= SYNC_BYTES {
            self.file.sync().context("sync", &self.temporary)?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// Appends the last chunks, makes everything durable and makes this checkpoint the newest of
    /// its core. `durable` is [`crate::LogWriter::durable_position`]; it must have reached
    /// `finished.needs`. The checkpoint before the previous one is removed.
    pub fn install(
        mut self,
        finished: &FinishedCheckpoint,
        durable: LogPosition,
    ) -> Result<(), StorageError> {
        if durable.lsn < finished.needs {
            let (needs, durable) = (finished.needs, durable.lsn);
            return Err(StorageError::CheckpointAhead { needs, durable });
        }
        for chunk in &finished.chunks {
            self.write(chunk)?;
        }
        self.file.sync().context("sync", &self.temporary)?;
        self.sync_log(durable.segment)?;
        let disk = &self.layout.disk;
        disk.rename(&self.temporary, &self.path).context("rename", &self.temporary)?;
        let dir = self.layout.data_dir.join(CHECKPOINTS_NAME);
        disk.sync_dir(&dir).context("sync", &dir)?;
        let obsolete =
            self.layout.install(self.core, self.progress.next_number, durable.segment)?;
        // Number 0 is the empty beginning of a log: it has no file.
        if let Some(number) = obsolete.filter(|number| *number != 0) {
            let path = checkpoint_path(&self.layout.data_dir, self.log, number);
            match self.layout.hold.remove(&**disk, &path) {
                // A damaged one may be gone altogether.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                result => result.context("remove", &path)?,
            }
        }
        Ok(())
    }

    /// Under asynchronous durability the log may not be on the disk yet, and a checkpoint must not
    /// know more than its log. Syncing clean files costs nothing.
    fn sync_log(&self, last: u32) -> Result<(), IoFailure> {
        for number in self.progress.unsynced_from..=last {
            let path = SegmentRef { log: self.log, number }.path(&self.layout.data_dir);
            match self.layout.disk.open(&path) {
                // Not begun yet: there is nothing to sync.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                result => result.context("open", &path)?.sync().context(SYNC_LOG, &path)?,
            }
        }
        Ok(())
    }
}
