//! `[telemetry]`: where metrics and spans are sent to.

use std::fmt;
use std::time::Duration;

use url::Url;

use super::error::ConfigError;
use super::limits::{DEFAULT_OTLP_INTERVAL, OTLP_INTERVAL};
use super::network;
use super::print::quoted;
use super::raw::{RawConfig, RawValue};
use super::resolve::{duration, field, refuse};
use super::value::{self, Share, show_duration};

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TelemetryConfig {
    /// The collector: `/v1/metrics` and `/v1/traces` are below it.
    pub endpoint: Url,
    /// How often metrics are sent.
    pub interval: Duration,
    /// Of which part of the requests spans are sent.
    pub trace_sample: Share,
    /// What the server calls itself.
    pub service_name: String,
}

impl TelemetryConfig {
    /// Of which requests spans are sent; `None`: of none.
    #[must_use]
    pub fn spans(&self) -> Option<Share> {
        Some(self.trace_sample).filter(|share| *share != Share::NONE)
    }
}

pub(super) fn resolve(raw: &RawConfig) -> Result<Option<TelemetryConfig>, ConfigError> {
    let Some(endpoint) = field("telemetry.otlp_endpoint", &raw.otlp_endpoint, network::url)? else {
        let others = [
            ("telemetry.interval", &raw.telemetry_interval),
            ("telemetry.trace_sample", &raw.trace_sample),
            ("telemetry.service_name", &raw.service_name),
        ];
        return match others.iter().find_map(|(name, raw)| Some((*name, raw.as_ref()?))) {
            Some((name, raw)) => Err(refuse(name, raw, "telemetry.otlp_endpoint beside it".into())),
            None => Ok(None),
        };
    };
    let text = |raw: &RawValue| value::text(raw).map(str::to_owned);
    let trace_sample = field("telemetry.trace_sample", &raw.trace_sample, value::share)?;
    let service_name = field("telemetry.service_name", &raw.service_name, text)?;
    Ok(Some(TelemetryConfig {
        endpoint,
        interval: duration(
            "telemetry.interval",
            &raw.telemetry_interval,
            &OTLP_INTERVAL,
            DEFAULT_OTLP_INTERVAL,
        )?,
        trace_sample: trace_sample.unwrap_or(Share::NONE),
        service_name: service_name.unwrap_or_else(|| DEFAULT_SERVICE_NAME.to_owned()),
    }))
}

impl fmt::Display for TelemetryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[telemetry]")?;
        writeln!(f, "otlp_endpoint = {}", quoted(&self.endpoint))?;
        writeln!(f, "interval = {}", quoted(show_duration(self.interval)))?;
        writeln!(f, "trace_sample = {}", self.trace_sample)?;
        writeln!(f, "service_name = {}", quoted(&self.service_name))
    }
}

const DEFAULT_SERVICE_NAME: &str = "thalweg";
