//! The written plan: what was found, what it rests on, and what follows from it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Knob;
use super::limits::{Extrapolation, FirstLimit};
use super::measure::CapacityOptions;
use super::model::Model;
use super::search::Answer;
use super::text;
use super::trial::TrialRecord;
use crate::result::Meta;

/// Version of the serialized form.
pub const CAPACITY_FORMAT: u32 = 1;

/// Everything that a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapacityReport {
    /// [`CAPACITY_FORMAT`].
    pub format: u32,
    /// Where it was measured; of the last trial.
    pub meta: Meta,
    /// What was changed.
    pub knob: Knob,
    /// The objective, as it was written.
    pub slo: String,
    /// What was found; none if the search did not come to its end.
    pub answer: Option<Answer>,
    /// Why it did not, unless it was stopped.
    #[serde(default)]
    pub failure: Option<String>,
    /// The highest load that held and did not fail later.
    pub best: Option<f64>,
    /// [`HEADROOM`] of it: what to plan with.
    pub recommended: Option<f64>,
    /// What it takes, at the answer.
    pub per: Costs,
    /// What ended the search.
    pub first_limit: FirstLimit,
    /// Costs, fitted to the trials.
    pub model: Model,
    /// To stated hardware, if any was stated.
    pub extrapolation: Option<Extrapolation>,
    /// All of them, in order.
    pub trials: Vec<TrialRecord>,
}

/// What the load at the answer takes. None where it was not watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Live readers for each busy core of the server.
    pub readers_per_core: Option<f64>,
    /// The knob's value for each busy core of the server.
    pub load_per_core: Option<f64>,
    /// Resident memory for each further reader, from the slope over the trials.
    pub bytes_per_reader: Option<f64>,
    /// What the server sent.
    pub bytes_out_per_second: Option<f64>,
    /// What it received.
    pub bytes_in_per_second: Option<f64>,
    /// Its CPU, in cores.
    pub cpu: Option<f64>,
    /// Its resident memory.
    pub rss_bytes: Option<u64>,
}

impl CapacityReport {
    /// From the trials of a search.
    #[must_use]
    pub fn new(
        options: &CapacityOptions,
        meta: Meta,
        trials: Vec<TrialRecord>,
        answer: Option<Answer>,
        best: Option<f64>,
    ) -> CapacityReport {
        let model = Model::of(&trials);
        // A higher load that held once, before a repeat lower down failed, is not to plan with.
        let best = answer.and_then(Answer::value).or(best);
        let at = at_answer(&trials, best);
        let memory = options.server_pid.map(|_| meta.machine.memory_bytes).filter(|all| *all > 0);
        let first_limit = FirstLimit::find(answer, &trials, memory);
        let extrapolation =
            options.hardware.zip(at).map(|(hardware, at)| Extrapolation::new(hardware, &model, at));
        CapacityReport {
            format: CAPACITY_FORMAT,
            meta,
            knob: options.search.knob,
            slo: options.slo_text.clone(),
            answer,
            failure: None,
            best,
            recommended: best.map(|best| HEADROOM * best),
            per: at.map_or_else(Costs::default, |at| Costs::of(at, &model)),
            first_limit,
            model,
            extrapolation,
            trials,
        }
    }

    /// One JSON document.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Maps with other keys than strings are what JSON cannot write, and there are none.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl fmt::Display for CapacityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(f, self)
    }
}

impl Costs {
    fn of(at: &TrialRecord, model: &Model) -> Costs {
        let server = at.seen.and_then(|seen| seen.server);
        let per_core =
            |amount: f64| server.map(|usage| amount / f64::from(usage.busy_threads.max(1)));
        let readers = at.seen.map(|seen| seen.readers as f64).filter(|readers| *readers > 0.0);
        Costs {
            readers_per_core: readers.and_then(per_core),
            load_per_core: per_core(at.trial.value),
            bytes_per_reader: model.bytes_per_reader(),
            bytes_out_per_second: at.seen.map(|seen| seen.bytes_out_per_second),
            bytes_in_per_second: at.seen.map(|seen| seen.bytes_in_per_second),
            cpu: server.map(|usage| usage.cpu),
            rss_bytes: server.map(|usage| usage.rss_bytes),
        }
    }
}

/// The last trial at the answer that held: a repeat, if there was one.
fn at_answer(trials: &[TrialRecord], best: Option<f64>) -> Option<&TrialRecord> {
    trials.iter().rev().find(|trial| Some(trial.trial.value) == best && trial.outcome.held())
}

/// Part of the measured knee to plan with: the rest is for peaks, for the loss of a machine's
/// warm caches after a restart, and for readers that all come back at once.
pub const HEADROOM: f64 = 0.7;
