use super::*;
use crate::schedule::user_rng;

const DRAWS: usize = 200_000;

/// Draws, and compares each index's count with its probability: Pearson's statistic lies below its
/// mean plus five standard deviations.
fn check(choice: Choice, count: u32, probability: impl Fn(u32) -> f64) {
    let mut chooser = Chooser::new(&choice, count);
    let mut rng = user_rng(1, 0, 0);
    let mut counts = vec![0_u32; count as usize];
    (0..DRAWS).for_each(|_| counts[chooser.choose(&mut rng, 0) as usize] += 1);
    let whole: f64 = (0..count).map(&probability).sum();
    assert!((whole - 1.0).abs() < 1e-9, "{choice:?}: {whole}");
    let statistic: f64 = (0..count)
        .map(|index| {
            let expected = probability(index) * DRAWS as f64;
            (f64::from(counts[index as usize]) - expected).powi(2) / expected
        })
        .sum();
    let freedom = f64::from(count - 1);
    let bound = freedom + 5.0 * (2.0 * freedom).sqrt();
    assert!(statistic < bound, "{choice:?} of {count}: {statistic} is not below {bound}");
}

#[test]
fn distributions() {
    for count in [2, 10, 1000] {
        check(Choice::Uniform, count, |_| 1.0 / f64::from(count));
        for exponent in [0.5, 0.99, 1.0, 1.0 + 1e-12, 1.2, 2.0] {
            let weight = |index: u32| f64::from(index + 1).powf(-exponent);
            let sum: f64 = (0..count).map(weight).sum();
            check(Choice::Zipf { exponent }, count, |index| weight(index) / sum);
        }
    }
    let hot_spot = |count: u32, streams: f64, hot: u32| {
        check(Choice::HotSpot { streams, operations: 0.8 }, count, |index| match index < hot {
            true => 0.8 / f64::from(hot),
            false => 0.2 / f64::from(count - hot),
        });
    };
    hot_spot(100, 0.1, 10);
    hot_spot(10, 0.001, 1);
    hot_spot(3, 0.5, 2);
}

#[test]
fn in_turn_and_by_user() {
    let mut rng = user_rng(1, 0, 0);
    let mut check = |choice: Choice, (core, cores), count: u32, users: &[u64], want: &[u32]| {
        let mut chooser = Chooser::new(&choice, count).part(core, cores);
        let got: Vec<u32> = users.iter().map(|user| chooser.choose(&mut rng, *user)).collect();
        assert_eq!(got, want, "{choice:?} of {count}");
    };
    let any = [7; 5];
    check(Choice::RoundRobin, (0, 1), 3, &any, &[0, 1, 2, 0, 1]);
    check(Choice::RoundRobin, (0, 2), 3, &any, &[0, 2, 1, 0, 2]);
    check(Choice::RoundRobin, (1, 2), 3, &any, &[1, 0, 2, 1, 0]);
    check(Choice::RoundRobin, (5, 0), 3, &any, &[2, 0, 1, 2, 0]);
    check(Choice::PerUser, (0, 1), 3, &[0, 1, 2, 3, u64::MAX], &[0, 1, 2, 0, 0]);
    check(Choice::PerUser, (1, 2), 3, &[4], &[1]);
}

/// Whatever the numbers, the index is below the count.
#[test]
fn extremes() {
    let mut rng = user_rng(1, 0, 0);
    let numbers = [0.0, 1e-300, 0.5, 1.0, 50.0, 1e300, -1.0, f64::INFINITY, f64::NAN];
    let hot_spots = numbers.iter().flat_map(|&streams| {
        numbers.iter().map(move |&operations| Choice::HotSpot { streams, operations })
    });
    let zipf = numbers.iter().map(|&exponent| Choice::Zipf { exponent });
    for choice in hot_spots.chain(zipf).chain([Choice::Uniform, Choice::RoundRobin]) {
        for count in [0, 1, 2, 1000, u32::MAX] {
            let mut chooser = Chooser::new(&choice, count);
            for _ in 0..50 {
                let chosen = chooser.choose(&mut rng, 3);
                assert!(chosen < count.max(1), "{choice:?}: {chosen} of {count}");
            }
        }
    }
}
