//! When each user of a closed group lives.
//!
//! Users come one at a time at equal distances, the first at the begin of a rising stage, and go
//! likewise, the last at the end of a falling one. User 0 comes first; the highest goes first.
//! After the last stage all have gone.
//!
//! Invariant: whole numbers only, so [`lives`] and [`users_at`] agree to the nanosecond.

use std::ops::Range;

use super::nanos;
use crate::plan::UserStage;

/// How many users live at a time, in nanoseconds from the group's begin.
#[must_use]
pub fn users_at(stages: &[UserStage], at_ns: u64) -> u32 {
    let stage = spans(stages).find(|span| (span.begin_ns..span.end_ns).contains(&at_ns));
    stage.map_or(0, |span| {
        let (length, passed) = (span.end_ns - span.begin_ns, at_ns - span.begin_ns);
        let steps = |users: u32| {
            let steps = u128::from(passed) * u128::from(users) / u128::from(length);
            steps as u32
        };
        match span.to.checked_sub(span.from) {
            Some(0) => span.to,
            Some(more) => span.from + steps(more) + 1,
            None => span.from - steps(span.from - span.to),
        }
    })
}

/// When user `user`, counted from 0, lives: in order, neither empty nor touching one another.
#[must_use]
pub fn lives(stages: &[UserStage], user: u32) -> Vec<Range<u64>> {
    let mut out: Vec<Range<u64>> = Vec::new();
    for span in spans(stages) {
        let life = span.life(user);
        match out.last_mut() {
            _ if life.is_empty() => {}
            Some(last) if last.end == life.start => last.end = life.end,
            _ => out.push(life),
        }
    }
    out
}

/// Length of all stages.
#[must_use]
pub fn users_duration_ns(stages: &[UserStage]) -> u64 {
    stages.iter().fold(0, |sum, stage| sum.saturating_add(nanos(stage.duration)))
}

/// Most users at the same time.
#[must_use]
pub fn most_users(stages: &[UserStage]) -> u32 {
    spans(stages).map(|span| span.from.max(span.to)).max().unwrap_or(0)
}

/// A stage that takes time.
struct Span {
    begin_ns: u64,
    end_ns: u64,
    from: u32,
    to: u32,
}

impl Span {
    /// When a user lives within it; a user that does has exactly one such time.
    fn life(&self, user: u32) -> Range<u64> {
        let length = u128::from(self.end_ns - self.begin_ns);
        let nth = |n: u32, of: u32| {
            let passed = (u128::from(n) * length).div_ceil(u128::from(of));
            self.begin_ns + passed as u64
        };
        if user < self.from.min(self.to) {
            self.begin_ns..self.end_ns
        } else if user < self.to {
            nth(user - self.from, self.to - self.from)..self.end_ns
        } else if user < self.from {
            self.begin_ns..nth(self.from - user, self.from - self.to)
        } else {
            self.begin_ns..self.begin_ns
        }
    }
}

fn spans(stages: &[UserStage]) -> impl Iterator<Item = Span> {
    let (mut begin_ns, mut from) = (0_u64, 0);
    let all = stages.iter().map(move |stage| {
        let end_ns = begin_ns.saturating_add(nanos(stage.duration));
        let span = Span { begin_ns, end_ns, from, to: stage.users };
        (begin_ns, from) = (end_ns, stage.users);
        span
    });
    all.filter(|span| span.begin_ns < span.end_ns)
}

#[cfg(test)]
mod tests;
