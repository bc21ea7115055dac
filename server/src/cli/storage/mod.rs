//! `thalweg storage`: what an operator does with a data directory.
//!
//! Results go to stdout, words and progress to stderr. Each command is a module; what they do with
//! bytes is `thalweg_storage`'s business. Invariant: `verify`, `dump` and `stats` open nothing for
//! writing.

mod backup;
mod downgrade;
mod dump;
mod exit;
mod findings;
mod progress;
mod record;
mod repair;
mod restore;
mod running;
mod stats;
mod text;
mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::terminal::tell;
use exit::{EXIT_CODES, Failure};

/// The arguments of `thalweg storage`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct StorageArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: StorageCommand,
}

/// What to do with a data directory.
#[derive(Subcommand, Debug)]
pub enum StorageCommand {
    /// Check every file, every sum and every reference, without changing anything
    #[command(after_help = EXIT_CODES)]
    Verify(verify::VerifyArgs),
    /// Print the records of a log, of a stream, or the streams of a checkpoint
    #[command(after_help = EXIT_CODES)]
    Dump(dump::DumpArgs),
    /// Print how the space is used
    #[command(after_help = EXIT_CODES)]
    Stats(stats::StatsArgs),
    /// Take a backup, of a stopped server's directory or of a running one's
    #[command(after_help = EXIT_CODES)]
    Backup(backup::BackupArgs),
    /// Put a backup back
    #[command(after_help = EXIT_CODES)]
    Restore(restore::RestoreArgs),
    /// Make a damaged directory one that starts; says what it would do unless told to do it
    #[command(after_help = EXIT_CODES)]
    Repair(repair::RepairArgs),
    /// Write a copy that an older version can read
    #[command(after_help = EXIT_CODES)]
    Downgrade(downgrade::DowngradeArgs),
}

pub(super) fn main(args: &StorageArgs) -> ExitCode {
    let done = match &args.command {
        StorageCommand::Verify(args) => verify::main(args),
        StorageCommand::Dump(args) => dump::main(args),
        StorageCommand::Stats(args) => stats::main(args),
        StorageCommand::Backup(args) => backup::main(args),
        StorageCommand::Restore(args) => restore::main(args),
        StorageCommand::Repair(args) => repair::main(args),
        StorageCommand::Downgrade(args) => downgrade::main(args),
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
    super::terminal::say(text).map_err(Failure::failed)
}

/// What goes into files that this program writes.
const MADE_BY: &str = concat!("thalweg ", env!("CARGO_PKG_VERSION"));
