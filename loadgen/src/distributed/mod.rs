//! Runs on several machines: a controller and its workers.
//!
//! ```text
//!   controller                          worker
//!       <──────── hello: version, nonce ────
//!       ──── hello: version, proof ────────>
//!       <──────── welcome | refused ────────
//!       ──── prepare: job and share ───────>   streams and readers are set up
//!       <──────── ready ────────────────────
//!       ──── go in N ms, once all are ─────>   load
//!       <──────── progress, rows … ─────────
//!       ──── ping …, stop ─────────────────>
//!       <──────── result | failed ──────────
//! ```
//!
//! JSON lines over TCP, on threads. Workers measure only what they published themselves, so no
//! clock is compared between machines; their histograms are merged without loss.
//!
//! Invariants: nothing waits without end (every bound is in [`limits`]); a worker that is lost
//! fails the run by its name, and the others are stopped; before the token is proven, a peer can
//! make a worker keep no more than one short line.
//!
//! Deliberately absent: encryption. The token is never sent, but everything else can be read on
//! the way: keep workers on a network that you trust.

pub mod controller;
mod job;
pub mod limits;
mod lines;
mod message;
mod progress;
mod session;
mod token;
pub mod worker;

#[cfg(test)]
mod tests;

pub use job::run_job;
pub use message::{Job, Overrides, PROTOCOL};
pub use token::Token;
