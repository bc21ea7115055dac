//! The board: threads of the engine write to it four times a second, whoever shows it reads.
//!
//! Invariant: reading never waits for the engine longer than the copy of one snapshot.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::result::{ErrorCount, Times};

/// A run as it stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The plan's name.
    pub plan: String,
    /// The base URL.
    pub target: String,
    /// What it is doing.
    pub phase: Phase,
    /// Since the begin of the phase.
    pub elapsed_ms: u64,
    /// Length of the phase, if it is known.
    pub phase_ms: Option<u64>,
    /// Virtual users.
    pub users: u64,
    /// Connected live readers.
    pub readers: u64,
    /// Of so many.
    pub readers_wanted: u64,
    /// Requests without an answer.
    pub in_flight: u64,
    /// Messages that live readers have received, warm-up included.
    #[serde(default)]
    pub delivered: u64,
    /// In the plan's order, operations first.
    pub labels: Vec<LabelProgress>,
    /// Threads.
    pub cores: Vec<CoreProgress>,
    /// So far.
    pub errors: Vec<ErrorCount>,
    /// Lost, repeated and reordered deliveries so far.
    pub faults: u64,
}

/// What a run is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Streams and readers are being set up.
    #[default]
    SettingUp,
    /// Load that is not counted.
    WarmUp,
    /// Load that is.
    Running,
    /// No more load; deliveries may still arrive.
    Draining,
    /// Over.
    Done,
}

/// One label.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LabelProgress {
    /// The label.
    pub label: String,
    /// Deliveries instead of operations.
    pub deliveries: bool,
    /// Ended so far.
    pub total: u64,
    /// Failed so far.
    pub failed: u64,
    /// Ended per second, over the last whole second.
    pub per_second: f64,
    /// Of the last whole second.
    pub last: Times,
    /// Of the whole run.
    pub all: Times,
}

/// One thread.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CoreProgress {
    /// Its name.
    pub name: String,
    /// Operations and deliveries per second, over the last whole second.
    pub per_second: f64,
    /// 99th percentile of its lateness in the last whole second, in nanoseconds.
    pub lateness_p99: u64,
}

/// Shared between the engine and whoever shows its progress.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Progress>>);

impl Board {
    /// The latest.
    #[must_use]
    pub fn read(&self) -> Progress {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the run is doing; cheaper than all of it.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).phase
    }

    /// Messages that live readers have received.
    pub(crate) fn delivered(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).delivered
    }

    /// Changes it.
    pub fn write(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
