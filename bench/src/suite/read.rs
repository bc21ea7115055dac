//! `read-small` and `read-large`: the same stream is read from its begin again and again, each
//! connection its own.
//!
//! After a restart, nothing is in a server's memory but in the kernel's page cache: the second
//! table of `read-large` is that.

use super::drive::drive;
use super::plans::{reads, some_appends};
use super::{Measure, Part, Setting, SuiteName, Turn};
use crate::Failure;
use crate::contest::{Program, Role, Running, Streams};
use crate::figures::Metric;

pub(super) fn small(setting: &Setting) -> Vec<Part> {
    let content = Content { users: setting.pick(64, 8), messages: 1, message_bytes: 1022 };
    let seconds = setting.pick(5, 1);
    let metrics = vec![
        Metric::new("reads/s"),
        Metric::new("p50 ms"),
        Metric::new("p99 ms"),
        Metric::new("CPU us/read"),
    ];
    let measure = move |turn: &Turn<'_>| {
        let driven = content.read(turn, seconds, false)?;
        let times = &driven.operation()?.times;
        let millis = |percentile| times.percentile(percentile) as f64 / 1e6;
        Ok(vec![driven.rate()?, millis(50.0), millis(99.0), driven.cpu_per_operation()?])
    };
    let title = format!("1 KiB streams, {} connections", content.users);
    let part =
        part(title, metrics, Box::new(measure), content).floor(Program::fixed("http-static"));
    vec![part.with(setting.thalweg()).with_all(setting.peers(SuiteName::ReadSmall))]
}

pub(super) fn large(setting: &Setting) -> Vec<Part> {
    let content = Content { users: setting.pick(8, 2), messages: 64, message_bytes: 65_532 };
    let seconds = setting.pick(5, 1);
    let of = |title: &str, restarted| {
        let metrics = vec![
            Metric::new("MiB/s"),
            Metric::new("p50 ms"),
            Metric::new("p99 ms"),
            Metric::new("CPU ms/GiB"),
        ];
        let measure = move |turn: &Turn<'_>| {
            let driven = content.read(turn, seconds, restarted)?;
            let operation = driven.operation()?;
            let millis = |percentile| operation.times.percentile(percentile) as f64 / 1e6;
            let bytes = operation.bytes_received as f64;
            let rate = bytes / driven.result.seconds() / MIB;
            let cpu = driven.cpu_seconds * 1e3 / (bytes / MIB / 1024.0);
            Ok(vec![rate, millis(50.0), millis(99.0), cpu])
        };
        let title = format!("4 MiB streams, {} connections, {title}", content.users);
        part(title, metrics, Box::new(measure), content)
            .floor(Program::fixed("sendfile"))
            .with(Program::fixed("http-static"))
            .with(setting.thalweg())
            .with_all(setting.peers(SuiteName::ReadLarge))
    };
    vec![of("just written", false), of("after a restart of the server", true)]
}

fn part(title: String, metrics: Vec<Metric>, measure: Measure, content: Content) -> Part {
    let mut part = Part::new(title, metrics, measure);
    part.page_bytes = content.page_bytes();
    part
}

/// What is read: a stream for each user.
#[derive(Clone, Copy)]
struct Content {
    users: u32,
    /// Of a stream.
    messages: u32,
    message_bytes: u32,
}

impl Content {
    /// Of the JSON array that a stream is read as.
    fn page_bytes(self) -> usize {
        (self.messages * (self.message_bytes + 1) + 1) as usize
    }

    fn read(
        self,
        turn: &Turn<'_>,
        seconds: u64,
        restarted: bool,
    ) -> Result<super::drive::Driven, Failure> {
        let mut running = turn.start()?;
        if running.streams() != Streams::Fixed {
            self.write(turn, &running)?;
            if restarted {
                (running, _) = running.restart(turn.contestant)?;
            }
        }
        let driven = drive(turn, &running, reads(&running.base_url(), NAME, self.users, seconds))?;
        let operation = driven.operation()?;
        // A server that cuts its pages shorter, or packs its answers, would do another thing.
        let got = operation.bytes_received / operation.succeeded.max(1);
        let want = self.page_bytes() as u64;
        if turn.contestant.role() != Role::Floor && !(want..want + HEAD_BYTES).contains(&got) {
            return Err(format!("an answer has {got} bytes instead of {want} and its head").into());
        }
        Ok(driven)
    }

    fn write(self, turn: &Turn<'_>, running: &Running) -> Result<(), Failure> {
        // Users count from 1, and streams from 0.
        let (streams, url) = (self.users + 1, running.url(NAME));
        let each = u64::from(streams * self.messages);
        let plan = some_appends(url, streams, 1, each, self.message_bytes);
        drive(turn, running, plan)?.operation()?;
        Ok(())
    }
}

const NAME: &str = "bench";
const MIB: f64 = 1024.0 * 1024.0;
/// More than any answer's head.
const HEAD_BYTES: u64 = 2048;
