//! What a run does: the typed plan, and the scenarios that make one.
//!
//! `model` is what the rest of the crate sees: every value is in range and every name that a plan
//! uses is defined in it.
//!
//! Deliberately absent: sockets, clocks and what came of a run.

mod checks;
mod fanout;
mod model;
mod source;

pub use checks::*;
pub use fanout::{AppendOptions, FanoutOptions, append, fanout};
pub use model::*;
pub use source::{PlanFormat, PlanSource};
