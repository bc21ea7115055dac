//! `thalweg load`: the load generator from the command line.
//!
//! The result goes to stdout, progress to stderr (or to a full screen on a terminal). Deliberately
//! absent: everything that is measured and how; that is `thalweg_loadgen`.

mod fanout;
mod text;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// How `thalweg load` ended, for `--help`.
const EXIT_CODES: &str = "\
Exit codes:
  0  every message arrived once and in order
  1  messages were lost, repeated or reordered, or operations failed
  2  wrong usage
  3  the run could not be made";

/// The arguments of `thalweg load`.
#[derive(Args, Debug)]
pub struct LoadArgs {
    /// What to measure.
    #[command(subcommand)]
    pub command: LoadCommand,
}

/// What to measure.
#[derive(Subcommand, Debug)]
pub enum LoadCommand {
    /// One publisher at a fixed rate, many live readers: does each get everything, and how soon?
    #[command(after_help = EXIT_CODES)]
    Fanout(fanout::FanoutArgs),
}

pub(super) fn main(args: &LoadArgs) -> ExitCode {
    match &args.command {
        LoadCommand::Fanout(args) => fanout::main(args),
    }
}
