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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(options: SearchOptions, mut verdict: impl FnMut(&Trial) -> Outcome) -> (Answer, u32) {
        let mut search = Search::new(options);
        let mut trials = 0;
        while let Some(trial) = search.next() {
            assert_eq!(search.next(), Some(trial), "the same until it is observed");
            trials += 1;
            assert_eq!(trial.number, trials);
            search.observe(&trial, verdict(&trial));
        }
        (search.answer().expect("an answer"), trials)
    }

    fn up_to(capacity: f64) -> impl FnMut(&Trial) -> Outcome {
        move |trial| if trial.value <= capacity { Outcome::Held } else { Outcome::Failed }
    }

    #[test]
    fn finds_a_capacity() {
        let check = |options: SearchOptions, capacity: f64, want: Answer| {
            assert_eq!(run(options, up_to(capacity)).0, want, "{capacity}");
        };
        let readers = SearchOptions::new(Knob::Readers, 1.0);
        check(readers, 1.0, Answer::Sustained { value: 1.0, fails_at: 2.0 });
        check(readers, 6.0, Answer::Sustained { value: 6.0, fails_at: 7.0 });
        check(readers, 0.0, Answer::Below { value: 1.0 });
        let bounded = SearchOptions { to: Some(50.0), ..readers };
        let upper = Answer::AtLeast { value: Some(50.0), limit: Limit::UpperEnd };
        check(bounded, 50.0, upper);
        check(bounded, 1e9, upper);
        let down = SearchOptions::new(Knob::Readers, 1000.0);
        check(down, 1.0, Answer::Sustained { value: 1.0, fails_at: 2.0 });
    }

    #[test]
    fn the_generator_is_never_called_the_server() {
        let options = SearchOptions::new(Knob::Rate, 100.0);
        let limited = |value| Answer::AtLeast { value, limit: Limit::Generator };
        let check = |failing: Outcome, want: Option<f64>| {
            let verdict = |trial: &Trial| if trial.value < 700.0 { Outcome::Held } else { failing };
            // Four upward, the last one again, and three repeats.
            assert_eq!(run(options, verdict), (limited(want), 8));
        };
        check(Outcome::GeneratorFailed, Some(400.0));
        check(Outcome::GeneratorHeld, Some(800.0));
        assert_eq!(run(options, |_| Outcome::GeneratorFailed), (limited(None), 2));
        assert_eq!(run(options, |_| Outcome::GeneratorHeld), (limited(Some(100.0)), 5));
        let few = SearchOptions { max_trials: 3, ..options };
        let unconfirmed = Answer::Unconfirmed { value: Some(100.0) };
        assert_eq!(run(few, |_| Outcome::GeneratorHeld), (unconfirmed, 3));
    }

    #[test]
    fn a_disturbed_generator_gets_another_trial() {
        for (disturbed, kind) in (1..20).flat_map(|number| {
            [(number, Outcome::GeneratorFailed), (number, Outcome::GeneratorHeld)]
        }) {
            let mut verdict = up_to(1000.0);
            let options = SearchOptions::new(Knob::Readers, 100.0);
            let (answer, _) = run(options, |trial| match trial.number == disturbed {
                true => kind,
                false => verdict(trial),
            });
            let Answer::Sustained { value, .. } = answer else { panic!("{disturbed}: {answer:?}") };
            assert!((900.0..=1000.0).contains(&value), "{disturbed}: {answer:?}");
        }
    }

    #[test]
    fn a_repeat_that_fails_takes_a_step_down() {
        let mut repeats = 0;
        let (answer, _) = run(SearchOptions::new(Knob::Rate, 100.0), |trial| {
            repeats += u32::from(trial.purpose == Purpose::Confirm);
            let unlucky = trial.purpose == Purpose::Confirm && repeats == 2;
            if trial.value <= 1000.0 && !unlucky { Outcome::Held } else { Outcome::Failed }
        });
        let Answer::Sustained { value, fails_at } = answer else { panic!("{answer:?}") };
        assert!((fails_at / value / 1.05 - 1.0).abs() < 1e-9, "{answer:?}");
        assert_eq!(repeats, 5, "one held, one failed, three more below");
    }

    proptest! {
        #[test]
        fn any_capacity_is_found_within_the_tolerance(
            capacity in 0.01f64..1e6,
            from in 1f64..1e4,
            tolerance in 0.01f64..0.5,
            factor in 1.2f64..4.0,
            whole: bool,
        ) {
            let knob = if whole { Knob::Readers } else { Knob::Rate };
            let options = SearchOptions {
                tolerance, factor, max_trials: 500, ..SearchOptions::new(knob, from)
            };
            let (answer, trials) = run(options, up_to(capacity));
            prop_assert!(trials < 150, "{trials}");
            match answer {
                Answer::Sustained { value, fails_at } => {
                    prop_assert!(value <= capacity && capacity < fails_at, "{answer:?}");
                    let gap = if whole { (value * tolerance).max(1.0) } else { value * tolerance };
                    prop_assert!(fails_at - value <= gap * (1.0 + 1e-9), "{answer:?}");
                }
                Answer::Below { value } => {
                    prop_assert!(capacity < value);
                    prop_assert!(value <= (from / 1024.0).max(1.0) + 0.5, "{answer:?}");
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }

        #[test]
        fn any_verdicts_end_within_the_bound(
            verdicts in prop::collection::vec(0u8..6, 64),
            from in 0.001f64..1e9,
            max_trials in 1u32..60,
            whole: bool,
        ) {
            let knob = if whole { Knob::Streams } else { Knob::Rate };
            let options = SearchOptions { max_trials, ..SearchOptions::new(knob, from) };
            let mut failed_at = f64::INFINITY;
            let mut above = None;
            let (answer, trials) = run(options, |trial| {
                if trial.value > failed_at {
                    above = Some(*trial);
                }
                match verdicts[trial.number as usize] {
                    0 | 1 => Outcome::Held,
                    2 => Outcome::GeneratorHeld,
                    3 => Outcome::GeneratorFailed,
                    _ => {
                        failed_at = failed_at.min(trial.value);
                        Outcome::Failed
                    }
                }
            });
            prop_assert!(trials <= max_trials);
            prop_assert_eq!(above, None, "tried above a failure");
            prop_assert!(answer.value().is_none_or(|value| value < failed_at));
        }
    }
}
