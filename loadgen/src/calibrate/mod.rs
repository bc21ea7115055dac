//! What this generator can do on this machine: ordinary plans, run by the ordinary engine against a
//! server that does nothing.
//!
//! A result that comes near these figures says something about the generator, not about the
//! server that it was meant to measure.
//!
//! Invariants: nothing here counts or times anything that a run does not; a figure that the null
//! server limited says so.
//!
//! Deliberately absent: how a run is made ([`crate::engine`]), and when a result is said to be near
//! the ceiling ([`crate::result::notes`]).

mod hub;
mod plans;
mod saved;
mod server;
mod text;
mod wire;

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use self::plans::Kind;
use self::server::NullServer;
use crate::LoadError;
use crate::engine::{self, Cores, RunOptions, Stop};
use crate::result::{Ceiling, Machine, NOT_SENT, RunResult};

pub use saved::{save, saved};

/// What to calibrate.
#[derive(Clone, Debug)]
pub struct CalibrateOptions {
    /// The generator's threads. A count is pinned to so many processors where others are left for
    /// the null server.
    pub cores: Cores,
    /// Of each of the three measurements.
    pub duration: Duration,
    /// Ends it early.
    pub stop: Stop,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// This program's version.
    pub version: String,
    /// Where it was measured.
    pub machine: Machine,
    /// When, milliseconds since 1970.
    pub measured_unix_ms: u64,
    /// Processors of the generator; empty if it was not pinned.
    pub cpus: Vec<usize>,
    /// Whether the null server had processors of its own.
    pub apart: bool,
    /// What a core can do.
    pub ceiling: Ceiling,
    /// The measurements: requests, pipelined appends, deliveries.
    pub figures: Vec<Figure>,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What was counted, in words.
    pub name: String,
    /// On all cores together.
    pub per_second: f64,
    /// CPU time by wall time of the generator's threads, per core.
    pub generator_busy: f64,
    /// The same of the null server's busiest thread.
    pub server_busy: f64,
}

impl Figure {
    /// Whether the null server may have been the limit: then the generator can do more.
    #[must_use]
    pub fn is_lower_bound(&self) -> bool {
        self.generator_busy < FULLY_BUSY
    }
}

/// Measures what the generator can do on this machine.
///
/// # Errors
/// If there are too few descriptors or a thread cannot be pinned, if the run was stopped, and if
/// anything was lost or failed: then the figures would mean nothing.
pub fn run(options: &CalibrateOptions) -> Result<Calibration, LoadError> {
    let layout = Layout::new(&options.cores);
    let mut figures = Vec::new();
    for kind in [Kind::Requests, Kind::Pipelined, Kind::Deliveries] {
        figures.push(figure(kind, &layout, options)?);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let cores = layout.cores;
    let per_core = |at: usize| figures[at].per_second / f64::from(cores);
    Ok(Calibration {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        machine: engine::machine(),
        measured_unix_ms: now.as_millis() as u64,
        apart: layout.apart,
        ceiling: Ceiling {
            requests_per_second: per_core(0),
            pipelined_per_second: per_core(1),
            deliveries_per_second: per_core(2),
            cores,
        },
        cpus: layout.generator,
        figures,
    })
}

fn figure(kind: Kind, layout: &Layout, options: &CalibrateOptions) -> Result<Figure, LoadError> {
    let run = RunOptions {
        cores: match layout.generator.as_slice() {
            [] => options.cores.clone(),
            cpus => Cores::Pinned(cpus.to_vec()),
        },
        stop: options.stop.clone(),
        ..RunOptions::default()
    };
    let threads = layout.server_threads;
    let server = NullServer::start(threads, &layout.server, run.board.clone());
    let server = server.map_err(LoadError::Runtime)?;
    let url = format!("http://{}/null", server.address);
    let result = engine::run(&plans::plan(kind, &url, layout.cores, options.duration), &run);
    let server_busy = server.stop().map_err(LoadError::Runtime)?;
    let result = result?;
    check(&result)?;
    Ok(measured(kind, &result, layout.cores, server_busy))
}

/// A figure is worth something if everything was as it should be. The load is more than can be
/// sent, so what was not sent is no failure.
fn check(result: &RunResult) -> Result<(), LoadError> {
    let refused = |reason: String| LoadError::Prepare { what: "calibrate".into(), reason };
    if result.meta.interrupted {
        return Err(refused("it was stopped before its end".into()));
    }
    if let Some(error) = result.errors.iter().find(|error| error.kind != NOT_SENT) {
        let (count, kind, example) = (error.count, &error.kind, &error.example);
        return Err(refused(format!("{count} operations failed ({kind}: {example})")));
    }
    match result.deliveries.iter().find(|delivery| !delivery.is_clean()) {
        None => Ok(()),
        Some(delivery) => {
            let (lost, expected) = (delivery.lost, delivery.expected);
            Err(refused(format!("{lost} of {expected} deliveries were lost or damaged")))
        }
    }
}

/// What happened in the seconds of the load; what came after it is checked but not counted.
fn measured(kind: Kind, result: &RunResult, cores: u32, server_busy: f64) -> Figure {
    let (name, count) = match kind {
        Kind::Requests => ("requests, one at a time on 256 connections", requests(result)),
        Kind::Pipelined => ("appends, pipelined on 16 connections", requests(result)),
        Kind::Deliveries => {
            let delivered: u64 = result.deliveries.iter().map(|all| all.delivered).sum();
            ("SSE deliveries to 2,000 readers", delivered)
        }
    };
    let cpu_ms: u64 = result.cores.iter().map(|core| core.cpu_ms).sum();
    let wall_ms = result.cores.iter().map(|core| core.wall_ms).max().unwrap_or(0).max(1) as f64;
    Figure {
        name: name.to_owned(),
        per_second: count as f64 * 1000.0 / wall_ms,
        generator_busy: cpu_ms as f64 / wall_ms / f64::from(cores),
        server_busy,
    }
}

fn requests(result: &RunResult) -> u64 {
    result.plain_operations().map(|operation| operation.succeeded).sum()
}

/// Who runs where.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Layout {
    /// Processors of the generator's threads; empty if they are not pinned.
    generator: Vec<usize>,
    /// Processors of the null server's threads.
    server: Vec<usize>,
    server_threads: usize,
    cores: u32,
    apart: bool,
}

impl Layout {
    fn new(cores: &Cores) -> Layout {
        let set = rustix::thread::sched_getaffinity(None).unwrap_or_default();
        let all: Vec<usize> =
            (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect();
        Layout::of(&all, cores)
    }

    /// On these processors. The first ones take most of the machine's interrupts: they are the
    /// server's.
    fn of(all: &[usize], cores: &Cores) -> Layout {
        let generator = match cores {
            Cores::Pinned(cpus) => cpus.clone(),
            Cores::Count(count) if *count < all.len() => all[all.len() - count..].to_vec(),
            Cores::Count(_) => Vec::new(),
        };
        let cores = match cores {
            Cores::Pinned(cpus) => cpus.len(),
            Cores::Count(count) => *count,
        };
        let others = all.iter().copied().filter(|cpu| !generator.contains(cpu));
        let server: Vec<usize> = if generator.is_empty() { Vec::new() } else { others.collect() };
        Layout {
            apart: !server.is_empty(),
            server_threads: server.len().clamp(1, 2 * cores.max(1)),
            server,
            generator,
            cores: cores.max(1) as u32,
        }
    }
}

/// CPU time by wall time of a core that was the limit.
const FULLY_BUSY: f64 = 0.9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts() {
        let check = |all: &[usize],
                     cores: Cores,
                     generator: &[usize],
                     server: &[usize],
                     threads| {
            let got = Layout::of(all, &cores);
            assert_eq!((got.generator.as_slice(), got.server.as_slice()), (generator, server));
            assert_eq!((got.server_threads, got.apart), (threads, !server.is_empty()), "{all:?}");
        };
        check(&[0], Cores::Count(1), &[], &[], 1);
        check(&[0, 1], Cores::Count(1), &[1], &[0], 1);
        check(&[0, 1], Cores::Count(2), &[], &[], 1);
        check(&[2, 3, 8, 9], Cores::Count(1), &[9], &[2, 3, 8], 2);
        check(&[0, 1], Cores::Pinned(vec![0]), &[0], &[1], 1);
        check(&[0, 1], Cores::Pinned(vec![0, 1]), &[0, 1], &[], 1);
    }

    #[test]
    fn a_short_calibration_loses_nothing() {
        let duration = Duration::from_millis(300);
        let (cores, stop) = (Cores::Count(1), Stop::default());
        let calibration = run(&CalibrateOptions { cores, duration, stop }).unwrap();
        let Ceiling { requests_per_second, pipelined_per_second, deliveries_per_second, .. } =
            calibration.ceiling;
        for figure in [requests_per_second, pipelined_per_second, deliveries_per_second] {
            assert!(figure > 0.0 && figure.is_finite(), "{calibration:?}");
        }
        assert_eq!(calibration.figures.len(), 3);
    }
}
