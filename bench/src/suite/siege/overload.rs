//! Three times as many appends as the server has time for.
//!
//! Capacity is what the same client gets when each connection sends the next append as soon as the
//! last is answered. "Half" is half of that, sent at a fixed rate: the unloaded figure.

use std::time::Duration;

use super::super::{Part, Setting, Turn};
use super::open_loop::{Shape, prepare, run};
use crate::Failure;
use crate::figures::Metric;

pub(super) fn part(setting: &Setting) -> Part {
    let length = Duration::from_secs(setting.pick(15, 2));
    let connections = setting.pick(2000, 64);
    let title = format!(
        "{OVER} times the capacity, appends of {MESSAGES} JSON messages, {connections} connections"
    );
    let metrics = vec![
        Metric::alone("capacity/s"),
        Metric::alone("p99 ms half"),
        Metric::alone("offered/s"),
        Metric::alone("accepted/s"),
        Metric::alone("p50 ms accepted"),
        Metric::alone("p99 ms accepted"),
        Metric::alone("by half"),
        Metric::alone("p50 ms refused"),
        Metric::alone("p99 ms refused"),
        Metric::alone("not sent/s"),
    ];
    let measure = move |turn: &Turn<'_>| measure(turn, connections, length);
    let mut part = Part::new(title, metrics, Box::new(measure))
        .note("from the moment at which an append was due. The first 2 s are not counted. Not sent: due when no connection was free")
        .with(setting.thalweg());
    part.descriptors = connections as u64 + 512;
    part
}

fn measure(turn: &Turn<'_>, connections: usize, length: Duration) -> Result<Vec<f64>, Failure> {
    let running = turn.start()?;
    prepare(&running)?;
    let shape = Shape { connections: CLOSED, rate: None, length: length / 3, messages: MESSAGES };
    let capacity = run(&running, shape)?.accepted_rate();
    let at = |rate: f64| Shape { connections, rate: Some(rate), length, messages: MESSAGES };
    let half = run(&running, at(capacity / 2.0))?;
    let over = run(&running, at(capacity * OVER))?;
    let (p99_half, p99) = (half.accepted.percentile(99.0), over.accepted.percentile(99.0));
    let seconds = over.seconds;
    Ok(vec![
        capacity,
        p99_half,
        (over.accepted.len() + over.refused.len()) as f64 / seconds,
        over.accepted_rate(),
        over.accepted.percentile(50.0),
        p99,
        p99 / p99_half,
        over.refused.percentile(50.0),
        over.refused.percentile(99.0),
        over.not_sent as f64 / seconds,
    ])
}

const OVER: f64 = 3.0;
const MESSAGES: usize = 100;
/// Connections that measure the capacity.
const CLOSED: usize = 64;
