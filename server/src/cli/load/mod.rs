//! `thalweg load`: the load generator from the command line.
//!
//! The words of a command (`run`, `fanout`, `capacity`) become a ready `plan`; `execute` makes the
//! run, here or on workers; `results` puts what came of it where it was asked for. The result goes
//! to stdout, progress to stderr, or to a full screen on a terminal.
//!
//! Deliberately absent: everything that is measured and how; that is `thalweg_loadgen`.

mod calibrate;
mod capacity;
mod compare;
mod describe;
mod execute;
mod exit;
mod fanout;
mod generator;
mod interrupt;
mod plan;
mod report;
mod results;
mod run;
mod worker;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use thalweg_loadgen::plan::toml;

use super::terminal::tell;
use exit::{EXIT_CODES, Exit, Failure};

/// The arguments of `thalweg load`.
#[derive(Args, Debug)]
pub struct LoadArgs {
    /// What to measure.
    #[command(subcommand)]
    pub command: LoadCommand,
}

/// What to measure, and what to do with what was.
#[derive(Subcommand, Debug)]
pub enum LoadCommand {
    /// Run a plan: ours in TOML, or JMeter's
    #[command(after_help = EXIT_CODES)]
    Run(Box<run::RunArgs>),
    /// One publisher at a fixed rate, many live readers: does each get everything, and how soon?
    #[command(after_help = EXIT_CODES)]
    Fanout(Box<fanout::FanoutArgs>),
    /// Search for the highest load at which an objective holds
    #[command(after_help = EXIT_CODES)]
    Capacity(Box<capacity::CapacityArgs>),
    /// Show a result again: as text, and as the HTML report
    #[command(after_help = EXIT_CODES)]
    Report(report::ReportArgs),
    /// Compare two results: what became better or worse, and whether that is more than chance
    #[command(after_help = EXIT_CODES)]
    Compare(compare::CompareArgs),
    /// Measure what this generator can do on this machine, against a server that does nothing
    #[command(after_help = EXIT_CODES)]
    Calibrate(calibrate::CalibrateArgs),
    /// Make a part of the load of runs that are started elsewhere with --workers
    #[command(after_help = EXIT_CODES)]
    Worker(worker::WorkerArgs),
    /// Print the JSON schema of plans
    Schema,
}

pub(super) fn main(args: &LoadArgs) -> ExitCode {
    let done = match &args.command {
        LoadCommand::Run(args) => run::main(args),
        LoadCommand::Fanout(args) => fanout::main(args),
        LoadCommand::Capacity(args) => capacity::main(args),
        LoadCommand::Report(args) => report::main(args),
        LoadCommand::Compare(args) => compare::main(args),
        LoadCommand::Calibrate(args) => calibrate::main(args),
        LoadCommand::Worker(args) => worker::main(args),
        LoadCommand::Schema => say(&toml::schema()).map(|()| Exit::Passed),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(Failure { exit, message }) => {
            tell(&message);
            exit.into()
        }
    }
}

/// To stdout.
fn say(text: &str) -> Result<(), Failure> {
    super::terminal::say(text).map_err(Failure::not_made)
}
