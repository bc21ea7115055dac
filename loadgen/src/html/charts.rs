//! What the charts draw, as JSON: a bounded number of points and labels for any run.

use serde::Serialize;

use super::bins::{Bin, Bins};
use super::curves::{self, Curves};
use super::heat::{Heat, percentile_ms};
use crate::result::{DeliveryResult, Gauge, RunResult, Times};

/// All charts.
#[derive(Serialize)]
pub(super) struct Charts {
    /// Length of the charts over time, in seconds.
    seconds: f64,
    over_time: OverTime,
    gauges: Gauges,
    heat: Vec<Heat>,
    latency: Curves,
    generator: Curves,
    readers: Vec<Readers>,
}

#[derive(Serialize)]
struct OverTime {
    /// Begin of each bin, in seconds.
    at: Vec<f64>,
    labels: Vec<LabelOverTime>,
}

#[derive(Serialize)]
struct LabelOverTime {
    name: String,
    deliveries: bool,
    /// That were as they should be, per second; none after the load's end.
    rate: Vec<Option<f64>>,
    /// That were not, per second.
    failed: Vec<f64>,
    /// Milliseconds; none where nothing ended.
    p99: Vec<Option<f64>>,
}

#[derive(Serialize)]
struct Gauges {
    /// Seconds.
    at: Vec<f64>,
    /// The most within each bin.
    users: Vec<u64>,
    readers: Vec<u64>,
    in_flight: Vec<u64>,
}

#[derive(Serialize)]
struct Readers {
    label: String,
    curves: Curves,
}

/// A label that is drawn.
struct Drawn<'a> {
    label: &'a str,
    deliveries: bool,
    times: &'a Times,
}

impl Charts {
    pub(super) fn of(result: &RunResult) -> Charts {
        let end_ms = end_ms(result);
        let drawn = drawn(result);
        let name = |drawn: &Drawn<'_>| name(result, drawn);
        Charts {
            seconds: end_ms as f64 / 1e3,
            over_time: over_time(result, &drawn, &Bins::up_to(end_ms, FINEST_MS, MOST_POINTS)),
            gauges: gauges(&result.gauges, &Bins::up_to(end_ms, FINEST_MS, MOST_POINTS)),
            heat: heat(result, &drawn, end_ms),
            latency: Curves::of(drawn.iter().map(|drawn| (name(drawn), drawn.times))),
            generator: curves::generator(result),
            readers: readers(result),
        }
    }
}

/// Four significant digits: more cannot be seen, and cost bytes.
pub(super) fn brief(number: f64) -> f64 {
    format!("{number:.3e}").parse().unwrap_or(0.0)
}

/// Nanoseconds as milliseconds on a logarithmic scale, which has no zero.
pub(super) fn shown_ms(ns: u64) -> f64 {
    brief(ns.max(100) as f64 / 1e6)
}

/// How many labels the charts leave out.
pub(super) fn left_out(result: &RunResult) -> usize {
    (result.operations.len() + result.deliveries.len()).saturating_sub(MOST_LABELS)
}

/// Those with the most values, in the plan's order, deliveries first.
fn drawn(result: &RunResult) -> Vec<Drawn<'_>> {
    let deliveries = result.deliveries.iter().map(|delivery| Drawn {
        label: &delivery.label,
        deliveries: true,
        times: &delivery.times,
    });
    let operations = result.operations.iter().map(|operation| Drawn {
        label: &operation.label,
        deliveries: false,
        times: &operation.times,
    });
    let mut all: Vec<_> = deliveries.chain(operations).enumerate().collect();
    all.sort_by_key(|(_, drawn)| std::cmp::Reverse(drawn.times.count()));
    all.truncate(MOST_LABELS);
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, drawn)| drawn).collect()
}

/// The label, with a word more if an operation and deliveries share it.
fn name(result: &RunResult, drawn: &Drawn<'_>) -> String {
    let shared = result.operations.iter().any(|operation| operation.label == drawn.label)
        && result.deliveries.iter().any(|delivery| delivery.label == drawn.label);
    match (shared, drawn.deliveries) {
        (true, true) => format!("{} (deliveries)", drawn.label),
        (true, false) => format!("{} (operations)", drawn.label),
        (false, _) => drawn.label.to_owned(),
    }
}

fn end_ms(result: &RunResult) -> u64 {
    let intervals =
        result.intervals.iter().map(|interval| interval.at_ms.saturating_add(interval.length_ms));
    intervals.max().unwrap_or(0).max(result.meta.duration_ms)
}

fn fill(result: &RunResult, drawn: &Drawn<'_>, bins: &Bins) -> Vec<Bin> {
    bins.fill(result.intervals.iter().filter(|interval| {
        interval.label == drawn.label && interval.deliveries == drawn.deliveries
    }))
}

fn over_time(result: &RunResult, drawn: &[Drawn<'_>], bins: &Bins) -> OverTime {
    let label = |drawn: &Drawn<'_>| {
        let filled = fill(result, drawn, bins);
        let loaded = |at: usize| at == 0 || bins.begin(at) * 1e3 < result.meta.duration_ms as f64;
        let rate = |count: u64, at: usize| brief(count as f64 / bins.covered(at));
        LabelOverTime {
            name: name(result, drawn),
            deliveries: drawn.deliveries,
            rate: filled
                .iter()
                .enumerate()
                .map(|(at, bin)| loaded(at).then(|| rate(bin.succeeded, at)))
                .collect(),
            failed: filled.iter().enumerate().map(|(at, bin)| rate(bin.failed, at)).collect(),
            p99: filled.iter().map(|bin| percentile_ms(bin, 99.0)).collect(),
        }
    };
    OverTime {
        at: (0..bins.count).map(|index| bins.begin(index)).collect(),
        labels: drawn.iter().map(label).collect(),
    }
}

fn gauges(gauges: &[Gauge], bins: &Bins) -> Gauges {
    let mut most: Vec<Option<Gauge>> = vec![None; bins.count];
    for gauge in gauges {
        if let Some(slot) = most.get_mut(bins.of(gauge.at_ms)) {
            let known = slot.get_or_insert(*gauge);
            known.users = known.users.max(gauge.users);
            known.readers = known.readers.max(gauge.readers);
            known.in_flight = known.in_flight.max(gauge.in_flight);
        }
    }
    let known: Vec<_> =
        most.iter().enumerate().filter_map(|(at, slot)| Some((at, (*slot)?))).collect();
    Gauges {
        at: known.iter().map(|(index, _)| bins.begin(*index)).collect(),
        users: known.iter().map(|(_, gauge)| gauge.users).collect(),
        readers: known.iter().map(|(_, gauge)| gauge.readers).collect(),
        in_flight: known.iter().map(|(_, gauge)| gauge.in_flight).collect(),
    }
}

fn heat(result: &RunResult, drawn: &[Drawn<'_>], end_ms: u64) -> Vec<Heat> {
    let columns = (MOST_HEAT_COLUMNS / drawn.len().max(1)).min(MOST_COLUMNS);
    let bins = Bins::up_to(end_ms, FINEST_MS, columns);
    let map = |drawn: &Drawn<'_>| {
        Heat::of(&name(result, drawn), drawn.deliveries, &bins, &fill(result, drawn, &bins))
    };
    drawn.iter().filter_map(map).collect()
}

fn readers(result: &RunResult) -> Vec<Readers> {
    let timed = result.deliveries.iter().filter(|delivery| !delivery.times.is_empty());
    let readers = |delivery: &DeliveryResult| Readers {
        label: delivery.label.clone(),
        curves: curves::readers(delivery),
    };
    timed.take(MOST_LABELS).map(readers).collect()
}

/// Points of a line over time.
const MOST_POINTS: usize = 600;

/// Labels in a chart; beyond that colours run out.
const MOST_LABELS: usize = 10;

/// Columns of one heat map.
const MOST_COLUMNS: usize = 240;

/// Columns of all heat maps.
const MOST_HEAT_COLUMNS: usize = 1200;

/// Intervals of a result are not shorter.
const FINEST_MS: u64 = 1000;
