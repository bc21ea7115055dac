//! How much a statistic would differ if the run were done again, from the run itself.
//!
//! Values of one second depend on each other (one stall delays all of them), so values are not
//! drawn one by one: whole seconds are, with replacement, as many as the run has. Of a long run
//! several seconds in a row are one block, which also keeps what lasts longer than a second
//! together.
//!
//! Invariant: the same blocks and seed give the same draws.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::Statistic;
use crate::result::Interval;

/// A label's seconds.
pub(super) struct Blocks {
    /// Upper ends of the histograms' buckets that have values, in order, nanoseconds.
    values: Vec<u64>,
    blocks: Vec<Block>,
    seconds: f64,
}

#[derive(Default)]
struct Block {
    /// Index of the value, and how many.
    counts: Vec<(u32, u64)>,
    total: u64,
    failed: u64,
}

/// The statistics of one draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Draw {
    /// p50, p90, p99 and p99.9, nanoseconds.
    pub(super) percentiles: [f64; 4],
    pub(super) mean: f64,
    pub(super) rate: f64,
    pub(super) errors: f64,
}

impl Draw {
    pub(super) fn value(&self, statistic: Statistic) -> f64 {
        match statistic {
            Statistic::P50 => self.percentiles[0],
            Statistic::P90 => self.percentiles[1],
            Statistic::P99 => self.percentiles[2],
            Statistic::P999 => self.percentiles[3],
            Statistic::Mean => self.mean,
            Statistic::Rate => self.rate,
            Statistic::Errors => self.errors,
            // Not known by second.
            Statistic::Lost => 0.0,
        }
    }
}

impl Blocks {
    /// Of one label's intervals, in order of time; none if there are too few to say anything.
    /// Seconds without a value are blocks too: a run may have nothing to show for them.
    pub(super) fn of(intervals: &[&Interval], seconds: f64) -> Option<Blocks> {
        let seconds_of = |interval: &Interval| interval.at_ms / 1000;
        let last = intervals.iter().map(|one| seconds_of(one)).max()?;
        let span = last.saturating_add(1).max(seconds.ceil() as u64);
        if span < LEAST_SECONDS || intervals.len() < LEAST_SECONDS as usize {
            return None;
        }
        let per_block = span.div_ceil(MOST_BLOCKS);
        let recorded: Vec<(u64, Vec<(u64, u64)>)> = intervals
            .iter()
            .map(|one| {
                let histogram = one.times.histogram();
                let values = histogram.iter_recorded();
                let counts =
                    values.map(|value| (value.value_iterated_to(), value.count_at_value()));
                (seconds_of(one) / per_block, counts.collect())
            })
            .collect();
        let mut values: Vec<u64> =
            recorded.iter().flat_map(|(_, counts)| counts.iter().map(|count| count.0)).collect();
        values.sort_unstable();
        values.dedup();
        let mut blocks = Vec::new();
        blocks.resize_with(span.div_ceil(per_block) as usize, Block::default);
        for (interval, (block, counts)) in intervals.iter().zip(recorded) {
            let block: &mut Block = &mut blocks[block as usize];
            block.total += interval.succeeded + interval.failed;
            block.failed += interval.failed;
            block.counts.extend(counts.into_iter().filter_map(|(value, count)| {
                values.binary_search(&value).ok().map(|index| (index as u32, count))
            }));
        }
        Some(Blocks { values, blocks, seconds: seconds.max(1e-3) })
    }

    /// So many draws.
    pub(super) fn draws(&self, count: u32, seed: u64) -> Vec<Draw> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut counts = vec![0; self.values.len()];
        (0..count).map(|_| self.draw(&mut random, &mut counts)).collect()
    }

    fn draw(&self, random: &mut ChaCha8Rng, counts: &mut [u64]) -> Draw {
        counts.fill(0);
        let (mut total, mut failed) = (0, 0);
        for _ in 0..self.blocks.len() {
            let block = &self.blocks[random.random_range(0..self.blocks.len())];
            block.counts.iter().for_each(|(index, count)| counts[*index as usize] += count);
            total += block.total;
            failed += block.failed;
        }
        let recorded: u64 = counts.iter().sum();
        Draw {
            percentiles: self.percentiles(counts, recorded),
            mean: self.mean(counts, recorded),
            rate: total as f64 / self.seconds,
            errors: failed as f64 / total.max(1) as f64,
        }
    }

    fn percentiles(&self, counts: &[u64], recorded: u64) -> [f64; 4] {
        let mut found = [0.0; 4];
        let (mut sum, mut next) = (0, 0);
        for (value, count) in self.values.iter().zip(counts) {
            sum += count;
            while next < QUANTILES.len()
                && sum > 0
                && sum as f64 >= QUANTILES[next] * recorded as f64
            {
                found[next] = *value as f64;
                next += 1;
            }
        }
        found
    }

    fn mean(&self, counts: &[u64], recorded: u64) -> f64 {
        let products =
            self.values.iter().zip(counts).map(|(value, count)| *value as f64 * *count as f64);
        products.sum::<f64>() / recorded.max(1) as f64
    }
}

const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
/// From fewer, a confidence interval is a guess.
const LEAST_SECONDS: u64 = 5;
/// Bounds the time that a comparison takes.
const MOST_BLOCKS: u64 = 240;
