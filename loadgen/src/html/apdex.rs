//! APDEX, the application performance index, with JMeter's default thresholds.
//!
//! Results do not keep the times of failures apart, so failures are taken out of the satisfied:
//! the score is never better than the one that JMeter would give.

use crate::numbers::part;
use crate::result::Times;

/// Up to this a user is satisfied: JMeter's `apdex_satisfied_threshold`, 500 ms.
pub const APDEX_SATISFIED_NS: u64 = 500_000_000;

/// Up to this a user puts up with it: JMeter's `apdex_tolerated_threshold`, 1,500 ms.
pub const APDEX_TOLERATED_NS: u64 = 1_500_000_000;

/// How many were how happy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Apdex {
    pub(super) satisfied: u64,
    pub(super) tolerating: u64,
    pub(super) frustrated: u64,
}

impl Apdex {
    /// Of `times` among which are `failed_within`, and of `missing` that have no time at all.
    pub(super) fn of(times: &Times, failed_within: u64, missing: u64) -> Apdex {
        let satisfied = times.count_up_to(APDEX_SATISFIED_NS);
        let tolerated = times.count_up_to(APDEX_TOLERATED_NS);
        let tolerating = tolerated.saturating_sub(satisfied);
        let left = satisfied.saturating_sub(failed_within);
        // More failures than fast answers: the slower ones must have failed too.
        let tolerating = tolerating.saturating_sub(failed_within.saturating_sub(satisfied));
        let known = left.saturating_add(tolerating);
        let frustrated = times.count().saturating_sub(known).saturating_add(missing);
        Apdex { satisfied: left, tolerating, frustrated }
    }

    pub(super) fn total(&self) -> u64 {
        self.satisfied.saturating_add(self.tolerating).saturating_add(self.frustrated)
    }

    /// Between 0 and 1; none of nothing.
    pub(super) fn score(&self) -> Option<f64> {
        (self.total() > 0)
            .then(|| part(self.satisfied, self.total()) + part(self.tolerating, self.total()) / 2.0)
    }

    /// The index's own words for its scores.
    pub(super) fn rating(&self) -> &'static str {
        match self.score() {
            None => "no samples",
            Some(score) if score >= 0.94 => "excellent",
            Some(score) if score >= 0.85 => "good",
            Some(score) if score >= 0.70 => "fair",
            Some(score) if score >= 0.50 => "poor",
            Some(_) => "unacceptable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(times_ms: &[u64], failed: u64, missing: u64, wanted: (u64, u64, u64), rating: &str) {
        let mut times = Times::new();
        times_ms.iter().for_each(|ms| times.record(ms * 1_000_000));
        let apdex = Apdex::of(&times, failed, missing);
        assert_eq!((apdex.satisfied, apdex.tolerating, apdex.frustrated), wanted);
        assert_eq!(apdex.rating(), rating);
        assert_eq!(apdex.total(), times_ms.len() as u64 + missing);
    }

    #[test]
    fn failures_and_what_is_missing_count_as_frustrated() {
        check(&[], 0, 0, (0, 0, 0), "no samples");
        check(&[1, 499], 0, 0, (2, 0, 0), "excellent");
        check(&[1, 1000], 0, 0, (1, 1, 0), "fair");
        check(&[1, 2, 3, 1000, 2000], 0, 0, (3, 1, 1), "fair");
        check(&[1, 2, 3, 4], 1, 0, (3, 0, 1), "fair");
        check(&[1, 2], 0, 2, (2, 0, 2), "poor");
        check(&[1, 1000], 2, 0, (0, 0, 2), "unacceptable");
    }
}
