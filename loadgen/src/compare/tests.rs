use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, LogNormal};

use super::*;
use crate::result::OperationResult;
use crate::result::fixture::example;

/// What a server does, of which the truth is known.
#[derive(Clone, Copy)]
struct Truth {
    seed: u64,
    seconds: u64,
    per_second: u64,
    /// The median, microseconds.
    median: f64,
    /// Of so many operations one fails.
    fails: Option<u64>,
    /// In this second everything takes so many times as long.
    stall: Option<(u64, f64)>,
}

const TRUTH: Truth =
    Truth { seed: 1, seconds: 60, per_second: 500, median: 1000.0, fails: None, stall: None };

fn run(truth: Truth) -> RunResult {
    let mut random = ChaCha8Rng::seed_from_u64(truth.seed);
    let spread = LogNormal::new((truth.median * 1000.0).ln(), 0.4).unwrap();
    let mut result = example();
    result.deliveries.clear();
    result.meta.duration_ms = truth.seconds * 1000;
    let mut operation = OperationResult {
        label: "append".to_owned(),
        succeeded: 0,
        failed: 0,
        times: Times::new(),
        ..result.operations[0].clone()
    };
    result.intervals.clear();
    for second in 0..truth.seconds {
        let (mut times, mut failed) = (Times::new(), 0);
        for index in 0..truth.per_second {
            let slow = truth.stall.filter(|stall| stall.0 == second).map_or(1.0, |stall| stall.1);
            times.record((spread.sample(&mut random) * slow) as u64);
            failed += u64::from(truth.fails.is_some_and(|fails| index % fails == 0));
        }
        operation.times.merge(&times);
        operation.failed += failed;
        operation.succeeded += truth.per_second - failed;
        result.intervals.push(Interval {
            at_ms: second * 1000,
            length_ms: 1000,
            label: "append".to_owned(),
            deliveries: false,
            succeeded: truth.per_second - failed,
            failed,
            bytes: 0,
            times: times.packed(),
        });
    }
    result.operations = vec![operation];
    result
}

fn options() -> Options {
    Options { resamples: 400, ..Options::default() }
}

fn verdicts(a: Truth, b: Truth) -> Vec<(&'static str, Outcome)> {
    let comparison = compare(&run(a), &run(b), &options());
    comparison.rows.iter().map(|row| (row.statistic.name(), row.verdict)).collect()
}

fn outcome(a: Truth, b: Truth, statistic: &str) -> Outcome {
    verdicts(a, b).into_iter().find(|row| row.0 == statistic).unwrap().1
}

#[test]
fn what_is_known_is_found() {
    use Outcome::*;
    let other = Truth { seed: 2, ..TRUTH };
    let check = |b: Truth, statistic: &str, expected: Outcome| {
        assert_eq!(outcome(TRUTH, b, statistic), expected, "{statistic}");
    };
    // The same server: nothing is worse, and the median is known well.
    for (statistic, outcome) in verdicts(TRUTH, other) {
        assert!(outcome == Same || (statistic == "p99.9" && outcome == Unknown), "{statistic}");
    }
    let slower = Truth { median: 1150.0, ..other };
    check(slower, "p50", Worse);
    check(slower, "p99", Worse);
    check(slower, "mean", Worse);
    check(slower, "rate", Same);
    check(Truth { median: 850.0, ..other }, "p50", Better);
    check(Truth { median: 1030.0, ..other }, "p50", Same);
    check(Truth { per_second: 400, ..other }, "rate", Worse);
    check(Truth { per_second: 600, ..other }, "rate", Better);
    check(Truth { fails: Some(100), ..other }, "errors", Worse);
    check(Truth { fails: Some(100), ..other }, "p50", Same);
    // One second in sixty: the 99th percentile is far off, but may be so by chance.
    let stall = Truth { stall: Some((30, 50.0)), ..other };
    check(stall, "p50", Same);
    check(stall, "p99", Unknown);
    assert_eq!(outcome(Truth { fails: Some(50), ..TRUTH }, other, "errors"), Better);
}

#[test]
fn the_interval_holds_the_truth_about_as_often_as_it_says() {
    let mut held = 0;
    for seed in 0..30 {
        let a = run(Truth { seed: 2 * seed, seconds: 30, per_second: 100, ..TRUTH });
        let b = run(Truth {
            seed: 2 * seed + 1,
            seconds: 30,
            per_second: 100,
            median: 1200.0,
            ..TRUTH
        });
        let comparison = compare(&a, &b, &Options { resamples: 200, ..options() });
        let bounds = comparison.rows[0].interval.unwrap();
        assert!(bounds.low <= comparison.rows[0].ratio && comparison.rows[0].ratio <= bounds.high);
        held += u32::from((bounds.low..=bounds.high).contains(&1.2));
    }
    assert!(held >= 25, "the interval held the truth {held} times of 30");
}

#[test]
fn too_little_is_unknown() {
    let short = Truth { seconds: 4, ..TRUTH };
    assert!(verdicts(short, short).iter().all(|row| row.1 == Outcome::Unknown));
    let few = Truth { per_second: 5, ..TRUTH };
    assert_eq!(outcome(few, few, "p99"), Outcome::Unknown, "300 values");
    assert_eq!(outcome(few, few, "rate"), Outcome::Same);
}

#[test]
fn losses_count_each() {
    let (a, mut b) = (example(), example());
    let lost = |a: &RunResult, b: &RunResult| {
        let comparison = compare(a, b, &options());
        let row = comparison.rows.into_iter().find(|row| row.statistic == Statistic::Lost).unwrap();
        (row.verdict, row.ratio)
    };
    assert_eq!(lost(&a, &b), (Outcome::Same, 1.0));
    b.deliveries[0].lost = 1;
    assert_eq!(lost(&a, &b), (Outcome::Worse, f64::INFINITY));
    assert_eq!(lost(&b, &a), (Outcome::Better, 0.0));
}

#[test]
fn it_is_deterministic_and_can_be_written() {
    let (a, mut b) = (example(), example());
    b.deliveries[0].lost = 1;
    b.meta.machine.kernel = "Linux 7.0".to_owned();
    b.meta.plan_hash = "0".repeat(64);
    b.operations[0].label = "other".to_owned();
    let comparison = compare(&a, &b, &options());
    assert_eq!(comparison, compare(&a, &b, &options()));
    assert_eq!(
        comparison.warnings,
        [
            "plans differ: 9f86d081884c and 000000000000",
            "kernels differ: Linux 6.12.0 and Linux 7.0",
            "only the first has publish",
            "only the second has other",
        ]
    );
    assert_eq!((comparison.exit_code(), compare(&a, &a, &options()).exit_code()), (1, 0));
    let json = serde_json::to_value(&comparison).unwrap();
    let last = json["rows"].as_array().unwrap().last().unwrap();
    assert_eq!(last["statistic"], "lost");
    assert_eq!(last["verdict"], "worse");
    assert!(last["ratio"].is_null() && last["interval"]["high"].is_null());
    let text = comparison.text();
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    for part in
        ["WARNING  plans differ", "lost", "inf to inf", "WORSE", "are WORSE by more than 5.0 %"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}
