//! What a run does: the typed plan, the scenarios that make one, and the files it is read from.
//!
//! `model` is what the rest of the crate sees: every value is in range and every name that a plan
//! uses is defined in it. `toml` reads our own format into it, and `jmx` the common subset of JMeter's.
//!
//! Deliberately absent: sockets, clocks and what came of a run.

mod checks;
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
mod transport;
mod units;
mod validate;

pub use checks::*;
pub use error::{Place, PlanError};
pub use fanout::{AppendOptions, FanoutOptions, append, fanout};
pub use model::*;
pub use source::{PlanFormat, PlanSource, ResolvedPlan};
pub use template::TemplateError;
pub use threshold::parse_thresholds;
pub use transport::Transport;
pub use units::parse_duration;
