//! Rows to operations, intervals and errors.
//!
//! Invariant: memory grows with labels and seconds, not with rows. Rows come nearly in the order
//! of their ends, so intervals that lie well behind are packed.

use std::collections::{BTreeMap, HashMap};

use super::columns::Sample;
use crate::result::{
    ErrorCount, Gauge, Interval, Meta, OperationResult, RESULT_FORMAT, RunResult, Times,
};

/// What came so far.
#[derive(Default)]
pub(super) struct Collector {
    operations: Vec<OperationResult>,
    by_label: HashMap<String, usize>,
    /// By second since 1970 in which they ended, and index of the operation.
    intervals: BTreeMap<(u64, usize), Interval>,
    gauges: BTreeMap<u64, u64>,
    errors: BTreeMap<(usize, String), (u64, String)>,
    first_ms: Option<u64>,
    last_ms: u64,
    packed_until: u64,
}

impl Collector {
    pub(super) fn add(&mut self, sample: &Sample<'_>) {
        let index = self.operation(sample.label);
        let operation = &mut self.operations[index];
        operation.times.record(sample.elapsed_ns);
        if let Some(latency_ns) = sample.latency_ns {
            operation.first_byte.record(latency_ns);
        }
        if sample.connect_ns > 0 {
            operation.connect.record(sample.connect_ns);
        }
        operation.bytes_sent += sample.sent_bytes;
        operation.bytes_received += sample.bytes;
        if sample.success {
            operation.succeeded += 1;
        } else {
            operation.failed += 1;
            let (kind, example) = failure(sample);
            self.errors.entry((index, kind)).or_insert((0, example)).0 += 1;
        }
        self.in_time(index, sample);
    }

    fn operation(&mut self, label: &str) -> usize {
        if let Some(index) = self.by_label.get(label) {
            return *index;
        }
        self.operations.push(OperationResult {
            label: label.to_owned(),
            kind: "sample".to_owned(),
            succeeded: 0,
            failed: 0,
            bytes_sent: 0,
            bytes_received: 0,
            times: Times::new(),
            service: Times::new(),
            first_byte: Times::new(),
            connect: Times::new(),
        });
        self.by_label.insert(label.to_owned(), self.operations.len() - 1);
        self.operations.len() - 1
    }

    fn in_time(&mut self, index: usize, sample: &Sample<'_>) {
        let end_ms = sample.start_ms.saturating_add(sample.elapsed_ns / 1_000_000);
        let second = end_ms / 1000;
        self.first_ms = Some(self.first_ms.map_or(sample.start_ms, |ms| ms.min(sample.start_ms)));
        self.last_ms = self.last_ms.max(end_ms);
        let users = self.gauges.entry(second).or_default();
        *users = (*users).max(sample.all_threads);
        let interval = self.intervals.entry((second, index)).or_insert_with(|| Interval {
            at_ms: 0,
            length_ms: 1000,
            label: sample.label.to_owned(),
            deliveries: false,
            succeeded: 0,
            failed: 0,
            bytes: 0,
            times: Times::new(),
        });
        interval.succeeded += u64::from(sample.success);
        interval.failed += u64::from(!sample.success);
        interval.bytes += sample.bytes;
        interval.times.record(sample.elapsed_ns);
        self.pack(second);
    }

    /// Packs what lies well behind this second.
    fn pack(&mut self, second: u64) {
        let until = second.saturating_sub(OPEN_SECONDS);
        if until > self.packed_until {
            let from = if self.packed_until == 0 { 0 } else { self.packed_until };
            for interval in self.intervals.range_mut((from, 0)..(until, 0)) {
                interval.1.times = interval.1.times.packed();
            }
            self.packed_until = until;
        }
    }

    pub(super) fn finish(self, name: String) -> RunResult {
        let first_ms = self.first_ms.unwrap_or(0);
        let base = first_ms / 1000;
        let intervals = self.intervals.into_iter().map(|((second, _), interval)| Interval {
            at_ms: (second - base) * 1000,
            times: interval.times.packed(),
            ..interval
        });
        let gauges = self.gauges.into_iter().map(|(second, users)| Gauge {
            at_ms: (second - base) * 1000,
            users,
            ..Gauge::default()
        });
        let label = |index: usize| self.operations[index].label.clone();
        let errors = self.errors.into_iter().map(|((index, kind), (count, example))| ErrorCount {
            label: label(index),
            kind,
            count,
            example,
        });
        let mut errors: Vec<_> = errors.collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.count));
        RunResult {
            format: RESULT_FORMAT,
            meta: Meta {
                plan: name,
                started_unix_ms: first_ms,
                duration_ms: self.last_ms.saturating_sub(first_ms),
                ..Meta::default()
            },
            groups: Vec::new(),
            deliveries: Vec::new(),
            lateness: Times::new(),
            cores: Vec::new(),
            intervals: intervals.collect(),
            gauges: gauges.collect(),
            errors,
            notes: Vec::new(),
            verdicts: Vec::new(),
            operations: self.operations,
        }
    }
}

/// Kind and example, in the words of [`ErrorCount`].
fn failure(sample: &Sample<'_>) -> (String, String) {
    let code = sample.response_code;
    let message = [sample.failure_message, sample.response_message]
        .into_iter()
        .find(|message| !message.is_empty())
        .unwrap_or_default();
    let kind = match code.parse::<u16>() {
        Ok(status) if !(200..300).contains(&status) && status != 304 => format!("status {status}"),
        Err(_) if !code.is_empty() => code.to_owned(),
        _ => "assertion".to_owned(),
    };
    (kind, message.to_owned())
}

/// Intervals that are so far behind the newest are packed.
const OPEN_SECONDS: u64 = 30;
