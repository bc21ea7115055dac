//! The access log: one JSON object a line for each answered request, or for a sample of them.
//!
//! Cores push entries into a bounded queue and never wait; a thread of its own formats and writes
//! them. What finds the queue full is dropped and counted. Deliberately absent: queries, which may
//! carry signatures, and every field of a request but its id.

mod context;
mod entry;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;

pub use context::TraceContext;
pub use entry::{Entry, RequestId};
pub use writer::Writer;

use crate::config::limits::ACCESS_LOG_QUEUE;

/// Where the lines go.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Target {
    /// Nowhere.
    #[default]
    Off,
    /// To the standard output.
    Stdout,
    /// To the end of a file.
    File(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Off => f.write_str("off"),
            Target::Stdout => f.write_str("stdout"),
            Target::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The end that cores write to. Cheap to clone.
#[derive(Clone)]
pub struct AccessLog(Arc<Shared>);

struct Shared {
    queue: ArrayQueue<Entry>,
    written: AtomicU64,
    dropped: AtomicU64,
    /// The writer opens its file again.
    reopen: AtomicBool,
    stop: AtomicBool,
}

impl Default for AccessLog {
    fn default() -> AccessLog {
        AccessLog(Arc::new(Shared {
            queue: ArrayQueue::new(ACCESS_LOG_QUEUE),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            reopen: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        }))
    }
}

impl AccessLog {
    /// Adds a line. Never waits.
    pub fn push(&self, entry: Entry) {
        if self.0.queue.push(entry).is_err() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// Lines lost so far: the queue was full, or the file could not be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}
