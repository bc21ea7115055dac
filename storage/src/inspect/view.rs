//! A file read through a window, so that neither small nor large structures cost a read each.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::{Disk, DiskFile};
use crate::error::{IoContext, IoFailure};

/// Bytes read at once.
const WINDOW_BYTES: u64 = 1024 * 1024;

/// An open file.
pub(crate) struct View<'a> {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    len: u64,
    window: Bytes,
    window_at: u64,
    progress: &'a dyn Fn(u64),
}

impl<'a> View<'a> {
    /// Opens a file; `None` if there is none. `progress` is told of bytes as they are read.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        progress: &'a dyn Fn(u64),
    ) -> Result<Option<View<'a>>, IoFailure> {
        let file = match disk.open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            result => result.context("open", path)?,
        };
        let len = file.len().context("measure", path)?;
        let path = path.to_owned();
        Ok(Some(View { file, path, len, window: Bytes::new(), window_at: 0, progress }))
    }

    /// Bytes of the file.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The bytes from `at` on: `len` of them, or fewer at the end of the file.
    pub(crate) fn bytes(&mut self, at: u64, len: u64) -> Result<Bytes, IoFailure> {
        let len = len.min(self.len.saturating_sub(at));
        if len == 0 {
            return Ok(Bytes::new());
        }
        let in_window =
            at >= self.window_at && at + len <= self.window_at + self.window.len() as u64;
        if !in_window {
            let wanted = len.max(WINDOW_BYTES).min(self.len.saturating_sub(at));
            let wanted_bytes = usize::try_from(wanted).unwrap_or(usize::MAX);
            let mut bytes = vec![0; wanted_bytes];
            self.file.read_at(&mut bytes, at).context("read", &self.path)?;
            (self.progress)(wanted);
            self.window = bytes.into();
            self.window_at = at;
        }
        // In the window, which is in memory.
        let start = (at - self.window_at) as usize;
        Ok(self.window.slice(start..start + len as usize))
    }
}
