//! Runs a plan: threads, virtual users, live readers, and the clock.
//!
//! ```text
//! create streams -> readers connect -> [barrier] -> warm-up -> load -> drain -> delete -> result
//! ```
//!
//! Each thread owns its connections and its counts; nothing is shared but atomics. Live readers
//! have threads of their own, so that taking a burst of deliveries never delays a send.
//!
//! Invariants: an operation is timed from its intended start; the clock is read once per receive,
//! before anything is parsed; what is missing after the drain is lost.
//!
//! Deliberately absent: how a plan is written, and how a result is shown.

mod assemble;
mod clock;
mod core;
mod ending;
mod exchange;
mod groups;
mod http2;
mod inlet;
mod judge;
mod lane;
mod machine;
mod options;
mod owed;
mod pipeline;
mod prepare;
mod program;
mod readers;
mod recorder;
mod run;
mod sample_log;
mod seen;
mod shared;
mod show;
mod sse;
mod steps;
mod tail;
mod thread;
mod user;
mod wire;

pub use machine::machine;
pub use options::{Barrier, Cores, JtlDeliveries, RunOptions, Share, Stop};
pub use run::run;
#[cfg(test)]
pub(crate) use sse::{Scratch, SseReader};
