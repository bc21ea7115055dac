//! Benchmarks of the server on this machine, beside the physical floors and other servers.
//!
//! Every contestant is a process of its own, pinned to the same CPUs; this process makes the load
//! on another one. `docs/benchmarks.md` says how to run it and how to read its tables.
//!
//! Invariant: no contestant is given a priority, and none runs while another one does.

#![forbid(unsafe_code)]

mod compaction;
mod contest;
mod facts;
mod figures;
mod instructions;
mod machine;
mod own;
mod peers;
mod programs;
mod recovery;
mod report;
mod rounds;
mod run;
mod suite;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use programs::ProgramArgs;
use run::Asked;
use suite::SuiteName;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures the server on this machine beside floors and other servers, side by side in one run.
#[derive(Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct Args {
    /// Suites, or `all`
    #[arg(value_name = "SUITE", value_parser = suites)]
    suites: Vec<Suites>,
    /// Show what can be measured, and who is here
    #[arg(long)]
    list: bool,
    /// One round with small numbers: shows that everything works, compares with nothing
    #[arg(long)]
    quick: bool,
    /// Rounds; figures are medians of them [default: 5, and 1 with --quick]
    #[arg(long)]
    rounds: Option<usize>,
    /// Contestants by name, separated by commas; the floor around them always takes part
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
    /// Only the parts of a suite whose title contains this, as `--part SSE`
    #[arg(long, value_name = "TEXT")]
    part: Option<String>,
    /// Directory for results, and for the contestants' data: it should be on a disk
    #[arg(long, default_value = "bench-results", value_name = "DIR")]
    out: PathBuf,
    /// The server's binary [default: `thalweg` beside this one]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Hidden>,
}

#[derive(Subcommand)]
enum Hidden {
    /// Instructions per append and per delivery, counted by valgrind.
    Instructions {
        /// The server's binary; built by `cargo build --release`.
        #[arg(long, default_value = "target/release/thalweg")]
        server: PathBuf,
    },
    /// A killed server's way back with many streams: time, memory, descriptors.
    Recovery(recovery::RecoveryArgs),
    /// What sealing and compaction cost and give back: bytes, and times of appends beside them.
    Compaction(compaction::CompactionArgs),
    /// Becomes another program, which ends when this process's parent does
    #[command(hide = true)]
    Become {
        /// Its path and arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Runs a program of our own until it is killed
    #[command(hide = true)]
    Program {
        /// Which
        name: String,
        #[command(flatten)]
        args: ProgramArgs,
    },
}

/// What one word on the command line asks for.
#[derive(Clone)]
struct Suites(Vec<SuiteName>);

fn suites(word: &str) -> Result<Suites, String> {
    match (word, SuiteName::of(word)) {
        ("all", _) => Ok(Suites(SuiteName::ALL.to_vec())),
        (_, Some(name)) => Ok(Suites(vec![name])),
        (_, None) => {
            let words: Vec<&str> = SuiteName::ALL.iter().map(|name| name.word()).collect();
            Err(format!("expected all or one of {}", words.join(", ")))
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.command {
        Some(Hidden::Program { name, args }) => program(name, args),
        Some(Hidden::Become { command }) => Err(contest::become_one(command)),
        Some(Hidden::Instructions { server }) => instructions::run(server).map(|()| true),
        Some(Hidden::Recovery(args)) => recovery::run(args),
        Some(Hidden::Compaction(args)) => compaction::run(args),
        None if args.list => {
            list();
            Ok(true)
        }
        None => asked(&args).and_then(|asked| run::run(&asked)),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn asked(args: &Args) -> Result<Asked, Failure> {
    let mut suites = Vec::new();
    for name in args.suites.iter().flat_map(|suites| &suites.0) {
        if !suites.contains(name) {
            suites.push(*name);
        }
    }
    if suites.is_empty() {
        return Err("no suite: `--list` shows them, `all` is all of them".into());
    }
    let rounds = args.rounds.unwrap_or(if args.quick { 1 } else { 5 });
    if rounds == 0 {
        return Err("--rounds 0: expected at least 1".into());
    }
    let server = match &args.server {
        Some(server) => server.clone(),
        None => std::env::current_exe()?.with_file_name("thalweg"),
    };
    let (quick, only, out) = (args.quick, args.only.clone(), args.out.clone());
    Ok(Asked { suites, part: args.part.clone(), quick, rounds, only, out, server })
}

fn list() {
    run::say("Suites:");
    for name in SuiteName::ALL {
        run::say(&format!("  {:<16} {}", name.word(), suite::about(*name)));
    }
    run::say("Other servers:");
    for peer in peers::all() {
        match report::found(&*peer) {
            Ok(version) => run::say(&format!("  {:<16} {version}", peer.name())),
            Err((name, install)) => {
                run::say(&format!("  {name:<16} absent; to have it: {install}"));
            }
        }
    }
}

fn program(name: &str, args: &ProgramArgs) -> Result<bool, Failure> {
    let run = programs::by_name(name).ok_or_else(|| {
        let names: Vec<&str> = programs::ALL.iter().map(|entry| entry.name).collect();
        format!("program {name:?}: expected one of {}", names.join(", "))
    })?;
    run(args).map(|()| true)
}
