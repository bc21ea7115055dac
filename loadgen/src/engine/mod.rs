//! Runs a plan: threads, virtual users, live readers, and the clock.

mod options;

pub use options::{Barrier, Cores, JtlDeliveries, RunOptions, Share, Stop};

use crate::LoadError;
use crate::plan::Plan;
use crate::result::RunResult;

/// Runs a plan to its end, or until it is stopped; a run that is stopped has a result too.
pub fn run(_plan: &Plan, _options: &RunOptions) -> Result<RunResult, LoadError> {
    Err(LoadError::Plan("not yet"))
}
