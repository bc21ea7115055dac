//! The search for the highest load that holds: steps upward, bisects, then repeats at the answer.
//!
//! ```text
//!   Stepping ──fails──> Bisecting ──narrow enough──> Confirming ──all hold──> Answer
//!      │  └──the upper end holds─────────────────────^  │  ^                    ^
//!      └──even the lowest fails─────────────────────────│──│────────────────────┤
//!                                     one fails: a step └──┘ down               │
//!   any ──no trials are left────────────────────────────────────────────────────┘
//!   Stepping, Bisecting ──the generator is the limit twice──> Confirming what held
//! ```
//!
//! Invariants: a value above one that failed is never tried; a trial in which the generator was
//! the limit is made once more, because it may have been disturbed, and a second one ends the way
//! upward and is never called the server's capacity; no answer is without its repeats; the number
//! of trials is bounded, whatever the verdicts are.
//!
//! *All* repeats at the answer must hold, not most of them: a load that fails one time in three
//! is not one to plan with, and the price of being strict is one tolerance step.
//!
//! Deliberately absent: running anything, and what the values mean.

use serde::{Deserialize, Serialize};

use super::Knob;

/// What a search is told beforehand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchOptions {
    /// What is changed.
    pub knob: Knob,
    /// First value; greater than zero.
    pub from: f64,
    /// No value above this is tried.
    pub to: Option<f64>,
    /// Each step upward multiplies by this; greater than one.
    pub factor: f64,
    /// How far apart, relatively, the highest value that holds and the lowest that fails may be.
    pub tolerance: f64,
    /// Repeats at the answer, all of which must hold.
    pub confirmations: u32,
    /// Trials at most, over all phases.
    pub max_trials: u32,
}

impl SearchOptions {
    /// The defaults for a knob and a first value.
    #[must_use]
    pub fn new(knob: Knob, from: f64) -> SearchOptions {
        SearchOptions {
            knob,
            from,
            to: None,
            factor: 2.0,
            tolerance: 0.05,
            confirmations: 3,
            max_trials: 40,
        }
    }
}

/// A run to make.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// From 1.
    pub number: u32,
    /// The knob's value.
    pub value: f64,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a trial is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To find a value that fails.
    Step,
    /// To narrow the gap.
    Bisect,
    /// To confirm the answer.
    Confirm,
}

/// What came of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The objective was met.
    Held,
    /// It was not.
    Failed,
    /// It was met, but the generator cannot do more.
    GeneratorHeld,
    /// It was not met, and the generator may be the reason.
    GeneratorFailed,
}

impl Outcome {
    /// Whether the objective was met.
    #[must_use]
    pub fn held(self) -> bool {
        matches!(self, Outcome::Held | Outcome::GeneratorHeld)
    }
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Answer {
    /// All repeats held at this value.
    Sustained {
        /// The value.
        value: f64,
        /// The lowest value that failed.
        fails_at: f64,
    },
    /// The server was not brought to its limit.
    AtLeast {
        /// The highest value that held, if one did.
        value: Option<f64>,
        /// What ended the search.
        limit: Limit,
    },
    /// Even the lowest value that was tried failed.
    Below {
        /// That value.
        value: f64,
    },
    /// No trials were left.
    Unconfirmed {
        /// The highest value that held, if one did.
        value: Option<f64>,
    },
}

impl Answer {
    /// The load that can be counted on, if there is one.
    #[must_use]
    pub fn value(self) -> Option<f64> {
        match self {
            Answer::Sustained { value, .. } => Some(value),
            Answer::AtLeast { value, .. } | Answer::Unconfirmed { value } => value,
            Answer::Below { .. } => None,
        }
    }
}

/// What ended a search before the server did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// This machine cannot make more load.
    Generator,
    /// More was not asked for.
    UpperEnd,
}

/// A search under way.
#[derive(Clone, Debug)]
pub struct Search {
    options: SearchOptions,
    state: State,
    trials: u32,
    /// Values that held, in the order of trial.
    held: Vec<f64>,
    /// The lowest value that failed.
    fails_at: Option<f64>,
    /// Tolerance steps that the next failed repeat takes down.
    back_off: i32,
    /// The trial is made for the second time, because the generator was its limit.
    again: bool,
    /// The generator was the limit both times.
    generator: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Stepping { value: f64 },
    Bisecting { value: f64 },
    Confirming { value: f64, held: u32 },
    Done(Answer),
}

impl Search {
    /// Nothing tried yet.
    #[must_use]
    pub fn new(options: SearchOptions) -> Search {
        let mut search = Search {
            options,
            state: State::Done(Answer::Unconfirmed { value: None }),
            trials: 0,
            held: Vec::new(),
            fails_at: None,
            back_off: 1,
            again: false,
            generator: false,
        };
        search.state = State::Stepping { value: search.admit(options.from) };
        search
    }

    /// What was found, once [`Search::next`] has nothing more.
    #[must_use]
    pub fn answer(&self) -> Option<Answer> {
        match self.state {
            State::Done(answer) => Some(answer),
            _ => None,
        }
    }

    /// Highest value that held and has not failed since.
    #[must_use]
    pub fn best(&self) -> Option<f64> {
        let ceiling = self.fails_at.unwrap_or(f64::INFINITY);
        self.held.iter().copied().filter(|value| *value < ceiling).reduce(f64::max)
    }

    /// The next run to make; the same again until it is observed.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "an iterator would not wait for the outcome")]
    pub fn next(&mut self) -> Option<Trial> {
        let (value, purpose) = match self.state {
            State::Stepping { value } => (value, Purpose::Step),
            State::Bisecting { value } => (value, Purpose::Bisect),
            State::Confirming { value, .. } => (value, Purpose::Confirm),
            State::Done(_) => return None,
        };
        if self.trials >= self.options.max_trials {
            self.state = State::Done(Answer::Unconfirmed { value: self.best() });
            return None;
        }
        Some(Trial { number: self.trials + 1, value, purpose })
    }

    /// Takes in what came of the trial that [`Search::next`] returned.
    pub fn observe(&mut self, trial: &Trial, outcome: Outcome) {
        self.trials += 1;
        if outcome.held() {
            self.held.push(trial.value);
        }
        if matches!(outcome, Outcome::GeneratorHeld | Outcome::GeneratorFailed) {
            if !self.generator && !std::mem::replace(&mut self.again, true) {
                return;
            }
            self.generator = true;
        }
        self.again = false;
        if outcome == Outcome::GeneratorFailed {
            // Whatever the reason is, it is nothing to count on.
            self.held.retain(|value| *value < trial.value);
        }
        if outcome == Outcome::Failed {
            let lowest = self.fails_at.unwrap_or(f64::INFINITY);
            self.fails_at = Some(lowest.min(trial.value));
        }
        self.state = match self.state {
            State::Stepping { .. } | State::Bisecting { .. } if self.generator => self.at_least(),
            State::Stepping { value } if outcome.held() => self.after_a_step_that_held(value),
            State::Stepping { value } => self.after_a_step_that_failed(value),
            State::Bisecting { .. } => self.narrow(),
            State::Confirming { value, held } if outcome.held() => self.confirmed(value, held + 1),
            State::Confirming { value, .. } => self.refuted(value),
            done @ State::Done(_) => done,
        };
    }

    /// What held is repeated, although the generator cannot do more.
    fn at_least(&mut self) -> State {
        match self.best() {
            Some(best) => self.confirm(best),
            None => State::Done(Answer::AtLeast { value: None, limit: Limit::Generator }),
        }
    }

    fn after_a_step_that_held(&mut self, value: f64) -> State {
        if self.fails_at.is_some() {
            return self.narrow();
        }
        let next = self.admit(value * self.options.factor);
        if next > value { State::Stepping { value: next } } else { self.confirm(value) }
    }

    fn after_a_step_that_failed(&mut self, value: f64) -> State {
        if self.best().is_some() {
            return self.narrow();
        }
        let next = self.admit(value / self.options.factor);
        if next < value && value > self.lowest() {
            State::Stepping { value: next }
        } else {
            State::Done(Answer::Below { value })
        }
    }

    /// The middle between the highest value that holds and the lowest that fails, or the end.
    fn narrow(&mut self) -> State {
        let (Some(low), Some(high)) = (self.best(), self.fails_at) else {
            return State::Done(Answer::Unconfirmed { value: self.best() });
        };
        let middle = self.admit((low * high).sqrt());
        let narrow = high <= low * (1.0 + self.options.tolerance);
        if narrow || middle <= low || middle >= high {
            // In whole numbers the geometric middle may round to an end while one lies between.
            let between = low + 1.0;
            if !narrow && self.options.knob.is_whole() && between < high {
                return State::Bisecting { value: between };
            }
            return self.confirm(low);
        }
        State::Bisecting { value: middle }
    }

    fn confirm(&mut self, value: f64) -> State {
        self.confirmed(value, 0)
    }

    fn confirmed(&mut self, value: f64, held: u32) -> State {
        if held < self.options.confirmations {
            return State::Confirming { value, held };
        }
        let limit = Limit::Generator;
        State::Done(match self.fails_at {
            _ if self.generator => Answer::AtLeast { value: Some(value), limit },
            Some(fails_at) => Answer::Sustained { value, fails_at },
            None => Answer::AtLeast { value: Some(value), limit: Limit::UpperEnd },
        })
    }

    /// Down by a tolerance step, and further each time, so that noise cannot take all trials.
    fn refuted(&mut self, value: f64) -> State {
        let step = (1.0 + self.options.tolerance).powi(self.back_off);
        self.back_off = self.back_off.saturating_mul(2).min(LARGEST_BACK_OFF);
        let mut next = self.admit(value / step);
        if next >= value && self.options.knob.is_whole() {
            next = value - 1.0;
        }
        if next < self.lowest() || next >= value {
            if self.generator {
                return State::Done(Answer::AtLeast { value: None, limit: Limit::Generator });
            }
            return State::Done(Answer::Below { value });
        }
        State::Confirming { value: next, held: 0 }
    }

    /// A value that may be tried.
    fn admit(&self, value: f64) -> f64 {
        let value = value.min(self.options.to.unwrap_or(f64::INFINITY)).max(self.lowest());
        if self.options.knob.is_whole() { value.round().max(1.0) } else { value }
    }

    fn lowest(&self) -> f64 {
        let lowest = self.options.from / LOWEST_DIVISOR;
        if self.options.knob.is_whole() { lowest.max(1.0) } else { lowest }
    }
}

/// A search that fails at its first value goes down to this part of it.
const LOWEST_DIVISOR: f64 = 1024.0;
const LARGEST_BACK_OFF: i32 = 64;

#[cfg(test)]
mod tests;
