//! One plan against one contestant, and what that cost the contestant.
//!
//! Invariant: CPU time and deliveries are taken at the same two moments, the begin and the end of
//! the measured part: neither the setting up of connections nor their end is in them.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use thalweg_loadgen::engine::{self, Barrier, RunOptions};
use thalweg_loadgen::live::{Board, Phase};
use thalweg_loadgen::plan::Plan;
use thalweg_loadgen::result::{DeliveryResult, OperationResult, RunResult};

use super::Turn;
use crate::Failure;
use crate::contest::{Meter, Running, Streams};

/// What came of it.
pub(super) struct Driven {
    pub(super) result: RunResult,
    /// CPU time of the contestant in the measured part.
    pub(super) cpu_seconds: f64,
    /// Deliveries in the same time.
    delivered: u64,
    /// The contestant's memory when everything was set up and nothing had begun.
    pub(super) ready_rss_bytes: u64,
    /// And at the end of the measured part.
    pub(super) end_rss_bytes: u64,
    /// Until then.
    pub(super) setup: Duration,
}

/// Runs a plan. What fails is in the result.
pub(super) fn drive(turn: &Turn<'_>, running: &Running, mut plan: Plan) -> Result<Driven, Failure> {
    if running.streams() != Streams::Created {
        plan.streams.iter_mut().for_each(|set| set.create = false);
    }
    turn.contestant.adapt(&mut plan)?;
    let (begin, meter, board) = (Instant::now(), running.meter(), Board::default());
    let at_barrier = Arc::new(Mutex::new((0, Duration::ZERO)));
    let noted = Arc::clone(&at_barrier);
    let barrier = Barrier::new(move || {
        let seen = (meter.rss_bytes(), begin.elapsed());
        *noted.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    });
    let options =
        RunOptions { board: board.clone(), barrier: Some(barrier), ..RunOptions::default() };
    let over = AtomicBool::new(false);
    let (result, watched) = thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(meter, &board, &over));
        let result = engine::run(&plan, &options);
        over.store(true, Relaxed);
        (result, watcher.join())
    });
    let result = result.map_err(|error| running.trouble(&error.to_string()))?;
    let [from, to] = watched.map_err(|_| "the watcher failed")??;
    let (ready_rss_bytes, setup) = *at_barrier.lock().unwrap_or_else(PoisonError::into_inner);
    let cpu_seconds = to.cpu_seconds - from.cpu_seconds;
    let delivered = to.delivered - from.delivered;
    let end_rss_bytes = to.rss_bytes;
    Ok(Driven { result, cpu_seconds, delivered, ready_rss_bytes, end_rss_bytes, setup })
}

impl Driven {
    /// Its only kind of operations, or the first. Refuses if one failed: what refuses is fast.
    pub(super) fn operation(&self) -> Result<&OperationResult, Failure> {
        let operation = self.result.operations.first().ok_or("the plan has no operation")?;
        match operation.failed {
            0 if operation.succeeded == 0 => Err("nothing was done in the measured part".into()),
            0 => Ok(operation),
            failed => {
                let example = self.result.errors.first();
                let example = example.map_or("", |error| &error.example);
                Err(format!("{failed} of {} failed: {example}", operation.total()).into())
            }
        }
    }

    /// Operations per second.
    pub(super) fn rate(&self) -> Result<f64, Failure> {
        Ok(self.operation()?.succeeded as f64 / self.result.seconds())
    }

    /// Microseconds of the contestant's CPU per operation.
    pub(super) fn cpu_per_operation(&self) -> Result<f64, Failure> {
        Ok(self.cpu_seconds * 1e6 / self.operation()?.succeeded as f64)
    }

    /// Its live readers.
    pub(super) fn delivery(&self) -> Result<&DeliveryResult, Failure> {
        let delivery = self.result.deliveries.first().ok_or("the plan has no live reader")?;
        match delivery.delivered {
            0 => {
                let example = self.result.errors.first();
                let example = example.map_or("", |error| &error.example);
                Err(format!("no reader got anything. {example}").into())
            }
            _ => Ok(delivery),
        }
    }

    /// Microseconds of the contestant's CPU per delivery.
    pub(super) fn cpu_per_delivery(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.delivered as f64
    }
}

/// Deliveries that were not as they should be, and readers that gave up.
pub(super) fn faults(delivery: &DeliveryResult) -> f64 {
    let DeliveryResult { lost, duplicated, reordered, damaged, failed_readers, .. } = delivery;
    (lost + duplicated + reordered + damaged + failed_readers) as f64
}

struct Moment {
    rss_bytes: u64,
    cpu_seconds: f64,
    delivered: u64,
}

/// Begin and end of the measured part.
fn watch(meter: Meter, board: &Board, over: &AtomicBool) -> Result<[Moment; 2], Failure> {
    let at = |phase| {
        while board.phase() < phase && !over.load(Relaxed) {
            thread::sleep(LOOK);
        }
        let delivered = board.read().delivered;
        let (cpu_seconds, rss_bytes) = (meter.cpu_seconds()?, meter.rss_bytes());
        Ok::<_, Failure>(Moment { rss_bytes, cpu_seconds, delivered })
    };
    Ok([at(Phase::Running)?, at(Phase::Draining)?])
}

const LOOK: Duration = Duration::from_millis(2);
