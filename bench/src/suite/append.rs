//! `append`, `append-latency`, `append-batch`: each connection sends the next append when the last
//! one has been answered.
//!
//! The floor of rates is a program that answers everything at once and does nothing. The floor of
//! one append's time is a write to disk, measured by itself, and a round trip to that program.

use std::process::Command;

use super::drive::{Driven, drive};
use super::plans::Appends;
use super::{Part, Setting, SuiteName, Turn};
use crate::Failure;
use crate::contest::{Durability, Program, Role};
use crate::figures::Metric;

pub(super) fn closed(setting: &Setting) -> Vec<Part> {
    let seconds = setting.pick(5, 1);
    let streams = setting.pick(1000, 50);
    let of = |connections| {
        let appends = Appends { connections, streams, seconds, batch: 1 };
        rates(setting, appends, SuiteName::Append)
    };
    vec![of(64), of(256)]
}

pub(super) fn batch(setting: &Setting) -> Vec<Part> {
    let (connections, streams) = (64, setting.pick(1000, 50));
    let appends = Appends { connections, streams, seconds: setting.pick(5, 1), batch: 100 };
    vec![rates(setting, appends, SuiteName::AppendBatch)]
}

fn rates(setting: &Setting, appends: Appends, suite: SuiteName) -> Part {
    part(appends)
        .with(setting.thalweg())
        .with(setting.thalweg().durability(Durability::Memory))
        .with_all(setting.peers(suite))
}

/// One table of appends, without contestants.
pub(super) fn part(appends: Appends) -> Part {
    let Appends { connections, streams, batch, .. } = appends;
    let what = match batch {
        1 => "100-byte messages".to_owned(),
        batch => format!("JSON arrays of {batch} 100-byte messages"),
    };
    let title = format!("{what}, {connections} connections, {streams} streams");
    let metrics = vec![
        Metric::new("messages/s"),
        Metric::new("p50 ms"),
        Metric::new("p99 ms"),
        Metric::new("CPU us/message"),
    ];
    let measure = move |turn: &Turn<'_>| measure(turn, appends);
    Part::new(title, metrics, Box::new(measure)).floor(Program::floor("http-static"))
}

fn measure(turn: &Turn<'_>, appends: Appends) -> Result<Vec<f64>, Failure> {
    let driven = run(turn, appends)?;
    let batch = f64::from(appends.batch);
    let times = &driven.operation()?.times;
    let millis = |percentile| times.percentile(percentile) as f64 / 1e6;
    let (rate, cpu) = (driven.rate()? * batch, driven.cpu_per_operation()? / batch);
    Ok(vec![rate, millis(50.0), millis(99.0), cpu])
}

fn run(turn: &Turn<'_>, appends: Appends) -> Result<Driven, Failure> {
    let running = turn.start()?;
    drive(turn, &running, appends.plan(running.url("bench")))
}

pub(super) fn latency(setting: &Setting) -> Vec<Part> {
    let appends = Appends { connections: 1, streams: 1, seconds: setting.pick(5, 1), batch: 1 };
    let metrics = vec![
        Metric::new("p50 us"),
        Metric::alone("p90 us"),
        Metric::alone("p99 us"),
        Metric::alone("CPU us/append"),
    ];
    let syncs = setting.pick(1000, 50);
    let measure = move |turn: &Turn<'_>| {
        let driven = run(turn, appends)?;
        let times = &driven.operation()?.times;
        let micros = |percentile| times.percentile(percentile) as f64 / 1e3;
        if turn.contestant.role() == Role::Floor {
            // A sum of medians; percentiles and CPU time of two programs have no sum.
            let sync = sync_p50_us(turn, syncs)?;
            return Ok(vec![micros(50.0) + sync, f64::NAN, f64::NAN, f64::NAN]);
        }
        let cpu = driven.cpu_per_operation()?;
        Ok(vec![micros(50.0), micros(90.0), micros(99.0), cpu])
    };
    let floor = Program::floor("http-static").called("sync + http-static");
    let part = Part::new("one connection, one stream, 100-byte messages", metrics, Box::new(measure))
        .note("the floor is the median of a 4 KiB write and fdatasync over a zero-filled file, plus the median of a round trip to a program that does nothing")
        .floor(floor)
        .with(setting.thalweg())
        .with_all(setting.peers(SuiteName::AppendLatency));
    vec![part]
}

/// The median of a write and fdatasync, on the CPU and the disk of the contestants.
fn sync_p50_us(turn: &Turn<'_>, times: u32) -> Result<f64, Failure> {
    let dir = tempfile::TempDir::with_prefix_in("sync-", &turn.place.scratch)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["program", "sync", "-n", &times.to_string(), "--data-dir"]).arg(dir.path());
    let output = turn.place.cpus.on_servers(turn.place.cores, || command.output())??;
    let text = String::from_utf8_lossy(&output.stdout);
    sync_p50_us_of(&text).ok_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("the sync floor says nothing of {SYNC_WAY:?}: {}", errors.trim()).into()
    })
}

fn sync_p50_us_of(lines: &str) -> Option<f64> {
    let parsed = lines.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut ways = parsed.filter(|line: &serde_json::Value| line["way"] == SYNC_WAY);
    ways.next()?["p50_us"].as_f64()
}

/// Of the ways that the sync program tries: the plain one.
const SYNC_WAY: &str = "pwrite + fdatasync";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sync_floor_is_read() {
        let lines = "{\"way\": \"pwrite O_DSYNC\", \"p50_us\": 1.5}\n\
                     {\"way\": \"pwrite + fdatasync\", \"p50_us\": 2.5}\n";
        assert_eq!(sync_p50_us_of(lines), Some(2.5));
        assert_eq!(sync_p50_us_of("x"), None);
    }
}
