//! The few numbers that a script wants, under names that stay.
//!
//! Invariant: a field is never renamed, and its unit never changes; `docs/load/results.md` has
//! them all. Times are microseconds. A distribution of nothing has a count of 0 and `null`s.

use serde::Serialize;

use crate::result::{
    DeliveryResult, ErrorCount, GroupResult, Machine, Note, OperationResult, RunResult, Times,
    Verdict, thresholds, units,
};

/// Version of the summary; it changes only if a field goes.
pub const SUMMARY_FORMAT: u32 = 1;

/// A run in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// [`SUMMARY_FORMAT`].
    pub format: u32,
    /// Whether the run succeeded: thresholds and deliveries.
    pub passed: bool,
    /// The plan's name.
    pub plan: String,
    /// SHA-256 of the plan as it was resolved.
    pub plan_hash: String,
    /// Of all choices.
    pub seed: u64,
    /// The base URL.
    pub target: String,
    /// HTTP's version, and whether with TLS.
    pub protocol: String,
    /// Connections that were made for the load.
    pub connections: u64,
    /// RFC 3339, UTC: begin of the measured part.
    pub started: String,
    /// Length of the measured part.
    pub duration_s: f64,
    /// Until the last reader was set up.
    pub setup_s: f64,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// Programs that took part.
    pub versions: Versions,
    /// The machine that made the load.
    pub machine: Machine,
    /// Its kernel.
    pub kernel: String,
    /// Addresses of the workers of a distributed run.
    pub workers: Vec<String>,
    /// Largest resident memory of the generator.
    pub peak_rss_bytes: u64,
    /// CPU time of the generator.
    pub cpu_s: f64,
    /// Deliveries that should have happened.
    pub expected: u64,
    /// Those that did.
    pub delivered: u64,
    /// The difference.
    pub lost: u64,
    /// Of what a reader had already.
    pub duplicated: u64,
    /// After a message with a higher number.
    pub reordered: u64,
    /// Cut or garbled.
    pub damaged: u64,
    /// Connections made again.
    pub reconnects: u64,
    /// Readers that gave up.
    pub failed_readers: u64,
    /// Intended publish to delivery.
    pub delivery_us: Distribution,
    /// Intended publish to the last reader's delivery.
    pub last_reader_us: Distribution,
    /// Intended to actual start of operations.
    pub lateness_us: Distribution,
    /// By label.
    pub operations: Vec<OperationSummary>,
    /// By label.
    pub deliveries: Vec<DeliverySummary>,
    /// Groups of users.
    pub groups: Vec<GroupResult>,
    /// Failures by label and kind.
    pub errors: Vec<ErrorCount>,
    /// What a reader of the numbers must know.
    pub notes: Vec<Note>,
    /// How thresholds came out.
    pub thresholds: Vec<Verdict>,
}

/// Programs that took part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Versions {
    /// This one.
    pub thalweg: String,
    /// The server's `Server` field.
    pub server: Option<String>,
}

/// A distribution of times, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Distribution {
    /// How many.
    pub count: u64,
    /// The shortest.
    pub min: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
    /// The median.
    pub p50: Option<f64>,
    /// The 90th percentile.
    pub p90: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
    /// The 99.9th percentile.
    pub p99_9: Option<f64>,
    /// The 99.99th percentile.
    pub p99_99: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
}

impl Distribution {
    /// Of times.
    #[must_use]
    pub fn of(times: &Times) -> Distribution {
        // Unpacked once.
        let times = Times::from_histogram(times.histogram().into_owned());
        let us = |ns: f64| (!times.is_empty()).then_some((ns / 10.0).round() / 100.0);
        let at = |percentile| us(times.percentile(percentile) as f64);
        Distribution {
            count: times.count(),
            min: us(times.min() as f64),
            mean: us(times.mean()),
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p99_9: at(99.9),
            p99_99: at(99.99),
            max: us(times.max() as f64),
        }
    }
}

/// Operations with one label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OperationSummary {
    /// The label.
    pub label: String,
    /// The step's type.
    pub kind: String,
    /// As they should be.
    pub succeeded: u64,
    /// Not.
    pub failed: u64,
    /// That ended per second.
    pub rate: f64,
    /// Sent.
    pub bytes_sent: u64,
    /// Received.
    pub bytes_received: u64,
    /// Intended start to the end of the answer.
    pub latency_us: Distribution,
    /// Actual send to the end of the answer.
    pub service_us: Distribution,
    /// Intended start to the first byte of the answer.
    pub first_byte_us: Distribution,
    /// Time to connect.
    pub connect_us: Distribution,
}

/// Deliveries with one label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeliverySummary {
    /// The label.
    pub label: String,
    /// How its readers read.
    pub mode: String,
    /// How many.
    pub readers: u64,
    /// Deliveries that should have happened.
    pub expected: u64,
    /// Those that did.
    pub delivered: u64,
    /// The difference.
    pub lost: u64,
    /// Of what a reader had already.
    pub duplicated: u64,
    /// After a message with a higher number.
    pub reordered: u64,
    /// Cut or garbled.
    pub damaged: u64,
    /// Connections made again.
    pub reconnects: u64,
    /// Readers that gave up.
    pub failed_readers: u64,
    /// Deliveries per second.
    pub rate: f64,
    /// Intended publish to delivery.
    pub latency_us: Distribution,
    /// Intended publish to the last reader's delivery.
    pub last_reader_us: Distribution,
    /// Each reader's longest.
    pub reader_max_us: Distribution,
    /// Each reader's mean.
    pub reader_mean_us: Distribution,
    /// Connect to confirmation.
    pub setup_us: Distribution,
}

impl From<&RunResult> for Summary {
    fn from(result: &RunResult) -> Summary {
        let meta = &result.meta;
        let sum = |count: fn(&DeliveryResult) -> u64| result.deliveries.iter().map(count).sum();
        Summary {
            format: SUMMARY_FORMAT,
            passed: thresholds::passed(result),
            plan: meta.plan.clone(),
            plan_hash: meta.plan_hash.clone(),
            seed: meta.seed,
            target: meta.target.clone(),
            protocol: meta.protocol.clone(),
            connections: meta.connections,
            started: units::time_stamp(meta.started_unix_ms),
            duration_s: meta.duration_ms as f64 / 1e3,
            setup_s: meta.setup_ms as f64 / 1e3,
            interrupted: meta.interrupted,
            versions: Versions { thalweg: meta.version.clone(), server: meta.server.clone() },
            machine: meta.machine.clone(),
            kernel: meta.machine.kernel.clone(),
            workers: meta.workers.clone(),
            peak_rss_bytes: meta.peak_rss_bytes,
            cpu_s: meta.cpu_ms as f64 / 1e3,
            expected: sum(|delivery| delivery.expected),
            delivered: sum(|delivery| delivery.delivered),
            lost: sum(|delivery| delivery.lost),
            duplicated: sum(|delivery| delivery.duplicated),
            reordered: sum(|delivery| delivery.reordered),
            damaged: sum(|delivery| delivery.damaged),
            reconnects: sum(|delivery| delivery.reconnects),
            failed_readers: sum(|delivery| delivery.failed_readers),
            delivery_us: Distribution::of(&result.delivery_times()),
            last_reader_us: Distribution::of(&result.last_reader_times()),
            lateness_us: Distribution::of(&result.lateness),
            operations: result.operations.iter().map(|one| operation(one, result)).collect(),
            deliveries: result.deliveries.iter().map(|one| delivery(one, result)).collect(),
            groups: result.groups.clone(),
            errors: result.errors.clone(),
            notes: result.notes.clone(),
            thresholds: result.verdicts.clone(),
        }
    }
}

fn operation(of: &OperationResult, result: &RunResult) -> OperationSummary {
    OperationSummary {
        label: of.label.clone(),
        kind: of.kind.clone(),
        succeeded: of.succeeded,
        failed: of.failed,
        rate: of.total() as f64 / result.seconds(),
        bytes_sent: of.bytes_sent,
        bytes_received: of.bytes_received,
        latency_us: Distribution::of(&of.times),
        service_us: Distribution::of(&of.service),
        first_byte_us: Distribution::of(&of.first_byte),
        connect_us: Distribution::of(&of.connect),
    }
}

fn delivery(of: &DeliveryResult, result: &RunResult) -> DeliverySummary {
    DeliverySummary {
        label: of.label.clone(),
        mode: of.mode.clone(),
        readers: of.readers,
        expected: of.expected,
        delivered: of.delivered,
        lost: of.lost,
        duplicated: of.duplicated,
        reordered: of.reordered,
        damaged: of.damaged,
        reconnects: of.reconnects,
        failed_readers: of.failed_readers,
        rate: of.delivered as f64 / result.seconds(),
        latency_us: Distribution::of(&of.times),
        last_reader_us: Distribution::of(&of.last_reader),
        reader_max_us: Distribution::of(&of.reader_max),
        reader_mean_us: Distribution::of(&of.reader_mean),
        setup_us: Distribution::of(&of.setup),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::fixture::example;
    use serde_json::Value;

    /// Every path of fields, `operations[].latency_us.p99`.
    fn paths(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                    paths(value, &path, found);
                    found.push(path);
                }
            }
            Value::Array(values) => {
                values.iter().for_each(|value| paths(value, &format!("{at}[]"), found));
            }
            _ => {}
        }
    }

    #[test]
    fn every_field_is_documented() {
        let summary = serde_json::to_value(Summary::from(&example())).unwrap();
        let mut all = Vec::new();
        paths(&summary, "", &mut all);
        let docs = include_str!("../../../docs/load/results.md");
        let begin = docs.find("## summary.json").unwrap();
        let docs = &docs[begin..];
        let docs = &docs[..docs[3..].find("\n## ").map_or(docs.len(), |end| end + 3)];
        for path in all {
            // A distribution's fields are documented once, all others by their whole path.
            let name = match path.split_once("_us.") {
                Some((_, field)) => field.to_owned(),
                None => path,
            };
            assert!(docs.contains(&format!("| `{name}` |")), "{name} is not in results.md");
        }
    }

    #[test]
    fn it_stays_as_it_was() {
        let got = serde_json::to_string_pretty(&Summary::from(&example())).unwrap() + "\n";
        let path = "tests/golden/summary.json";
        if std::env::var_os("THALWEG_BLESS").is_some() {
            std::fs::write(path, &got).unwrap();
        }
        let expected = std::fs::read_to_string(path).unwrap();
        assert_eq!(got, expected, "if it is meant: THALWEG_BLESS=1 cargo test");
    }

    #[test]
    fn a_distribution_of_nothing_has_no_numbers() {
        let text = serde_json::to_string(&Distribution::of(&Times::new())).unwrap();
        assert!(text.starts_with("{\"count\":0,\"min\":null,"), "{text}");
    }
}
