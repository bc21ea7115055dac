//! What a run needs besides its plan.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::distributed::limits::WORKERS;
use crate::live::Board;
use crate::output::jtl::JtlSink;
use crate::result::Ceiling;

/// What a run needs besides its plan.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Threads that make the load.
    pub cores: Cores,
    /// Which part of the load is this process's.
    pub share: Share,
    /// Where progress is shown.
    pub board: Board,
    /// Ends the run early.
    pub stop: Stop,
    /// What the generator can do on this machine, if that is known: for the notes.
    pub ceiling: Option<Ceiling>,
    /// Where every request is logged.
    pub jtl: Option<JtlSink>,
    /// Which deliveries are logged there too.
    pub jtl_deliveries: JtlDeliveries,
    /// Called once, after the set-up and before the load: returns when the load shall start.
    pub barrier: Option<Barrier>,
}

/// Waits for the other workers of a distributed run.
#[derive(Clone)]
pub struct Barrier(Arc<dyn Fn() + Send + Sync>);

impl Barrier {
    /// Waits by calling `wait`.
    pub fn new(wait: impl Fn() + Send + Sync + 'static) -> Barrier {
        Barrier(Arc::new(wait))
    }

    /// Returns when all are ready, or when the run has been stopped.
    pub fn wait(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Barrier")
    }
}

/// Threads that make the load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cores {
    /// So many, wherever the scheduler puts them.
    Count(usize),
    /// One on each of these processors.
    Pinned(Vec<usize>),
}

impl Default for Cores {
    fn default() -> Cores {
        Cores::Count(1)
    }
}

/// One worker's part of a distributed run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Which worker, from 0.
    pub index: u32,
    /// How many workers.
    pub of: u32,
}

impl Share {
    /// Refuses what is no part of anything. It may come from the network.
    pub(crate) fn check(self) -> Result<(), String> {
        let Share { index, of } = self;
        if (1..=WORKERS as u32).contains(&of) && index < of {
            return Ok(());
        }
        Err(format!("part {index} of {of}: expected one of 1 to {WORKERS} parts, from 0"))
    }
}

impl Default for Share {
    fn default() -> Share {
        Share { index: 0, of: 1 }
    }
}

/// Which deliveries are logged: chosen by reader, never by latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum JtlDeliveries {
    /// Of every reader.
    All,
    /// Of one reader in so many.
    OneIn(u32),
    /// Of none.
    #[default]
    None,
}

/// Ends a run early, from any thread or a signal handler.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks the run to end: no more load, then the drain, then the result.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
