//! A token bucket as one number: the time at which it will be full again.
//!
//! Whatever is taken moves that time into the future; what time gives back needs no writing down.
//! A bucket of which nothing was taken for long is the same as one that was never used, so nobody
//! has to remember it. Invariant: the time never moves back.

use std::time::Duration;

/// A time of buckets: sixteenths of a nanosecond since some start, so that a byte of a fast rate
/// has a length too. Enough for 36 years.
pub(super) type Ticks = u64;

const TICKS_PER_NANO: u128 = 16;
const TICKS_PER_SECOND: u64 = 16_000_000_000;

/// So many units in so much time, and how many may come at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Not 0.
    pub units: u64,
    /// In how much time they come back.
    pub per: Duration,
    /// What a full bucket holds; not 0.
    pub burst: u64,
}

/// A time since the start, for buckets.
#[must_use]
pub(super) fn ticks(since_start: Duration) -> Ticks {
    to_ticks(since_start.as_nanos() * TICKS_PER_NANO)
}

impl Rate {
    /// Whether a bucket that is full at `full_at` holds a whole unit now; otherwise, when it will.
    pub(super) fn look(&self, full_at: Ticks, now: Ticks) -> Result<(), Duration> {
        let missing = full_at.saturating_sub(now);
        let after = missing.saturating_add(self.length(1));
        match after.saturating_sub(self.length(self.burst)) {
            0 => Ok(()),
            wait => Err(Duration::from_nanos(wait.div_ceil(TICKS_PER_NANO as u64))),
        }
    }

    /// The bucket after so many units were taken, more than it holds if need be.
    #[must_use]
    pub(super) fn take(&self, full_at: Ticks, now: Ticks, units: u64) -> Ticks {
        full_at.max(now).saturating_add(self.length(units))
    }

    /// The same as a quota for so many whole seconds, as header fields say it.
    #[must_use]
    pub(super) fn window(&self) -> (u64, u64) {
        let per_second = self.units.div_ceil(self.per.as_secs().max(1));
        let quota = self.burst.max(per_second);
        let seconds = self.length(quota).div_ceil(TICKS_PER_SECOND).max(1);
        (quota, seconds)
    }

    /// How long it takes until so many units have come.
    #[must_use]
    pub fn fills_in(&self, units: u64) -> Duration {
        Duration::from_nanos(self.length(units) / TICKS_PER_NANO as u64)
    }

    fn length(&self, units: u64) -> Ticks {
        let time = u128::from(units) * self.per.as_nanos() * TICKS_PER_NANO;
        // Rounded down, so that a full bucket holds all of its units.
        to_ticks(time / u128::from(self.units.max(1))).max(u64::from(units > 0))
    }
}

fn to_ticks(time: u128) -> Ticks {
    Ticks::try_from(time).unwrap_or(Ticks::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(units: u64, seconds: u64, burst: u64) -> Rate {
        Rate { units, per: Duration::from_secs(seconds), burst }
    }

    fn at(nanos: u64) -> Ticks {
        ticks(Duration::from_nanos(nanos))
    }

    /// Takes one unit after the other at a time; how many there were, and what is left behind.
    fn drain(rate: Rate, mut full_at: Ticks, now: Ticks) -> (u64, Ticks) {
        let mut taken = 0;
        while rate.look(full_at, now).is_ok() {
            full_at = rate.take(full_at, now, 1);
            taken += 1;
        }
        (taken, full_at)
    }

    #[test]
    fn a_bucket_says_when_there_will_be_a_unit() {
        let rate = rate(2, 1, 3);
        let (taken, full_at) = drain(rate, 0, at(0));
        assert_eq!(taken, 3);
        assert_eq!(rate.look(full_at, at(0)), Err(Duration::from_millis(500)));
        assert_eq!(rate.look(full_at, at(400_000_000)), Err(Duration::from_millis(100)));
        assert_eq!(drain(rate, full_at, at(500_000_000)).0, 1);
        assert_eq!(drain(rate, full_at, at(3_000_000_000)).0, 3);
        // More than there is: the next one waits for all of it.
        let full_at = rate.take(0, at(0), 10);
        assert_eq!(rate.look(full_at, at(0)), Err(Duration::from_secs(4)));
    }

    #[test]
    fn windows_of_whole_seconds() {
        let check = |rate: Rate, want| assert_eq!(rate.window(), want, "{rate:?}");
        check(rate(100, 1, 100), (100, 1));
        check(rate(100, 1, 250), (250, 3));
        check(rate(100, 1, 1), (100, 1));
        check(rate(60, 60, 60), (60, 60));
        check(rate(60, 60, 5), (5, 5));
        check(rate(1, 3600, 1), (1, 3600));
    }

    proptest! {
        /// Whatever the pattern of requests: in no span of time more than a burst and what comes
        /// back in that time.
        #[test]
        fn no_span_has_more_than_burst_and_rate(
            units in 1u64..10_000,
            seconds in 1u64..100,
            burst in 1u64..1_000,
            pauses in prop::collection::vec(0u64..2_000_000_000, 1..200),
        ) {
            let rate = rate(units, seconds, burst);
            let (mut now, mut full_at) = (0, 0);
            let mut passed: Vec<u64> = Vec::new();
            for pause in pauses {
                now += pause;
                if rate.look(full_at, at(now)).is_ok() {
                    full_at = rate.take(full_at, at(now), 1);
                    passed.push(now);
                }
            }
            for (first, from) in passed.iter().enumerate() {
                for (count, to) in (1u64..).zip(&passed[first..]) {
                    let come = u128::from(to - from) * u128::from(units)
                        / (u128::from(seconds) * 1_000_000_000);
                    // One for what rounding may give.
                    prop_assert!(u128::from(count) <= u128::from(burst) + come + 1);
                }
            }
        }

        /// A full bucket gives exactly its burst, at any time and with any rate of requests.
        #[test]
        fn a_full_bucket_gives_its_burst(
            units in 1u64..1_000_000,
            seconds in 1u64..4000,
            burst in 1u64..5_000,
            start in 0u64..1_000_000_000_000,
        ) {
            prop_assert_eq!(drain(rate(units, seconds, burst), 0, at(start)).0, burst);
        }

        /// Who waits as long as it is told gets a unit then, and not before.
        #[test]
        fn waiting_as_told_helps(
            units in 1u64..1_000_000,
            seconds in 1u64..4000,
            burst in 1u64..1_000,
            taken in 1u64..10_000,
            start in 0u64..1_000_000_000_000,
        ) {
            let rate = rate(units, seconds, burst);
            let full_at = rate.take(0, at(start), taken.max(burst));
            let wait = rate.look(full_at, at(start)).expect_err("empty");
            let then = start + u64::try_from(wait.as_nanos()).expect("short");
            prop_assert!(rate.look(full_at, at(then)).is_ok());
            prop_assert!(rate.look(full_at, at(then - 1)).is_err());
        }
    }
}
