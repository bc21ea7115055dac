//! What a run does: the typed plan, and the files it is read from.
//!
//! `model` is what the rest of the crate sees: every value is in range and every name that a plan
//! uses is defined in it. `toml` reads our own format, `jmx` the common subset of JMeter's; both
//! end in the same [`Plan`].
//!
//! Deliberately absent: sockets, clocks and what came of a run.

mod fanout;
pub mod jmx;
mod model;
mod source;
pub mod toml;

pub use fanout::{AppendOptions, FanoutOptions, append, fanout};
pub use model::*;
pub use source::{PlanFormat, PlanSource};
