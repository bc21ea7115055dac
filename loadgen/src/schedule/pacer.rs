//! When a user goes on after a pause: JMeter's timers.
//!
//! Deliberately absent: sleeping. A caller that comes late is let through at once and never
//! repaid with shorter pauses later, except by `PreciseThroughput`, whose times stand from the
//! beginning.

use std::time::Duration;

use rand::Rng as _;
use rand_distr::{Exp1, Normal, Poisson};

use super::{Rng, nanos};
use crate::plan::Timer;

/// One pause step, for all users of a group on one thread.
#[derive(Clone, Debug)]
pub struct Pacer(How);

#[derive(Clone, Debug)]
enum How {
    Constant(u64),
    Uniform(u64, u64),
    Gaussian(Normal<f64>),
    Poisson {
        offset_ns: u64,
        millis: Poisson<f64>,
    },
    /// By user, when it was let through last.
    EachUser {
        gap_ns: u64,
        last_ns: Vec<Option<u64>>,
    },
    AllUsers {
        gap_ns: u64,
        last_ns: Option<u64>,
    },
    Process(Box<Process>),
    Never,
}

impl Pacer {
    /// `users` is how many of them use it, `share` (0 to 1) the part of a rate of the whole group
    /// that falls to them, `begin_ns` the group's begin on the caller's clock, and `rng` what a
    /// process of the whole group draws from ([`super::timer_rng`]).
    #[must_use]
    pub fn new(timer: &Timer, users: u32, share: f64, begin_ns: u64, rng: Rng) -> Pacer {
        Pacer(match *timer {
            Timer::Constant(pause) => How::Constant(nanos(pause)),
            Timer::Uniform { min, max } => {
                let (min, max) = (nanos(min), nanos(max));
                How::Uniform(min.min(max), min.max(max))
            }
            Timer::Gaussian { mean, deviation } => {
                let normal = Normal::new(mean.as_nanos() as f64, deviation.as_nanos() as f64);
                normal.map_or(How::Constant(nanos(mean)), How::Gaussian)
            }
            Timer::Poisson { offset, lambda } => poisson(offset, lambda),
            Timer::ConstantThroughput { per_minute, shared: false } => {
                let last_ns = vec![None; users as usize];
                gap_ns(per_minute / 60.0)
                    .map_or(How::Never, |gap_ns| How::EachUser { gap_ns, last_ns })
            }
            Timer::ConstantThroughput { per_minute, shared: true } => {
                gap_ns(per_minute / 60.0 * share)
                    .map_or(How::Never, |gap_ns| How::AllUsers { gap_ns, last_ns: None })
            }
            Timer::PreciseThroughput { per_second } => {
                let per_second = per_second * share;
                let process = Process { begin_ns, per_second, reached: 0.0, rng };
                gap_ns(per_second).map_or(How::Never, |_| How::Process(Box::new(process)))
            }
        })
    }

    /// When a user that comes at `now_ns` goes on: not before that, and `u64::MAX` for never.
    /// `user` counts the users of this pacer from 0; `rng` is that user's own.
    pub fn resume_at(&mut self, user: u32, now_ns: u64, rng: &mut Rng) -> u64 {
        match &mut self.0 {
            How::Constant(pause) => now_ns.saturating_add(*pause),
            How::Uniform(min, max) => now_ns.saturating_add(rng.random_range(*min..=*max)),
            // JMeter takes the absolute value, too.
            How::Gaussian(normal) => now_ns.saturating_add(rng.sample(*normal).abs() as u64),
            How::Poisson { offset_ns, millis } => {
                let rest = (rng.sample(*millis) * 1e6) as u64;
                now_ns.saturating_add(*offset_ns).saturating_add(rest)
            }
            How::EachUser { gap_ns, last_ns } => {
                let user = user as usize;
                if user >= last_ns.len() {
                    last_ns.resize(user + 1, None);
                }
                spaced(&mut last_ns[user], *gap_ns, now_ns)
            }
            How::AllUsers { gap_ns, last_ns } => spaced(last_ns, *gap_ns, now_ns),
            How::Process(process) => process.due_ns().max(now_ns),
            How::Never => u64::MAX,
        }
    }
}

/// Times that stand from the beginning; each lets one user through.
#[derive(Clone, Debug)]
struct Process {
    begin_ns: u64,
    per_second: f64,
    /// Sum of the distances, in units of the mean distance.
    reached: f64,
    rng: Rng,
}

impl Process {
    fn due_ns(&mut self) -> u64 {
        let distance: f64 = self.rng.sample(Exp1);
        self.reached += distance;
        self.begin_ns.saturating_add((self.reached / self.per_second * 1e9) as u64)
    }
}

/// A gap after the last one, or now if that is later.
fn spaced(last_ns: &mut Option<u64>, gap_ns: u64, now_ns: u64) -> u64 {
    let due_ns = last_ns.map_or(now_ns, |last| last.saturating_add(gap_ns).max(now_ns));
    *last_ns = Some(due_ns);
    due_ns
}

fn poisson(offset: Duration, lambda: Duration) -> How {
    let offset_ns = nanos(offset);
    Poisson::new(lambda.as_secs_f64() * 1e3)
        .map_or(How::Constant(offset_ns), |millis| How::Poisson { offset_ns, millis })
}

/// `None`: never.
fn gap_ns(per_second: f64) -> Option<u64> {
    (per_second.is_finite() && per_second > 0.0).then(|| (1e9 / per_second).round() as u64)
}

#[cfg(test)]
mod tests;
