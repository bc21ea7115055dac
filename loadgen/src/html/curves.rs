//! Percentile curves as HdrHistogram draws them: over 1 / (1 - quantile), so that 90, 99 and
//! 99.9 % are equally far apart and the tail is not squeezed into the last pixel.

use serde::Serialize;

use super::charts::{brief, shown_ms};
use crate::result::{DeliveryResult, RunResult, Times};

/// Curves over a common horizontal axis.
#[derive(Serialize)]
pub(super) struct Curves {
    /// 1 / (1 - quantile), ascending from 1.
    x: Vec<f64>,
    curves: Vec<Curve>,
}

#[derive(Serialize)]
pub(super) struct Curve {
    name: String,
    /// Milliseconds; none where there are too few values to say.
    y: Vec<Option<f64>>,
}

impl Curves {
    /// Of the named distributions, those left out that are empty.
    pub(super) fn of<'a>(named: impl IntoIterator<Item = (String, &'a Times)>) -> Curves {
        let named: Vec<_> = named.into_iter().filter(|(_, times)| !times.is_empty()).collect();
        let most = named.iter().map(|(_, times)| times.count()).max().unwrap_or(1);
        let x = grid(most);
        let curves = named.into_iter().map(|(name, times)| Curve { name, y: heights(times, &x) });
        Curves { curves: curves.collect(), x }
    }
}

/// What was measured from the intended start, what a closed loop would have seen, and how late
/// the generator itself was.
pub(super) fn generator(result: &RunResult) -> Curves {
    let plain = || result.operations.iter().filter(|operation| operation.kind != "transaction");
    let latency = sum(plain().map(|operation| &operation.times));
    let service = sum(plain().map(|operation| &operation.service));
    let deliveries = sum(result.deliveries.iter().map(|delivery| &delivery.times));
    Curves::of([
        ("deliveries".to_owned(), &deliveries),
        ("operations, from the intended start".to_owned(), &latency),
        ("operations, from the actual send".to_owned(), &service),
        ("lateness of the generator".to_owned(), &result.lateness),
    ])
}

/// How one reader, the last reader and the worst reader fared.
pub(super) fn readers(delivery: &DeliveryResult) -> Curves {
    Curves::of([
        ("each delivery".to_owned(), &delivery.times),
        ("last reader of a message".to_owned(), &delivery.last_reader),
        ("worst case of a reader".to_owned(), &delivery.reader_max),
    ])
}

/// All of them together.
pub(super) fn sum<'a>(all: impl Iterator<Item = &'a Times>) -> Times {
    let mut sum = Times::new();
    all.for_each(|times| sum.merge(times));
    sum
}

/// From 1 to just beyond `count`.
fn grid(count: u64) -> Vec<f64> {
    let at = |step: u32| 10f64.powf(f64::from(step) / f64::from(POINTS_PER_DECADE));
    let mut points = Vec::new();
    for step in 0..=POINTS_PER_DECADE * DECADES {
        points.push(brief(at(step)));
        if at(step) > count as f64 {
            break;
        }
    }
    points
}

/// Up to the first point that means the maximum.
fn heights(times: &Times, x: &[f64]) -> Vec<Option<f64>> {
    let count = times.count() as f64;
    let mut beyond = false;
    let mut height = |at: &f64| {
        let shown = !beyond;
        beyond |= *at > count;
        shown.then(|| shown_ms(times.percentile(100.0 * (1.0 - 1.0 / at))))
    };
    x.iter().map(&mut height).collect()
}

const POINTS_PER_DECADE: u32 = 20;

/// Up to the 99.999999th percentile.
const DECADES: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_ends_at_its_maximum() {
        let (mut few, mut many) = (Times::new(), Times::new());
        (1..=20).for_each(|ms| few.record(ms * 1_000_000));
        (1..=20_000).for_each(|us| many.record(us * 1_000));
        let none = Times::new();
        let named = [("few", &few), ("none", &none), ("many", &many)];
        let curves = Curves::of(named.map(|(name, times)| (name.to_owned(), times)));
        assert_eq!(curves.curves.len(), 2, "an empty one is left out");
        for curve in &curves.curves {
            assert_eq!(curve.y.len(), curves.x.len());
            let last = curve.y.iter().rev().flatten().next().copied().unwrap();
            assert!((last / 20.0 - 1.0).abs() < 2e-3, "{}: {last}", curve.name);
        }
        let shown = curves.curves[0].y.iter().flatten().count();
        assert!(curves.x[shown - 1] > 20.0 && curves.x[shown - 2] <= 20.0);
    }
}
