//! `fanout-overload`: ten times as many messages as 10,000 single sends take time for. A server
//! that sends what has gathered in one write keeps up; one that sends each message on its own
//! falls behind without bound, as the bare loops do. So there is no floor to compare with: they
//! take part like any other, and their later windows show it.
//!
//! Windows are of the time at which messages arrived.

use thalweg_loadgen::plan::TailMode;
use thalweg_loadgen::result::{RunResult, Times};

use super::drive::{drive, faults};
use super::fanout::millis;
use super::plans::Fanout;
use super::{Part, Setting, SuiteName, Turn};
use crate::Failure;
use crate::contest::Program;
use crate::figures::Metric;

pub(super) fn parts(setting: &Setting) -> Vec<Part> {
    let readers = setting.pick(10_000, 500);
    let (slow_seconds, seconds) = setting.pick((10, 60), (1, WINDOWS as u64));
    let mode = TailMode::Sse;
    let slow = Fanout { readers, rate: 5.0, seconds: slow_seconds, mode };
    let fast = Fanout { readers, rate: 50.0, seconds, mode };
    let window = seconds / WINDOWS as u64;
    let mut metrics = vec![
        Metric::alone("p50 ms"),
        Metric::alone("p99 ms"),
        Metric::alone("p99 ms at 5/s"),
        Metric::alone("p99 by that at 5/s"),
    ];
    metrics.extend((0..WINDOWS as u64).map(|at| {
        let (from, to) = (at * window, (at + 1) * window);
        Metric::alone(format!("p99 ms {from}-{to} s"))
    }));
    metrics.extend(["CPU us/delivery", "reconnects", "faults"].map(Metric::alone));
    let measure = move |turn: &Turn<'_>| measure(turn, slow, fast);
    let mut part = Part::new(fast.said(), metrics, Box::new(measure))
        .note("reconnects: a server that ends SSE answers after a minute, as the protocol asks, makes its readers come again in the last window")
        .note("no ratios to a floor: the floors fall behind. A message that had not arrived 10 s after the end counts as a fault")
        .with(Program::floor("fanout-uring"))
        .with(Program::floor("fanout-epoll"))
        .with(setting.thalweg())
        .with_all(setting.peers(SuiteName::FanoutOverload));
    part.descriptors = fast.descriptors();
    vec![part]
}

fn measure(turn: &Turn<'_>, slow: Fanout, fast: Fanout) -> Result<Vec<f64>, Failure> {
    let p99_slow = {
        let running = turn.start()?;
        let driven = drive(turn, &running, slow.plan(running.url("bench")))?;
        millis(&driven.delivery()?.times, 99.0)
    };
    let running = turn.start()?;
    let driven = drive(turn, &running, fast.plan(running.url("bench")))?;
    let delivery = driven.delivery()?;
    let p99 = millis(&delivery.times, 99.0);
    let mut values = vec![millis(&delivery.times, 50.0), p99, p99_slow, p99 / p99_slow];
    values.extend(windows(&driven.result, fast.seconds * 1000 / WINDOWS as u64));
    values.extend([driven.cpu_per_delivery(), delivery.reconnects as f64, faults(delivery)]);
    Ok(values)
}

/// The 99th percentile of each window, in milliseconds.
fn windows(result: &RunResult, window_ms: u64) -> [f64; WINDOWS] {
    let mut windows = [const { None::<Times> }; WINDOWS];
    for interval in result.intervals.iter().filter(|interval| interval.deliveries) {
        // What comes after the end belongs to the last one.
        let at = ((interval.at_ms / window_ms.max(1)) as usize).min(WINDOWS - 1);
        windows[at].get_or_insert_default().merge(&interval.times);
    }
    windows.map(|window| window.map_or(f64::NAN, |times| millis(&times, 99.0)))
}

const WINDOWS: usize = 6;

#[cfg(test)]
mod tests {
    use thalweg_loadgen::result::{Interval, fixture};

    use super::*;

    #[test]
    fn what_arrives_late_is_in_the_last_window() {
        let interval = |at_ms, ms: u64, deliveries| {
            let mut times = Times::new();
            times.record(ms * 1_000_000);
            let (label, length_ms) = ("deliver".to_owned(), 1000);
            let (succeeded, failed, bytes) = (1, 0, 1);
            Interval { at_ms, length_ms, label, deliveries, succeeded, failed, bytes, times }
        };
        let mut result = fixture::example();
        result.intervals = vec![
            interval(0, 10, true),
            interval(1000, 20, true),
            interval(1000, 99, false),
            interval(2000, 30, true),
            interval(70_000, 40, true),
        ];
        let got = windows(&result, 2000).map(f64::round);
        assert_eq!((got[0], got[1], got[5]), (20.0, 30.0, 40.0));
        assert!(got[2].is_nan());
    }
}
