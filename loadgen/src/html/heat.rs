//! The heat map of one label: how many took how long, when.
//!
//! Invariant: every value is in exactly one cell, so the cells add up to the histogram's count.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bins::{Bin, Bins};
use super::charts::{brief, shown_ms};

/// Time across, the logarithm of the latency up, counts as colours.
#[derive(Serialize)]
pub(super) struct Heat {
    label: String,
    deliveries: bool,
    /// Length of a column.
    seconds: f64,
    columns: usize,
    /// Rows per power of ten.
    per_decade: i32,
    /// Row 0 begins at 10^(`lowest` / `per_decade`) nanoseconds.
    lowest: i32,
    rows: i32,
    /// Per column: row, count, row, count …
    cells: Vec<Vec<u64>>,
    /// The largest count.
    most: u64,
    /// Milliseconds, per column; none where nothing ended.
    p50: Vec<Option<f64>>,
    p99: Vec<Option<f64>>,
    max: Vec<Option<f64>>,
}

impl Heat {
    /// Of the bins of one label; none if nothing was timed.
    pub(super) fn of(label: &str, deliveries: bool, bins: &Bins, filled: &[Bin]) -> Option<Heat> {
        let timed = || filled.iter().map(|bin| &bin.times).filter(|times| !times.is_empty());
        let lowest_ns = timed().map(|times| times.min()).min()?;
        let highest_ns = timed().map(|times| times.max()).max()?;
        let span = |per_decade| row(highest_ns, per_decade) - row(lowest_ns, per_decade) + 1;
        let per_decade = FINENESS.into_iter().find(|fine| span(*fine) <= MOST_ROWS);
        let per_decade = per_decade.unwrap_or(COARSEST);
        let lowest = row(lowest_ns, per_decade);
        let columns: Vec<BTreeMap<i32, u64>> =
            filled.iter().map(|bin| column(bin, per_decade)).collect();
        let counts = columns.iter().flat_map(BTreeMap::values);
        let most = counts.max().copied().unwrap_or(0);
        let cells = |column: &BTreeMap<i32, u64>| {
            column.iter().flat_map(|(row, count)| [row.abs_diff(lowest).into(), *count]).collect()
        };
        let line = |percentile: f64| filled.iter().map(move |bin| percentile_ms(bin, percentile));
        Some(Heat {
            label: label.to_owned(),
            deliveries,
            seconds: brief(bins.length_ms as f64 / 1e3),
            columns: filled.len(),
            per_decade,
            lowest,
            rows: span(per_decade),
            cells: columns.iter().map(cells).collect(),
            most,
            p50: line(50.0).collect(),
            p99: line(99.0).collect(),
            max: line(100.0).collect(),
        })
    }
}

/// A percentile in milliseconds for a chart; none of nothing.
pub(super) fn percentile_ms(bin: &Bin, percentile: f64) -> Option<f64> {
    (!bin.times.is_empty()).then(|| shown_ms(bin.times.percentile(percentile)))
}

fn column(bin: &Bin, per_decade: i32) -> BTreeMap<i32, u64> {
    let mut rows = BTreeMap::new();
    let (min, max) = (bin.times.min(), bin.times.max());
    for value in bin.times.histogram().iter_recorded() {
        // A bucket's upper end may lie beyond the extremes that fixed the rows.
        let ns = value.value_iterated_to().clamp(min, max);
        *rows.entry(row(ns, per_decade)).or_insert(0u64) += value.count_at_value();
    }
    rows
}

fn row(ns: u64, per_decade: i32) -> i32 {
    ((ns.max(1) as f64).log10() * f64::from(per_decade)).floor() as i32
}

/// Rows per power of ten to choose from, finest first.
const FINENESS: [i32; 6] = [32, 24, 20, 16, 12, 8];
const COARSEST: i32 = 5;
const MOST_ROWS: i32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(columns: &[&[u64]]) {
        let mut filled = vec![Bin::default(); columns.len()];
        for (bin, values) in filled.iter_mut().zip(columns) {
            values.iter().for_each(|ns| bin.times.record(*ns));
        }
        let bins = Bins::up_to(columns.len() as u64 * 1000, 1000, 240);
        let heat = Heat::of("x", false, &bins, &filled);
        let values: usize = columns.iter().map(|values| values.len()).sum();
        assert_eq!(heat.is_some(), values > 0);
        let Some(heat) = heat else { return };
        assert!(heat.rows <= MOST_ROWS, "{}", heat.rows);
        let cells = heat.cells.iter().flat_map(|cells| cells.chunks(2));
        assert!(cells.clone().all(|cell| cell[0] < heat.rows as u64), "{:?}", heat.cells);
        assert_eq!(cells.map(|cell| cell[1]).sum::<u64>(), values as u64);
    }

    #[test]
    fn every_value_is_in_a_cell() {
        check(&[]);
        check(&[&[], &[]]);
        check(&[&[1_000_000], &[], &[1_000_000, 1_000_000]]);
        check(&[&[0, 1, u64::MAX], &[5_000]]);
        check(&[&[999, 1_000, 1_001, 99_999, 100_000], &[123_456_789]]);
    }
}
