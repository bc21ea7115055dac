use super::*;
use crate::schedule::{timer_rng, user_rng};

const MS: u64 = 1_000_000;
const BEGIN: u64 = 5_000 * MS;

fn pacer(timer: Timer, share: f64) -> Pacer {
    Pacer::new(&timer, 1, share, BEGIN, timer_rng(1, 0, 0, 0))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Mean and standard deviation of a timer's pauses, in milliseconds, and the shortest and longest.
fn pauses(timer: Timer) -> [f64; 4] {
    let (mut pacer, mut rng) = (pacer(timer, 1.0), user_rng(1, 0, 0));
    let pauses: Vec<f64> = (0..20_000_u64)
        .map(|index| (pacer.resume_at(0, index * MS, &mut rng) - index * MS) as f64 / MS as f64)
        .collect();
    let count = pauses.len() as f64;
    let mean = pauses.iter().sum::<f64>() / count;
    let variance = pauses.iter().map(|pause| (pause - mean).powi(2)).sum::<f64>() / count;
    let least = pauses.iter().copied().fold(f64::MAX, f64::min);
    [mean, variance.sqrt(), least, pauses.into_iter().fold(0.0, f64::max)]
}

#[test]
fn pauses_by_chance() {
    let check = |timer: Timer, mean: f64, deviation: f64, within: [f64; 2]| {
        let got = pauses(timer);
        // Five standard errors, at least.
        assert!((got[0] - mean).abs() <= 0.05 * deviation + 1e-6, "{timer:?}: {got:?}");
        assert!((got[1] - deviation).abs() <= 0.05 * deviation + 1e-6, "{timer:?}: {got:?}");
        assert!(got[2] >= within[0] && got[3] <= within[1], "{timer:?}: {got:?}");
    };
    check(Timer::Constant(ms(20)), 20.0, 0.0, [20.0, 20.0]);
    let uniform = |min, max| Timer::Uniform { min: ms(min), max: ms(max) };
    check(uniform(10, 30), 20.0, 20.0 / 12_f64.sqrt(), [10.0, 30.0]);
    check(uniform(30, 10), 20.0, 20.0 / 12_f64.sqrt(), [10.0, 30.0]);
    let gaussian = |mean, deviation| Timer::Gaussian { mean: ms(mean), deviation: ms(deviation) };
    check(gaussian(100, 10), 100.0, 10.0, [40.0, 160.0]);
    check(gaussian(100, 0), 100.0, 0.0, [100.0, 100.0]);
    // The half below zero is folded up: a mean of √(2/π) deviations.
    check(gaussian(0, 10), 7.979, 6.028, [0.0, 60.0]);
    let poisson = |offset, lambda| Timer::Poisson { offset: ms(offset), lambda: ms(lambda) };
    check(poisson(100, 25), 125.0, 5.0, [100.0, 160.0]);
    check(poisson(300, 900), 1200.0, 30.0, [1000.0, 1400.0]);
    check(poisson(100, 0), 100.0, 0.0, [100.0, 100.0]);
}

/// `(user, comes, goes on)`, in milliseconds.
fn check(timer: Timer, share: f64, steps: &[(u32, u64, u64)]) {
    let (mut pacer, mut rng) = (pacer(timer, share), user_rng(1, 0, 0));
    for &(user, now, want) in steps {
        let got = pacer.resume_at(user, now * MS, &mut rng);
        let want = if want == u64::MAX { want } else { want * MS };
        assert_eq!(got, want, "{timer:?}: user {user} at {now} ms");
    }
}

#[test]
fn constant_throughput() {
    let timer = |per_minute, shared| Timer::ConstantThroughput { per_minute, shared };
    // Ten a second and user: the first at once, then every 100 ms, each for itself; who comes
    // late goes on at once and is not repaid.
    let own = [(0, 7, 7), (1, 7, 7), (0, 8, 107), (0, 107, 207), (0, 500, 500), (0, 501, 600)];
    check(timer(600.0, false), 0.5, &own);
    // More users than were announced.
    check(timer(600.0, false), 1.0, &[(9, 7, 7), (9, 7, 107)]);
    // All together, and this thread's half of it.
    let all = [(0, 7, 7), (1, 7, 107), (2, 8, 207), (0, 20, 307), (1, 900, 900), (0, 901, 1000)];
    check(timer(600.0, true), 1.0, &all);
    check(timer(1200.0, true), 0.5, &all);
    for never in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        check(timer(never, false), 1.0, &[(0, 7, u64::MAX)]);
        check(timer(never, true), 1.0, &[(0, 7, u64::MAX)]);
    }
    check(timer(600.0, true), 0.0, &[(0, 7, u64::MAX)]);
}

#[test]
fn precise_throughput() {
    let timer = Timer::PreciseThroughput { per_second: 100.0 };
    let times = |share: f64| {
        let (mut pacer, mut rng) = (pacer(timer, share), user_rng(1, 0, 0));
        let times = (0..20_000).map(|user| pacer.resume_at(user, 0, &mut rng));
        times.collect::<Vec<u64>>()
    };
    let half = times(0.5);
    assert!(half[0] > BEGIN && half.is_sorted());
    let gaps: Vec<f64> =
        half.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / (20 * MS) as f64).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|gap| (gap - 1.0).powi(2)).sum::<f64>() / gaps.len() as f64;
    assert!((mean - 1.0).abs() < 0.036 && (variance - 1.0).abs() < 0.1, "{mean}, {variance}");
    assert_eq!(half, times(0.5), "a second time");

    // Who comes late goes on at once, and the times stand: a backlog is worked off.
    let (mut late, mut rng) = (pacer(timer, 0.5), user_rng(1, 0, 0));
    let now = half[10];
    let got: Vec<u64> = (0..20).map(|user| late.resume_at(user, now, &mut rng)).collect();
    let want: Vec<u64> = half[..20].iter().map(|due| *due.max(&now)).collect();
    assert_eq!(got, want);
    check(Timer::PreciseThroughput { per_second: 0.0 }, 1.0, &[(0, 1, u64::MAX)]);
}

#[test]
fn the_longest_pauses() {
    let max = Duration::MAX;
    let timers = [
        Timer::Constant(max),
        Timer::Uniform { min: max, max },
        Timer::Gaussian { mean: max, deviation: max },
        Timer::Poisson { offset: max, lambda: ms(1) },
        Timer::Poisson { offset: ms(1), lambda: max },
    ];
    for timer in timers {
        let (mut pacer, mut rng) = (pacer(timer, 1.0), user_rng(1, 0, 0));
        assert!(pacer.resume_at(0, u64::MAX - 1, &mut rng) >= u64::MAX - 1, "{timer:?}");
    }
}
