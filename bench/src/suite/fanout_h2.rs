//! `fanout-h2`: the same message to as many readers as in `fanout`, over a hundred connections of
//! HTTP/2. All frames of a connection can leave in one write, which changes what is cheap.
//!
//! The floor does that and nothing else; our server by HTTP/1.1 stands beside it, with a connection
//! for each reader.

use thalweg_loadgen::plan::TailMode;

use super::drive::{drive, faults};
use super::fanout::millis;
use super::plans::Fanout;
use super::{Part, Setting, Turn};
use crate::Failure;
use crate::contest::{Durability, Program};
use crate::figures::{Metric, written};

pub(super) fn parts(setting: &Setting) -> Vec<Part> {
    let readers = setting.pick(10_000, 500);
    let fanout = Fanout { readers, rate: 5.0, seconds: setting.pick(10, 2), mode: TailMode::Sse };
    let metrics = vec![
        Metric::new("p50 ms"),
        Metric::new("p99 ms"),
        Metric::alone("max ms"),
        Metric::new("CPU us/delivery"),
        Metric::alone("KiB/reader"),
        Metric::alone("faults"),
    ];
    let connections = written(f64::from(readers / PER_CONNECTION));
    let title = format!("{}, over {connections} HTTP/2 connections", fanout.said());
    let mut part = Part::new(title, metrics, Box::new(move |turn| measure(turn, fanout)))
        .floor(Program::floor("fanout-h2-uring"))
        .with(setting.thalweg())
        .with(setting.thalweg().durability(Durability::Memory))
        .with(setting.thalweg().tls())
        .with(setting.thalweg().http1())
        .note("thalweg-memory: without the disk, which a few dozen messages meet at its worst")
        .note("a delivery is timed when its bytes are received, before they are parsed");
    part.descriptors = fanout.descriptors();
    vec![part]
}

fn measure(turn: &Turn<'_>, fanout: Fanout) -> Result<Vec<f64>, Failure> {
    let running = turn.start()?;
    let before = running.meter().rss_bytes() as f64;
    let mut plan = fanout.plan(running.url("bench"));
    plan.transport.http2 = true;
    plan.transport.readers_per_connection = PER_CONNECTION;
    let driven = drive(turn, &running, plan)?;
    let delivery = driven.delivery()?;
    let held = driven.ready_rss_bytes as f64 - before;
    Ok(vec![
        millis(&delivery.times, 50.0),
        millis(&delivery.times, 99.0),
        millis(&delivery.times, 100.0),
        driven.cpu_per_delivery(),
        held / 1024.0 / f64::from(fanout.readers),
        faults(delivery),
    ])
}

const PER_CONNECTION: u32 = 100;
