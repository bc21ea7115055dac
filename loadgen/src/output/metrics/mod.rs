//! A run as Prometheus sees it, while it runs.
//!
//! Pure: from a [`Progress`] to OpenMetrics text. [`serve`] answers scrapes with it.
//!
//! Invariant: names begin with `thalweg_load_`, times are seconds, counters only rise.

mod server;

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

pub use server::{MetricsServer, serve};

use crate::live::{Phase, Progress};

/// The OpenMetrics text of a run as it stands.
#[must_use]
pub fn text(progress: &Progress) -> String {
    let mut registry = Registry::with_prefix("thalweg_load");
    registry.register_collector(Box::new(Snapshot(progress.clone())));
    let mut out = String::new();
    // Writing to memory cannot fail.
    let _ = prometheus_client::encoding::text::encode(&mut out, &registry);
    out
}

/// One scrape.
#[derive(Debug)]
struct Snapshot(Progress);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let progress = &self.0;
        let out = &mut encoder;
        let phases = Phases(progress.phase);
        family(out, "phase", "What the run is doing", MetricType::Gauge, phases.each())?;
        gauge(out, "phase_elapsed_seconds", "Since its begin", progress.elapsed_ms as f64 / 1e3)?;
        gauge(out, "users", "Virtual users", progress.users as f64)?;
        gauge(out, "readers", "Connected live readers", progress.readers as f64)?;
        gauge(out, "readers_wanted", "Live readers of the plan", progress.readers_wanted as f64)?;
        gauge(out, "in_flight", "Requests without an answer", progress.in_flight as f64)?;
        labels(out, progress)?;
        let errors = progress.errors.iter().map(|error| {
            let labels = vec![("label", error.label.clone()), ("kind", error.kind.clone())];
            (labels, ConstCounter::new(error.count))
        });
        family(out, "errors", "Failures by kind", MetricType::Counter, errors)?;
        let help = "Lost, repeated and reordered deliveries";
        ConstCounter::new(progress.faults).encode(out.encode_descriptor(
            "delivery_faults",
            help,
            None,
            MetricType::Counter,
        )?)?;
        let of_core = |value: fn(&crate::live::CoreProgress) -> f64| {
            progress
                .cores
                .iter()
                .map(move |core| (vec![("core", core.name.clone())], ConstGauge::new(value(core))))
        };
        let help = "Operations and deliveries per second of a thread of the generator";
        family(out, "core_rate", help, MetricType::Gauge, of_core(|core| core.per_second))?;
        let help = "How late a thread of the generator starts operations, 99th percentile";
        let lateness = of_core(|core| core.lateness_p99 as f64 / NS_PER_S);
        family(out, "core_lateness_seconds", help, MetricType::Gauge, lateness)
    }
}

/// What there is by label.
fn labels(out: &mut DescriptorEncoder<'_>, progress: &Progress) -> fmt::Result {
    let of = |deliveries: bool, value: fn(&crate::live::LabelProgress) -> u64| {
        progress.labels.iter().filter(move |label| label.deliveries == deliveries).map(
            move |label| (vec![("label", label.label.clone())], ConstCounter::new(value(label))),
        )
    };
    let ended = of(false, |label| label.total);
    family(out, "operations", "Operations that ended", MetricType::Counter, ended)?;
    let failed = of(false, |label| label.failed);
    family(out, "failed_operations", "Operations that failed", MetricType::Counter, failed)?;
    let delivered = of(true, |label| label.total);
    family(out, "deliveries", "Messages that readers got", MetricType::Counter, delivered)?;
    let latencies =
        progress.labels.iter().filter(|label| !label.last.is_empty()).flat_map(|label| {
            QUANTILES.map(|quantile| {
                let ns = label.last.percentile(quantile * 100.0);
                let labels =
                    vec![("label", label.label.clone()), ("quantile", quantile.to_string())];
                (labels, ConstGauge::new(ns as f64 / NS_PER_S))
            })
        });
    let help = "Latency within the last second, from the intended start";
    family(out, "latency_seconds", help, MetricType::Gauge, latencies)
}

fn gauge(out: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    ConstGauge::new(value).encode(out.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

/// One metric with all its label sets.
fn family<M: EncodeMetric>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    kind: MetricType,
    values: impl Iterator<Item = (Vec<(&'static str, String)>, M)>,
) -> fmt::Result {
    let mut encoder = out.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in values {
        value.encode(encoder.encode_family(&labels)?)?;
    }
    Ok(())
}

/// The phase as one gauge per phase, 1 for what it is.
struct Phases(Phase);

impl Phases {
    fn each(&self) -> impl Iterator<Item = (Vec<(&'static str, String)>, ConstGauge<f64>)> {
        let now = self.0;
        PHASES.into_iter().map(move |(phase, name)| {
            let value = if phase == now { 1.0 } else { 0.0 };
            (vec![("phase", name.to_owned())], ConstGauge::new(value))
        })
    }
}

const PHASES: [(Phase, &str); 5] = [
    (Phase::SettingUp, "setting-up"),
    (Phase::WarmUp, "warm-up"),
    (Phase::Running, "running"),
    (Phase::Draining, "draining"),
    (Phase::Done, "done"),
];
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
const NS_PER_S: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{CoreProgress, LabelProgress};
    use crate::result::{ErrorCount, Times};

    pub(super) fn progress() -> Progress {
        let mut last = Times::new();
        (1..=1000).for_each(|ms| last.record(ms * 1_000_000));
        let label = |label: &str, deliveries| LabelProgress {
            label: label.to_owned(),
            deliveries,
            total: 1000,
            failed: 2,
            last: last.clone(),
            ..LabelProgress::default()
        };
        Progress {
            phase: Phase::Running,
            elapsed_ms: 1500,
            users: 7,
            labels: vec![label("say \"hi\"", false), label("tail", true)],
            cores: vec![CoreProgress {
                name: "0".to_owned(),
                per_second: 5.0,
                lateness_p99: 40_000,
            }],
            errors: vec![ErrorCount {
                label: "say".to_owned(),
                kind: "status 503".to_owned(),
                count: 2,
                example: String::new(),
            }],
            faults: 3,
            ..Progress::default()
        }
    }

    #[test]
    fn the_text() {
        let text = text(&progress());
        for line in [
            "# TYPE thalweg_load_phase gauge",
            "thalweg_load_phase{phase=\"running\"} 1.0",
            "thalweg_load_phase{phase=\"done\"} 0.0",
            "thalweg_load_phase_elapsed_seconds 1.5",
            "thalweg_load_users 7.0",
            "thalweg_load_operations_total{label=\"say \\\"hi\\\"\"} 1000",
            "thalweg_load_failed_operations_total{label=\"say \\\"hi\\\"\"} 2",
            "thalweg_load_deliveries_total{label=\"tail\"} 1000",
            "thalweg_load_errors_total{label=\"say\",kind=\"status 503\"} 2",
            "thalweg_load_delivery_faults_total 3",
            "thalweg_load_core_lateness_seconds{core=\"0\"} 0.00004",
        ] {
            assert!(text.lines().any(|got| got == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("latency_seconds{label=\"tail\",quantile=\"0.5\"} 0.500"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
