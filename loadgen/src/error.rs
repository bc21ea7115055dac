//! Why a run could not be made. What goes wrong *within* a run is counted in its report instead.

use std::io;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The URL is not one of a stream that can be reached without TLS.
    #[error("{url:?} is not a URL like http://127.0.0.1:4437/v1/stream/x: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The plan asks for something that makes no sense.
    #[error("{0}")]
    Plan(&'static str),
    /// One descriptor per connection, and there are too few.
    #[error(
        "{wanted} descriptors are needed ({connections} connections and {reserve} for the rest), \
         but RLIMIT_NOFILE allows {limit}: raise the hard limit (`ulimit -Hn`, or LimitNOFILE= in \
         a systemd unit) or use fewer connections"
    )]
    Descriptors {
        /// What the run needs.
        wanted: u64,
        /// How many of them are connections.
        connections: u64,
        /// How many of them are not.
        reserve: u64,
        /// The hard limit.
        limit: u64,
    },
    /// The runtime could not be started.
    #[error("the runtime could not be started: {0}")]
    Runtime(#[source] io::Error),
    /// A connection could not be made or broke during the preparation.
    #[error("no connection to {address}: {source}")]
    Connect {
        /// The server's.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// A stream could not be created or deleted.
    #[error("{what}: {reason}")]
    Prepare {
        /// The request.
        what: String,
        /// Why it failed.
        reason: String,
    },
    /// The plan is not one, or has nothing of what a search changes.
    #[error("{0}")]
    Refused(String),
    /// A worker of a distributed run was lost, refused or failed.
    #[error("worker {worker}: {reason}")]
    Worker {
        /// Its address.
        worker: String,
        /// What happened.
        reason: String,
        /// On which side.
        cause: Cause,
    },
}

/// On which side a run failed: a search for capacity goes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The generator's machine has no more descriptors, ports or memory.
    Generator,
    /// The server did not let the run be set up.
    Server,
    /// Neither has to do with how much load there is.
    Other,
}

impl LoadError {
    /// On which side it failed.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            LoadError::Descriptors { .. } => Cause::Generator,
            LoadError::Connect { source, .. } if is_exhausted(source) => Cause::Generator,
            LoadError::Connect { .. } | LoadError::Prepare { .. } => Cause::Server,
            LoadError::Worker { cause, .. } => *cause,
            _ => Cause::Other,
        }
    }
}

/// Out of ports, descriptors or memory on this side.
fn is_exhausted(error: &io::Error) -> bool {
    let ours = [
        rustix::io::Errno::ADDRNOTAVAIL,
        rustix::io::Errno::MFILE,
        rustix::io::Errno::NFILE,
        rustix::io::Errno::NOMEM,
        rustix::io::Errno::NOBUFS,
    ];
    rustix::io::Errno::from_io_error(error).is_some_and(|errno| ours.contains(&errno))
}
