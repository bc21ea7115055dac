//! Virtual time: one monotonic clock that only the scheduler moves, and a wall clock that jumps.

use std::cell::Cell;
use std::time::{Duration, Instant};

use thalweg_proto::time::Timestamp;

/// When every run begins: an arbitrary moment, always the same.
const EPOCH_MS: u64 = 1_800_000_000_000;

/// The clocks of a machine. They go on when its server does not.
pub(crate) struct Time {
    /// Where `Instant`s begin. It differs between runs, and nothing depends on it.
    origin: Instant,
    now: Cell<Duration>,
    /// What jumps have added to the wall clock, in milliseconds.
    skew_ms: Cell<i64>,
}

impl Time {
    pub(crate) fn new() -> Time {
        Time { origin: Instant::now(), now: Cell::default(), skew_ms: Cell::new(0) }
    }

    /// Since the beginning.
    pub(crate) fn now(&self) -> Duration {
        self.now.get()
    }

    pub(crate) fn instant(&self) -> Instant {
        self.origin + self.now.get()
    }

    pub(crate) fn wall(&self) -> Timestamp {
        let ms = EPOCH_MS + self.now.get().as_millis() as u64;
        Timestamp(ms.saturating_add_signed(self.skew_ms.get()))
    }

    /// Never backwards.
    pub(crate) fn advance_to(&self, to: Duration) {
        self.now.set(self.now.get().max(to));
    }

    pub(crate) fn jump(&self, ms: i64) {
        self.skew_ms.set(self.skew_ms.get() + ms);
    }
}
