//! The few figures that sum a run up, and the facts that it takes to repeat it.

use serde::Serialize;

use super::curves::sum;
use crate::numbers::{bytes, clock, count, figure, part, percent, time};
use crate::result::{DeliveryResult, OperationResult, RunResult};

/// A name and what it is.
#[derive(Serialize)]
pub(super) struct Fact {
    name: &'static str,
    value: String,
    /// A second line; may be empty.
    detail: String,
    /// Whether it is bad news.
    bad: bool,
}

impl Fact {
    fn new(name: &'static str, value: impl Into<String>) -> Fact {
        Fact { name, value: value.into(), detail: String::new(), bad: false }
    }

    fn with(mut self, detail: impl Into<String>) -> Fact {
        self.detail = detail.into();
        self
    }

    fn bad_if(mut self, bad: bool) -> Fact {
        self.bad = bad;
        self
    }
}

/// The figures on top.
pub(super) fn tiles(result: &RunResult) -> Vec<Fact> {
    let mut tiles = Vec::new();
    if !result.deliveries.is_empty() {
        tiles.extend(delivery_tiles(result));
    }
    let operations: Vec<_> =
        result.operations.iter().filter(|operation| operation.kind != "transaction").collect();
    if !operations.is_empty() {
        tiles.extend(operation_tiles(result, &operations));
    }
    let late = &result.lateness;
    if !late.is_empty() {
        let detail = format!("p99 · max {}", time(late.max()));
        tiles.push(Fact::new("Generator lateness", time(late.percentile(99.0))).with(detail));
    }
    tiles
}

fn delivery_tiles(result: &RunResult) -> Vec<Fact> {
    let total = |of: fn(&DeliveryResult) -> u64| {
        result.deliveries.iter().map(of).fold(0, u64::saturating_add)
    };
    let (expected, delivered, lost) =
        (total(|d| d.expected), total(|d| d.delivered), total(|d| d.lost));
    let times = sum(result.deliveries.iter().map(|delivery| &delivery.times));
    let last = sum(result.deliveries.iter().map(|delivery| &delivery.last_reader));
    let faults = format!(
        "{} repeated · {} out of order",
        count(total(|d| d.duplicated)),
        count(total(|d| d.reordered))
    );
    let to_last = format!("max {}", time(last.max()));
    let tail = format!("p50 {} · max {}", time(times.percentile(50.0)), time(times.max()));
    vec![
        Fact::new("Delivered", count(delivered)).with(format!(
            "of {} · {}/s",
            count(expected),
            per_second(result, delivered)
        )),
        Fact::new("Lost", count(lost)).with(faults).bad_if(lost > 0),
        Fact::new("Delivery p99", time(times.percentile(99.0))).with(tail),
        Fact::new("Last reader p99", time(last.percentile(99.0))).with(to_last),
    ]
}

fn operation_tiles(result: &RunResult, operations: &[&OperationResult]) -> Vec<Fact> {
    let total = |of: fn(&OperationResult) -> u64| {
        operations.iter().map(|operation| of(operation)).fold(0, u64::saturating_add)
    };
    let (succeeded, failed) = (total(|o| o.succeeded), total(|o| o.failed));
    let all = succeeded.saturating_add(failed);
    let times = sum(operations.iter().map(|operation| &operation.times));
    let tail = format!("p50 {} · max {}", time(times.percentile(50.0)), time(times.max()));
    vec![
        Fact::new("Operations", count(all)).with(format!("{}/s", per_second(result, all))),
        Fact::new("Errors", percent(part(failed, all)))
            .with(format!("{} of {}", count(failed), count(all)))
            .bad_if(failed > 0),
        Fact::new("Operation p99", time(times.percentile(99.0))).with(tail),
    ]
}

/// What was run.
pub(super) fn what(result: &RunResult) -> Vec<Fact> {
    let meta = &result.meta;
    let mut facts = vec![
        Fact::new("Plan", &meta.plan).with(format!("SHA-256 {}", meta.plan_hash)),
        Fact::new("Seed", meta.seed.to_string()),
        Fact::new("Target", &meta.target)
            .with(meta.server.as_ref().map(|name| format!("server: {name}")).unwrap_or_default()),
        Fact::new("Protocol", &meta.protocol)
            .with(format!("{} connections", count(meta.connections))),
        Fact::new("Started", started(meta.started_unix_ms)),
        Fact::new("Measured", clock(meta.duration_ms)).with("without warm-up and drain"),
        Fact::new("Set-up", clock(meta.setup_ms)).with("first connection to last reader ready"),
    ];
    if !meta.properties.is_empty() {
        let given = meta.properties.iter().map(|(name, value)| format!("-J {name}={value}"));
        facts.push(Fact::new("Properties", given.collect::<Vec<_>>().join("  ")));
    }
    facts
}

/// What made the load.
pub(super) fn machine(result: &RunResult) -> Vec<Fact> {
    let meta = &result.meta;
    let threads = result.cores.len() as u64;
    let mut facts = vec![
        Fact::new("Generator", format!("thalweg {}", meta.version))
            .with(format!("{} threads", count(threads))),
        Fact::new("Machine", &meta.machine.cpu).with(format!(
            "{} processors for this process, {}",
            meta.machine.cpus,
            bytes(meta.machine.memory_bytes as f64)
        )),
        Fact::new("Kernel", &meta.machine.kernel),
        Fact::new("Memory used", bytes(meta.peak_rss_bytes as f64)).with("resident, at most"),
        Fact::new("CPU time", clock(meta.cpu_ms)),
    ];
    if let Some(ceiling) = &meta.ceiling {
        let figures = format!(
            "{} requests/s, {} deliveries/s per core",
            figure(ceiling.requests_per_second),
            figure(ceiling.deliveries_per_second)
        );
        facts.push(
            Fact::new("Calibrated limit", figures).with("against a server that does nothing"),
        );
    }
    if !meta.workers.is_empty() {
        facts.push(Fact::new("Workers", meta.workers.join(", ")));
    }
    facts
}

fn per_second(result: &RunResult, number: u64) -> String {
    figure(rate(number, result.meta.duration_ms))
}

/// Per second; none of a run without length.
pub(super) fn rate(number: u64, duration_ms: u64) -> f64 {
    part(number, duration_ms) * 1e3
}

fn started(unix_ms: u64) -> String {
    let timestamp = i64::try_from(unix_ms).ok();
    let timestamp = timestamp.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    timestamp.map_or_else(
        || format!("{unix_ms} ms after 1970"),
        |timestamp| timestamp.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}
