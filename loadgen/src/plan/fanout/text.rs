//! The main scenario as the text of a plan: to read, to change, and to send to workers.
//!
//! Invariant: the text resolves to the very plan that [`fanout`](super::fanout) makes, but for the
//! token.
//!
//! Deliberately absent: the token, so that no report shows it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::FanoutOptions;
use crate::plan::{PlanFormat, PlanSource, TailMode, Transport};

impl FanoutOptions {
    /// The plan as a source. Only options that [`check`](FanoutOptions::check) takes make one that
    /// resolves.
    #[must_use]
    pub fn source(&self) -> PlanSource {
        PlanSource {
            file: "fanout.toml".into(),
            format: PlanFormat::Toml,
            text: self.text(),
            properties: BTreeMap::new(),
            data: BTreeMap::new(),
            skip_unknown: false,
        }
    }

    fn text(&self) -> String {
        let (target, path) = self.url.rsplit_once('/').unwrap_or((&self.url, ""));
        let FanoutOptions { rate, readers, streams, seed, connect_rate, payload_bytes, .. } = self;
        let (target, path) = (quoted(target), quoted(path));
        // TOML's integers have a sign; as text it is the same number.
        let seed = i64::try_from(*seed).map_or_else(|_| format!("\"{seed}\""), |n| n.to_string());
        let (duration, tail) = (time(self.duration), self.tail());
        let (warm_up, drain) = (time(self.warm_up), time(self.drain));
        let transport = self.transport();
        format!(
            r#"target = {target}
seed = {seed}
warm_up = {warm_up} # part of the duration
drain = {drain}
connect_rate = {connect_rate}
{transport}thresholds = ["lost == 0", "duplicated == 0", "reordered == 0"]

[[streams]]
name = "streams"
path = {path}
count = {streams}
choice = "round-robin"

[[groups]]
name = "publish"
rate = {rate}
duration = {duration}
steps = [{{ label = "append", append = {{ size = {payload_bytes} }} }}]

[[groups]]
name = "readers"
users = {readers}
hold = {duration}
steps = [{{ label = "deliver", tail = {{ {tail} }} }}]
"#
        )
    }

    /// Lines, each with its end.
    fn transport(&self) -> String {
        let Transport { http2, readers_per_connection, ca, insecure_skip_verify } = &self.transport;
        let readers = format!("http2 = true\nreaders_per_connection = {readers_per_connection}\n");
        let ca = ca.as_ref().map(|ca| format!("ca = {}\n", quoted(&ca.to_string_lossy())));
        let skips = insecure_skip_verify.then(|| "insecure_skip_verify = true\n".to_owned());
        [http2.then_some(readers), ca, skips].into_iter().flatten().collect()
    }

    fn tail(&self) -> String {
        let mode = match self.mode {
            TailMode::Sse => "mode = \"sse\"".to_owned(),
            TailMode::Events => "mode = \"events\"".to_owned(),
            TailMode::LongPoll => "mode = \"long-poll\"".to_owned(),
            TailMode::CatchUp { pause } => format!("mode = \"catch-up\", pause = {}", time(pause)),
        };
        let of = |name: &str, value: Duration| format!(", {name} = {}", time(value));
        let behaviour = &self.behaviour;
        let storm = behaviour.storm_every.map(|every| of("storm_every", every));
        let stay = behaviour.stay.map(|stay| of("stay", stay) + &of("away", behaviour.away));
        let slow = behaviour.bytes_per_second.map(|rate| format!(", bytes_per_second = {rate}"));
        [Some(mode), storm, stay, slow].into_iter().flatten().collect()
    }
}

/// A TOML string that stands for itself, also where it looks like a reference to a variable.
fn quoted(text: &str) -> String {
    toml::Value::String(text.replace("${", "\\${")).to_string()
}

/// In the largest unit that is exact.
fn time(value: Duration) -> String {
    let ns = value.as_nanos();
    let units = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
    let exact = units.into_iter().find(|(_, length)| ns.is_multiple_of(*length));
    let (unit, length) = exact.unwrap_or(("ns", 1));
    format!("\"{}{unit}\"", ns / length)
}

#[cfg(test)]
mod tests {
    use super::super::fanout;
    use super::*;
    use crate::plan::Behaviour;

    fn options() -> FanoutOptions {
        FanoutOptions { url: "http://h:1/v1/stream/x".into(), ..FanoutOptions::default() }
    }

    #[test]
    fn the_text_is_the_plan() {
        let check = |change: fn(&mut FanoutOptions)| {
            let mut options = options();
            change(&mut options);
            options.check().unwrap();
            let source = options.source();
            let resolved = source.resolve().unwrap_or_else(|e| panic!("{e}\n{}", source.text));
            assert_eq!(resolved.plan, fanout(&options), "{}", source.text);
        };
        check(|_| {});
        check(|o| (o.readers, o.streams, o.seed, o.payload_bytes) = (1_000_000, 1000, 9, 7000));
        check(|o| o.seed = u64::MAX);
        check(|o| (o.rate, o.connect_rate) = (0.000_001, 9_999_999.75));
        check(|o| (o.duration, o.warm_up) = (Duration::from_nanos(1), Duration::ZERO));
        check(|o| {
            (o.duration, o.warm_up) = (Duration::from_millis(1500), Duration::from_micros(7));
        });
        check(|o| (o.duration, o.drain) = (Duration::from_secs(7 * 86_400), Duration::ZERO));
        check(|o| o.mode = TailMode::Events);
        check(|o| o.mode = TailMode::LongPoll);
        check(|o| o.mode = TailMode::CatchUp { pause: Duration::from_millis(250) });
        check(|o| o.url = "http://[::1]:4437/a$b/${x}/%20'y".into());
        check(|o| (o.transport.http2, o.transport.readers_per_connection) = (true, 7));
        check(|o| {
            o.url = "https://h/x".into();
            o.transport.ca = Some("/a b/\"ca\".pem".into());
        });
        check(|o| {
            o.url = "https://h/x".into();
            o.transport.insecure_skip_verify = true;
        });
        check(|o| {
            o.behaviour = Behaviour {
                storm_every: Some(Duration::from_secs(20)),
                stay: Some(Duration::from_millis(1500)),
                away: Duration::from_millis(300),
                bytes_per_second: Some(4096),
            };
        });
    }

    #[test]
    fn no_token_is_in_the_text() {
        let bearer = Some("secret".to_owned());
        let source = FanoutOptions { bearer, ..options() }.source();
        assert!(!source.text.contains("secret"));
    }
}
