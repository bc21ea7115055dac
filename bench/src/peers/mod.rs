//! Other servers, used when they are on this machine and named with their install line when not.
//!
//! Each is started at the setting at which an answered append survives a crash, where it has one,
//! and says in [`Contestant::durability`] what its answer means. One thread per CPU that it is
//! pinned to, where it can be told.
//!
//! Three of them install a binary called `durable-streams-server`: which one it is decides what it
//! says of itself, never its name. `THALWEG_BENCH_<PEER>` names a binary that is somewhere else.
//!
//! Deliberately absent: installing anything.

mod axum;
mod caddy;
mod nginx;
mod node;
mod official_rust;
mod place;
mod s2_lite;
mod ursula;
mod version;

use crate::contest::{Contestant, Found};
use crate::suite::SuiteName;

/// All that we know how to drive.
pub(crate) fn all() -> Vec<Box<dyn Contestant>> {
    vec![
        Box::new(official_rust::OfficialRust),
        Box::new(axum::Axum),
        Box::new(node::Node),
        Box::new(caddy::Caddy),
        Box::new(ursula::Ursula),
        Box::new(s2_lite::S2Lite),
        Box::new(nginx::Nchan),
        Box::new(nginx::Files),
    ]
}

/// Where servers of the protocol take part: everywhere but in suites about our own code.
const PROTOCOL_SUITES: &[SuiteName] = &[
    SuiteName::Fanout,
    SuiteName::FanoutOverload,
    SuiteName::Append,
    SuiteName::AppendLatency,
    SuiteName::AppendBatch,
    SuiteName::ReadSmall,
    SuiteName::ReadLarge,
    SuiteName::IdleMemory,
    SuiteName::Streams,
];

/// Longer than any run: readers are not to be sent away in the middle of one.
const HOUR_SECONDS: u32 = 3600;

fn found(version: Option<String>, install: &str) -> Found {
    match version {
        Some(version) => Found::Here { version },
        None => Found::Absent { install: install.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_ones_are_named_with_their_install_line() {
        for peer in all() {
            assert!(!peer.durability().is_empty() && !peer.suites().is_empty(), "{}", peer.name());
            assert!(
                peer.name().chars().all(|c| c.is_ascii_lowercase() || "-0123456789".contains(c))
            );
        }
        assert_eq!(
            found(None, "apt-get install x"),
            Found::Absent { install: "apt-get install x".to_owned() }
        );
        let version = "1.2".to_owned();
        assert_eq!(found(Some(version.clone()), "x"), Found::Here { version });
    }
}
