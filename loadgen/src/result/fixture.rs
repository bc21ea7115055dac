//! A result as a real run would have it, made without one: for tests of reports, and for looking
//! at them.
//!
//! Invariant: the same every time, and consistent: what the totals say is the sum of the
//! intervals. 10,000 readers and 5 messages a second for a minute, with a server that stalls for
//! the whole of the 31st second, beside a closed group that reads old messages.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, LogNormal};

use super::notes::notes;
use super::thresholds::evaluate;
use super::{
    Ceiling, CoreResult, DeliveryResult, ErrorCount, Gauge, GroupResult, Interval, Machine, Meta,
    OperationResult, RESULT_FORMAT, RunResult, Times,
};
use crate::plan::{Metric, Operator, Threshold};

/// The result.
#[must_use]
pub fn example() -> RunResult {
    let mut maker = Maker::new();
    for message in 0..MESSAGES {
        maker.message(u64::from(message) * 1_000_000_000 / RATE);
    }
    for second in 0..SECONDS {
        maker.reads(second);
    }
    maker.finish()
}

/// Collects what happens.
struct Maker {
    random: ChaCha8Rng,
    append: OperationResult,
    read: OperationResult,
    fan_out: DeliveryResult,
    lateness: Times,
    intervals: Vec<[Interval; 3]>,
}

impl Maker {
    fn new() -> Maker {
        let intervals = (0..=SECONDS).map(|second| {
            [("publish", false), ("read history", false), ("tail", true)].map(
                |(label, deliveries)| Interval {
                    at_ms: second * 1000,
                    length_ms: 1000,
                    label: label.to_owned(),
                    deliveries,
                    succeeded: 0,
                    failed: 0,
                    bytes: 0,
                    times: Times::new(),
                },
            )
        });
        Maker {
            random: ChaCha8Rng::seed_from_u64(SEED),
            append: operation("publish", "append"),
            read: operation("read history", "read"),
            fan_out: deliveries(),
            lateness: Times::new(),
            intervals: intervals.collect(),
        }
    }

    /// Around a median, with a long tail.
    fn spread(&mut self, median_us: f64, sigma: f64) -> u64 {
        let distribution = LogNormal::new((median_us * 1000.0).ln(), sigma);
        distribution.map_or(0, |spread| spread.sample(&mut self.random) as u64)
    }

    /// One message, and its deliveries.
    fn message(&mut self, due: u64) {
        let late = self.spread(40.0, 0.5);
        let (stall, service) = (stall_after(due), self.spread(900.0, 0.3));
        self.lateness.record(late);
        let took = stall + late + service;
        self.append.times.record(took);
        self.append.service.record(took - late);
        self.append.first_byte.record(took - 20_000);
        self.append.succeeded += 1;
        self.interval(due + took, 0, took, 1, 180);
        let fanned_out = stall + late + self.spread(700.0, 0.3);
        let mut last = 0;
        for rank in 0..SAMPLES {
            // The server writes to one reader after another: the later a reader's turn, the
            // later it has the message.
            let turn = 45_000_000 * rank / SAMPLES;
            let delivery = fanned_out + turn + self.spread(150.0, 0.8);
            last = last.max(delivery);
            self.fan_out.times.record_n(delivery, READERS / SAMPLES);
            self.interval(due + delivery, 2, delivery, READERS / SAMPLES, 140);
        }
        self.fan_out.last_reader.record(last);
    }

    /// A second of the closed group: a stall is one slow operation of each user.
    fn reads(&mut self, second: u64) {
        let stalled = second == STALL_SECOND;
        let count = if stalled { USERS } else { 400 };
        for index in 0..count {
            let due = (second * 1000 + index * 1000 / count) * 1_000_000;
            let took = self.spread(4_000.0, 0.5) + if stalled { 990_000_000 } else { 0 };
            let failed = stalled && index < 3;
            self.read.times.record(took);
            self.read.service.record(took);
            self.read.first_byte.record(took / 2);
            if failed {
                self.read.failed += 1;
                let second = (due + took) / 1_000_000_000;
                self.intervals[second as usize][1].failed += 1;
                self.intervals[second as usize][1].times.record(took);
            } else {
                self.read.succeeded += 1;
                self.interval(due + took, 1, took, 1, 9_000);
            }
        }
    }

    /// Counts what ended at a time.
    fn interval(&mut self, at: u64, label: usize, took: u64, count: u64, bytes: u64) {
        let second = (at / 1_000_000_000).min(SECONDS) as usize;
        let interval = &mut self.intervals[second][label];
        interval.succeeded += count;
        interval.bytes += count * bytes;
        interval.times.record_n(took, count);
    }

    fn finish(mut self) -> RunResult {
        for _ in 0..READERS / 10 {
            let (slowest, mean) = (self.spread(1_040_000.0, 0.01), self.spread(24_000.0, 0.35));
            let setup = self.spread(2_500.0, 0.6);
            self.fan_out.reader_max.record_n(slowest, 10);
            self.fan_out.reader_mean.record_n(mean, 10);
            self.fan_out.setup.record_n(setup, 10);
        }
        self.fan_out.delivered = self.fan_out.times.count();
        self.fan_out.expected = self.fan_out.delivered;
        self.fan_out.bytes_received = self.fan_out.delivered * 140;
        for (operation, sent, received) in
            [(&mut self.append, 340, 180), (&mut self.read, 190, 9_000)]
        {
            operation.bytes_sent = operation.times.count() * sent;
            operation.bytes_received = operation.succeeded * received;
        }
        (0..50).for_each(|_| self.read.connect.record(120_000));
        let (first, second) = (core("0", &self.lateness), core("1", &Times::new()));
        let intervals = self.intervals.into_iter().flatten();
        let mut result = RunResult {
            format: RESULT_FORMAT,
            meta: meta(),
            groups: groups(self.read.times.count()),
            operations: vec![self.append, self.read],
            deliveries: vec![self.fan_out],
            lateness: self.lateness,
            cores: vec![first, second],
            intervals: intervals.filter(|interval| !interval.times.is_empty()).collect(),
            gauges: (0..SECONDS).map(gauge).collect(),
            errors: errors(),
            notes: Vec::new(),
            verdicts: Vec::new(),
        };
        result.notes = notes(&result);
        result.verdicts = evaluate(&thresholds(), &result);
        result
    }
}

/// How long what is due then has to wait for the end of the stall.
fn stall_after(due: u64) -> u64 {
    let begin = STALL_SECOND * 1_000_000_000;
    let end = begin + 1_000_000_000;
    if (begin..end).contains(&due) { end - due } else { 0 }
}

fn operation(label: &str, kind: &str) -> OperationResult {
    OperationResult {
        label: label.to_owned(),
        kind: kind.to_owned(),
        succeeded: 0,
        failed: 0,
        bytes_sent: 0,
        bytes_received: 0,
        times: Times::new(),
        service: Times::new(),
        first_byte: Times::new(),
        connect: Times::new(),
    }
}

fn deliveries() -> DeliveryResult {
    DeliveryResult {
        label: "tail".to_owned(),
        mode: "sse".to_owned(),
        readers: READERS,
        expected: 0,
        delivered: 0,
        lost: 0,
        duplicated: 0,
        reordered: 0,
        damaged: 0,
        reconnects: 12,
        failed_readers: 0,
        bytes_received: 0,
        times: Times::new(),
        last_reader: Times::new(),
        reader_max: Times::new(),
        reader_mean: Times::new(),
        setup: Times::new(),
        faults: Vec::new(),
        unjudged: 0,
    }
}

fn core(name: &str, lateness: &Times) -> CoreResult {
    let deliveries = u64::from(MESSAGES) * READERS / 2;
    CoreResult {
        name: name.to_owned(),
        operations: lateness.count(),
        deliveries,
        cpu_ms: 21_300,
        wall_ms: SECONDS * 1000,
        lateness: lateness.clone(),
    }
}

fn gauge(second: u64) -> Gauge {
    let in_flight = if second == STALL_SECOND { USERS + 5 } else { 3 };
    Gauge { at_ms: second * 1000, users: READERS + USERS, readers: READERS, in_flight }
}

fn groups(reads: u64) -> Vec<GroupResult> {
    let seconds = SECONDS as f64;
    let group = |name: &str, started: u64, users: u64| GroupResult {
        name: name.to_owned(),
        open: false,
        intended: 0,
        started,
        not_sent: 0,
        users: users as u32,
        intended_rate: 0.0,
        achieved_rate: started as f64 / seconds,
    };
    let publisher = GroupResult {
        open: true,
        intended: u64::from(MESSAGES),
        intended_rate: RATE as f64,
        ..group("publisher", u64::from(MESSAGES), 1)
    };
    vec![group("readers", READERS, READERS), publisher, group("history", reads, USERS)]
}

fn errors() -> Vec<ErrorCount> {
    vec![ErrorCount {
        label: "read history".to_owned(),
        kind: "status 503".to_owned(),
        count: 3,
        example: "GET /v1/stream/board?offset=-1: 503 Service Unavailable, wanted 2xx or 304"
            .to_owned(),
    }]
}

fn thresholds() -> Vec<Threshold> {
    let threshold = |text: &str, metric, operator, value| Threshold {
        label: None,
        metric,
        operator,
        value,
        text: text.to_owned(),
    };
    vec![
        threshold("p99 < 250 ms", Metric::Percentile(99.0), Operator::Less, 250e6),
        threshold("errors < 0.1 %", Metric::Errors, Operator::Less, 0.001),
        threshold("lost == 0", Metric::Lost, Operator::Equal, 0.0),
    ]
}

fn meta() -> Meta {
    Meta {
        plan: "fan-out to 10,000 readers".to_owned(),
        plan_text: "name = \"fan-out to 10,000 readers\"\ntarget = \
                    \"http://127.0.0.1:4437/v1/stream\"\n"
            .to_owned(),
        plan_hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        properties: vec![("readers".to_owned(), READERS.to_string())],
        seed: SEED,
        target: "http://127.0.0.1:4437/v1/stream".to_owned(),
        protocol: "HTTP/1.1".to_owned(),
        connections: 10_050,
        server: Some("thalweg/0.1.0".to_owned()),
        started_unix_ms: 1_760_000_000_000,
        duration_ms: SECONDS * 1000,
        setup_ms: 3_420,
        version: "0.1.0".to_owned(),
        machine: Machine {
            cpu: "Example CPU @ 2.50GHz".to_owned(),
            cpus: 2,
            kernel: "Linux 6.12.0".to_owned(),
            memory_bytes: 8 << 30,
        },
        workers: Vec::new(),
        peak_rss_bytes: 121 << 20,
        cpu_ms: 43_000,
        interrupted: false,
        ceiling: Some(Ceiling {
            requests_per_second: 64_000.0,
            pipelined_per_second: 150_000.0,
            deliveries_per_second: 180_000.0,
            cores: 1,
        }),
    }
}

const SEED: u64 = 42;
const SECONDS: u64 = 60;
const STALL_SECOND: u64 = 30;
const RATE: u64 = 5;
const MESSAGES: u32 = 300;
const READERS: u64 = 10_000;
const USERS: u64 = 4;
/// Deliveries of a message that are drawn; each stands for as many readers as are left.
const SAMPLES: u64 = 250;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_consistent() {
        let result = example();
        assert_eq!(result, example());
        let tail = &result.deliveries[0];
        assert_eq!(tail.delivered, READERS * u64::from(MESSAGES));
        let of = |label: &str| {
            let mut all = Times::new();
            let (mut succeeded, mut failed) = (0, 0);
            for interval in result.intervals.iter().filter(|interval| interval.label == label) {
                all.merge(&interval.times);
                succeeded += interval.succeeded;
                failed += interval.failed;
            }
            (all, succeeded, failed)
        };
        assert_eq!(of("tail"), (tail.times.clone(), tail.delivered, 0));
        for operation in &result.operations {
            let got = of(&operation.label);
            assert_eq!(got, (operation.times.clone(), operation.succeeded, operation.failed));
        }
        assert!(tail.times.percentile(99.0) > 300_000_000, "the stall is seen");
        assert!(tail.times.percentile(50.0) < 50_000_000);
        let text = serde_json::to_string(&result).unwrap();
        assert_eq!(serde_json::from_str::<RunResult>(&text).unwrap(), result);
    }
}
