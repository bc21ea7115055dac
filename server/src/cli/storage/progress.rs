//! A line on a terminal that says how far the reading is.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::path::Path;

use super::text::size;

/// Bytes between two lines.
const STEP_BYTES: u64 = 64 * 1024 * 1024;

/// How much was read, of about how much.
pub(super) struct Progress {
    total: u64,
    read: Cell<u64>,
    shown: Cell<u64>,
    is_shown: bool,
}

impl Progress {
    /// For a directory, each byte of which is read about so many times.
    pub(super) fn of(dir: &Path, times: u64) -> Progress {
        let is_shown = std::io::stderr().is_terminal();
        let total = if is_shown { bytes_in(dir) * times } else { 0 };
        Progress { total, read: Cell::new(0), shown: Cell::new(0), is_shown }
    }

    /// More was read.
    pub(super) fn add(&self, bytes: u64) {
        let read = self.read.get() + bytes;
        self.read.set(read);
        if self.is_shown && read >= self.shown.get() + STEP_BYTES {
            self.shown.set(read);
            let line = format!("\r{} of about {} read ", size(read), size(self.total.max(read)));
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }

    /// Clears the line.
    pub(super) fn end(&self) {
        if self.shown.get() > 0 {
            let _ = std::io::stderr().write_all(b"\r\x1b[K");
        }
    }
}

fn bytes_in(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => bytes_in(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    bytes.sum()
}
