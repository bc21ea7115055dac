//! Load against any Durable Streams server, and honest numbers about what came of it.
//!
//! What a reader or a writer checks is pure ([`reader`], [`message`], [`tally`]): bytes and a time
//! in, counts out. Sockets and the clock live in [`fanout`] and [`append`], each on one thread.
//!
//! Invariants: an operation of an open-loop run is timed from its *intended* start, so that a
//! stall of the server or of ours is seen; nothing is averaged; what is missing at the end is
//! counted as lost.
//!
//! Deliberately absent: the command line, and any knowledge of one server's offsets.

#![forbid(unsafe_code)]

pub mod append;
pub mod calibrate;
pub mod capacity;
pub mod compare;
pub mod distributed;
pub mod engine;
mod error;
pub mod fanout;
pub mod html;
pub mod live;
pub mod message;
mod net;
pub mod output;
pub mod plan;
pub mod reader;
pub mod report;
pub mod result;
pub mod schedule;
pub mod tally;
pub mod target;
pub mod user;

pub use error::{Cause, LoadError};
