//! How large a message is.

use rand::Rng as _;
use rand_distr::LogNormal;

use super::Rng;
use crate::plan::Size;

/// Draws sizes.
#[derive(Clone, Debug)]
pub struct Sizer(How);

#[derive(Clone, Debug)]
enum How {
    Constant(u32),
    Uniform(u32, u32),
    LogNormal {
        of: LogNormal<f64>,
        max: u32,
    },
    /// Sizes with the sums of the weights up to and including their own.
    Weighted(Vec<(u32, f64)>),
}

impl Sizer {
    /// As the plan says.
    #[must_use]
    pub fn new(size: &Size) -> Sizer {
        Sizer(match *size {
            Size::Constant(bytes) => How::Constant(bytes),
            Size::Uniform(least, most) => How::Uniform(least.min(most), least.max(most)),
            Size::LogNormal { median, p99, max } => {
                let median = f64::from(median.max(1)).ln();
                let sigma = ((f64::from(p99.max(1)).ln() - median) / NORMAL_P99).max(0.0);
                LogNormal::new(median, sigma)
                    .map_or(How::Constant(max), |of| How::LogNormal { of, max })
            }
            Size::Weighted(ref sizes) => weighted(sizes),
        })
    }

    /// The next, in bytes.
    pub fn size(&self, rng: &mut Rng) -> u32 {
        match &self.0 {
            How::Constant(bytes) => *bytes,
            How::Uniform(least, most) => rng.random_range(*least..=*most),
            How::LogNormal { of, max } => (rng.sample(of).round() as u32).min(*max),
            How::Weighted(sums) => {
                let total = sums.last().map_or(0.0, |last| last.1);
                let at = rng.random::<f64>() * total;
                let index = sums.partition_point(|&(_, sum)| sum <= at);
                sums.get(index).or(sums.last()).map_or(0, |&(size, _)| size)
            }
        }
    }
}

fn weighted(sizes: &[(u32, f64)]) -> How {
    let mut sum = 0.0;
    let possible = sizes.iter().filter(|(_, weight)| weight.is_finite() && *weight > 0.0);
    How::Weighted(
        possible
            .map(|&(size, weight)| {
                sum += weight;
                (size, sum)
            })
            .collect(),
    )
}

/// The 99th percentile of the standard normal distribution.
const NORMAL_P99: f64 = 2.326_347_874_040_841;

#[cfg(test)]
mod tests;
