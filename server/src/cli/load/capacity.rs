//! `thalweg load capacity`: the highest load at which an objective holds.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use thalweg_loadgen::capacity::hardware::Hardware;
use thalweg_loadgen::capacity::measure::{CapacityOptions, Event, measure};
use thalweg_loadgen::capacity::report::CapacityReport;
use thalweg_loadgen::capacity::search::{Answer, SearchOptions};
use thalweg_loadgen::capacity::usage::can_watch;
use thalweg_loadgen::capacity::{Knob, TrialRecord};
use thalweg_loadgen::engine::RunOptions;
use thalweg_loadgen::live::{LiveMode, show};
use thalweg_loadgen::plan::{parse_duration, parse_thresholds};
use thalweg_loadgen::result::units::{count, rate, time};

use super::exit::{Exit, Failure};
use super::generator::{Generator, GeneratorArgs};
use super::interrupt::stop_on_signal;
use super::plan::{OverrideArgs, PlanArgs, Ready};
use super::results::{WatchArgs, take_directory, write};
use super::say;

/// The arguments of `thalweg load capacity`.
#[derive(Args, Debug)]
pub struct CapacityArgs {
    #[command(flatten)]
    plan: PlanArgs,
    /// The objective, like 'p99<250ms,errors<0.1%'; it takes the place of the plan's thresholds
    #[arg(long, value_name = "CONDITIONS")]
    slo: String,
    /// What is changed from trial to trial
    #[arg(long, value_enum, default_value = "rate")]
    knob: KnobWord,
    #[command(flatten)]
    search: SearchArgs,
    /// Process of the server on this machine, to see what limits it
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Carry the result over to this hardware, like cores=16,memory=64GiB,network=10Gbit
    #[arg(long)]
    hardware: Option<Hardware>,
    /// Write the report as text and JSON to this directory, which does not exist or is empty
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    overrides: OverrideArgs,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    generator: GeneratorArgs,
}

/// How it is searched.
#[derive(Args, Debug)]
struct SearchArgs {
    /// First value [default: the plan's own]
    #[arg(long, value_name = "VALUE")]
    from: Option<f64>,
    /// Try nothing above this
    #[arg(long, value_name = "VALUE")]
    to: Option<f64>,
    /// Each step upward multiplies by this
    #[arg(long, value_name = "N", default_value_t = 2.0)]
    factor: f64,
    /// How near the answer must be to what fails: 0.05 is 5 %
    #[arg(long, value_name = "PART", default_value_t = 0.05)]
    tolerance: f64,
    /// Repeats at the answer, all of which must hold
    #[arg(long, value_name = "N", default_value_t = 3)]
    confirm: u32,
    /// Trials at most
    #[arg(long, value_name = "N", default_value_t = 40)]
    max_trials: u32,
    /// Measured part of each trial [default: that of the plan's longest group]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    trial_duration: Option<Duration>,
    /// Pause between trials, in which the server lets go of what the last one left
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
    settle: Duration,
}

/// What is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum KnobWord {
    /// Arrivals per second of all open groups
    Rate,
    /// Live readers of all groups
    Readers,
    /// Streams of all sets
    Streams,
}

pub(super) fn main(args: &CapacityArgs) -> Result<Exit, Failure> {
    let mut ready = args.plan.read(&args.overrides)?;
    let options = args.options(&mut ready)?;
    let generator = args.generator.generator()?;
    if let Some(dir) = &args.output {
        take_directory(dir)?;
    }
    let run_options = generator.options();
    let endpoint = args.watch.endpoint(&run_options.board)?;
    stop_on_signal(&run_options.stop);
    let report = search(args, &ready, &generator, &options, &run_options)?;
    drop(endpoint);
    let text = report.to_string();
    let said = say(&text);
    if let Some(dir) = &args.output {
        write(&dir.join("capacity.txt"), &text)?;
        write(&dir.join("capacity.json"), &report.to_json())?;
    }
    said?;
    if let Some(failure) = report.failure {
        return Err(Failure::not_made(failure));
    }
    Ok(match report.answer {
        None => Exit::Interrupted,
        Some(Answer::Sustained { .. } | Answer::AtLeast { value: Some(_), .. }) => Exit::Passed,
        Some(_) => Exit::Failed,
    })
}

fn search(
    args: &CapacityArgs,
    ready: &Ready,
    generator: &Generator,
    options: &CapacityOptions,
    run_options: &RunOptions,
) -> Result<CapacityReport, Failure> {
    // One line for each trial is enough where there is no full screen.
    let full = std::io::stdout().is_terminal() && !args.watch.quiet;
    let mode = if full { LiveMode::Auto } else { LiveMode::Quiet };
    let knob = options.search.knob;
    let made = measure(
        &ready.plan,
        options,
        run_options,
        &mut |plan, scaling, options| {
            let view = show(options.board.clone(), options.stop.clone(), mode);
            let result = generator.run(ready, plan, Some(*scaling), options);
            view.finish();
            result
        },
        &mut |event| {
            if let (Event::End(record), false) = (event, args.watch.quiet) {
                eprintln!("{}", line(record, knob));
            }
        },
    );
    let mut report = made?;
    ready.sign_meta(&mut report.meta);
    Ok(report)
}

impl CapacityArgs {
    /// What is searched for. The objective becomes the plan's.
    fn options(&self, ready: &mut Ready) -> Result<CapacityOptions, Failure> {
        ready.plan.thresholds.clear();
        let wrong = |error| Failure::usage(format!("--slo {:?}: {error}", self.slo));
        ready.plan.add_thresholds(&self.slo).map_err(wrong)?;
        let slo = parse_thresholds(&self.slo)?;
        let search = self.search.options(self.knob.into(), ready)?;
        if let Some(pid) = self.server_pid.filter(|pid| !can_watch(*pid)) {
            let expected = "expected a process of this machine that this user may look at";
            return Err(Failure::usage(format!("--server-pid {pid}: {expected}")));
        }
        Ok(CapacityOptions {
            search,
            slo_text: self.slo.clone(),
            slo,
            trial_duration: self.search.trial_duration,
            settle: self.search.settle,
            server_pid: self.server_pid,
            hardware: self.hardware,
        })
    }
}

impl SearchArgs {
    fn options(&self, knob: Knob, ready: &Ready) -> Result<SearchOptions, Failure> {
        let own = ready.plan.knob_value(knob).map_err(Failure::usage)?;
        let from = self.from.unwrap_or(own);
        ready
            .plan
            .scaled(knob, from)
            .map_err(|error| Failure::usage(format!("--from: {error}")))?;
        let bound = |flag: &str, value: f64, holds: bool, expected: &str| match holds {
            true => Ok(()),
            false => Err(Failure::usage(format!("{flag} {value}: expected {expected}"))),
        };
        if let Some(to) = self.to {
            let expected = format!("at least {from}, the first value");
            bound("--to", to, to >= from && to.is_finite(), &expected)?;
        }
        let (factor, tolerance) = (self.factor, self.tolerance);
        bound("--factor", factor, factor > 1.0 && factor <= 100.0, "more than 1, at most 100")?;
        let part = tolerance > 0.0 && tolerance <= 1.0;
        bound("--tolerance", tolerance, part, "more than 0, at most 1")?;
        bound("--max-trials", self.max_trials.into(), self.max_trials > 0, "at least 1")?;
        if self.trial_duration.is_some_and(|duration| duration.is_zero()) {
            return Err(Failure::usage("--trial-duration: expected more than nothing"));
        }
        Ok(SearchOptions {
            to: self.to,
            factor,
            tolerance,
            confirmations: self.confirm,
            max_trials: self.max_trials,
            ..SearchOptions::new(knob, from)
        })
    }
}

impl From<KnobWord> for Knob {
    fn from(word: KnobWord) -> Knob {
        match word {
            KnobWord::Rate => Knob::Rate,
            KnobWord::Readers => Knob::Readers,
            KnobWord::Streams => Knob::Streams,
        }
    }
}

/// A trial in a line.
fn line(record: &TrialRecord, knob: Knob) -> String {
    let value = record.trial.value;
    let value = if knob.is_whole() { count(value as u64) } else { rate(value) };
    let held = if record.outcome.held() { "held" } else { "failed" };
    let number = record.trial.number;
    let mut line = format!("trial {number:>2}  {value:>12} {}  {held:<6}", knob.unit());
    if let Some(seen) = &record.seen {
        line.push_str(&format!("  p99 {}", time(seen.p99 as f64)));
    }
    for reason in &record.reasons {
        line.push_str(&format!("; {reason}"));
    }
    line
}
