//! The command line: what the words mean. Each command's work is in its own module.

pub mod auth;
pub mod config;
pub mod exit;
pub mod load;
pub mod serve;
pub mod storage;
pub mod stream;
mod terminal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::ServeArgs;

/// A durable, append-only stream server for the Durable Streams protocol, and a client for it.
#[derive(Parser, Debug)]
#[command(name = "thalweg", version, long_version = crate::version::LONG, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run the server
    Serve(Box<ServeArgs>),
    /// Make tokens and signed URLs for access control
    Auth(auth::AuthArgs),
    /// Check a configuration, or print what is in effect and where it comes from
    Config(config::ConfigArgs),
    /// Create, write and read streams on any Durable Streams server
    Stream(Box<stream::StreamArgs>),
    /// Measure how a Durable Streams server does under load
    Load(load::LoadArgs),
    /// Check, back up, restore and repair a data directory
    Storage(storage::StorageArgs),
}

/// Parses the command line and runs it. Usage errors end the process with [`exit::Exit::Usage`].
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve::main(&args),
        Command::Auth(args) => auth::main(&args),
        Command::Config(args) => config::main(&args),
        Command::Stream(args) => stream::main(&args),
        Command::Load(args) => load::main(&args),
        Command::Storage(args) => storage::main(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
