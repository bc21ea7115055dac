//! What this generator can do on this machine.

use std::time::Duration;

use crate::LoadError;
use crate::engine::Cores;
use crate::result::Ceiling;

/// How it is measured.
#[derive(Clone, Debug)]
pub struct CalibrateOptions {
    /// Threads of the generator.
    pub cores: Cores,
    /// Of each of the two parts, requests and deliveries.
    pub duration: Duration,
}

/// Measures the generator against a server that does nothing.
///
/// # Errors
/// The run could not be made.
pub fn run(_options: &CalibrateOptions) -> Result<Ceiling, LoadError> {
    Err(LoadError::Plan("not yet"))
}
