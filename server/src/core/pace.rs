//! When a group is written: at once, or after those who were just answered have come back.
//!
//! A write costs much the same for one record as for a hundred, and every small group costs a
//! round of wake-ups. Clients that wait for their answer before they append again come back a
//! moment after it. So the next group waits for about as many records as the last one
//! acknowledged, with those that came meanwhile, but never for more than are worth a write; a lone
//! client never waits, because when it comes back everybody has. Who does not come back costs one
//! short wait, and after it a number of groups that do not wait at all.
//!
//! Deliberately absent: clocks and timers. They are arguments.

use std::time::{Duration, Instant};

/// Decides when a log writes its next group.
pub(super) struct Pace {
    /// How many records are worth waiting for, and until when.
    waiting: Option<(u64, Instant)>,
    /// Groups to go without waiting.
    skip: u32,
    /// As many after the next wait in vain.
    penalty: u32,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { waiting: None, skip: 0, penalty: 1 }
    }
}

impl Pace {
    /// A group of so many records is about to be acknowledged, and so many more are there
    /// already. Returns how long the next group may wait.
    pub(super) fn written(&mut self, records: u64, pending: u64, now: Instant) -> Option<Duration> {
        self.waiting = None;
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        let all = records + pending;
        let goal = MOST_EXPECTED.min(all - all / STRAGGLERS);
        if goal <= pending.max(1) {
            return None;
        }
        let time = MIN_WAIT + WAIT_PER_RECORD * goal as u32;
        self.waiting = Some((goal, now + time));
        Some(time)
    }

    /// Nothing can end a wait any more.
    pub(super) fn stop_waiting(&mut self) {
        *self = Pace { waiting: None, skip: u32::MAX, penalty: MAX_PENALTY };
    }

    /// Whether so many records need not wait for more.
    pub(super) fn is_reached(&self, pending: u64) -> bool {
        self.waiting.is_none_or(|(goal, _)| pending >= goal)
    }

    /// Whether a group of so many records should be written now.
    pub(super) fn is_due(&mut self, pending: u64, now: impl FnOnce() -> Instant) -> bool {
        let Some((goal, until)) = self.waiting else { return pending > 0 };
        if pending >= goal {
            self.penalty = 1;
        } else if now() < until {
            return false;
        } else {
            self.skip = self.penalty;
            self.penalty = MAX_PENALTY.min(self.penalty * 2);
        }
        self.waiting = None;
        pending > 0
    }
}

/// One of so many may be missing.
const STRAGGLERS: u64 = 16;
/// A group of so many records is worth its write: with more clients than that, some send while the
/// records of others are written, and to wait for all of them would leave the disk idle.
const MOST_EXPECTED: u64 = 64;
const MIN_WAIT: Duration = Duration::from_micros(100);
/// Records that come more slowly than this are not worth waiting for.
const WAIT_PER_RECORD: Duration = Duration::from_micros(20);
/// The most groups without waiting after a wait in vain: waits that fail are rarer than what a
/// 99th percentile shows.
const MAX_PENALTY: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a group of `pending` is written `after_us` after `records` were acknowledged with
    /// `before` there already.
    fn due(records: u64, before: u64, pending: u64, after_us: u64) -> bool {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.written(records, before, start);
        pace.is_due(pending, || start + Duration::from_micros(after_us))
    }

    #[test]
    fn a_group_waits_for_those_who_were_answered() {
        for (records, before, pending, after_us, want) in [
            (0, 0, 0, 0, false),
            (1, 0, 1, 0, true),
            (1, 1, 1, 0, false),
            (1, 1, 2, 0, true),
            (1, 1, 1, 200, true),
            (64, 0, 59, 0, false),
            (64, 0, 60, 0, true),
            (32, 32, 32, 100, false),
            (32, 32, 60, 100, true),
            (64, 0, 1, 1_400, true),
            (64, 0, 0, 1_400, false),
            (256, 0, 63, 0, false),
            (256, 0, 64, 0, true),
            (192, 64, 64, 0, true),
            (1_000_000, 0, 10, 1_300, false),
            (1_000_000, 0, 10, 1_400, true),
        ] {
            let got = due(records, before, pending, after_us);
            assert_eq!(got, want, "{records} and {before}, then {pending} after {after_us} us");
        }
    }

    #[test]
    fn waits_in_vain_become_rare() {
        const LONG: Duration = Duration::from_secs(1);
        let start = Instant::now();
        let mut pace = Pace::default();
        let waits = (0..1000)
            .filter(|_| {
                let waits = pace.written(10, 0, start).is_some();
                assert!(pace.is_due(1, || start + LONG));
                waits
            })
            .count();
        assert_eq!(waits, 11);
        // A wait that paid is forgiven.
        while pace.written(10, 0, start).is_none() {}
        assert!(pace.is_due(10, || start));
        assert!(pace.written(10, 0, start).is_some());
        assert!(pace.is_due(1, || start + LONG));
        assert!(pace.written(10, 0, start).is_none());
        assert!(pace.written(10, 0, start).is_some());
    }
}
