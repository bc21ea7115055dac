//! Appends that whole groups pass by: how long the oldest has been waiting since the first group
//! that it could have been in.
//!
//! A group takes all that waits, up to a bound. What is left over is a backlog: the disk is slower
//! than what comes. An append that waits for the one write before it is not in it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use thalweg_storage::Lsn;

/// See the module.
#[derive(Default)]
pub struct Backlog {
    /// When groups were taken that left something over, and the newest record of then. Ascending;
    /// as many as there are groups in what waits.
    left: VecDeque<(Lsn, Instant)>,
}

impl Backlog {
    /// A group up to `taken` begins to be written, and records up to `newest` are there.
    pub fn took(&mut self, taken: Lsn, newest: Lsn, now: Instant) {
        while self.left.pop_front_if(|(lsn, _)| *lsn <= taken).is_some() {}
        if newest > taken {
            self.left.push_back((newest, now));
        }
    }

    /// How long the oldest has been waiting.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        self.left.front().map_or(Duration::ZERO, |(_, since)| now.saturating_duration_since(*since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_write_keeps_waiting_is_no_backlog() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut backlog = Backlog::default();
        let check = |backlog: &mut Backlog, now, group: (u64, u64), want_ms: u64| {
            backlog.took(Lsn(group.0), Lsn(group.1), at(now));
            // Until the next group, one more write of 10 ms.
            let age = backlog.age(at(now + 10));
            assert_eq!(age, Duration::from_millis(want_ms), "{now} ms: {group:?}");
        };
        check(&mut backlog, 0, (5, 5), 0);
        check(&mut backlog, 10, (90, 90), 0);
        // Three groups' worth has come.
        check(&mut backlog, 20, (100, 300), 10);
        check(&mut backlog, 30, (200, 310), 20);
        check(&mut backlog, 40, (300, 320), 20);
        check(&mut backlog, 50, (320, 330), 10);
        check(&mut backlog, 60, (330, 330), 0);
    }
}
