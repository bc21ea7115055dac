//! The arrivals of an open group.
//!
//! Arrival `k` is due when the integral of the rate reaches `k`, solved in closed form within its
//! stage: nothing is added up, so nothing drifts. Where the rate is zero meanwhile, it is due when
//! the rate rises again. A Poisson process is the same with the partial sums of exponential
//! distances in place of `k` (time rescaling).
//!
//! Invariants: times never fall; the number of constant arrivals is the integral of the rate,
//! rounded up.

use rand::Rng as _;
use rand_distr::Exp1;

use super::{Rng, nanos};
use crate::plan::{Arrivals, RateStage};

/// Times of arrivals, in nanoseconds from the group's begin.
///
/// [`Iterator::nth`] and so [`Iterator::step_by`] take a single step for constant arrivals: a
/// thread can have every n-th arrival at the price of its own.
#[derive(Clone, Debug)]
pub struct OpenSchedule {
    stages: Vec<Ramp>,
    /// The stage that the next arrival is looked for in.
    stage: usize,
    arrivals: Arrivals,
    rng: Rng,
    /// How many have been taken, of constant arrivals.
    index: u64,
    /// The integral at the latest, of Poisson arrivals.
    reached: f64,
    last_ns: u64,
}

impl OpenSchedule {
    /// From the begin of the first stage.
    #[must_use]
    pub fn new(stages: &[RateStage], arrivals: Arrivals, rng: Rng) -> OpenSchedule {
        let stages = ramps(stages);
        OpenSchedule { stages, stage: 0, arrivals, rng, index: 0, reached: 0.0, last_ns: 0 }
    }

    /// When the integral of the rate exceeds `count`.
    fn due(&mut self, count: f64) -> Option<u64> {
        let later = self.stages.get(self.stage..)?;
        self.stage += later.iter().position(|stage| count < stage.end)?;
        self.last_ns = self.stages[self.stage].at(count).max(self.last_ns);
        Some(self.last_ns)
    }
}

impl Iterator for OpenSchedule {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.nth(0)
    }

    fn nth(&mut self, skipped: usize) -> Option<u64> {
        match self.arrivals {
            Arrivals::Constant => {
                let index = self.index.saturating_add(skipped as u64);
                self.index = index.saturating_add(1);
                self.due(index as f64)
            }
            Arrivals::Poisson => {
                for _ in 0..=skipped {
                    let distance: f64 = self.rng.sample(Exp1);
                    self.reached += distance;
                }
                self.due(self.reached)
            }
        }
    }
}

/// How many arrivals there are: exactly, of constant ones, and on average, of a Poisson process.
#[must_use]
pub fn total(stages: &[RateStage]) -> u64 {
    ramps(stages).last().map_or(0, |stage| stage.end.ceil() as u64)
}

/// Length of all stages.
#[must_use]
pub fn duration_ns(stages: &[RateStage]) -> u64 {
    stages.iter().fold(0, |sum, stage| sum.saturating_add(nanos(stage.duration)))
}

/// A stage, ready to be solved.
#[derive(Clone, Copy, Debug)]
struct Ramp {
    begin_ns: u64,
    length_ns: u64,
    /// Arrivals before it.
    begin: f64,
    /// Arrivals until its end.
    end: f64,
    /// Per second.
    rate: f64,
    /// Change of the rate, per second and second.
    slope: f64,
}

impl Ramp {
    /// When the integral reaches `count`: the root of `rate t + slope t² / 2 = n` in the form that
    /// neither divides by the slope nor cancels.
    fn at(&self, count: f64) -> u64 {
        let n = count - self.begin;
        if n <= 0.0 {
            return self.begin_ns;
        }
        let root = (self.rate * self.rate + 2.0 * self.slope * n).max(0.0).sqrt();
        let seconds = 2.0 * n / (self.rate + root);
        self.begin_ns.saturating_add(((seconds * 1e9).round() as u64).min(self.length_ns))
    }
}

fn ramps(stages: &[RateStage]) -> Vec<Ramp> {
    let (mut begin_ns, mut begin) = (0_u64, 0.0);
    let mut out = Vec::with_capacity(stages.len());
    for stage in stages {
        let (from, to, seconds) = (rate(stage.from), rate(stage.to), stage.duration.as_secs_f64());
        let end = snapped(begin + (from + to) / 2.0 * seconds);
        let slope = if seconds > 0.0 { (to - from) / seconds } else { 0.0 };
        let length_ns = nanos(stage.duration);
        out.push(Ramp { begin_ns, length_ns, begin, end, rate: from, slope });
        begin_ns = begin_ns.saturating_add(length_ns);
        begin = end;
    }
    out
}

/// A rate that can be integrated.
fn rate(per_second: f64) -> f64 {
    if per_second.is_finite() { per_second.max(0.0) } else { 0.0 }
}

/// Ten seconds at 0.1 per second are one arrival, not one and a rounding error.
fn snapped(count: f64) -> f64 {
    let whole = count.round();
    if (count - whole).abs() < (count * 1e-14).max(1e-9) { whole } else { count }
}

#[cfg(test)]
mod tests;
