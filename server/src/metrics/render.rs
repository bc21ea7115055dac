//! From samples to text: OpenMetrics, and the older Prometheus format for those who do not ask for
//! it.
//!
//! Invariant: each family is shown once, with its help, in the order of [`FAMILIES`].

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::families::{FAMILIES, Family, Kind};
use super::snapshot::{Sample, Value};

/// The media type of [`open_metrics`].
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The media type of [`plain`].
pub const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// OpenMetrics 1.0.
#[must_use]
pub fn open_metrics(samples: Vec<Sample>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Samples(samples)));
    let mut out = String::new();
    // Writing to memory cannot fail.
    let _ = prometheus_client::encoding::text::encode(&mut out, &registry);
    out
}

/// Prometheus text 0.0.4. There the family of a counter has the name of its samples, and there is
/// no end mark.
#[must_use]
pub fn plain(samples: Vec<Sample>) -> String {
    let counters: Vec<&str> =
        FAMILIES.iter().filter(|family| family.kind == Kind::Counter).map(|f| f.name).collect();
    let mut out = String::new();
    for line in open_metrics(samples).lines() {
        let comment = ["# HELP ", "# TYPE "].iter().find(|prefix| line.starts_with(*prefix));
        match comment {
            Some(prefix) => {
                let rest = &line[prefix.len()..];
                let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                let suffix = if counters.contains(&name) { "_total" } else { "" };
                out.push_str(&format!("{prefix}{name}{suffix} {rest}\n"));
            }
            None if line.starts_with("# EOF") => {}
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

/// One scrape.
#[derive(Debug)]
struct Samples(Vec<Sample>);

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in FAMILIES {
            let mut of_family =
                self.0.iter().filter(|sample| sample.family.name == family.name).peekable();
            if of_family.peek().is_none() {
                continue;
            }
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut encoder = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for sample in of_family {
                let labels: Vec<(&str, &str)> =
                    sample.labels.iter().map(|(name, value)| (*name, value.as_ref())).collect();
                if labels.is_empty() {
                    encode_value(family, &sample.value, &mut encoder)?;
                } else {
                    encode_value(family, &sample.value, &mut encoder.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

fn encode_value(family: &Family, value: &Value, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
    match value {
        Value::Counter(value) => encoder.encode_counter::<NoLabelSet, _, f64>(value, None),
        Value::Gauge(value) => encoder.encode_gauge(value),
        Value::Histogram(counted) => {
            let bounded =
                counted.buckets.iter().map(|(bound, count)| (*bound as f64 / family.scale, *count));
            let buckets: Vec<(f64, u64)> =
                bounded.chain([(f64::INFINITY, counted.above)]).collect();
            let sum = counted.sum as f64 / family.scale;
            encoder.encode_histogram::<NoLabelSet>(sum, counted.count(), &buckets, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use smallvec::smallvec;

    use super::super::families;
    use super::super::histogram::Counts;
    use super::*;

    fn samples() -> Vec<Sample> {
        let counts = Counts::default();
        [1, 3, 1 << 20].into_iter().for_each(|value| counts.record(value));
        let core = || ("core", Cow::from("0"));
        vec![
            Sample::new(families::REFUSALS, smallvec![core(), ("code", "a-b".into())], 2.0),
            Sample {
                family: families::GROUP_RECORDS,
                labels: smallvec![core()],
                value: Value::Histogram(counts.counted()),
            },
            Sample::new(families::READY, smallvec![], 1.0),
        ]
    }

    #[test]
    fn open_metrics_name_families_without_suffix_and_end() {
        let text = open_metrics(samples());
        let begin = "# HELP thalweg_ready 1 while /readyz answers 200, otherwise 0\n\
                     # TYPE thalweg_ready gauge\nthalweg_ready 1.0\n# HELP thalweg_refusals ";
        assert!(text.starts_with(begin), "{text}");
        for line in [
            "# TYPE thalweg_refusals counter",
            "thalweg_refusals_total{core=\"0\",code=\"a-b\"} 2.0",
            "thalweg_log_group_records_bucket{le=\"1.0\",core=\"0\"} 1",
            "thalweg_log_group_records_bucket{le=\"4.0\",core=\"0\"} 2",
            "thalweg_log_group_records_bucket{le=\"+Inf\",core=\"0\"} 3",
            "thalweg_log_group_records_sum{core=\"0\"} 1048580.0",
            "thalweg_log_group_records_count{core=\"0\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn plain_text_names_counters_as_their_samples() {
        let text = plain(samples());
        assert!(text.contains("# TYPE thalweg_refusals_total counter\n"), "{text}");
        assert!(text.contains("# HELP thalweg_refusals_total Refusals"), "{text}");
        assert!(!text.contains("EOF"), "{text}");
    }
}
