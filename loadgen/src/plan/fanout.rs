//! The main scenarios as plans: one publisher at a fixed rate and many live readers; and appends
//! as fast as so many connections can.

use std::collections::BTreeMap;
use std::time::Duration;

use super::model::{
    Arrivals, Behaviour, Choice, DeliveryChecks, From, Group, Load, Metric, OnError, Operator,
    Payload, Piece, Plan, RateStage, Sampler, SamplerKind, Size, Step, StreamSet, Tail, TailMode,
    Template, Threshold, UserStage,
};

/// What can be said about it in one line.
#[derive(Clone, PartialEq, Debug)]
pub struct FanoutOptions {
    /// The stream, `http://host:port/v1/stream/name`.
    pub url: String,
    /// Live readers.
    pub readers: u32,
    /// Messages per second, over all streams.
    pub rate: f64,
    /// How long messages are published.
    pub duration: Duration,
    /// Of it, at the beginning: not measured.
    pub warm_up: Duration,
    /// How long after the last message deliveries still count.
    pub drain: Duration,
    /// How the readers read.
    pub mode: TailMode,
    /// Bytes of a message.
    pub payload_bytes: u32,
    /// Streams, `<url>/0` and so on if there are several; readers are spread over them.
    pub streams: u32,
    /// `Authorization: Bearer`.
    pub bearer: Option<String>,
    /// Of all choices.
    pub seed: u64,
    /// New connections per second.
    pub connect_rate: f64,
    /// Habits of the readers.
    pub behaviour: Behaviour,
}

impl Default for FanoutOptions {
    fn default() -> FanoutOptions {
        FanoutOptions {
            url: String::new(),
            readers: 100,
            rate: 5.0,
            duration: Duration::from_secs(60),
            warm_up: Duration::ZERO,
            drain: Duration::from_secs(10),
            mode: TailMode::Sse,
            payload_bytes: 100,
            streams: 1,
            bearer: None,
            seed: 1,
            connect_rate: 5_000.0,
            behaviour: Behaviour::default(),
        }
    }
}

/// The plan: its labels are `append` and `deliver`, and a lost, repeated or reordered message
/// fails it.
#[must_use]
pub fn fanout(options: &FanoutOptions) -> Plan {
    // Without a slash there is no base: the engine refuses the URL and says why.
    let (target, name) = options.url.rsplit_once('/').unwrap_or((&options.url, ""));
    Plan {
        name: "fanout".into(),
        seed: options.seed,
        target: target.to_owned(),
        warm_up: options.warm_up,
        drain: options.drain,
        connect_rate: options.connect_rate,
        timeout: Duration::from_secs(30),
        fields: Vec::new(),
        bearer: options.bearer.as_ref().map(|token| Template(vec![Piece::Text(token.clone())])),
        variables: BTreeMap::new(),
        streams: vec![StreamSet {
            name: "streams".into(),
            path: name.to_owned(),
            count: options.streams,
            choice: Choice::RoundRobin,
            content_type: "application/json".into(),
            create: true,
            delete: false,
        }],
        data: Vec::new(),
        groups: vec![publisher(options), readers(options)],
        thresholds: vec![
            none(Metric::Lost, "lost == 0"),
            none(Metric::Duplicated, "duplicated == 0"),
            none(Metric::Reordered, "reordered == 0"),
        ],
    }
}

/// Appends as fast as they are acknowledged.
#[derive(Clone, PartialEq, Debug)]
pub struct AppendOptions {
    /// The streams are `<url>/0` and so on.
    pub url: String,
    /// Connections, each with one request under way.
    pub connections: u32,
    /// Streams, which they take in turn.
    pub streams: u32,
    /// Bytes of a message.
    pub payload_bytes: u32,
    /// How long.
    pub duration: Duration,
}

impl Default for AppendOptions {
    fn default() -> AppendOptions {
        let (connections, streams, payload_bytes) = (64, 1000, 100);
        let duration = Duration::from_secs(10);
        AppendOptions { url: String::new(), connections, streams, payload_bytes, duration }
    }
}

/// The plan: a closed loop, which says how much a server takes and hides its stalls. Its label is
/// `append`.
#[must_use]
pub fn append(options: &AppendOptions) -> Plan {
    let AppendOptions { connections, streams, payload_bytes, duration, .. } = *options;
    let base = FanoutOptions { url: options.url.clone(), streams, ..FanoutOptions::default() };
    let payload = Payload::Stamped(Size::Constant(payload_bytes));
    let users = |duration| UserStage { duration, users: connections };
    let group = Group {
        name: "append".into(),
        load: Load::Closed {
            stages: vec![users(Duration::ZERO), users(duration)],
            iterations: None,
        },
        delay: Duration::ZERO,
        steps: vec![step("append", SamplerKind::Append { streams: 0, payload })],
        on_error: OnError::Continue,
    };
    let name = "append".to_owned();
    Plan { name, groups: vec![group], thresholds: Vec::new(), ..fanout(&base) }
}

fn publisher(options: &FanoutOptions) -> Group {
    let FanoutOptions { duration, rate, payload_bytes, .. } = *options;
    let payload = Payload::Stamped(Size::Constant(payload_bytes));
    Group {
        name: "publish".into(),
        load: Load::Open {
            stages: vec![RateStage { duration, from: rate, to: rate }],
            arrivals: Arrivals::Constant,
            max_in_flight: 10_000,
        },
        delay: Duration::ZERO,
        steps: vec![step("append", SamplerKind::Append { streams: 0, payload })],
        on_error: OnError::Continue,
    }
}

fn readers(options: &FanoutOptions) -> Group {
    let FanoutOptions { duration, readers, mode, behaviour, .. } = *options;
    let checks = DeliveryChecks::default();
    let tail = Tail { streams: 0, mode, from: From::Now, behaviour, checks };
    let (at_once, stay) = (Duration::ZERO, duration);
    Group {
        name: "readers".into(),
        load: Load::Closed {
            stages: vec![
                UserStage { duration: at_once, users: readers },
                UserStage { duration: stay, users: readers },
            ],
            iterations: None,
        },
        delay: Duration::ZERO,
        steps: vec![step("deliver", SamplerKind::Tail(tail))],
        on_error: OnError::Continue,
    }
}

fn step(label: &str, kind: SamplerKind) -> Step {
    Step::Sample(Box::new(Sampler {
        label: label.to_owned(),
        kind,
        fields: Vec::new(),
        assertions: Vec::new(),
        extractions: Vec::new(),
    }))
}

fn none(metric: Metric, text: &str) -> Threshold {
    let (label, operator, value) = (None, Operator::Equal, 0.0);
    Threshold { label, metric, operator, value, text: text.to_owned() }
}
