//! One result out of what the threads counted.
//!
//! Invariant: what a reader should have got is decided at the end, from what was acknowledged
//! ([`super::owed`]), and not while the run is under way.

use std::collections::HashMap;

use super::core::{GroupCount, Part, ReaderEnd};
use super::owed::{Ledger, ledger, owed};
use super::program::Program;
use super::recorder::{LabelRecord, MAX_NAMED_FAULTS};
use super::thread::{Counts, Role};
use crate::plan::{Load, Plan};
use crate::result::{
    CoreResult, DeliveryResult, ErrorCount, Gauge, GroupResult, Interval, Meta, Note,
    OperationResult, RESULT_FORMAT, RunResult, Times, units,
};
use crate::schedule;

/// Puts a result together.
pub(crate) fn assemble(
    program: &Program,
    worker: Part,
    mut counts: Vec<Counts>,
    gauges: Vec<Gauge>,
    meta: Meta,
) -> RunResult {
    let published = ledger(counts.iter_mut().map(|count| std::mem::take(&mut count.published)));
    let mut lateness = Times::new();
    counts.iter().for_each(|count| lateness.merge(&count.recorder.lateness));
    let (operations, deliveries) = labels(program, &counts, &published);
    RunResult {
        format: RESULT_FORMAT,
        groups: groups(&program.plan, worker, &counts, &meta),
        operations,
        deliveries,
        lateness,
        intervals: intervals(&counts),
        errors: errors(&counts),
        cores: counts.into_iter().map(core).collect(),
        gauges,
        notes: Vec::new(),
        verdicts: Vec::new(),
        meta,
    }
}

fn labels(
    program: &Program,
    counts: &[Counts],
    published: &Ledger,
) -> (Vec<OperationResult>, Vec<DeliveryResult>) {
    let (mut operations, mut deliveries) = (Vec::new(), Vec::new());
    for (id, label) in program.labels.iter().enumerate() {
        let mut sum = LabelRecord::default();
        counts.iter().for_each(|count| add(&mut sum, &count.recorder.labels[id]));
        if label.deliveries {
            let ends = counts.iter().flat_map(|count| &count.readers);
            let ends: Vec<_> = ends.filter(|end| end.label == id).collect();
            let mut result = delivery(&label.name, label.kind, sum);
            counts
                .iter()
                .filter_map(|count| count.setup.get(&id))
                .for_each(|times| result.setup.merge(times));
            judge(&mut result, &ends, published);
            last_reader(&mut result, &ends, counts);
            deliveries.push(result);
        } else {
            operations.push(OperationResult {
                label: label.name.clone(),
                kind: label.kind.to_owned(),
                succeeded: sum.succeeded,
                failed: sum.failed,
                bytes_sent: sum.bytes_sent,
                bytes_received: sum.bytes_received,
                times: sum.times,
                service: sum.service,
                first_byte: sum.first_byte,
                connect: sum.connect,
            });
        }
    }
    (operations, deliveries)
}

fn add(sum: &mut LabelRecord, part: &LabelRecord) {
    sum.succeeded += part.succeeded;
    sum.failed += part.failed;
    sum.bytes_sent += part.bytes_sent;
    sum.bytes_received += part.bytes_received;
    sum.times.merge(&part.times);
    sum.service.merge(&part.service);
    sum.first_byte.merge(&part.first_byte);
    sum.connect.merge(&part.connect);
    sum.duplicated += part.duplicated;
    sum.reordered += part.reordered;
    sum.damaged += part.damaged;
    sum.reconnects += part.reconnects;
    sum.failed_readers += part.failed_readers;
    sum.faults.extend_from_slice(&part.faults);
}

fn delivery(label: &str, mode: &str, sum: LabelRecord) -> DeliveryResult {
    DeliveryResult {
        label: label.to_owned(),
        mode: mode.to_owned(),
        readers: 0,
        expected: 0,
        delivered: sum.succeeded,
        lost: 0,
        duplicated: sum.duplicated,
        reordered: sum.reordered,
        damaged: sum.damaged,
        reconnects: sum.reconnects,
        failed_readers: sum.failed_readers,
        bytes_received: sum.bytes_received,
        times: sum.times,
        last_reader: Times::new(),
        reader_max: Times::new(),
        reader_mean: Times::new(),
        setup: Times::new(),
        faults: sum.faults,
    }
}

/// What each reader should have got and did not.
fn judge(result: &mut DeliveryResult, ends: &[&ReaderEnd], published: &Ledger) {
    result.readers = ends.len() as u64;
    let others = std::mem::take(&mut result.faults);
    for end in ends {
        if let Some(mean_ns) = end.seen.sum_ns.checked_div(end.seen.count) {
            result.reader_max.record(end.seen.max_ns);
            result.reader_mean.record(mean_ns);
        }
        for (source, published) in published.get(&end.stream).into_iter().flatten() {
            for sequence in owed(&end.seen, end.place(), *source, published) {
                result.lost += 1;
                if result.faults.len() < MAX_NAMED_FAULTS {
                    let ReaderEnd { number, stream, .. } = end;
                    let reader = number + 1;
                    result.faults.push(format!(
                        "reader {reader} of stream {stream} lost message {sequence} of source {source}"
                    ));
                }
            }
        }
    }
    result.faults.extend(others);
    result.faults.truncate(MAX_NAMED_FAULTS);
    result.expected = result.delivered + result.lost;
}

/// Time until the last reader had each message, of messages that all readers got.
fn last_reader(result: &mut DeliveryResult, ends: &[&ReaderEnd], counts: &[Counts]) {
    let mut readers: HashMap<u32, u32> = HashMap::new();
    ends.iter().for_each(|end| *readers.entry(end.stream).or_default() += 1);
    let mut all: HashMap<(u32, u32), Vec<(u32, u64)>> = HashMap::new();
    for count in counts {
        for (key, messages) in &count.recorder.messages {
            let entry = all.entry(*key).or_default();
            entry.resize(entry.len().max(messages.len()), (0, 0));
            for (sum, message) in entry.iter_mut().zip(messages) {
                sum.0 += message.deliveries;
                sum.1 = sum.1.max(message.slowest_ns);
            }
        }
    }
    for ((stream, _), messages) in all {
        let wanted = readers.get(&stream).copied().unwrap_or(u32::MAX);
        let complete = messages.iter().filter(|(deliveries, _)| *deliveries == wanted);
        complete.for_each(|(_, slowest_ns)| result.last_reader.record(*slowest_ns));
    }
}

fn groups(plan: &Plan, worker: Part, counts: &[Counts], meta: &Meta) -> Vec<GroupResult> {
    let stopped = counts.iter().flat_map(|count| &count.groups).any(|group| group.stopped);
    let groups = plan.groups.iter().enumerate().map(|(index, group)| {
        let parts = || counts.iter().map(|count| count.groups[index]);
        let started: u64 = parts().map(|part| part.started).sum();
        let not_sent: u64 = parts().map(|part| part.not_sent).sum();
        let has_some = |part: &GroupCount| part.started + part.not_sent > 0;
        let first = parts().filter(has_some).map(|part| part.first_ns).min();
        let last = parts().map(|part| part.last_ns).max().unwrap_or(0);
        let seconds = last.saturating_sub(first.unwrap_or(last)) as f64 / 1e9;
        let (open, intended) = match &group.load {
            Load::Open { stages, .. }
                if !meta.interrupted && !stopped && !parts().any(|part| part.ran_out) =>
            {
                (true, worker.share(measured_arrivals(plan, group, stages)))
            }
            // What would have come after it ended early was not meant to be.
            Load::Open { .. } => (true, started + not_sent),
            Load::Closed { .. } => (false, started),
        };
        let rate = |count: u64| match seconds > 0.0 {
            true => count.saturating_sub(1) as f64 / seconds,
            false => 0.0,
        };
        let achieved_rate = rate(started);
        let intended_rate = if open { rate(intended) } else { 0.0 };
        let users = parts().map(|part| part.users).sum();
        GroupResult {
            name: group.name.clone(),
            open,
            intended,
            started,
            not_sent,
            users,
            intended_rate,
            achieved_rate,
        }
    });
    groups.collect()
}

/// Notes on groups that reached their `max_in_flight` or ended early.
pub(crate) fn group_notes(plan: &Plan, counts: &[Counts]) -> Vec<Note> {
    let mut notes = held_up(plan, counts);
    for (index, group) in plan.groups.iter().enumerate() {
        let parts = || counts.iter().map(|count| count.groups[index]);
        let name = &group.name;
        if parts().any(|part| part.ran_out) {
            let started = units::count(parts().map(|part| part.started).sum());
            let text =
                format!("group {name}: the data ran out, so it ended after {started} iterations");
            notes.push(Note { warning: false, code: "data-ran-out".to_owned(), text });
        }
        if parts().any(|part| part.stopped) {
            let text = format!("group {name}: an operation failed, and on_error ended the run");
            notes.push(Note { warning: true, code: "stopped-by-plan".to_owned(), text });
        }
    }
    notes
}

fn held_up(plan: &Plan, counts: &[Counts]) -> Vec<Note> {
    let notes = plan.groups.iter().enumerate().filter_map(|(index, group)| {
        let Load::Open { max_in_flight, .. } = group.load else { return None };
        let waited: u64 = counts.iter().map(|count| count.groups[index].waited).sum();
        let not_sent: u64 = counts.iter().map(|count| count.groups[index].not_sent).sum();
        let mut text = format!(
            "group {}: {} iterations had to wait, because max_in_flight ({}) were under way; their \
             waiting is part of their times",
            group.name,
            units::count(waited),
            units::count(u64::from(max_in_flight)),
        );
        if not_sent > 0 {
            let not_sent = units::count(not_sent);
            text.push_str(&format!("; {not_sent} waited until the end, and count as failed"));
        }
        let note = Note { warning: true, code: "in-flight-limit".to_owned(), text };
        (waited > 0).then_some(note)
    });
    notes.collect()
}

/// Arrivals of an open group after the warm-up.
fn measured_arrivals(
    plan: &Plan,
    group: &crate::plan::Group,
    stages: &[crate::plan::RateStage],
) -> u64 {
    let before = plan.warm_up.saturating_sub(group.delay);
    let mut left = before;
    let mut early = 0.0;
    for stage in stages {
        let part = left.min(stage.duration).as_secs_f64();
        left = left.saturating_sub(stage.duration);
        let whole = stage.duration.as_secs_f64();
        if whole > 0.0 {
            let at_end = stage.from + (stage.to - stage.from) * part / whole;
            early += (stage.from + at_end) / 2.0 * part;
        }
    }
    schedule::total(stages).saturating_sub(early.ceil() as u64)
}

fn intervals(counts: &[Counts]) -> Vec<Interval> {
    let mut merged: Vec<Interval> = Vec::new();
    let mut at = HashMap::new();
    for interval in counts.iter().flat_map(|count| &count.recorder.intervals) {
        let key = (interval.at_ms, interval.label.as_str(), interval.deliveries);
        match at.get(&key) {
            None => {
                at.insert(key, merged.len());
                merged.push(interval.clone());
            }
            Some(index) => {
                let sum: &mut Interval = &mut merged[*index];
                sum.succeeded += interval.succeeded;
                sum.failed += interval.failed;
                sum.bytes += interval.bytes;
                sum.times.merge(&interval.times);
                sum.times = sum.times.packed();
            }
        }
    }
    merged.sort_by_key(|interval| interval.at_ms);
    merged
}

fn errors(counts: &[Counts]) -> Vec<ErrorCount> {
    let mut errors: Vec<ErrorCount> = Vec::new();
    for error in counts.iter().flat_map(|count| count.recorder.errors.values()) {
        let same = |known: &&mut ErrorCount| known.label == error.label && known.kind == error.kind;
        match errors.iter_mut().find(same) {
            Some(known) => known.count += error.count,
            None => errors.push(error.clone()),
        }
    }
    errors.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.cmp(&b.kind)));
    errors
}

fn core(counts: Counts) -> CoreResult {
    let labels = &counts.recorder.labels;
    let sum: u64 = labels.iter().map(|label| label.succeeded + label.failed).sum();
    let (operations, deliveries) = match counts.role {
        Role::Readers => (0, sum),
        Role::Requests => (sum, 0),
    };
    CoreResult {
        name: counts.name,
        operations,
        deliveries,
        cpu_ms: counts.cpu_ms,
        wall_ms: counts.wall_ms,
        lateness: counts.recorder.lateness,
    }
}
