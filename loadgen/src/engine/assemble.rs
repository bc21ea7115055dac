//! One result out of what the threads counted.
//!
//! Invariant: what a reader should have got is decided at the end, from what was acknowledged
//! ([`super::owed`]), and not while the run is under way.

use std::collections::{HashMap, HashSet};

use super::core::{GroupCount, Part, ReaderEnd};
use super::owed::{Ledger, ledger, owed, unsent};
use super::program::Program;
use super::recorder::{LabelId, LabelRecord, MAX_NAMED_FAULTS, MessageRecord};
use super::thread::{Counts, Role};
use crate::plan::{Group, Load, Payload, Plan, SamplerKind, Step};
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
    let (operations, mut deliveries) = labels(program, &counts, &published);
    for delivery in deliveries.iter_mut().filter(|delivery| delivery.expected == 0) {
        delivery.unjudged += unstamped(&program.plan, &delivery.label, &operations);
    }
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
            let mut messages = messages(counts, id);
            judge(&mut result, &ends, published, &mut messages);
            last_reader(&mut result, &messages);
            if result.expected == 0 {
                result.unjudged = acknowledged(&ends, published);
            }
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
        unjudged: 0,
    }
}

/// What each reader should have got and did not, and what it got that nobody sent.
fn judge(
    result: &mut DeliveryResult,
    ends: &[&ReaderEnd],
    published: &Ledger,
    messages: &mut Messages,
) {
    result.readers = ends.len() as u64;
    let others = std::mem::take(&mut result.faults);
    for end in ends {
        if let Some(mean_ns) = end.seen.sum_ns.checked_div(end.seen.count) {
            result.reader_max.record(end.seen.max_ns);
            result.reader_mean.record(mean_ns);
        }
        let published = published.get(&end.stream).map_or(&[][..], Vec::as_slice);
        let unsent = unsent(&end.seen, published);
        result.damaged += unsent;
        result.delivered = result.delivered.saturating_sub(unsent);
        for (source, published) in published {
            for sequence in owed(&end.seen, end.place(), *source, published) {
                result.lost += 1;
                let all = messages.get_mut(&(end.stream, *source));
                if let Some(message) = all.and_then(|all| all.get_mut(sequence as usize)) {
                    // Not all have it.
                    message.deliveries = 0;
                }
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

/// By stream and source: what came of each message, as far as there is room.
type Messages = HashMap<(u32, u32), Vec<MessageRecord>>;

/// The messages of a label, of all threads.
fn messages(counts: &[Counts], label: LabelId) -> Messages {
    let mut all = Messages::new();
    for count in counts {
        let of_label = count.recorder.messages.iter().filter(|(key, _)| key.0 == label);
        for ((_, stream, source), messages) in of_label {
            let entry = all.entry((*stream, *source)).or_default();
            entry.resize(entry.len().max(messages.len()), MessageRecord::default());
            for (sum, message) in entry.iter_mut().zip(messages) {
                sum.deliveries += message.deliveries;
                sum.slowest_ns = sum.slowest_ns.max(message.slowest_ns);
            }
        }
    }
    all
}

/// Time until the last reader had each message, of messages that every reader has that should have
/// it: however many those are, as some come late and others leave early.
fn last_reader(result: &mut DeliveryResult, messages: &Messages) {
    let complete = messages.values().flatten().filter(|message| message.deliveries > 0);
    complete.for_each(|message| result.last_reader.record(message.slowest_ns));
}

/// Measured messages that were acknowledged on the streams of these readers.
fn acknowledged(ends: &[&ReaderEnd], published: &Ledger) -> u64 {
    let streams: HashSet<u32> = ends.iter().map(|end| end.stream).collect();
    let published = streams.iter().filter_map(|stream| published.get(stream)).flatten();
    let counts = published.filter_map(|(_, published)| {
        let first = published.first_measured?;
        let refused = published.refused.iter().filter(|sequence| **sequence >= first).count();
        Some(u64::from(published.sent - first).saturating_sub(refused as u64))
    });
    counts.sum()
}

/// Acknowledged appends of bodies of the plan's own to the streams that readers of a label follow:
/// they carry no stamp, so that nobody can judge them.
fn unstamped(plan: &Plan, label: &str, operations: &[OperationResult]) -> u64 {
    let (mut followed, mut appends) = (HashSet::new(), HashMap::new());
    let mut steps: Vec<&Step> = plan.groups.iter().flat_map(|group| &group.steps).collect();
    while let Some(step) = steps.pop() {
        match step {
            Step::Sample(sampler) => match &sampler.kind {
                SamplerKind::Tail(tail) if sampler.label == label => {
                    followed.insert(tail.streams);
                }
                SamplerKind::Append { streams, payload }
                | SamplerKind::AppendBatch { streams, payload, .. }
                | SamplerKind::ProducerAppend { streams, payload }
                    if matches!(payload, Payload::Template(_)) =>
                {
                    appends.insert(sampler.label.as_str(), *streams);
                }
                _ => {}
            },
            Step::Loop { steps: more, .. }
            | Step::If { steps: more, .. }
            | Step::Transaction { steps: more, .. } => steps.extend(more),
            Step::Pause(_) => {}
        }
    }
    let of = operations.iter().filter(|operation| {
        appends.get(operation.label.as_str()).is_some_and(|set| followed.contains(set))
    });
    of.map(|operation| operation.succeeded).sum()
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
fn measured_arrivals(plan: &Plan, group: &Group, stages: &[crate::plan::RateStage]) -> u64 {
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
