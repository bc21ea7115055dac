//! What the trials say about the server's costs: least squares over the trials that held.
//!
//! Trials that failed are left out: an overloaded server queues, drops and retries, and its costs
//! are no longer those of the load. What the data cannot support is named, not guessed.

use serde::{Deserialize, Serialize};

use super::linear::{Column, Fit, fit};
use super::trial::{Seen, TrialRecord};
use super::usage::Usage;

/// Costs, fitted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// CPU seconds of the server per second, by deliveries and requests per second and readers.
    pub cpu: Option<Fit>,
    /// Resident bytes of the server, by readers.
    pub memory: Option<Fit>,
    /// CPU seconds of the server per second, by the knob.
    pub cpu_by_knob: Option<Fit>,
    /// Resident bytes of the server, by the knob.
    pub memory_by_knob: Option<Fit>,
    /// Bytes per second that the server sends or receives, whichever is more, by the knob.
    pub network_by_knob: Option<Fit>,
    /// What cannot be said, and why.
    pub gaps: Vec<String>,
}

impl Model {
    /// Of the trials that held.
    #[must_use]
    pub fn of(trials: &[TrialRecord]) -> Model {
        let held = trials.iter().filter(|trial| trial.outcome.held());
        let points: Vec<(f64, Seen)> =
            held.filter_map(|trial| Some((trial.trial.value, trial.seen?))).collect();
        let watched: Vec<(f64, Seen, Usage)> =
            points.iter().filter_map(|(value, seen)| Some((*value, *seen, seen.server?))).collect();
        let cpu: Vec<f64> = watched.iter().map(|point| point.2.cpu).collect();
        let memory: Vec<f64> = watched.iter().map(|point| point.2.rss_bytes as f64).collect();
        let readers = || column(READERS, watched.iter().map(|(_, seen, _)| seen.readers as f64));
        let knob = || column(KNOB, watched.iter().map(|point| point.0));
        let deliveries = watched.iter().map(|(_, seen, _)| seen.deliveries_per_second);
        let requests = watched.iter().map(|(_, seen, _)| seen.requests_per_second);
        let costs = [column(DELIVERIES, deliveries), column(REQUESTS, requests), readers()];
        let network: Vec<f64> = points.iter().map(|(_, seen)| busiest_direction(seen)).collect();
        let mut model = Model {
            cpu: fit(&cpu, &costs),
            memory: fit(&memory, &[readers()]),
            cpu_by_knob: fit(&cpu, &[knob()]),
            memory_by_knob: fit(&memory, &[knob()]),
            network_by_knob: fit(&network, &[column(KNOB, points.iter().map(|point| point.0))]),
            gaps: Vec::new(),
        };
        model.gaps = model.find_gaps(points.len(), watched.len());
        model
    }

    fn find_gaps(&self, points: usize, watched: usize) -> Vec<String> {
        let mut gaps = Vec::new();
        if watched == 0 {
            gaps.push(NOT_WATCHED.to_owned());
        } else if watched < 3 {
            gaps.push(format!("{watched} watched trials that held are too few for a model"));
        } else if points < 3 {
            gaps.push(format!("{points} trials that held are too few for a model"));
        }
        let dropped = self.cpu.iter().flat_map(|fit| &fit.dropped);
        gaps.extend(
            dropped.map(|term| {
                format!("the CPU cost of {} cannot be told: {}", term.name, term.reason)
            }),
        );
        let dropped = self.memory.iter().flat_map(|fit| &fit.dropped);
        gaps.extend(
            dropped
                .map(|term| format!("the memory of {} cannot be told: {}", term.name, term.reason)),
        );
        gaps
    }

    /// Resident bytes of the server for each further reader.
    #[must_use]
    pub fn bytes_per_reader(&self) -> Option<f64> {
        self.memory.as_ref()?.coefficient(READERS)
    }
}

/// Bytes per second in the direction that carries more: links carry both at the same time.
pub(super) fn busiest_direction(seen: &Seen) -> f64 {
    seen.bytes_out_per_second.max(seen.bytes_in_per_second)
}

fn column(name: &str, values: impl Iterator<Item = f64>) -> Column<'_> {
    Column { name, values: values.collect() }
}

pub(super) const READERS: &str = "readers";
pub(super) const DELIVERIES: &str = "deliveries per second";
pub(super) const REQUESTS: &str = "requests per second";
pub(super) const KNOB: &str = "load";
const NOT_WATCHED: &str = "the server's CPU and memory were not watched: give its process with \
     --server-pid, on the same machine";
