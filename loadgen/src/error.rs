//! Why a run could not be made. What goes wrong *within* a run is counted in its report instead.

use std::io;

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
    #[error("connection {index} could not be set up: {source}")]
    Connect {
        /// Which one, from 0.
        index: usize,
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
}
