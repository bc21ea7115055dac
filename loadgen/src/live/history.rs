//! What the view remembers: one moment per second, for the curves.

use std::collections::VecDeque;

use crate::live::{LabelProgress, Phase, Progress};
use crate::result::Times;

/// The last minutes, a moment per second.
#[derive(Clone, Debug, Default)]
pub struct History {
    moments: VecDeque<Moment>,
    last: Option<(Phase, u64)>,
}

/// A second of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moment {
    /// Operations that ended per second.
    pub operations: f64,
    /// Deliveries per second.
    pub deliveries: f64,
    /// 99th percentile of the second's operations, in nanoseconds; 0 if there were none.
    pub operations_p99: u64,
    /// The same of deliveries.
    pub deliveries_p99: u64,
}

impl History {
    /// Remembers a board, at most once per second of a phase. Set-up has no load, so there is
    /// nothing to remember of it.
    pub fn observe(&mut self, progress: &Progress) {
        let now = (progress.phase, progress.elapsed_ms / 1000);
        let loaded = !matches!(progress.phase, Phase::SettingUp | Phase::Done);
        if !loaded || self.last == Some(now) {
            return;
        }
        self.last = Some(now);
        if self.moments.len() == MOST_MOMENTS {
            self.moments.pop_front();
        }
        self.moments.push_back(Moment::of(progress));
    }

    /// The latest `most` of them, oldest first.
    pub fn latest(&self, most: usize) -> impl Iterator<Item = &Moment> {
        self.moments.iter().skip(self.moments.len().saturating_sub(most))
    }
}

impl Moment {
    /// The last whole second of a board.
    #[must_use]
    pub fn of(progress: &Progress) -> Moment {
        let rate = |deliveries| {
            labels(progress, deliveries)
                .map(|label| label.per_second)
                .fold(0.0, |sum, rate| sum + rate)
        };
        let p99 = |deliveries| {
            merged(labels(progress, deliveries).map(|label| &label.last)).percentile(99.0)
        };
        Moment {
            operations: rate(false),
            deliveries: rate(true),
            operations_p99: p99(false),
            deliveries_p99: p99(true),
        }
    }
}

/// The labels of deliveries, or of operations.
pub(super) fn labels(
    progress: &Progress,
    deliveries: bool,
) -> impl Iterator<Item = &LabelProgress> {
    progress.labels.iter().filter(move |label| label.deliveries == deliveries)
}

/// All of them together.
pub(super) fn merged<'a>(all: impl Iterator<Item = &'a Times>) -> Times {
    let mut sum = Times::new();
    all.for_each(|times| sum.merge(times));
    sum
}

/// Wider than any terminal.
const MOST_MOMENTS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(phase: Phase, elapsed_ms: u64, rate: f64) -> Progress {
        let label = LabelProgress { per_second: rate, ..LabelProgress::default() };
        Progress { phase, elapsed_ms, labels: vec![label], ..Progress::default() }
    }

    #[test]
    fn one_moment_per_second_of_load() {
        let mut history = History::default();
        for (phase, elapsed_ms) in [
            (Phase::SettingUp, 0),
            (Phase::SettingUp, 5_000),
            (Phase::WarmUp, 1_000),
            (Phase::WarmUp, 1_250),
            (Phase::Running, 1_300),
            (Phase::Running, 2_100),
            (Phase::Done, 9_000),
        ] {
            history.observe(&at(phase, elapsed_ms, elapsed_ms as f64));
        }
        let rates: Vec<_> = history.latest(10).map(|moment| moment.operations).collect();
        assert_eq!(rates, [1_000.0, 1_300.0, 2_100.0]);
        assert_eq!(
            history.latest(1).map(|moment| moment.operations).collect::<Vec<_>>(),
            [2_100.0]
        );
    }

    #[test]
    fn it_forgets_what_no_terminal_can_show() {
        let mut history = History::default();
        for second in 0..5_000 {
            history.observe(&at(Phase::Running, second * 1_000, second as f64));
        }
        assert_eq!(history.latest(usize::MAX).count(), MOST_MOMENTS);
        assert_eq!(history.latest(1).map(|moment| moment.operations).sum::<f64>(), 4_999.0);
    }
}
