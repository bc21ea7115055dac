//! Which stream an operation goes to.

use rand::Rng as _;
use rand_distr::Zipf;

use super::Rng;
use crate::plan::Choice;

/// Chooses indices below a count. Every choice takes constant time.
#[derive(Clone, Debug)]
pub struct Chooser {
    count: u32,
    how: How,
}

#[derive(Clone, Debug)]
enum How {
    Uniform,
    InTurn {
        next: u64,
        stride: u64,
    },
    /// Ranks from 1.
    Zipf(Zipf<f64>),
    HotSpot {
        hot: u32,
        operations: f64,
    },
    PerUser,
}

impl Chooser {
    /// Chooses among `count`. The hottest have the lowest indices.
    #[must_use]
    pub fn new(choice: &Choice, count: u32) -> Chooser {
        let how = match *choice {
            Choice::Uniform => How::Uniform,
            Choice::RoundRobin => How::InTurn { next: 0, stride: 1 },
            Choice::Zipf { exponent } => zipf(count, exponent).map_or(How::Uniform, How::Zipf),
            Choice::HotSpot { streams, operations } => {
                let hot = (f64::from(count) * streams).ceil() as u32;
                How::HotSpot { hot: hot.clamp(1, count.max(1)), operations }
            }
            Choice::PerUser => How::PerUser,
        };
        Chooser { count, how }
    }

    /// The part of thread `core` of `cores`, so that all together take round-robin in turn. It
    /// changes nothing for the other choices.
    #[must_use]
    pub fn part(mut self, core: u32, cores: u32) -> Chooser {
        if let How::InTurn { next, stride } = &mut self.how {
            (*next, *stride) = (u64::from(core), u64::from(cores.max(1)));
        }
        self
    }

    /// The next, below the count; 0 if that is 0. `user` counts for [`Choice::PerUser`] only.
    pub fn choose(&mut self, rng: &mut Rng, user: u64) -> u32 {
        if self.count <= 1 {
            return 0;
        }
        let count = u64::from(self.count);
        match &mut self.how {
            How::Uniform => rng.random_range(0..self.count),
            How::InTurn { next, stride } => {
                let chosen = *next % count;
                *next = (chosen + *stride) % count;
                chosen as u32
            }
            How::Zipf(zipf) => (rng.sample(*zipf) as u32).clamp(1, self.count) - 1,
            How::HotSpot { hot, operations } => {
                let goes_hot = rng.random::<f64>() < *operations || *hot == self.count;
                rng.random_range(if goes_hot { 0..*hot } else { *hot..self.count })
            }
            How::PerUser => (user % count) as u32,
        }
    }
}

/// `None`: as good as uniform, or not a distribution at all.
fn zipf(count: u32, exponent: f64) -> Option<Zipf<f64>> {
    // Next to 1 its formula cancels, and 1 itself has one of its own.
    let exponent = if (exponent - 1.0).abs() < 1e-9 { 1.0 } else { exponent };
    let exponent = if exponent.is_finite() { exponent } else { 0.0 };
    Zipf::new(f64::from(count), exponent).ok()
}

#[cfg(test)]
mod tests;
