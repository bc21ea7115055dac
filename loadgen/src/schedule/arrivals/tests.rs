use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::schedule::schedule_rng;

fn stage(seconds: f64, from: f64, to: f64) -> RateStage {
    RateStage { duration: Duration::from_secs_f64(seconds), from, to }
}

fn schedule(stages: &[RateStage], arrivals: Arrivals) -> OpenSchedule {
    OpenSchedule::new(stages, arrivals, schedule_rng(1, 0))
}

fn constant(stages: &[RateStage]) -> OpenSchedule {
    schedule(stages, Arrivals::Constant)
}

#[test]
fn constant_arrivals() {
    let check = |stages: &[RateStage], want: &[f64]| {
        let got: Vec<u64> = constant(stages).collect();
        let want: Vec<u64> = want.iter().map(|seconds| (seconds * 1e9) as u64).collect();
        let near = got.iter().zip(&want).all(|(got, want)| got.abs_diff(*want) <= 1);
        assert!(got.len() == want.len() && near, "{stages:?}: {got:?}, not {want:?}");
        assert_eq!(total(stages), want.len() as u64);
    };
    check(&[], &[]);
    check(&[stage(1.0, 0.0, 0.0)], &[]);
    check(&[stage(0.0, 5.0, 5.0)], &[]);
    check(&[stage(1.0, 5.0, 5.0)], &[0.0, 0.2, 0.4, 0.6, 0.8]);
    check(&[stage(10.0, 0.1, 0.1)], &[0.0]);
    check(&[stage(10.1, 0.1, 0.1)], &[0.0, 10.0]);
    // The first comes when the rate is first above zero.
    check(&[stage(3.0, 0.0, 0.0), stage(1.0, 2.0, 2.0)], &[3.0, 3.5]);
    // One that would fall on the begin of a silence comes after it.
    let pause = [stage(1.0, 2.0, 2.0), stage(5.0, 0.0, 0.0), stage(1.0, 2.0, 2.0)];
    check(&pause, &[0.0, 0.5, 6.0, 6.5]);
    // A stage without length changes nothing.
    let jump = [stage(1.0, 2.0, 2.0), stage(0.0, 9.0, 9.0), stage(0.5, 2.0, 2.0)];
    check(&jump, &[0.0, 0.5, 1.0]);
    // The integral is t², and 2t - t²/2.
    check(&[stage(2.0, 0.0, 4.0)], &[0.0, 1.0, 2_f64.sqrt(), 3_f64.sqrt()]);
    check(&[stage(2.0, 2.0, 0.0)], &[0.0, 2.0 - 2_f64.sqrt()]);
    // What is not a rate is none.
    check(&[stage(1.0, f64::NAN, f64::NAN), stage(1.0, -3.0, f64::INFINITY)], &[]);
}

#[test]
fn no_drift_after_many_arrivals() {
    let check = |rate: f64, index: u32, want_ns: u64| {
        let stages = [stage(1e7, rate, rate)];
        assert_eq!(constant(&stages).nth(index as usize), Some(want_ns));
    };
    check(100_000.0, 100_000_000, 1_000_000_000_000);
    check(100_000.0, 99_999_999, 999_999_990_000);
    check(3.0, 3_000_000, 1_000_000_000_000_000);
    check(3.0, 3_000_001, 1_000_000_333_333_333);
}

#[test]
fn threads_share_without_a_gap() {
    let stages = [stage(1.0, 0.0, 40.0), stage(1.0, 0.0, 0.0), stage(2.0, 30.0, 10.0)];
    for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
        let whole: Vec<u64> = schedule(&stages, arrivals).collect();
        let parts = (0..3).flat_map(|core| schedule(&stages, arrivals).skip(core).step_by(3));
        let mut together: Vec<u64> = parts.collect();
        together.sort_unstable();
        assert_eq!(together, whole);
        assert_eq!(whole, schedule(&stages, arrivals).collect::<Vec<_>>(), "a second time");
    }
}

#[test]
fn poisson_distances_are_exponential() {
    let times: Vec<u64> = schedule(&[stage(200.0, 1e3, 1e3)], Arrivals::Poisson).collect();
    let count = times.len() as f64;
    // Five standard deviations of a count of 200,000.
    assert!((count - 2e5).abs() < 5.0 * 2e5_f64.sqrt(), "{count}");
    let gaps = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e6);
    let gaps: Vec<f64> = gaps.collect();
    let mean = gaps.iter().sum::<f64>() / count;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count;
    // In milliseconds both are 1; their standard errors are 0.0022 and 0.0063.
    assert!((mean - 1.0).abs() < 0.012, "{mean}");
    assert!((variance - 1.0).abs() < 0.032, "{variance}");
    for at in [0.1, 0.5, 1.0, 2.0, 4.0] {
        let longer = gaps.iter().filter(|gap| **gap > at).count() as f64 / count;
        assert!((longer - (-at).exp()).abs() < 0.006, "{longer} are longer than {at}");
    }
}

#[test]
fn poisson_arrivals_follow_the_rate() {
    // A fifth of a ramp's arrivals come in its first √(1/5), and none in a silence.
    let stages = [stage(10.0, 0.0, 4000.0), stage(10.0, 0.0, 0.0), stage(1.0, 100.0, 100.0)];
    let times: Vec<u64> = schedule(&stages, Arrivals::Poisson).collect();
    let within = |from: f64, to: f64| {
        let range = (from * 1e9) as u64..(to * 1e9) as u64;
        times.iter().filter(|at| range.contains(at)).count() as f64
    };
    let early = within(0.0, 10.0 * 0.2_f64.sqrt());
    assert!((early - 4000.0).abs() < 5.0 * 4000_f64.sqrt(), "{early}");
    assert_eq!(within(10.0, 20.0), 0.0);
    assert!((within(20.0, 21.0) - 100.0).abs() < 50.0);
}

fn stages() -> impl Strategy<Value = Vec<RateStage>> {
    let rate = prop_oneof![Just(0.0), 0.0..500.0, (0_u32..20).prop_map(f64::from)];
    let length =
        prop_oneof![Just(0), 0_u64..5_000_000_000, (0_u64..4).prop_map(|s| s * 1_000_000_000)];
    let one = (length, rate.clone(), rate).prop_map(|(ns, from, to)| RateStage {
        duration: Duration::from_nanos(ns),
        from,
        to,
    });
    prop::collection::vec(one, 0..6)
}

/// The integral of the rate from the begin to `at_ns`, by trapezoids.
fn integral(stages: &[RateStage], at_ns: u64) -> f64 {
    let (mut sum, mut left_ns) = (0.0, at_ns);
    for stage in stages {
        let length_ns = nanos(stage.duration);
        let inside_ns = left_ns.min(length_ns);
        left_ns -= inside_ns;
        if length_ns > 0 {
            let part = inside_ns as f64 / length_ns as f64;
            let rate = stage.from + (stage.to - stage.from) * part;
            sum += (stage.from + rate) / 2.0 * inside_ns as f64 / 1e9;
        }
    }
    sum
}

proptest! {
    #[test]
    fn constant_arrivals_are_the_integral(stages in stages()) {
        let times: Vec<u64> = constant(&stages).collect();
        prop_assert!(times.is_sorted());
        let whole = integral(&stages, u64::MAX);
        prop_assert!((times.len() as f64 - whole).abs() < 1.0 + 1e-6, "{} of {whole}", times.len());
        prop_assert_eq!(times.len() as u64, total(&stages));
        prop_assert!(times.iter().all(|at| *at <= duration_ns(&stages)));
        for (index, at) in times.iter().enumerate() {
            let reached = integral(&stages, *at);
            // A nanosecond is at most 500e-9 arrivals.
            prop_assert!((reached - index as f64).abs() < 1e-6, "{index} at {at}: {reached}");
        }
    }

    #[test]
    fn poisson_arrivals_lie_within(stages in stages(), seed: u64) {
        let rng = schedule_rng(seed, 0);
        let times: Vec<u64> = OpenSchedule::new(&stages, Arrivals::Poisson, rng).collect();
        prop_assert!(times.is_sorted());
        prop_assert!(times.iter().all(|at| *at <= duration_ns(&stages)));
        let mean = integral(&stages, u64::MAX);
        prop_assert!((times.len() as f64 - mean).abs() <= 6.0 * mean.sqrt() + 6.0);
    }

    #[test]
    fn skipping_is_taking(stages in stages(), skipped in prop::collection::vec(0_usize..9, 0..20)) {
        let (mut jumps, mut walks) = (constant(&stages), constant(&stages));
        for skipped in skipped {
            let mut want = None;
            (0..=skipped).for_each(|_| want = walks.next());
            prop_assert_eq!(jumps.nth(skipped), want);
        }
    }
}
