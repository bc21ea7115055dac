//! Which resource ends first, and what that means for other hardware.
//!
//! Invariant: what is computed for hardware that was not measured is called an extrapolation and
//! comes with everything that it assumes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::hardware::Hardware;
use super::linear::{Fit, Reason};
use super::model::{KNOB, Model};
use super::search::{Answer, Limit, Outcome};
use super::trial::TrialRecord;

/// Something that can run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// A thread of the server that has a core to itself.
    ServerCore,
    /// The processor.
    Cpu,
    /// Memory of the server's machine.
    Memory,
    /// The network.
    Network,
    /// The load generator.
    Generator,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resource::ServerCore => "one core of the server",
            Resource::Cpu => "CPU",
            Resource::Memory => "memory",
            Resource::Network => "network",
            Resource::Generator => "the load generator",
        })
    }
}

/// What ended the search, as far as it can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FirstLimit {
    /// The resource, if one was near its end.
    pub resource: Option<Resource>,
    /// What was seen.
    pub evidence: String,
}

impl FirstLimit {
    /// Looks at the trial at the answer and the lowest that failed. `memory_bytes` is that of the
    /// server's machine, if it is known.
    #[must_use]
    pub fn find(
        answer: Option<Answer>,
        trials: &[TrialRecord],
        memory_bytes: Option<u64>,
    ) -> FirstLimit {
        if let Some(Answer::AtLeast { limit: Limit::Generator, .. }) = answer {
            let is_limit = |trial: &&TrialRecord| {
                matches!(trial.outcome, Outcome::GeneratorHeld | Outcome::GeneratorFailed)
            };
            let last = trials.iter().rev().find(is_limit).and_then(|trial| trial.reasons.last());
            let evidence = last.cloned().unwrap_or_default();
            return FirstLimit { resource: Some(Resource::Generator), evidence };
        }
        let busiest = most(trials, |trial| trial.seen?.server.map(|usage| usage.busiest_thread));
        let rss = most(trials, |trial| trial.seen?.server.map(|usage| usage.rss_bytes as f64));
        if let (Some(rss), Some(memory)) = (rss, memory_bytes)
            && rss >= NEARLY_ALL * memory as f64
        {
            let part = 100.0 * rss / memory as f64;
            let evidence = format!("the server used {part:.0} % of the machine's memory");
            return FirstLimit { resource: Some(Resource::Memory), evidence };
        }
        match busiest {
            Some(busiest) if busiest >= NEARLY_ALL => FirstLimit {
                resource: Some(Resource::ServerCore),
                evidence: format!(
                    "the server's busiest thread used {:.0} % of a core",
                    100.0 * busiest
                ),
            },
            Some(busiest) => FirstLimit {
                resource: None,
                evidence: format!(
                    "no watched resource was near its end (the server's busiest thread used \
                     {:.0} % of a core): look at the disk, the network, and pauses of the server",
                    100.0 * busiest
                ),
            },
            None => FirstLimit {
                resource: None,
                evidence: "the server was not watched (--server-pid)".to_owned(),
            },
        }
    }
}

fn most(trials: &[TrialRecord], of: impl Fn(&TrialRecord) -> Option<f64>) -> Option<f64> {
    trials.iter().filter_map(of).reduce(f64::max)
}

/// The answer carried over to hardware that was not measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extrapolation {
    /// To this.
    pub hardware: Hardware,
    /// The knob's value, if the data allow one.
    pub value: Option<f64>,
    /// What ends first there.
    pub first: Option<Resource>,
    /// Each stated resource and the value at which it ends.
    pub limits: Vec<ResourceLimit>,
    /// What must be true for this to be true.
    pub assumptions: Vec<String>,
}

/// Where a resource ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourceLimit {
    /// What.
    pub resource: Resource,
    /// The knob's value at which it ends; none if the data do not say.
    pub value: Option<f64>,
    /// How that follows.
    pub because: String,
}

impl Extrapolation {
    /// From the model and the trial at the answer.
    #[must_use]
    pub fn new(hardware: Hardware, model: &Model, at: &TrialRecord) -> Extrapolation {
        let mut limits = Vec::new();
        let mut assumptions = vec![
            "costs grow in proportion, as they did between the trials".to_owned(),
            "the disk and the kernel keep up".to_owned(),
        ];
        if let Some(cores) = hardware.cores {
            limits.push(cpu_limit(cores, model, at, &mut assumptions));
        }
        if let Some(memory) = hardware.memory_bytes {
            limits.push(memory_limit(memory, model, &mut assumptions));
        }
        if let Some(network) = hardware.network_bytes_per_second {
            limits.push(network_limit(network, model, &mut assumptions));
        }
        // What is unknown may be what ends first: then there is no value to give.
        let known: Option<Vec<f64>> = limits.iter().map(|limit| limit.value).collect();
        let value = known.and_then(|values| values.into_iter().reduce(f64::min));
        let first = value.and_then(|value| {
            limits.iter().find(|limit| limit.value == Some(value)).map(|limit| limit.resource)
        });
        let value = value.filter(|value| value.is_finite());
        Extrapolation { hardware, value, first, limits, assumptions }
    }
}

fn cpu_limit(
    cores: f64,
    model: &Model,
    at: &TrialRecord,
    assumptions: &mut Vec<String>,
) -> ResourceLimit {
    let usage = at.seen.and_then(|seen| seen.server);
    let (Some(usage), Some(fit)) = (usage, &model.cpu_by_knob) else {
        return unknown(Resource::Cpu, "the server's CPU was not watched in enough trials");
    };
    let measured = f64::from(usage.busy_threads.max(1));
    let load = usage.cpu / measured;
    assumptions.push(format!(
        "the server spreads its work evenly: {cores} cores carry {:.1} times what the {measured} \
         busy thread(s) of the measurement did, so there are many streams",
        cores / measured
    ));
    assumptions.push(format!(
        "a core carries as much as at the answer, {:.0} %; latency depends on that alone",
        100.0 * load
    ));
    assumptions.push("a core there is as fast as here".to_owned());
    let value = where_it_reaches(fit, load * cores);
    let because =
        format!("{:.2} cores of CPU at {:.0} % of {cores} cores", load * cores, load * 100.0);
    ResourceLimit { resource: Resource::Cpu, value, because }
}

fn memory_limit(memory: u64, model: &Model, assumptions: &mut Vec<String>) -> ResourceLimit {
    let Some(fit) = &model.memory_by_knob else {
        return unknown(Resource::Memory, "the server's memory was not watched in enough trials");
    };
    let usable = USABLE_MEMORY * memory as f64;
    let part = 100.0 * USABLE_MEMORY;
    assumptions.push(format!("the server may use {part:.0} % of the memory"));
    let value = where_it_reaches(fit, usable);
    let because = if value == Some(f64::INFINITY) {
        "memory did not grow with the load".to_owned()
    } else {
        format!("{part:.0} % of the memory")
    };
    ResourceLimit { resource: Resource::Memory, value, because }
}

fn network_limit(network: f64, model: &Model, assumptions: &mut Vec<String>) -> ResourceLimit {
    let Some(fit) = &model.network_by_knob else {
        return unknown(Resource::Network, "too few trials held");
    };
    let part = 100.0 * USABLE_NETWORK;
    assumptions.push(format!(
        "{part:.0} % of the network is there for HTTP; packet headers take the rest"
    ));
    let value = where_it_reaches(fit, USABLE_NETWORK * network);
    let because = if value == Some(f64::INFINITY) {
        "traffic did not grow with the load".to_owned()
    } else {
        format!("{part:.0} % of the network, in the direction that carries more")
    };
    ResourceLimit { resource: Resource::Network, value, because }
}

/// The knob's value at which a fitted cost reaches `bound`; infinite if it does not grow.
fn where_it_reaches(fit: &Fit, bound: f64) -> Option<f64> {
    match fit.coefficient(KNOB) {
        Some(slope) if slope > 0.0 => Some(((bound - fit.constant) / slope).max(0.0)),
        Some(_) => Some(f64::INFINITY),
        // Dropped: the knob did not vary enough, or cost fell with it.
        None => {
            let fell = fit.dropped.iter().any(|term| term.reason == Reason::Negative);
            fell.then_some(f64::INFINITY)
        }
    }
}

fn unknown(resource: Resource, because: &str) -> ResourceLimit {
    ResourceLimit { resource, value: None, because: because.to_owned() }
}

/// A resource that is used to this part is near its end.
const NEARLY_ALL: f64 = 0.9;
const USABLE_MEMORY: f64 = 0.9;
const USABLE_NETWORK: f64 = 0.8;
