//! The load generator over real sockets: one test binary for the whole crate.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod broken;
mod deliveries;
mod examples;
mod jmeter;
mod jtl_kill;
mod open_groups;
mod pacing;
mod readers;
mod runs;
mod schedule;
mod stall;
mod stub;
mod users;
