//! What is kept of each trial, and the judgement over it.

use serde::{Deserialize, Serialize};

use super::search::{Outcome, Trial};
use super::usage::Usage;
use crate::error::{Cause, LoadError};
use crate::plan::{Load, Plan};
use crate::result::{RunResult, Times};

/// A trial and what came of it. Rates are per second of the measured part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// What was tried.
    pub trial: Trial,
    /// The judgement.
    pub outcome: Outcome,
    /// What it rests on: conditions that did not hold, and notes on the generator.
    pub reasons: Vec<String>,
    /// What was seen; nothing if the run could not be made.
    pub seen: Option<Seen>,
}

/// What was seen in a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Live readers.
    pub readers: u64,
    /// Requests, without the transactions that they are part of.
    pub requests_per_second: f64,
    /// Live deliveries, each message once per reader.
    pub deliveries_per_second: f64,
    /// Bytes that the server sent, heads included.
    pub bytes_out_per_second: f64,
    /// Bytes that it received, heads included.
    pub bytes_in_per_second: f64,
    /// Of deliveries, or of requests if there were none, in nanoseconds.
    pub p50: u64,
    /// Likewise.
    pub p99: u64,
    /// Likewise.
    pub max: u64,
    /// Deliveries that were expected and did not come.
    pub lost: u64,
    /// Requests that failed.
    pub failed: u64,
    /// CPU of the generator's busiest thread: 1.0 is a whole core.
    pub generator_cpu: f64,
    /// 99th percentile of the generator's own lateness, in nanoseconds.
    pub lateness_p99: u64,
    /// Of the server's process, if it was watched.
    pub server: Option<Usage>,
}

impl TrialRecord {
    /// Judges a run by its verdicts, by what was started of what was intended, and by its notes on
    /// the generator.
    #[must_use]
    pub fn judge(
        trial: Trial,
        plan: &Plan,
        result: &RunResult,
        server: Option<Usage>,
    ) -> TrialRecord {
        let failed = result.verdicts.iter().filter(|verdict| !verdict.passed);
        let mut reasons: Vec<String> = failed
            .map(|verdict| format!("{}, not {}", verdict.observed, verdict.threshold))
            .collect();
        reasons.extend(result.groups.iter().filter_map(|group| {
            let short = group.open && group.achieved_rate < LEAST_ACHIEVED * group.intended_rate;
            short.then(|| {
                let (achieved, intended) = (group.achieved_rate, group.intended_rate);
                format!("{}: started {achieved:.1} of {intended:.1} per second", group.name)
            })
        }));
        let held = reasons.is_empty();
        let generator = generator_limits(plan, result);
        let outcome = match (held, generator.is_empty()) {
            (true, true) => Outcome::Held,
            (false, true) => Outcome::Failed,
            (true, false) => Outcome::GeneratorHeld,
            (false, false) => Outcome::GeneratorFailed,
        };
        reasons.extend(generator);
        TrialRecord { trial, outcome, reasons, seen: Some(Seen::of(result, server)) }
    }

    /// Judges a run that could not be made. `held_before`: some trial held already, so that the
    /// plan and the server's address are right.
    ///
    /// # Errors
    /// The same error, if it says nothing about how much load the server takes.
    pub fn of_error(
        trial: Trial,
        error: LoadError,
        held_before: bool,
    ) -> Result<TrialRecord, LoadError> {
        let outcome = match error.cause() {
            Cause::Generator => Outcome::GeneratorFailed,
            Cause::Server if held_before => Outcome::Failed,
            Cause::Server | Cause::Other => return Err(error),
        };
        Ok(TrialRecord { trial, outcome, reasons: vec![error.to_string()], seen: None })
    }
}

/// What says that the generator, and not the server, was the limit.
///
/// A server that falls so far behind that as many requests wait as the plan allows makes the
/// generator late and its load too low. That is the server's doing: only a generator that was late
/// with room for more is at its own limit.
fn generator_limits(plan: &Plan, result: &RunResult) -> Vec<String> {
    let room = plan.groups.iter().filter_map(|group| match &group.load {
        Load::Open { max_in_flight, .. } => Some(u64::from(*max_in_flight)),
        Load::Closed { .. } => None,
    });
    let waiting = result.gauges.iter().map(|gauge| gauge.in_flight).max().unwrap_or(0);
    let full = room.min().is_some_and(|room| waiting as f64 >= NEARLY_FULL * room as f64);
    let is_limit = |code: &str| match code {
        "generator-busy" | "near-ceiling" => true,
        "generator-late" => !full,
        _ => false,
    };
    let notes = result.notes.iter().filter(|note| is_limit(&note.code));
    notes.map(|note| note.text.clone()).collect()
}

impl Seen {
    fn of(result: &RunResult, server: Option<Usage>) -> Seen {
        let seconds = (result.meta.duration_ms as f64 / 1e3).max(1e-3);
        let requests = || result.operations.iter().filter(|op| op.kind != "transaction");
        let deliveries = || result.deliveries.iter();
        let per_second = |count: u64| count as f64 / seconds;
        let done: u64 = requests().map(|op| op.succeeded + op.failed).sum();
        let received: u64 = requests().map(|op| op.bytes_received).sum();
        let streamed: u64 = deliveries().map(|label| label.bytes_received).sum();
        let mut times = Times::new();
        deliveries().for_each(|label| times.merge(&label.times));
        if times.is_empty() {
            requests().for_each(|op| times.merge(&op.times));
        }
        let cpu = result.cores.iter().map(|core| core.cpu_ms as f64 / core.wall_ms.max(1) as f64);
        Seen {
            readers: deliveries().map(|label| label.readers).sum(),
            requests_per_second: per_second(done),
            deliveries_per_second: per_second(deliveries().map(|label| label.delivered).sum()),
            bytes_out_per_second: per_second(received + streamed),
            bytes_in_per_second: per_second(requests().map(|op| op.bytes_sent).sum()),
            p50: times.percentile(50.0),
            p99: times.percentile(99.0),
            max: times.max(),
            lost: deliveries().map(|label| label.lost).sum(),
            failed: requests().map(|op| op.failed).sum(),
            generator_cpu: cpu.fold(0.0, f64::max),
            lateness_p99: result.lateness.percentile(99.0),
            server,
        }
    }
}

/// Of the requests that may be under way at the same time.
const NEARLY_FULL: f64 = 0.9;
/// Of the intended arrivals. Below it the load was not the one that is being judged.
const LEAST_ACHIEVED: f64 = 0.98;
