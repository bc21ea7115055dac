//! `fanout`: one message goes to 10,000 readers, five times a second.
//!
//! A reader's own 99th percentile is its longest delivery here, because there are fewer than a
//! hundred; the spread is that of the slowest per cent of readers by that of the fastest per cent.
//!
//! What a delivery costs is measured at 100, 1,000 and 10,000 readers with as many deliveries per
//! second, so that only the number of readers differs.

use std::rc::Rc;

use thalweg_loadgen::plan::TailMode;
use thalweg_loadgen::result::{DeliveryResult, Times};

use super::drive::{drive, faults};
use super::plans::Fanout;
use super::{Part, Setting, SuiteName, Turn};
use crate::Failure;
use crate::contest::Program;
use crate::figures::Metric;

pub(super) fn parts(setting: &Setting) -> Vec<Part> {
    let readers = setting.pick(10_000, 500);
    let seconds = setting.pick(10, 2);
    let of = |mode| Fanout { readers, rate: 5.0, seconds, mode };
    let everyone =
        |part: Part| part.with(setting.thalweg()).with_all(setting.peers(SuiteName::Fanout));
    vec![
        everyone(part(of(TailMode::Sse), "fanout-uring").with(Program::floor("fanout-epoll"))),
        everyone(
            part(of(TailMode::LongPoll), "long-poll-uring").with(Program::floor("long-poll-epoll")),
        ),
        everyone(cost(setting)),
    ]
}

/// One table of a fan-out, without contestants.
pub(super) fn part(fanout: Fanout, floor: &'static str) -> Part {
    let mut part = Part::new(fanout.said(), metrics(), Box::new(move |turn| measure(turn, fanout)));
    part.descriptors = fanout.descriptors();
    part.floor(Program::floor(floor))
}

fn metrics() -> Vec<Metric> {
    vec![
        Metric::new("p50 ms"),
        Metric::new("p99 ms"),
        Metric::new("CPU us/delivery"),
        Metric::alone("reader p99 spread"),
        Metric::alone("reader mean spread"),
        Metric::alone("faults"),
    ]
}

fn measure(turn: &Turn<'_>, fanout: Fanout) -> Result<Vec<f64>, Failure> {
    let running = turn.start()?;
    let driven = drive(turn, &running, fanout.plan(running.url("bench")))?;
    let delivery = driven.delivery()?;
    let DeliveryResult { times, reader_max, reader_mean, .. } = delivery;
    Ok(vec![
        millis(times, 50.0),
        millis(times, 99.0),
        driven.cpu_per_delivery(),
        spread(reader_max),
        spread(reader_mean),
        faults(delivery),
    ])
}

/// Of deliveries, in milliseconds.
pub(super) fn millis(times: &Times, percentile: f64) -> f64 {
    times.percentile(percentile) as f64 / 1e6
}

fn spread(readers: &Times) -> f64 {
    readers.percentile(99.0) as f64 / readers.percentile(1.0) as f64
}

fn cost(setting: &Setting) -> Part {
    let seconds = setting.pick(8, 1);
    let sizes: Rc<[u32]> = setting.pick([100, 1_000, 10_000], [50, 100, 200]).into();
    let rate = setting.pick(25_000.0, 2_000.0);
    let of = move |readers: u32| {
        let rate = rate / f64::from(readers);
        Fanout { readers, rate, seconds, mode: TailMode::Sse }
    };
    let mut metrics: Vec<Metric> =
        sizes.iter().map(|readers| Metric::new(format!("us at {readers}"))).collect();
    metrics.push(Metric::alone("dearest by cheapest"));
    let title = format!("CPU per delivery at {rate} deliveries/s, by number of SSE readers");
    let descriptors = sizes.iter().map(|readers| of(*readers).descriptors()).max();
    let measure = move |turn: &Turn<'_>| {
        let mut values = Vec::new();
        for readers in sizes.iter() {
            let running = turn.start()?;
            let driven = drive(turn, &running, of(*readers).plan(running.url("bench")))?;
            driven.delivery()?;
            values.push(driven.cpu_per_delivery());
        }
        let dearest = values.iter().copied().fold(f64::NAN, f64::max);
        let cheapest = values.iter().copied().fold(f64::NAN, f64::min);
        values.push(dearest / cheapest);
        Ok(values)
    };
    let mut part = Part::new(title, metrics, Box::new(measure));
    part.descriptors = descriptors.unwrap_or_default();
    part.floor(Program::floor("fanout-uring"))
}
