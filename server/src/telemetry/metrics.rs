//! From samples to an export of metrics: the same families as `/metrics`, with the same names.

use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::export::{nanos, text};
use crate::metrics::families::{FAMILIES, Family, Kind};
use crate::metrics::{Sample, Value};

/// All samples, as counted since `started`.
pub(super) fn request(
    resource: &Resource,
    scope: &InstrumentationScope,
    samples: &[Sample],
    started: SystemTime,
) -> ExportMetricsServiceRequest {
    let times = Times { start: nanos(started), now: nanos(SystemTime::now()) };
    let families = FAMILIES.iter().filter_map(|family| {
        let of_family = samples.iter().filter(|sample| sample.family.name == family.name);
        let of_family: Vec<&Sample> = of_family.collect();
        (!of_family.is_empty()).then(|| metric(family, &of_family, times))
    });
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource.clone()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope.clone()),
                metrics: families.collect(),
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

#[derive(Clone, Copy)]
struct Times {
    start: u64,
    now: u64,
}

fn metric(family: &Family, samples: &[&Sample], times: Times) -> Metric {
    let cumulative = AggregationTemporality::Cumulative as i32;
    let numbers = || samples.iter().filter_map(|sample| number(sample, times)).collect();
    let data = match family.kind {
        Kind::Gauge => metric::Data::Gauge(Gauge { data_points: numbers() }),
        Kind::Counter => metric::Data::Sum(Sum {
            data_points: numbers(),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        Kind::Histogram => metric::Data::Histogram(Histogram {
            data_points: samples.iter().filter_map(|sample| histogram(sample, times)).collect(),
            aggregation_temporality: cumulative,
        }),
    };
    Metric {
        // Collectors add the suffix of counters by themselves.
        name: family.name.to_owned(),
        description: family.help.to_owned(),
        unit: unit(family.name).to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(sample: &Sample, times: Times) -> Option<NumberDataPoint> {
    let (Value::Counter(value) | Value::Gauge(value)) = sample.value else { return None };
    Some(NumberDataPoint {
        attributes: attributes(sample),
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    })
}

fn histogram(sample: &Sample, times: Times) -> Option<HistogramDataPoint> {
    let Value::Histogram(counted) = &sample.value else { return None };
    let scale = sample.family.scale;
    let counts = counted.buckets.iter().map(|(_, count)| *count);
    Some(HistogramDataPoint {
        attributes: attributes(sample),
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        count: counted.count(),
        sum: Some(counted.sum as f64 / scale),
        bucket_counts: counts.chain([counted.above]).collect(),
        explicit_bounds: counted.buckets.iter().map(|(bound, _)| *bound as f64 / scale).collect(),
        ..HistogramDataPoint::default()
    })
}

fn attributes(sample: &Sample) -> Vec<KeyValue> {
    sample.labels.iter().map(|(key, value)| text(key, value)).collect()
}

/// In the notation of UCUM, as the name says.
fn unit(name: &str) -> &'static str {
    match name.rsplit_once('_') {
        Some((_, "seconds")) => "s",
        Some((_, "bytes")) => "By",
        _ => "1",
    }
}
