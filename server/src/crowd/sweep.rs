//! How fast the crowd is served when it cannot be served fast enough.
//!
//! A sweep serves everybody who stood in the line when it began. If others came meanwhile, the
//! core cannot send each message singly, and sending faster only means smaller frames: the same
//! bytes in more writes, which cost both sides time. So the crowd then rests half as long as
//! the sweep took, and what comes meanwhile leaves in fewer, larger frames. Without overload the
//! line is empty when a sweep ends, and nobody waits.
//!
//! Deliberately absent: the clock and the timer. They are arguments.

use std::time::{Duration, Instant};

/// Where the crowd is in its sweep.
#[derive(Default)]
pub(super) struct Sweep {
    began: Option<Instant>,
    /// Members that are still to be looked at.
    left: usize,
    resting: bool,
}

impl Sweep {
    /// How many members may be looked at now, with so many in the line.
    pub(super) fn allows(&mut self, line: usize, most: usize, now: Instant) -> usize {
        if self.resting || line == 0 {
            return 0;
        }
        if self.left == 0 {
            self.began = Some(now);
            self.left = line;
        }
        self.left.min(most).min(line)
    }

    /// So many were looked at, and so many stand in the line now. How long to rest, if at all;
    /// [`Sweep::rested`] ends it.
    pub(super) fn looked(&mut self, looks: usize, line: usize, now: Instant) -> Option<Duration> {
        if looks == 0 {
            return None;
        }
        self.left = if line == 0 { 0 } else { self.left - looks.min(self.left) };
        if self.left > 0 || line == 0 {
            return None;
        }
        let took = now.saturating_duration_since(self.began.take()?);
        if took < SHORT {
            return None;
        }
        self.resting = true;
        Some(MOST_REST.min(took / REST_SHARE))
    }

    /// Whether everybody who stood in the line when the sweep began has been looked at.
    pub(super) fn is_over(&self) -> bool {
        self.left == 0
    }

    /// The rest is over.
    pub(super) fn rested(&mut self) {
        self.resting = false;
    }
}

/// A sweep that is not worth a rest: the timer is not finer than a millisecond.
const SHORT: Duration = Duration::from_millis(4);
/// Of the time that the sweep took.
const REST_SHARE: u32 = 2;
const MOST_REST: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_rests_only_when_it_cannot_keep_up() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut sweep = Sweep::default();
        assert_eq!(sweep.allows(0, 256, at(0)), 0);
        assert_eq!(sweep.allows(300, 256, at(0)), 256);
        assert_eq!(sweep.looked(256, 44, at(5)), None);
        assert_eq!(sweep.allows(44, 256, at(5)), 44);
        assert_eq!(sweep.looked(44, 0, at(10)), None, "the line is empty");
        assert_eq!(sweep.allows(300, 256, at(20)), 256);
        assert_eq!(sweep.looked(256, 300, at(25)), None, "not everybody has had a turn");
        assert_eq!(sweep.allows(300, 256, at(25)), 44);
        assert_eq!(sweep.looked(44, 256, at(30)), Some(Duration::from_millis(5)));
        assert_eq!(sweep.allows(256, 256, at(31)), 0, "it rests");
        sweep.rested();
        assert_eq!(sweep.allows(256, 256, at(40)), 256);
        assert_eq!(sweep.looked(256, 9, at(43)), None, "too short to rest after it");
        assert_eq!(sweep.allows(9, 256, at(43)), 9);
        assert_eq!(sweep.looked(9, 9, at(1_000)), Some(MOST_REST));
    }
}
