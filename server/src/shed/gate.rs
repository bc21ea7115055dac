//! Which part of the new work is let in.
//!
//! ```text
//! open --median above the limit--> shedding --target held with everything let in--> open
//! ```
//!
//! Two numbers, because they ask for different things. A core that is busy with clients who each
//! wait for their answer is late by as much as these are many, and nothing is wrong; so nothing is
//! refused below the limit. But once there is too much to do, what is let in should not wait for as
//! long as the limit; so the share is regulated to the target. It falls by as much as the delay is
//! too long, by half at most, and rises slowly.

use std::time::Duration;

use super::Kind;
use crate::config::limits::LEAST_ADMITTED;

/// Everything, in thousandths.
pub const ALL: u32 = 1000;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gate {
    shedding: bool,
    /// Creates, appends and live readers that are let in, in thousandths.
    writes: u32,
    /// Other reads.
    reads: u32,
}

impl Default for Gate {
    fn default() -> Gate {
        Gate { shedding: false, writes: ALL, reads: ALL }
    }
}

impl Gate {
    /// Whether nothing is refused.
    #[must_use]
    #[inline]
    pub fn is_open_to_all(&self) -> bool {
        !self.shedding
    }

    /// What is let in of a kind, in thousandths.
    #[must_use]
    pub fn admitted(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Create | Kind::Append | Kind::Live => self.writes,
            Kind::Read => self.reads,
        }
    }

    /// The core was so late in the middle of the last samples. A `limit` of zero: nothing is ever
    /// refused.
    pub fn judge(&mut self, median: Duration, limit: Duration, target: Duration) {
        if limit.is_zero() {
            *self = Gate::default();
        } else if self.shedding || median > limit {
            self.shedding = true;
            self.regulate(median, limit, target);
        }
    }

    fn regulate(&mut self, median: Duration, limit: Duration, target: Duration) {
        if median > target {
            let factor = (target.as_secs_f64() / median.as_secs_f64()).max(LEAST_FACTOR);
            let is_least = self.writes <= LEAST_ADMITTED;
            self.writes = scaled(self.writes, factor);
            // Reads are refused only if it is bad, and nothing else is left.
            if is_least && median > limit {
                self.reads = scaled(self.reads, LEAST_FACTOR);
            }
        } else if self.reads < ALL {
            self.reads = raised(self.reads);
        } else if self.writes < ALL {
            self.writes = raised(self.writes);
        } else {
            self.shedding = false;
        }
    }
}

fn scaled(share: u32, factor: f64) -> u32 {
    ((f64::from(share) * factor) as u32).max(LEAST_ADMITTED)
}

/// By a tenth, and by a hundredth of everything.
fn raised(share: u32) -> u32 {
    (share + share / 10 + ALL / 100).min(ALL)
}

/// One judgement lowers a share at most so far.
const LEAST_FACTOR: f64 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(25);
    const TARGET: Duration = Duration::from_millis(2);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn nothing_is_refused_below_the_limit() {
        let mut gate = Gate::default();
        for delay in [0, 2, 3, 24, 25] {
            gate.judge(ms(delay), LIMIT, TARGET);
            assert_eq!(gate, Gate::default(), "{delay} ms");
        }
        gate.judge(ms(1000), Duration::ZERO, TARGET);
        assert_eq!(gate, Gate::default(), "switched off");
    }

    #[test]
    fn writes_first_then_reads_and_back() {
        let mut gate = Gate::default();
        gate.judge(ms(26), LIMIT, TARGET);
        assert_eq!((gate.admitted(Kind::Append), gate.admitted(Kind::Read)), (500, ALL));
        assert!(!gate.is_open_to_all());
        let mut judgements = 0;
        while gate.admitted(Kind::Append) > LEAST_ADMITTED {
            gate.judge(ms(26), LIMIT, TARGET);
            assert_eq!(gate.admitted(Kind::Read), ALL);
            judgements += 1;
        }
        assert!(judgements < 10, "{judgements}");
        // Late, but not beyond the limit: reads go on.
        gate.judge(ms(10), LIMIT, TARGET);
        assert_eq!(gate.admitted(Kind::Read), ALL);
        for _ in 0..20 {
            gate.judge(ms(26), LIMIT, TARGET);
        }
        assert_eq!(gate.admitted(Kind::Read), LEAST_ADMITTED);
        let mut judgements = 0;
        while !gate.is_open_to_all() {
            let writes = gate.admitted(Kind::Create);
            gate.judge(ms(1), LIMIT, TARGET);
            let reads_are_back = gate.admitted(Kind::Read) == ALL;
            assert!(reads_are_back || gate.admitted(Kind::Create) == writes);
            judgements += 1;
        }
        assert!((20..100).contains(&judgements), "{judgements}");
        assert_eq!(gate, Gate::default());
    }

    #[test]
    fn a_constant_overload_settles() {
        // Late by what is let in beyond a quarter.
        let mut gate = Gate::default();
        gate.judge(ms(100), LIMIT, TARGET);
        let mut shares = Vec::new();
        for _ in 0..300 {
            let writes = gate.admitted(Kind::Append);
            let delay = if writes > 250 { 2 + u64::from(writes - 250) / 5 } else { 1 };
            gate.judge(ms(delay), LIMIT, TARGET);
            shares.push(writes);
        }
        let settled = &shares[50..];
        let (least, most) = (settled.iter().min().unwrap(), settled.iter().max().unwrap());
        assert!(*least >= 100 && *most <= 320, "{least} to {most}");
    }
}
