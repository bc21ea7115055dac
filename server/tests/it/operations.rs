//! What an operator sees and does: metrics, health, the service manager, configuration.

mod access_log;
mod config;
mod metrics;
mod otlp;
mod prometheus;
mod read_cache;
mod service;

use std::process::Command;

/// Whether a program that tests can use is there. Says so if not: its part of a test is skipped.
pub(crate) fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        println!("skipped: {program} is not installed (`./test` unpacks it where apt works)");
    }
    found
}
