//! The thread that sends.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use http::header::CONTENT_TYPE;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use tokio::runtime::Runtime;
use url::Url;

use super::{Signal, Telemetry, metrics, spans};
use crate::admin::Subject;
use crate::config::TelemetryConfig;
use crate::config::limits::{OTLP_SPAN_PAUSE, OTLP_STOP_TIMEOUT, OTLP_TIMEOUT, SPANS_PER_EXPORT};
use crate::version;

/// The running thread; dropping it does not end it.
pub struct Exporter {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

struct Work {
    config: TelemetryConfig,
    telemetry: Telemetry,
    subject: Subject,
    resource: Resource,
    started: SystemTime,
    client: reqwest::Client,
    runtime: Runtime,
    /// The collector did not take the last export of this signal.
    failing: [bool; 2],
}

impl Exporter {
    /// Begins to export.
    pub fn start(
        config: &TelemetryConfig,
        telemetry: &Telemetry,
        subject: &Subject,
        instance: &str,
    ) -> std::io::Result<Exporter> {
        // The process may have one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(OTLP_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(std::io::Error::other)?;
        let mut work = Work {
            config: config.clone(),
            telemetry: telemetry.clone(),
            subject: subject.clone(),
            resource: resource(&config.service_name, instance),
            started: SystemTime::now(),
            client,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            failing: [false; 2],
        };
        let (stop, stops) = mpsc::channel();
        let builder = std::thread::Builder::new().name("telemetry".to_owned());
        let thread = builder.spawn(move || work.run(&stops))?;
        Ok(Exporter { stop, thread })
    }

    /// Sends the spans that wait, for a moment at most, and ends.
    pub fn stop(self) {
        // It may have ended by a panic, which was printed there.
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

impl Work {
    fn run(&mut self, stops: &Receiver<()>) {
        let mut due = Instant::now();
        loop {
            if Instant::now() >= due {
                due = Instant::now() + self.config.interval;
                self.export_metrics();
            }
            self.export_spans(None);
            let pause = due.saturating_duration_since(Instant::now()).min(OTLP_SPAN_PAUSE);
            match stops.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                    return self.export_spans(Some(Instant::now() + OTLP_STOP_TIMEOUT));
                }
            }
        }
    }

    fn export_metrics(&mut self) {
        let samples = self.runtime.block_on(self.subject.samples());
        let request = metrics::request(&self.resource, &scope(), &samples, self.started);
        self.export(Signal::Metrics, request.encode_to_vec(), OTLP_TIMEOUT);
    }

    /// Sends what waits; before a time, if there is one.
    fn export_spans(&mut self, until: Option<Instant>) {
        let Some(queue) = self.telemetry.spans.clone() else { return };
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let waiting = queue.take(SPANS_PER_EXPORT);
            if waiting.is_empty() {
                return;
            }
            let count = waiting.len() as u64;
            let request = spans::request(&self.resource, &scope(), waiting);
            let patience = left.unwrap_or(OTLP_TIMEOUT).min(OTLP_TIMEOUT);
            if self.export(Signal::Traces, request.encode_to_vec(), patience) {
                self.telemetry
                    .counts
                    .0
                    .spans
                    .fetch_add(count, std::sync::atomic::Ordering::Relaxed);
            } else {
                queue.drop(count);
                return;
            }
        }
    }

    /// Whether the collector has taken it.
    fn export(&mut self, signal: Signal, body: Vec<u8>, patience: Duration) -> bool {
        let url = signal_url(&self.config.endpoint, signal);
        let request = self.client.post(url.clone()).timeout(patience);
        let request = request.header(CONTENT_TYPE, "application/x-protobuf").body(body);
        let sent = self.runtime.block_on(async {
            let answer = request.send().await?.error_for_status()?;
            // Read to its end, so that the connection can be used again.
            answer.bytes().await.map(drop)
        });
        self.telemetry.counts.exported(signal, sent.is_ok());
        let failed_before = std::mem::replace(&mut self.failing[signal as usize], sent.is_err());
        match sent {
            Err(error) if !failed_before => {
                let error = error.without_url();
                tracing::warn!(%url, %error, "the OTLP collector takes nothing; said once");
            }
            Ok(()) if failed_before => tracing::info!(%url, "the OTLP collector takes data again"),
            _ => {}
        }
        !self.failing[signal as usize]
    }
}

/// `{endpoint}/v1/{signal}`.
fn signal_url(endpoint: &Url, signal: Signal) -> Url {
    let mut url = endpoint.clone();
    let path = format!("{}/v1/{}", endpoint.path().trim_end_matches('/'), signal.name());
    url.set_path(&path);
    url
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "thalweg".to_owned(),
        version: version::NUMBER.to_owned(),
        ..InstrumentationScope::default()
    }
}

/// Which server this is.
fn resource(service_name: &str, instance: &str) -> Resource {
    let attributes = [
        ("service.name", service_name),
        ("service.version", version::NUMBER),
        ("service.instance.id", instance),
    ];
    Resource {
        attributes: attributes.into_iter().map(|(key, value)| text(key, value)).collect(),
        ..Resource::default()
    }
}

/// An attribute with a text.
pub(super) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

/// An attribute with a number.
pub(super) fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// Nanoseconds since 1970.
pub(super) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_may_have_a_path() {
        for (endpoint, want) in [
            ("http://a:4318", "http://a:4318/v1/metrics"),
            ("http://a:4318/", "http://a:4318/v1/metrics"),
            ("https://a/otlp/", "https://a/otlp/v1/metrics"),
        ] {
            let endpoint = Url::parse(endpoint).expect("a URL");
            assert_eq!(signal_url(&endpoint, Signal::Metrics).as_str(), want);
        }
    }
}
