//! Histograms with fixed log-linear buckets.
//!
//! A value finds its bucket by its leading zeros and a shift, without a search and without a
//! division. Deliberately absent: quantiles. Whoever reads the buckets computes them.

use std::cell::Cell;
use std::time::Duration;

/// Times from 16 us to 17 s, two buckets for each doubling, in microseconds.
pub type Times = Histogram<4, 1, 41>;
/// Counts from 1 to 8,192, one bucket for each doubling.
pub type Counts = Histogram<0, 0, 14>;
/// Sizes from 4 KiB to 16 MiB, one bucket for each doubling.
pub type Sizes = Histogram<12, 0, 13>;

/// One bucket up to 2^`FIRST`, then 2^`SUB` of equal width for each doubling, `BUCKETS` in all, and
/// one more for what is above them.
pub struct Histogram<const FIRST: u32, const SUB: u32, const BUCKETS: usize> {
    counts: [Cell<u64>; BUCKETS],
    above: Cell<u64>,
    sum: Cell<u64>,
}

/// What a histogram has counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Each bucket's upper bound, which belongs to it, and its count.
    pub buckets: Vec<(u64, u64)>,
    /// Values above the last bound.
    pub above: u64,
    /// The sum of all values.
    pub sum: u64,
}

impl<const FIRST: u32, const SUB: u32, const BUCKETS: usize> Default
    for Histogram<FIRST, SUB, BUCKETS>
{
    fn default() -> Self {
        Histogram {
            counts: [const { Cell::new(0) }; BUCKETS],
            above: Cell::new(0),
            sum: Cell::new(0),
        }
    }
}

impl<const FIRST: u32, const SUB: u32, const BUCKETS: usize> Histogram<FIRST, SUB, BUCKETS> {
    /// Counts a value.
    #[inline]
    pub fn record(&self, value: u64) {
        if !super::COUNTS {
            return;
        }
        let count = self.counts.get(Self::bucket_of(value)).unwrap_or(&self.above);
        count.set(count.get() + 1);
        self.sum.set(self.sum.get().wrapping_add(value));
    }

    /// Counts a time, in microseconds.
    #[inline]
    pub fn record_time(&self, time: Duration) {
        self.record(time.as_secs() * 1_000_000 + u64::from(time.subsec_micros()));
    }

    /// What was counted so far.
    #[must_use]
    pub fn counted(&self) -> Counted {
        let buckets = self.counts.iter().enumerate();
        Counted {
            buckets: buckets.map(|(index, count)| (Self::bound(index), count.get())).collect(),
            above: self.above.get(),
            sum: self.sum.get(),
        }
    }

    /// The bucket of a value; one that does not exist for values above all.
    fn bucket_of(value: u64) -> usize {
        // Bounds belong to the bucket below them.
        let below = value.saturating_sub(1);
        if below >> FIRST == 0 {
            return 0;
        }
        let exponent = u64::BITS - 1 - below.leading_zeros();
        let part = (below >> (exponent - SUB)) & ((1 << SUB) - 1);
        1 + (((exponent - FIRST) as usize) << SUB) + part as usize
    }

    /// The upper bound of a bucket.
    fn bound(index: usize) -> u64 {
        let Some(index) = index.checked_sub(1) else { return 1 << FIRST };
        let doubling = FIRST + (index >> SUB) as u32;
        let part = (index & ((1 << SUB) - 1)) as u64;
        (1 << doubling) + ((part + 1) << (doubling - SUB))
    }

    const CHECKED: () = assert!(FIRST >= SUB, "a part of a bucket is at least 1");
}

impl Counted {
    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum::<u64>() + self.above
    }
}

const _: () = Times::CHECKED;
const _: () = Counts::CHECKED;
const _: () = Sizes::CHECKED;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_log_linear() {
        let bounds = |counted: Counted| -> Vec<u64> {
            counted.buckets.into_iter().map(|(bound, _)| bound).collect()
        };
        assert_eq!(bounds(Times::default().counted())[..6], [16, 24, 32, 48, 64, 96]);
        assert_eq!(bounds(Times::default().counted())[40], 1 << 24);
        assert_eq!(bounds(Counts::default().counted())[..4], [1, 2, 4, 8]);
        assert_eq!(bounds(Counts::default().counted())[13], 8192);
        assert_eq!(bounds(Sizes::default().counted())[12], 16 << 20);
    }

    /// Every value is counted in the first bucket whose bound is not below it.
    #[test]
    fn values_find_their_buckets() {
        let mut values: Vec<u64> = (0..200).collect();
        for shift in 0..64 {
            let power = 1u64 << shift;
            values.extend([power - 1, power, power.saturating_add(1), power + power / 2]);
        }
        values.push(u64::MAX);
        for value in values {
            let histogram = Times::default();
            histogram.record(value);
            let counted = histogram.counted();
            let want = counted.buckets.iter().position(|(bound, _)| value <= *bound);
            let got = counted.buckets.iter().position(|(_, count)| *count == 1);
            assert_eq!(got, want, "{value}");
            assert_eq!((counted.count(), counted.sum), (1, value));
        }
    }

    #[test]
    fn times_are_microseconds() {
        let histogram = Times::default();
        histogram.record_time(Duration::from_nanos(2_000_025_999));
        assert_eq!(histogram.counted().sum, 2_000_025);
    }
}
