//! Makes the trials of a search, one after another.
//!
//! How a run is made is a parameter: on this machine, on workers, or in a test against a model of
//! a server.

use std::thread;
use std::time::{Duration, Instant};

use super::hardware::Hardware;
use super::report::CapacityReport;
use super::scale::Scaling;
use super::search::{Search, SearchOptions, Trial};
use super::trial::TrialRecord;
use super::usage::Watch;
use crate::LoadError;
use crate::engine::RunOptions;
use crate::plan::{Plan, Threshold};
use crate::result::{Meta, RunResult};

/// What is to be found out.
#[derive(Clone, Debug)]
pub struct CapacityOptions {
    /// Of what, from where to where.
    pub search: SearchOptions,
    /// The objective, as it was written.
    pub slo_text: String,
    /// The objective: all must hold. The plan's own thresholds are not looked at.
    pub slo: Vec<Threshold>,
    /// Measured part of each trial; that of the plan's longest group otherwise.
    pub trial_duration: Option<Duration>,
    /// Pause between trials, in which the server lets go of what the last one left.
    pub settle: Duration,
    /// The server's process on this machine.
    pub server_pid: Option<u32>,
    /// What to extrapolate to.
    pub hardware: Option<Hardware>,
}

/// Makes one run of a plan that is scaled already, and has judged the plan's thresholds, which
/// are the objective's. The scaling is for workers, which read the plan themselves.
pub type Runner<'a> = dyn FnMut(&Plan, &Scaling, &RunOptions) -> Result<RunResult, LoadError> + 'a;

/// What is told while a search runs.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A trial begins.
    Begin(&'a Trial),
    /// It has ended.
    End(&'a TrialRecord),
}

/// Searches for the highest load that meets the objective, and writes down what was found. A
/// search that is stopped has a report too, of what was found until then; so has one in which a
/// later run could not be made for a reason that says nothing about the server's capacity.
///
/// # Errors
/// The plan cannot be scaled, or already the first run could not be made.
pub fn measure(
    plan: &Plan,
    options: &CapacityOptions,
    run_options: &RunOptions,
    run: &mut Runner<'_>,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<CapacityReport, LoadError> {
    let mut search = Search::new(options.search);
    let mut records: Vec<TrialRecord> = Vec::new();
    let mut meta = Meta::default();
    let mut failure = None;
    while let Some(trial) = search.next() {
        if !records.is_empty() {
            settle(options.settle, run_options);
        }
        if run_options.stop.is_stopped() {
            break;
        }
        tell(Event::Begin(&trial));
        let held_before = search.best().is_some();
        let made = one(plan, options, run_options, trial, held_before, &mut *run, &mut meta);
        let record = match made {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(error) if records.is_empty() => return Err(error),
            Err(error) => {
                failure = Some(error.to_string());
                break;
            }
        };
        tell(Event::End(&record));
        search.observe(&trial, record.outcome);
        records.push(record);
    }
    let answer = search.answer();
    let best = search.best();
    let report = CapacityReport::new(options, meta, records, answer, best);
    Ok(CapacityReport { failure, ..report })
}

/// One trial; nothing if it was stopped before its end, because half a run proves nothing.
fn one(
    plan: &Plan,
    options: &CapacityOptions,
    run_options: &RunOptions,
    trial: Trial,
    held_before: bool,
    run: &mut Runner<'_>,
    meta: &mut Meta,
) -> Result<Option<TrialRecord>, LoadError> {
    let (knob, value) = (options.search.knob, trial.value);
    let scaling = Scaling { knob, value, duration: options.trial_duration };
    let mut scaled = scaling.apply(plan).map_err(|error| LoadError::Refused(error.to_string()))?;
    // Repeats are further samples, not the same one again.
    scaled.seed = plan.seed.wrapping_add(u64::from(trial.number));
    scaled.thresholds.clone_from(&options.slo);
    let watch = options.server_pid.map(|pid| Watch::start(pid, run_options.board.clone()));
    let result = run(&scaled, &scaling, run_options);
    let usage = watch.and_then(Watch::finish);
    match result {
        Ok(result) if result.meta.interrupted => Ok(None),
        Ok(result) => {
            let record = TrialRecord::judge(trial, &scaled, &result, usage);
            *meta = result.meta;
            Ok(Some(record))
        }
        Err(_) if run_options.stop.is_stopped() => Ok(None),
        Err(error) => TrialRecord::of_error(trial, error, held_before).map(Some),
    }
}

fn settle(pause: Duration, run_options: &RunOptions) {
    let end = Instant::now() + pause;
    while !run_options.stop.is_stopped() && Instant::now() < end {
        thread::sleep(Duration::from_millis(20).min(pause));
    }
}
