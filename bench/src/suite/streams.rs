//! `streams`: many streams with little in each. They are created over 16 connections, each gets
//! one message over 50, and then the server is killed and started again on what it had stored.
//!
//! A restart takes until the server answers for the stream that was created last.

use std::time::Instant;

use super::drive::drive;
use super::plans::{MESSAGE_BYTES, some_appends};
use super::{Part, Setting, SuiteName, Turn};
use crate::Failure;
use crate::figures::Metric;

pub(super) fn parts(setting: &Setting) -> Vec<Part> {
    // Servers that hold a file open per stream end where their descriptors do; the small number is
    // for them.
    setting.pick(vec![10_000, 100_000], vec![2_000]).into_iter().map(|n| part(setting, n)).collect()
}

fn part(setting: &Setting, streams: u32) -> Part {
    let metrics = vec![
        Metric::alone("creates/s"),
        Metric::alone("appends/s"),
        Metric::alone("restart s"),
        Metric::alone("RSS MiB"),
        Metric::alone("RSS MiB restarted"),
        Metric::alone("CPU us/create+append"),
    ];
    let title = format!(
        "{} streams, one message of {MESSAGE_BYTES} bytes in each",
        crate::figures::written(f64::from(streams))
    );
    Part::new(title, metrics, Box::new(move |turn| measure(turn, streams)))
        .with(setting.thalweg())
        .with_all(setting.peers(SuiteName::Streams))
}

fn measure(turn: &Turn<'_>, streams: u32) -> Result<Vec<f64>, Failure> {
    let running = turn.start()?;
    let cpu_before = running.meter().cpu_seconds()?;
    let plan =
        some_appends(running.url(NAME), streams, USERS, (streams / USERS).into(), MESSAGE_BYTES);
    let driven = drive(turn, &running, plan)?;
    let creates = f64::from(streams) / driven.setup.as_secs_f64();
    let appends = driven.rate()?;
    let cpu = (running.meter().cpu_seconds()? - cpu_before) * 1e6 / f64::from(streams);
    let rss = running.meter().rss_bytes() as f64 / MIB;
    let begin = Instant::now();
    let (running, _) = running.restart(turn.contestant)?;
    running.until_found(&format!("{NAME}/{}?offset=-1", streams - 1))?;
    let restart = begin.elapsed().as_secs_f64();
    let restarted_rss = running.meter().rss_bytes() as f64 / MIB;
    Ok(vec![creates, appends, restart, rss, restarted_rss, cpu])
}

const NAME: &str = "bench";
/// A divisor of the number of streams, so that each gets one message.
const USERS: u32 = 50;
const MIB: f64 = 1024.0 * 1024.0;
