//! Time, cut into a bounded number of bins whatever the length of the run.
//!
//! Invariant: a bin's histogram is the sum of its intervals'; nothing is averaged.

use crate::result::{Interval, Times};

/// Equal bins from the begin of the measured part to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bins {
    /// The length of each, in milliseconds; never zero.
    pub(super) length_ms: u64,
    /// How many.
    pub(super) count: usize,
    end_ms: u64,
}

/// What happened to one label in one bin.
#[derive(Clone, Debug, Default)]
pub(super) struct Bin {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) times: Times,
}

impl Bins {
    /// At most `most` of them, each of whole seconds, or of `finest_ms` if that is longer.
    pub(super) fn up_to(end_ms: u64, finest_ms: u64, most: usize) -> Bins {
        let needed = end_ms.div_ceil(most.max(1) as u64);
        let length_ms = if needed <= finest_ms {
            finest_ms.max(1)
        } else {
            needed.div_ceil(1000).saturating_mul(1000)
        };
        // No more than `most`, so it fits.
        Bins { length_ms, count: end_ms.div_ceil(length_ms) as usize, end_ms }
    }

    /// The bin of a time, the last one's if it is later.
    pub(super) fn of(&self, at_ms: u64) -> usize {
        ((at_ms / self.length_ms) as usize).min(self.count.saturating_sub(1))
    }

    /// When bin `index` begins, in seconds.
    pub(super) fn begin(&self, index: usize) -> f64 {
        (index as u64).saturating_mul(self.length_ms) as f64 / 1e3
    }

    /// The part of bin `index` that the run covers, in seconds.
    pub(super) fn covered(&self, index: usize) -> f64 {
        let begin = (index as u64).saturating_mul(self.length_ms);
        self.end_ms.saturating_sub(begin).clamp(1, self.length_ms) as f64 / 1e3
    }

    /// The sums of some intervals.
    pub(super) fn fill<'a>(&self, intervals: impl Iterator<Item = &'a Interval>) -> Vec<Bin> {
        let mut bins = vec![Bin::default(); self.count];
        for interval in intervals {
            if let Some(bin) = bins.get_mut(self.of(interval.at_ms)) {
                bin.succeeded = bin.succeeded.saturating_add(interval.succeeded);
                bin.failed = bin.failed.saturating_add(interval.failed);
                bin.times.merge(&interval.times);
            }
        }
        bins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_asked_for_and_none_lost() {
        let check = |end_ms, finest_ms, most, wanted: (u64, usize)| {
            let bins = Bins::up_to(end_ms, finest_ms, most);
            assert_eq!((bins.length_ms, bins.count), wanted, "{end_ms} {finest_ms} {most}");
            assert!(bins.of(u64::MAX) <= bins.count);
        };
        check(0, 1000, 600, (1000, 0));
        check(60_000, 1000, 600, (1000, 60));
        check(60_500, 1000, 600, (1000, 61));
        check(3_600_000, 1000, 600, (6000, 600));
        check(3_600_000, 1000, 240, (15_000, 240));
        check(9_000, 0, 600, (1000, 9));
        assert!(Bins::up_to(u64::MAX / 2, 1000, 600).count <= 600);
    }

    #[test]
    fn the_last_bin_may_be_short() {
        let bins = Bins::up_to(10_500, 1000, 600);
        assert_eq!((bins.begin(10), bins.covered(9), bins.covered(10)), (10.0, 1.0, 0.5));
    }
}
