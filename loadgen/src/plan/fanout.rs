//! The main scenarios as plans: one publisher at a fixed rate and many live readers; and appends
//! as fast as so many connections can.
//!
//! Invariant: options that [`FanoutOptions::check`] takes make a plan that a file could say too.
//!
//! Deliberately absent: defaults of the command line that depend on more than these options.

mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use super::checks::{Metric, Operator, Threshold};
use super::element::Element;
use super::model::{
    Arrivals, Behaviour, Choice, DeliveryChecks, From, Group, Load, OnError, Payload, Piece, Plan,
    RateStage, Sampler, SamplerKind, Size, Step, StreamSet, Tail, TailMode, Template, UserStage,
};
use super::transport::Transport;
use super::{PlanError, http_names, limits};

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
    /// How the server is spoken to.
    pub transport: Transport,
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
            transport: Transport::default(),
        }
    }
}

impl FanoutOptions {
    /// Whether the plan can run.
    ///
    /// # Errors
    /// Names the first option that cannot be, its value, and what would be right.
    pub fn check(&self) -> Result<(), PlanError> {
        let root = &Element::ROOT;
        stream_url(&root.key("url"), &self.url)?;
        self.transport.check(root, &self.url)?;
        count("readers", self.readers, limits::MAX_USERS)?;
        count("streams", self.streams, limits::MAX_STREAMS)?;
        root.key("payload").at_most("bytes", self.payload_bytes, limits::MAX_PAYLOAD_BYTES)?;
        rate("rate", self.rate)?;
        rate("connect-rate", self.connect_rate)?;
        time("duration", self.duration)?;
        time("drain", self.drain)?;
        if self.duration.is_zero() {
            return Err(root.key("duration").value("0s", "more than nothing"));
        }
        if self.warm_up >= self.duration {
            let expected = format!("less than the duration, {:?}", self.duration);
            return Err(root.key("warm-up").value(format!("{:?}", self.warm_up), expected));
        }
        match &self.bearer {
            None => Ok(()),
            Some(token) => http_names::field_value(
                &root.key("token"),
                &Template(vec![Piece::Text(token.clone())]),
            ),
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
        transport: options.transport.clone(),
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
            live_path: None,
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

/// The URL of a base, and a path of a stream below it.
fn stream_url(at: &Element<'_>, url: &str) -> Result<(), PlanError> {
    http_names::base_url(at, url)?;
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    match url[authority..].rsplit_once('/') {
        Some((base, stream))
            if !base.ends_with('/') && http_names::stream_path(at, stream).is_ok() =>
        {
            Ok(())
        }
        _ => {
            let expected = "a URL that ends in the name of a stream, percent-encoded \
                            where it is not of ASCII letters, digits and -._~, like \
                            http://127.0.0.1:4437/v1/stream/x";
            Err(at.value(format_args!("{url:?}"), expected))
        }
    }
}

fn count(name: &'static str, value: u32, limit: u32) -> Result<(), PlanError> {
    let at = Element::ROOT.key(name);
    if value == 0 {
        return Err(at.value(value, format!("1 to {limit}")));
    }
    at.at_most(name, value, limit)
}

fn rate(name: &str, value: f64) -> Result<(), PlanError> {
    if (limits::MIN_RATE..=limits::MAX_RATE).contains(&value) {
        return Ok(());
    }
    let expected = format!("{} to {} per second", limits::MIN_RATE, limits::MAX_RATE);
    Err(Element::ROOT.key(name).value(value, expected))
}

fn time(name: &str, value: Duration) -> Result<(), PlanError> {
    if value <= limits::MAX_DURATION {
        return Ok(());
    }
    let days = limits::MAX_DURATION.as_secs() / 86_400;
    let expected = format!("at most {days} days");
    Err(Element::ROOT.key(name).value(format!("{value:?}"), expected))
}

#[cfg(test)]
mod tests {
    use super::super::{parse_thresholds, validate};
    use super::*;

    fn options() -> FanoutOptions {
        FanoutOptions { url: "http://h:1/v1/stream/x".into(), ..FanoutOptions::default() }
    }

    #[test]
    fn plans_like_any_other() {
        let plan = fanout(&options());
        options().check().unwrap();
        validate::check(&plan).unwrap();
        let (target, path) = (plan.target.as_str(), plan.streams[0].path.as_str());
        assert_eq!((target, path), ("http://h:1/v1/stream", "x"));
        for threshold in &plan.thresholds {
            assert_eq!(parse_thresholds(&threshold.text).unwrap(), std::slice::from_ref(threshold));
        }
        let url = options().url;
        validate::check(&append(&AppendOptions { url, ..AppendOptions::default() })).unwrap();
    }

    #[test]
    fn options_that_cannot_be() {
        let check = |change: fn(&mut FanoutOptions), want: &str| {
            let mut options = options();
            change(&mut options);
            let got = options.check().unwrap_err().to_string();
            assert!(got.contains(want), "{got}");
        };
        check(|o| o.readers = 0, "readers = 0: expected 1 to");
        check(|o| o.readers = u32::MAX, "readers are more than the");
        check(|o| o.streams = 0, "streams = 0: expected 1 to");
        check(|o| o.rate = 0.0, "rate = 0: expected");
        check(|o| o.rate = f64::NAN, "rate = NaN: expected");
        check(|o| o.connect_rate = -1.0, "connect-rate = -1: expected");
        check(|o| o.duration = Duration::ZERO, "duration = 0s: expected more than nothing");
        check(|o| o.drain = Duration::MAX, "expected at most 7 days");
        check(|o| o.payload_bytes = u32::MAX, "bytes are more than the");
        check(|o| o.bearer = Some("a\nb".into()), "token: a header field is one line");
        for url in
            ["x", "h/x", "http://h", "http://h/", "http://h/x/", "http://h//x", "http://h/a?b"]
        {
            let got = FanoutOptions { url: url.into(), ..options() }.check();
            assert!(got.unwrap_err().to_string().contains("expected a URL"), "{url}");
        }
    }
}
