//! What controller and workers say to one another.

use serde::{Deserialize, Serialize};

use crate::capacity::Scaling;
use crate::engine::{JtlDeliveries, Share};
use crate::live::Progress;
use crate::output::jtl::RelayedRows;
use crate::plan::PlanSource;
use crate::result::{Machine, RunResult};
use crate::{Cause, LoadError};

/// Version of these messages. Workers and controllers must be of the same program version anyway,
/// because a run is only one run if all make the same load.
pub const PROTOCOL: u32 = 1;

/// What a worker is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The plan; each worker resolves it.
    pub source: PlanSource,
    /// Changed by the command line.
    pub overrides: Overrides,
    /// Changed for a trial of a search.
    pub scaling: Option<Scaling>,
    /// Which part of the load is this worker's.
    pub share: Share,
    /// Whether sample log rows are sent back.
    pub rows: bool,
    /// Which deliveries are among them.
    pub jtl_deliveries: JtlDeliveries,
}

/// What the command line says instead of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// Fixes every choice.
    pub seed: Option<u64>,
    /// `Authorization: Bearer`; not in the plan's text, so that no report shows it.
    pub bearer: Option<String>,
}

/// From a worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FromWorker {
    Hello(WorkerHello),
    Welcome(Machine),
    Refused(String),
    Ready,
    Progress(Box<Progress>),
    Rows(RelayedRows),
    Result(Box<RunResult>),
    Failed { reason: String, cause: Cause },
}

/// From a controller.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FromController {
    Hello(ControllerHello),
    Prepare(Box<Job>),
    Go { in_ms: u64 },
    Stop,
    Ping,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WorkerHello {
    pub(super) version: String,
    pub(super) protocol: u32,
    pub(super) nonce: String,
    pub(super) needs_token: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ControllerHello {
    pub(super) version: String,
    pub(super) protocol: u32,
    pub(super) proof: Option<String>,
}

/// Refuses another version by name.
pub(super) fn check_version(version: &str, protocol: u32) -> Result<(), String> {
    if version == VERSION && protocol == PROTOCOL {
        return Ok(());
    }
    // It comes from the network: only what a version consists of is shown.
    let shown: String =
        version.chars().filter(|c| c.is_ascii_alphanumeric() || ".-+".contains(*c)).collect();
    Err(format!(
        "it is version {shown:.32} (protocol {protocol}), this is {VERSION} (protocol {PROTOCOL}): \
         use the same version on both sides"
    ))
}

/// A worker's error for the run's caller. The reason may come from the network.
pub(super) fn worker_error(worker: &str, reason: &dyn ToString) -> LoadError {
    let reason = reason.to_string().chars().filter(|c| !c.is_control()).take(1000).collect();
    LoadError::Worker { worker: worker.to_owned(), reason, cause: Cause::Other }
}

pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
