//! Benchmarks of the server on this machine, beside the physical floors and other servers.
//!
//! Every contestant is a process of its own, pinned to the same CPUs; this process makes the load
//! on another one.

#![forbid(unsafe_code)]

mod contest;
mod machine;
mod peers;
mod programs;
mod suite;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use programs::ProgramArgs;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures the server on this machine.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Hidden>,
}

#[derive(Subcommand)]
enum Hidden {
    /// Runs a program of our own until it is killed.
    #[command(hide = true)]
    Program {
        /// Which.
        name: String,
        #[command(flatten)]
        args: ProgramArgs,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.command {
        Some(Hidden::Program { name, args }) => match programs::by_name(name) {
            Some(run) => run(args),
            None => Err(format!("no program is called {name:?}").into()),
        },
        None => Ok(()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
