//! Thalweg: a Durable Streams server for one Linux machine, thread per core, on io_uring.
//!
//! The binary is a thin shell around this library, so that tests and benchmarks can start servers
//! inside their own process. `docs/architecture.md` shows how the rooms fit together.
#![deny(unsafe_code)]

pub mod access_log;
pub mod admin;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod compactor;
pub mod config;
pub mod conn;
pub mod control;
pub mod core;
pub mod crowd;
pub mod fanout;
mod hash;
pub mod health;
pub mod helper;
pub mod http2;
pub mod limits;
mod local;
mod local_socket;
pub mod logging;
pub mod mailbox;
pub mod metrics;
pub mod router;
#[allow(unsafe_code)]
pub mod rt;
pub mod serve;
pub mod shard;
pub mod shared;
mod signals;
pub mod subscriptions;
pub mod telemetry;
pub mod tls;
pub mod version;

use http::StatusCode;
use thalweg_proto::problem::Problem;

/// 503 for requests that reach a server which is stopping.
fn stopping() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "stopping",
        "the server is stopping; connect again",
    )
    .with("retry-after", 1)
}
