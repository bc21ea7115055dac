//! Programs of our own that suites measure others against: floors, and one program on several
//! runtimes. Each is a process: `bench program NAME --port P`.
//!
//! Invariant: a program listens on 127.0.0.1 and serves until it is killed.

use std::path::PathBuf;

use clap::Args;

use crate::Failure;

/// What a program is started with.
#[derive(Args, Clone, Debug)]
pub(crate) struct ProgramArgs {
    /// Where it listens, on 127.0.0.1.
    #[arg(long)]
    pub(crate) port: u16,
    /// An empty directory of its own.
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Bytes of the answer to a read, where the answer is fixed.
    #[arg(long, default_value_t = 0)]
    pub(crate) page_bytes: usize,
}

/// A program's entry. It returns only if it cannot serve.
pub(crate) type Run = fn(&ProgramArgs) -> Result<(), Failure>;

/// One of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// What a 2xx answer to an append means, for the tables.
    pub(crate) durability: &'static str,
    pub(crate) run: Run,
}

/// All of them.
pub(crate) const ALL: &[Entry] = &[];

/// The program of a name.
pub(crate) fn by_name(name: &str) -> Option<Run> {
    ALL.iter().find(|entry| entry.name == name).map(|entry| entry.run)
}

/// What a 2xx answer of a program means.
pub(crate) fn durability(name: &str) -> &'static str {
    ALL.iter().find(|entry| entry.name == name).map_or("none", |entry| entry.durability)
}
