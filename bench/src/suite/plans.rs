//! The plans that suites have in common.

use std::time::Duration;

use thalweg_loadgen::plan::{
    self, AppendOptions, FanoutOptions, Group, Load, OnError, Payload, Piece, Plan, Sampler,
    SamplerKind, Size, Step, TailMode, Template, UserStage,
};

/// Bytes of a message.
pub(super) const MESSAGE_BYTES: u32 = 100;
/// Not measured, at the begin of every run: the contestant and the machine get warm.
pub(super) const WARM_UP: Duration = Duration::from_secs(1);

/// Live readers of one stream.
#[derive(Clone, Copy)]
pub(super) struct Fanout {
    pub(super) readers: u32,
    /// Messages per second.
    pub(super) rate: f64,
    /// Measured.
    pub(super) seconds: u64,
    pub(super) mode: TailMode,
}

impl Fanout {
    /// One publisher at a fixed rate, and the readers.
    pub(super) fn plan(self, url: String) -> Plan {
        let Fanout { readers, rate, seconds, mode } = self;
        plan::fanout(&FanoutOptions {
            url,
            readers,
            rate,
            duration: Duration::from_secs(seconds) + WARM_UP,
            warm_up: WARM_UP,
            mode,
            payload_bytes: MESSAGE_BYTES,
            ..FanoutOptions::default()
        })
    }

    /// As a title says it.
    pub(super) fn said(self) -> String {
        let mode = match self.mode {
            TailMode::Sse => "SSE",
            TailMode::LongPoll => "long-poll",
            TailMode::Events => "plain SSE",
            TailMode::CatchUp { .. } => "catch-up",
        };
        let readers = crate::figures::written(f64::from(self.readers));
        format!("{readers} {mode} readers, {} messages/s of {MESSAGE_BYTES} bytes", self.rate)
    }

    /// Descriptors of the generator.
    pub(super) fn descriptors(self) -> u64 {
        u64::from(self.readers) + SPARE_DESCRIPTORS
    }
}

/// Appends as fast as they are answered.
#[derive(Clone, Copy)]
pub(super) struct Appends {
    pub(super) connections: u32,
    pub(super) streams: u32,
    pub(super) seconds: u64,
    /// Messages of a request: a JSON array if there are several.
    pub(super) batch: u32,
}

impl Appends {
    pub(super) fn plan(self, url: String) -> Plan {
        let Appends { connections, streams, seconds, batch } = self;
        let duration = Duration::from_secs(seconds) + WARM_UP;
        let payload_bytes = MESSAGE_BYTES;
        let options = AppendOptions { url, connections, streams, payload_bytes, duration };
        let mut plan = plan::append(&options);
        plan.warm_up = WARM_UP;
        if batch > 1 {
            let payload = Payload::Stamped(Size::Constant(payload_bytes));
            let kind = SamplerKind::AppendBatch { streams: 0, payload, messages: batch };
            plan.groups[0].steps = vec![step("append", kind)];
        }
        plan
    }
}

/// So many appends by each user, then the end.
pub(super) fn some_appends(
    url: String,
    streams: u32,
    users: u32,
    each: u64,
    payload_bytes: u32,
) -> Plan {
    let options = AppendOptions { url, connections: users, streams, payload_bytes, duration: HOUR };
    let mut plan = plan::append(&options);
    if let Load::Closed { iterations, .. } = &mut plan.groups[0].load {
        // Its hour is over as soon as all users have done theirs.
        *iterations = Some(each);
    }
    plan
}

/// Reads of whole streams, `<url>/1` and so on: one for each user.
pub(super) fn reads(base_url: &str, name: &str, users: u32, seconds: u64) -> Plan {
    let mut path = vec![Piece::Text(format!("{name}/")), Piece::UserNumber];
    path.push(Piece::Text("?offset=-1".to_owned()));
    let kind = SamplerKind::Http {
        method: "GET".to_owned(),
        path: Template(path),
        body: Template::default(),
    };
    let duration = Duration::from_secs(seconds) + WARM_UP;
    let stages = vec![UserStage { duration: Duration::ZERO, users }, UserStage { duration, users }];
    let group = Group {
        name: "read".into(),
        load: Load::Closed { stages, iterations: None },
        delay: Duration::ZERO,
        steps: vec![step("read", kind)],
        on_error: OnError::Continue,
    };
    let options = AppendOptions { url: format!("{base_url}/{name}"), ..AppendOptions::default() };
    let mut plan = plan::append(&options);
    plan.name = "read".to_owned();
    plan.warm_up = WARM_UP;
    plan.streams.clear();
    plan.groups = vec![group];
    plan
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

const HOUR: Duration = Duration::from_secs(3600);
/// Beside the readers'.
const SPARE_DESCRIPTORS: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_appends_has_the_time_it_takes() {
        let plan = some_appends("http://127.0.0.1:1/x".to_owned(), 9, 3, 7, 100);
        let Load::Closed { stages, iterations } = &plan.groups[0].load else { panic!("closed") };
        assert_eq!(*iterations, Some(7));
        assert!(stages.iter().map(|stage| stage.duration).sum::<Duration>() >= HOUR);
    }
}
