//! The main scenario as a plan: one publisher, many live readers.
//!
//! Invariant: what these options say is what a plan file could say too.
//!
//! Deliberately absent: defaults of the command line.

use std::collections::BTreeMap;
use std::time::Duration;

use super::element::Element;
use super::{
    Arrivals, Behaviour, Choice, DeliveryChecks, From, Group, Load, Metric, OnError, Operator,
    Payload, Piece, Plan, PlanError, RateStage, Sampler, SamplerKind, Size, Step, StreamSet, Tail,
    TailMode, Template, Threshold, UserStage, http_names, limits,
};

/// The scenario.
#[derive(Clone, PartialEq, Debug)]
pub struct FanoutOptions {
    /// The stream: `http://host:port/v1/stream/name`.
    pub url: String,
    /// Live readers, over all streams.
    pub readers: u32,
    /// Messages per second, over all streams.
    pub rate: f64,
    /// Of the measured part.
    pub duration: Duration,
    /// Before it, with the same load.
    pub warm_up: Duration,
    /// How readers read.
    pub mode: TailMode,
    /// Bytes of a message.
    pub payload: u32,
    /// Streams; with more than one, `<url>/0` and so on. Readers and messages go to them in turn.
    pub streams: u32,
    /// `Authorization: Bearer`.
    pub token: Option<String>,
    /// Of all choices.
    pub seed: u64,
    /// New connections per second.
    pub connect_rate: f64,
    /// How long deliveries may arrive after the last message.
    pub drain: Duration,
    /// Habits of the readers.
    pub behaviour: Behaviour,
}

/// The scenario as a plan: the group `publish` with the label `append`, and the group `readers`
/// with the label `deliver`, of which nothing may be lost, repeated or reordered.
///
/// # Errors
/// Names the option that cannot be, its value, and what would be right.
pub fn fanout(options: &FanoutOptions) -> Result<Plan, PlanError> {
    let (target, path) = target_and_stream(&options.url)?;
    check(options)?;
    let all = options.warm_up.saturating_add(options.duration);
    let publish = Load::Open {
        stages: vec![RateStage { duration: all, from: options.rate, to: options.rate }],
        arrivals: Arrivals::Constant,
        max_in_flight: limits::DEFAULT_IN_FLIGHT,
    };
    let stay = |duration| UserStage { duration, users: options.readers };
    let read = Load::Closed { stages: vec![stay(Duration::ZERO), stay(all)], iterations: None };
    let payload = Payload::Stamped(Size::Constant(options.payload));
    let tail = Tail {
        streams: 0,
        mode: options.mode,
        from: From::Now,
        behaviour: options.behaviour,
        checks: DeliveryChecks::default(),
    };
    Ok(Plan {
        name: "fanout".to_owned(),
        seed: options.seed,
        target,
        warm_up: options.warm_up,
        drain: options.drain,
        connect_rate: options.connect_rate,
        timeout: TIMEOUT,
        fields: Vec::new(),
        bearer: options.token.as_ref().map(|token| Template(vec![Piece::Text(token.clone())])),
        variables: BTreeMap::new(),
        streams: vec![StreamSet {
            name: "stream".to_owned(),
            path,
            count: options.streams,
            choice: Choice::RoundRobin,
            content_type: "application/json".to_owned(),
            create: true,
            delete: false,
        }],
        data: Vec::new(),
        groups: vec![
            group("publish", publish, "append", SamplerKind::Append { streams: 0, payload }),
            group("readers", read, DELIVER, SamplerKind::Tail(tail)),
        ],
        thresholds: vec![
            none(Metric::Lost, "lost"),
            none(Metric::Duplicated, "duplicated"),
            none(Metric::Reordered, "reordered"),
        ],
    })
}

fn group(name: &str, load: Load, label: &str, kind: SamplerKind) -> Group {
    let sampler = Sampler {
        label: label.to_owned(),
        kind,
        fields: Vec::new(),
        assertions: Vec::new(),
        extractions: Vec::new(),
    };
    Group {
        name: name.to_owned(),
        load,
        delay: Duration::ZERO,
        steps: vec![Step::Sample(Box::new(sampler))],
        on_error: OnError::Continue,
    }
}

fn none(metric: Metric, name: &str) -> Threshold {
    let text = format!("{DELIVER}: {name} == 0");
    let label = Some(DELIVER.to_owned());
    Threshold { label, metric, operator: Operator::Equal, value: 0.0, text }
}

/// The last segment of the path is the stream.
fn target_and_stream(url: &str) -> Result<(String, String), PlanError> {
    let at = Element::ROOT.key("url");
    let whole = http_names::base_url(&at, url)?;
    let after_scheme = whole.find("://").map_or(0, |at| at + 3);
    let stream = whole[after_scheme..].rsplit_once('/').map(|(_, stream)| stream.to_owned());
    let Some(stream) = stream else {
        let expected = "a URL with the path of a stream, like http://127.0.0.1:4437/v1/stream/x";
        return Err(at.value(format_args!("{url:?}"), expected));
    };
    http_names::stream_path(&at, &stream)?;
    let base = &whole[..whole.len() - stream.len() - 1];
    Ok((base.trim_end_matches('/').to_owned(), stream))
}

fn check(options: &FanoutOptions) -> Result<(), PlanError> {
    let root = &Element::ROOT;
    let count = |name: &'static str, value: u32, limit: u32| {
        let at = root.key(name);
        if value == 0 {
            return Err(at.value(value, format!("1 to {limit}")));
        }
        at.at_most(name, value, limit)
    };
    count("readers", options.readers, limits::MAX_USERS)?;
    count("streams", options.streams, limits::MAX_STREAMS)?;
    root.key("payload").at_most("bytes", options.payload, limits::MAX_PAYLOAD_BYTES)?;
    for (name, rate) in [("rate", options.rate), ("connect-rate", options.connect_rate)] {
        if !(limits::MIN_RATE..=limits::MAX_RATE).contains(&rate) {
            let expected = format!("{} to {} per second", limits::MIN_RATE, limits::MAX_RATE);
            return Err(root.key(name).value(rate, expected));
        }
    }
    let times =
        [("duration", options.duration), ("warm-up", options.warm_up), ("drain", options.drain)];
    for (name, time) in times {
        if time > limits::MAX_DURATION || (name == "duration" && time.is_zero()) {
            let days = limits::MAX_DURATION.as_secs() / 86_400;
            let expected = format!("more than nothing, and at most {days} days");
            return Err(root.key(name).value(format!("{time:?}"), expected));
        }
    }
    let Some(token) = &options.token else { return Ok(()) };
    let token = Template(vec![Piece::Text(token.clone())]);
    http_names::field_value(&root.key("token"), &token)
}

const DELIVER: &str = "deliver";
const TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> FanoutOptions {
        FanoutOptions {
            url: url.to_owned(),
            readers: 10_000,
            rate: 5.0,
            duration: Duration::from_secs(60),
            warm_up: Duration::from_secs(2),
            mode: TailMode::Sse,
            payload: 100,
            streams: 1,
            token: None,
            seed: 1,
            connect_rate: 2000.0,
            drain: Duration::from_secs(5),
            behaviour: Behaviour::default(),
        }
    }

    #[test]
    fn a_plan_like_any_other() {
        let plan = fanout(&options("http://h:1/v1/stream/x")).unwrap();
        super::super::check::check(&plan).unwrap();
        assert_eq!(
            (plan.target.as_str(), plan.streams[0].path.as_str()),
            ("http://h:1/v1/stream", "x")
        );
        for group in &plan.groups {
            let length: Duration = match &group.load {
                Load::Open { stages, .. } => stages.iter().map(|stage| stage.duration).sum(),
                Load::Closed { stages, .. } => stages.iter().map(|stage| stage.duration).sum(),
            };
            assert_eq!(length, Duration::from_secs(62), "{}", group.name);
        }
        let parsed = plan
            .thresholds
            .iter()
            .flat_map(|threshold| super::super::parse_thresholds(&threshold.text).unwrap());
        assert_eq!(parsed.collect::<Vec<_>>(), plan.thresholds);
    }

    #[test]
    fn urls() {
        let check = |url: &str, want: Option<(&str, &str)>| {
            let got = target_and_stream(url).ok();
            let want = want.map(|(target, stream)| (target.to_owned(), stream.to_owned()));
            assert_eq!(got, want, "{url}");
        };
        check("http://h:1/v1/stream/x", Some(("http://h:1/v1/stream", "x")));
        check("http://h/x", Some(("http://h", "x")));
        check("http://h/x/", Some(("http://h", "x")));
        check("http://h/", None);
        check("http://h", None);
        check("http://h/a//x", Some(("http://h/a", "x")));
        check("h/x", None);
    }

    #[test]
    fn options_that_cannot_be() {
        let check = |change: fn(&mut FanoutOptions), want: &str| {
            let mut options = options("http://h/x");
            change(&mut options);
            let got = fanout(&options).unwrap_err().to_string();
            assert!(got.contains(want), "{got}");
        };
        check(|o| o.readers = 0, "readers = 0: expected 1 to");
        check(|o| o.readers = u32::MAX, "readers are more than the");
        check(|o| o.streams = 0, "streams = 0: expected 1 to");
        check(|o| o.rate = 0.0, "rate = 0: expected");
        check(|o| o.rate = f64::NAN, "rate = NaN: expected");
        check(|o| o.duration = Duration::ZERO, "duration = 0ns: expected more than nothing");
        check(|o| o.payload = u32::MAX, "bytes are more than the");
        check(|o| o.token = Some("a\nb".into()), "token: a header field is one line");
        check(|o| o.url = "x".into(), "expected a URL like");
    }
}
