//! What a run does: the typed plan, and the files it is read from.
//!
//! `model` is what the rest of the crate sees: every value is in range and every name that a plan
//! uses is defined in it. `toml` reads our own format, `jmx` the common subset of JMeter's; both
//! end in the same [`Plan`].
//!
//! Deliberately absent: sockets, clocks and what came of a run.

mod check;
mod condition;
mod data;
mod element;
mod error;
mod fanout;
mod http_names;
pub mod jmx;
pub mod limits;
mod model;
mod properties;
mod source;
mod template;
mod threshold;
pub mod toml;
mod units;

pub use error::{Place, PlanError};
pub use fanout::{AppendOptions, FanoutOptions, append, fanout};
pub use model::*;
pub use source::{PlanFormat, PlanSource, ResolvedPlan};
pub use template::TemplateError;
pub use threshold::parse_thresholds;

/// Reads a duration as plans have it: `30s`, `250ms`, `1m30s`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    units::duration(text)
}

/// Reads a size as plans have it: `100`, `4KiB`, `1.5MiB`.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    units::bytes(text)
}

/// Reads a rate as plans have it: `50`, `600/min`.
#[must_use]
pub fn parse_rate(text: &str) -> Option<f64> {
    units::rate(text)
}
