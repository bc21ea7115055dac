//! Who takes part: how each is found, started and spoken to.
//!
//! Invariant: a contestant that runs is alone on its port, and all of its processes end with it.
//!
//! Deliberately absent: what is measured, which is the suites' part.

mod port;
mod processes;
mod program;
mod running;
mod thalweg;

use std::path::Path;
use std::process::Command;

use thalweg_loadgen::plan::Plan;

pub(crate) use port::free as free_port;
pub(crate) use program::Program;
pub(crate) use running::{Meter, Running, Where, become_one};
pub(crate) use thalweg::{Durability, Thalweg};

use crate::Failure;
use crate::suite::SuiteName;

/// A server that suites can measure. It is started anew for each run.
pub(crate) trait Contestant {
    /// What tables and `--only` call it: short, lower case, no spaces.
    fn name(&self) -> &str;

    /// What it is to the comparison.
    fn role(&self) -> Role;

    /// What a 2xx answer to an append means here, for the tables: `fdatasync before the answer`.
    fn durability(&self) -> &str;

    /// Whether it is on this machine, and in which version.
    fn find(&self) -> Found;

    /// How to start it. It may write files into the place's data directory, which is empty and its
    /// own.
    fn launch(&self, place: &Place<'_>) -> Result<Launch, Failure>;

    /// The suites that it can take part in.
    fn suites(&self) -> &[SuiteName];

    /// Changes a suite's plan where this server speaks differently: request fields, other paths,
    /// another kind of live reader. Durable Streams servers have nothing to change. An error: what
    /// the plan asks for is nothing that it does.
    fn adapt(&self, _plan: &mut Plan) -> Result<(), Failure> {
        Ok(())
    }
}

/// What a contestant is to the comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// A program that does only what physics asks for.
    Floor,
    /// Our own server.
    Thalweg,
    /// Another server.
    Peer,
}

impl Role {
    /// As tables say it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Role::Floor => "floor",
            Role::Thalweg => "thalweg",
            Role::Peer => "peer",
        }
    }
}

/// Whether a contestant is on this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// It is.
    Here {
        /// As it says itself.
        version: String,
    },
    /// It is not.
    Absent {
        /// The command that installs it, or what else is needed.
        install: String,
    },
}

/// What a contestant is started with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// An empty directory of its own, on a disk.
    pub(crate) data_dir: &'a Path,
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
    /// CPUs that it is pinned to: as many threads as that for servers that have to be told.
    pub(crate) cores: usize,
    /// Bytes of the answer to a read in the suites that read: what a server of fixed content has to
    /// answer with, whatever the path. 0 in the others.
    pub(crate) page_bytes: usize,
}

/// How a contestant is started and spoken to.
#[derive(Debug)]
pub(crate) struct Launch {
    /// It must stay in the foreground: the process or one of its children owns the port. Its output
    /// is kept and shown if it fails.
    pub(crate) command: Command,
    /// How to tell that it serves.
    pub(crate) ready: Ready,
    /// The path below which streams lie: `/v1/stream`. No slash at the end.
    pub(crate) base_path: String,
    /// How streams come to be.
    pub(crate) streams: Streams,
}

/// How to tell that a contestant serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ready {
    /// It takes connections.
    Connect,
    /// A `GET` of this path is answered with a status below 500.
    Get(String),
}

/// How streams come to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Streams {
    /// By `PUT`.
    Created,
    /// By themselves, as soon as somebody asks.
    Implicit,
    /// The content is fixed: nothing is written before it is read.
    Fixed,
}
