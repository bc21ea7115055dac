//! One scrape: every core is asked at once, and waited for at most [`PATIENCE`].

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use smallvec::smallvec;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::{Inner, Running};
use crate::mailbox::Post;
use crate::mailbox::message::{Message, Note};
use crate::metrics::families;
use crate::metrics::{Sample, Snapshot, process};
use crate::tls::Keeper;
use crate::version;

/// How long cores may take: well below the 10 s that Prometheus waits by default.
const PATIENCE: Duration = Duration::from_secs(3);

/// All samples of the server.
pub(super) async fn samples(inner: &Inner) -> Vec<Sample> {
    let mut samples = server(inner);
    if let Some(running) = inner.running.get() {
        recovery(running, &mut samples);
        cores(&running.post, &mut samples).await;
    }
    quotas(inner, &mut samples);
    samples.extend(process::samples(inner.started));
    samples
}

fn server(inner: &Inner) -> Vec<Sample> {
    let health = &inner.shared.health;
    let access_log = &inner.shared.access_log;
    let version =
        smallvec![("version", Cow::from(version::NUMBER)), ("commit", Cow::from(version::COMMIT)),];
    let facts = smallvec![
        ("durability", Cow::from(health.durability().to_string())),
        ("io", Cow::from(health.driver().map_or("unknown", |driver| driver.name()))),
        ("cores", Cow::from(inner.cores.to_string())),
    ];
    let ready = if health.reasons().is_empty() { 1.0 } else { 0.0 };
    let reload_failed = inner.reload_failed.load(Ordering::Relaxed);
    let mut samples = vec![
        Sample::new(families::BUILD_INFO, version, 1.0),
        Sample::new(families::SERVER_INFO, facts, 1.0),
        Sample::new(families::READY, smallvec![], ready),
        Sample::new(families::RELOADED, smallvec![], f64::from(!reload_failed)),
        Sample::new(families::ACCESS_LINES, smallvec![], access_log.written() as f64),
        Sample::new(families::ACCESS_DROPPED, smallvec![], access_log.dropped() as f64),
    ];
    let telemetry = &inner.shared.telemetry;
    for (signal, result, count) in telemetry.counts.exports() {
        let labels = smallvec![("signal", Cow::from(signal)), ("result", Cow::from(result))];
        samples.push(Sample::new(families::OTLP_EXPORTS, labels, count as f64));
    }
    let (spans, dropped) = (telemetry.counts.spans() as f64, telemetry.dropped() as f64);
    samples.push(Sample::new(families::OTLP_SPANS, smallvec![], spans));
    samples.push(Sample::new(families::OTLP_DROPPED, smallvec![], dropped));
    if let Some(keeper) = &inner.shared.tls {
        certificates(keeper, &mut samples);
    }
    samples
}

fn certificates(keeper: &Keeper, samples: &mut Vec<Sample>) {
    let well = f64::from(!keeper.reload_failed());
    samples.push(Sample::new(families::TLS_RELOADED, smallvec![], well));
    for (file, until) in keeper.expiries() {
        let labels = smallvec![("certificate", Cow::from(file))];
        samples.push(Sample::new(families::CERTIFICATE_EXPIRY, labels, until as f64));
    }
}

fn recovery(running: &Running, samples: &mut Vec<Sample>) {
    for (family, value) in [
        (families::RECOVERY_SECONDS, running.recovery.as_secs_f64()),
        (families::RECOVERY_STREAMS, running.streams as f64),
        (families::RECOVERY_RECORDS, running.records as f64),
    ] {
        samples.push(Sample::new(family, smallvec![], value));
    }
}

fn quotas(inner: &Inner, samples: &mut Vec<Sample>) {
    for quota in inner.shared.limiting.get().quotas.iter() {
        let ((streams, most_streams), (bytes, most_bytes)) = (quota.streams(), quota.bytes());
        for (family, value) in [
            (families::QUOTA_STREAMS, Some(streams)),
            (families::QUOTA_STREAMS_LIMIT, most_streams),
            (families::QUOTA_BYTES, Some(bytes)),
            (families::QUOTA_BYTES_LIMIT, most_bytes),
        ] {
            let pattern = || smallvec![("pattern", Cow::from(quota.pattern.as_str().to_owned()))];
            samples.extend(value.map(|value| Sample::new(family, pattern(), value as f64)));
        }
    }
}

async fn cores(post: &Post, samples: &mut Vec<Sample>) {
    let asked: Vec<_> = (0..post.cores()).map(|core| ask(post, core)).collect();
    let deadline = Instant::now() + PATIENCE;
    for (core, answer) in asked.into_iter().enumerate() {
        let label = || ("core", Cow::from(core.to_string()));
        let depth = post.depth(core) as f64;
        samples.push(Sample::new(families::MAILBOX_DEPTH, smallvec![label()], depth));
        let snapshot = match answer {
            Some(answer) => timeout_at(deadline, answer).await.ok().and_then(Result::ok),
            None => None,
        };
        let up = if snapshot.is_some() { 1.0 } else { 0.0 };
        samples.push(Sample::new(families::CORE_UP, smallvec![label()], up));
        for mut sample in snapshot.into_iter().flat_map(|snapshot| snapshot.samples) {
            sample.labels.insert(0, label());
            samples.push(sample);
        }
    }
}

/// Asks a core for its numbers; `None` if its mailbox is full.
fn ask(post: &Post, core: usize) -> Option<oneshot::Receiver<Snapshot>> {
    let (reply, answer) = oneshot::channel();
    let message = Message::Tell(Note::Snapshot(reply));
    post.try_send_from_outside(core, message).ok().map(|()| answer)
}
