//! Load against any Durable Streams server, and honest numbers about what came of it.
//!
//! A [`plan::Plan`] says what to do, [`engine::run`] does it, a [`result::RunResult`] says what
//! came of it. When things happen ([`schedule`]) and what a virtual user sends and checks
//! ([`user`]) is pure: plan, seed and answers in, bytes and verdicts out. Sockets, threads and the
//! clock live in [`engine`] alone.
//!
//! Invariants: an operation of an open-loop run is timed from its *intended* start, so that a
//! stall of the server or of ours is seen; nothing is averaged; what is missing at the end is
//! counted as lost.
//!
//! Deliberately absent: the command line, and any knowledge of one server's offsets.

#![forbid(unsafe_code)]

pub mod calibrate;
pub mod capacity;
pub mod compare;
pub mod distributed;
pub mod engine;
mod error;
pub mod html;
pub mod live;
pub mod message;
mod net;
mod numbers;
pub mod output;
pub mod plan;
pub mod result;
pub mod schedule;
pub mod target;
pub mod user;

pub use error::{Cause, LoadError};
