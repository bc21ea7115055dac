//! What a core counts, and how it is told.
//!
//! Each core owns one [`Metrics`]: plain cells, because only its thread touches them. No atomics,
//! no locks and no allocation where requests pass. Whoever wants to know sends the core a message
//! ([`crate::mailbox::message::Note::Snapshot`]) and gets a [`Snapshot`], which [`render`] turns
//! into text.
//!
//! Invariant: counters only rise. Deliberately absent: rates and quantiles, which the reader
//! computes, and labels that a client can choose, which would have no bound.

mod codes;
pub mod connections;
pub mod families;
pub mod histogram;
mod operation;
pub mod process;
pub mod render;
mod snapshot;

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use thalweg_proto::response::Response;
use thalweg_proto::time::Timestamp;

pub use codes::ByCode;
pub use operation::Operation;
pub use snapshot::{Sample, Snapshot, Value};

use histogram::{Counts, Sizes, Times};
use operation::OPERATIONS;

/// Off only in a build that shows what counting costs.
pub(crate) const COUNTS: bool = !cfg!(feature = "uncounted");

/// A number that only rises.
#[derive(Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    /// One more.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    #[inline]
    pub fn add(&self, more: u64) {
        if COUNTS {
            self.0.set(self.0.get() + more);
        }
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Numbers that only rise, each with a name that is a constant of the program: few.
#[derive(Default)]
pub struct Named(RefCell<Vec<(&'static str, u64)>>);

impl Named {
    /// One more of this name.
    pub fn increment(&self, name: &'static str) {
        let mut counts = self.0.borrow_mut();
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }

    /// All that were counted.
    #[must_use]
    pub fn get(&self) -> Vec<(&'static str, u64)> {
        self.0.borrow().clone()
    }
}

/// Classes of statuses: 2xx to 5xx.
const CLASSES: usize = 4;

/// What one core counts.
#[derive(Default)]
pub struct Metrics {
    requests: [[Counter; CLASSES]; OPERATIONS],
    refusals: Named,
    /// From a parsed append to its answer.
    pub append: Times,
    /// Bytes of response bodies.
    pub response_bytes: Counter,
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections refused for want of room.
    pub turned_away: Counter,
    /// Failures to accept.
    pub accept_errors: Counter,
    /// HTTP/2 connections that were ended with an error.
    pub http2_connection_errors: ByCode,
    /// Requests of HTTP/2 that were ended with an error.
    pub http2_stream_errors: ByCode,
    /// TLS.
    pub tls: connections::Tls,
    /// HTTP/2.
    pub http2: connections::Http2,
    /// Live readers that were ended because they may not read any more.
    pub access_withdrawn: Counter,
    /// Long-polls that wait.
    pub long_polls: Cell<usize>,
    /// From readers being called to all of them having been looked after.
    pub fanout: Times,
    /// Frames handed to the kernel.
    pub frames: Counter,
    /// Their bytes.
    pub frame_bytes: Counter,
    /// Pages for readers that had fallen behind.
    pub fanout_pages: Counter,
    /// Pauses of the fan-out.
    pub fanout_rests: Counter,
    /// Writes of groups.
    pub group_write: Times,
    /// When the newest group was written: the clock is read for all that it acknowledges at once.
    pub group_written: Cell<Option<Instant>>,
    /// Syncs apart from writes.
    pub sync: Times,
    /// Records of groups.
    pub group_records: Counts,
    /// Bytes of groups.
    pub group_bytes: Sizes,
    /// Bytes read from the log.
    pub log_read_bytes: Counter,
    /// Segments made ready.
    pub segments_made: Counter,
    /// Those made out of free ones.
    pub segments_recycled: Counter,
    /// Free ones removed.
    pub segments_removed: Counter,
    /// Those that could not be made.
    pub segment_failures: Counter,
    /// Checkpoints installed.
    pub checkpoints: Counter,
    /// Checkpoints that failed.
    pub checkpoint_failures: Counter,
    /// How long the newest one took.
    pub last_checkpoint: Cell<Duration>,
    /// When the newest one was installed, by the wall clock.
    pub checkpoint_installed: Cell<Timestamp>,
    /// Messages received.
    pub messages: Counter,
}

impl Metrics {
    /// A request was answered.
    #[inline]
    pub fn answered(&self, operation: Operation, response: &Response) {
        if !COUNTS {
            return;
        }
        self.count(operation, response.status.as_u16());
        self.response_bytes.add(response.body_len() as u64);
        if let Some(code) = response.problem {
            self.refused(code);
        }
    }

    /// A request was answered with a status and a body that is sent bit by bit.
    #[inline]
    pub fn count(&self, operation: Operation, status: u16) {
        let class = usize::from(status / 100).clamp(2, 5) - 2;
        self.requests[operation as usize][class].increment();
    }

    /// Something was refused, with the code of its problem document.
    pub fn refused(&self, code: &'static str) {
        self.refusals.increment(code);
    }

    /// A long-poll begins to wait; it ends when this is dropped.
    #[must_use]
    pub fn long_poll(&self) -> LongPolling<'_> {
        self.long_polls.set(self.long_polls.get() + 1);
        LongPolling(self)
    }
}

/// See [`Metrics::long_poll`].
pub struct LongPolling<'a>(&'a Metrics);

impl Drop for LongPolling<'_> {
    fn drop(&mut self) {
        self.0.long_polls.set(self.0.long_polls.get() - 1);
    }
}
