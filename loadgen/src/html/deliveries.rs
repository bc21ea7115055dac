//! The tables about live readers: what arrived, how fast, and whether all fared alike.

use serde::Serialize;

use super::facts::rate;
use super::tables::{self, percentiles};
use crate::numbers::{bytes, count, figure, ms, part, percent};
use crate::result::{DeliveryResult, RunResult, Times};

/// All of them.
#[derive(Serialize)]
pub(super) struct Deliveries {
    arrived: Vec<ArrivedRow>,
    times: Vec<TimesRow>,
    fairness: Vec<FairnessRow>,
    /// By name, a bounded number.
    faults: Vec<String>,
}

#[derive(Serialize)]
struct ArrivedRow {
    label: String,
    mode: String,
    readers: String,
    expected: String,
    delivered: String,
    rate: String,
    received: String,
    /// Lost, duplicated, reordered, damaged, readers that gave up: the number and whether any.
    faults: Vec<(String, bool)>,
    lost_share: String,
    reconnects: String,
}

#[derive(Serialize)]
struct TimesRow {
    label: String,
    what: &'static str,
    count: String,
    /// Min, p50 and so on, max, in milliseconds; whether there were enough values to say.
    times: Vec<(String, bool)>,
}

#[derive(Serialize)]
struct FairnessRow {
    label: String,
    readers: String,
    worst_median: String,
    worst_p99: String,
    worst: String,
    mean_fastest: String,
    mean_median: String,
    mean_slowest: String,
    jain: String,
}

impl Deliveries {
    /// None if there were no live readers.
    pub(super) fn of(result: &RunResult) -> Option<Deliveries> {
        let all = &result.deliveries;
        let faults = all.iter().flat_map(|delivery| &delivery.faults);
        (!all.is_empty()).then(|| Deliveries {
            arrived: all.iter().map(|delivery| arrived(result, delivery)).collect(),
            times: all.iter().flat_map(times).collect(),
            fairness: all.iter().map(fairness).collect(),
            faults: faults.take(MOST_FAULTS).map(|text| tables::short(text)).collect(),
        })
    }
}

fn arrived(result: &RunResult, delivery: &DeliveryResult) -> ArrivedRow {
    let per_second = |number| rate(number, result.meta.duration_ms);
    let fault = |number| (count(number), number > 0);
    ArrivedRow {
        label: delivery.label.clone(),
        mode: delivery.mode.clone(),
        readers: count(delivery.readers),
        expected: count(delivery.expected),
        delivered: count(delivery.delivered),
        rate: figure(per_second(delivery.delivered)),
        received: format!("{}/s", bytes(per_second(delivery.bytes_received))),
        faults: vec![
            fault(delivery.lost),
            fault(delivery.duplicated),
            fault(delivery.reordered),
            fault(delivery.damaged),
            fault(delivery.failed_readers),
        ],
        lost_share: percent(part(delivery.lost, delivery.expected)),
        reconnects: count(delivery.reconnects),
    }
}

fn times(delivery: &DeliveryResult) -> [TimesRow; 3] {
    let row = |what, times: &Times| TimesRow {
        label: delivery.label.clone(),
        what,
        count: count(times.count()),
        times: percentiles(times),
    };
    [
        row("publish to delivery", &delivery.times),
        row("publish to the last reader", &delivery.last_reader),
        row("set-up of a reader", &delivery.setup),
    ]
}

fn fairness(delivery: &DeliveryResult) -> FairnessRow {
    let (worst, mean) = (&delivery.reader_max, &delivery.reader_mean);
    FairnessRow {
        label: delivery.label.clone(),
        readers: count(mean.count()),
        worst_median: ms(worst.percentile(50.0)),
        worst_p99: ms(worst.percentile(99.0)),
        worst: ms(worst.max()),
        mean_fastest: ms(mean.min()),
        mean_median: ms(mean.percentile(50.0)),
        mean_slowest: ms(mean.max()),
        jain: jain(mean).map_or_else(|| "-".to_owned(), |index| format!("{index:.3}")),
    }
}

/// Jain's fairness index of the readers' means: 1 if all are alike, 1/n if one has it all.
fn jain(means: &Times) -> Option<f64> {
    let mean = means.mean();
    let spread = means.deviation() / mean;
    (!means.is_empty() && mean > 0.0).then(|| 1.0 / (1.0 + spread * spread))
}

/// Of those that the result names.
const MOST_FAULTS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jains_index() {
        let check = |means_us: &[u64], wanted: Option<f64>| {
            let mut times = Times::new();
            means_us.iter().for_each(|us| times.record(us * 1_000));
            let index = jain(&times);
            assert_eq!(index.is_some(), wanted.is_some());
            let (index, wanted) = (index.unwrap_or(0.0), wanted.unwrap_or(0.0));
            assert!((index - wanted).abs() < 2e-3, "{index} {wanted}");
        };
        check(&[], None);
        check(&[7, 7, 7], Some(1.0));
        // (1 + 3)^2 / (2 * (1 + 9))
        check(&[1000, 3000], Some(0.8));
    }
}
