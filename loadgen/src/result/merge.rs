//! One result from those of several workers that ran parts of the same plan.
//!
//! Invariant: nothing is averaged and nothing is lost: counts are added, histograms are added,
//! intervals and gauges of the same time are added. What is a rate is a sum of rates, because
//! each worker has its share of the load. `last_reader` is merged as it is: readers of a message
//! are all with the worker that published it.
//!
//! Deliberately absent: verdicts, which have to be made again from the sums
//! ([`super::thresholds::evaluate`]).

use std::collections::BTreeMap;

use super::notes::{is_derived, notes};
use super::{
    Ceiling, CoreResult, DeliveryResult, ErrorCount, Gauge, GroupResult, Interval, Meta, Note,
    OperationResult, RunResult,
};

/// All in one; without one there is none. Workers are numbered as they come.
#[must_use]
pub fn merge(results: Vec<RunResult>) -> Option<RunResult> {
    let single = results.len() == 1;
    let mut results = results.into_iter().enumerate().map(|(worker, mut result)| {
        if !single {
            result.cores.iter_mut().for_each(|core| prefix(worker, core));
        }
        result
    });
    let mut merged = results.next()?;
    for result in results {
        add(&mut merged, result);
    }
    if single {
        return Some(merged);
    }
    merged.intervals.sort_by_key(|interval| interval.at_ms);
    merged.gauges.sort_by_key(|gauge| gauge.at_ms);
    merged.errors.sort_by_key(|error| std::cmp::Reverse(error.count));
    merged.verdicts.clear();
    merged.notes.retain(|note| !is_derived(&note.code));
    let mut all = notes(&merged);
    all.append(&mut merged.notes);
    merged.notes = all;
    Some(merged)
}

fn prefix(worker: usize, core: &mut CoreResult) {
    core.name = format!("{worker}/{}", core.name);
}

fn add(to: &mut RunResult, from: RunResult) {
    if to.meta.plan_hash != from.meta.plan_hash {
        let code = "plans-differ".to_owned();
        let text = "the workers did not run the same plan".to_owned();
        to.notes.push(Note { warning: true, code, text });
    }
    add_meta(&mut to.meta, from.meta);
    by_key(&mut to.groups, from.groups, |group| group.name.clone(), add_group);
    by_key(&mut to.operations, from.operations, |one| one.label.clone(), add_operation);
    by_key(&mut to.deliveries, from.deliveries, |one| one.label.clone(), add_delivery);
    to.lateness.merge(&from.lateness);
    to.cores.extend(from.cores);
    let key = |one: &Interval| (one.at_ms, one.deliveries, one.label.clone());
    by_key(&mut to.intervals, from.intervals, key, add_interval);
    by_key(&mut to.gauges, from.gauges, |gauge| gauge.at_ms, add_gauge);
    let key = |one: &ErrorCount| (one.label.clone(), one.kind.clone());
    by_key(&mut to.errors, from.errors, key, |to, from| to.count += from.count);
    for note in from.notes {
        if !to.notes.contains(&note) {
            to.notes.push(note);
        }
    }
}

/// Adds each of `from` to that of `to` with the same key, or behind the last.
fn by_key<T, K: Ord>(
    to: &mut Vec<T>,
    from: Vec<T>,
    key: impl Fn(&T) -> K,
    add: impl Fn(&mut T, T),
) {
    let mut places: BTreeMap<K, usize> =
        to.iter().enumerate().map(|(place, one)| (key(one), place)).collect();
    for one in from {
        match places.get(&key(&one)) {
            Some(place) => add(&mut to[*place], one),
            None => {
                places.insert(key(&one), to.len());
                to.push(one);
            }
        }
    }
}

fn add_meta(to: &mut Meta, from: Meta) {
    to.started_unix_ms = to.started_unix_ms.min(from.started_unix_ms);
    to.duration_ms = to.duration_ms.max(from.duration_ms);
    to.setup_ms = to.setup_ms.max(from.setup_ms);
    to.workers.extend(from.workers);
    to.connections += from.connections;
    to.peak_rss_bytes = to.peak_rss_bytes.max(from.peak_rss_bytes);
    to.cpu_ms += from.cpu_ms;
    to.interrupted |= from.interrupted;
    to.server = to.server.take().or(from.server);
    // What the slowest can do per core: a warning too many, rather than one too few.
    to.ceiling = to.ceiling.zip(from.ceiling).map(|(one, other)| Ceiling {
        requests_per_second: one.requests_per_second.min(other.requests_per_second),
        pipelined_per_second: one.pipelined_per_second.min(other.pipelined_per_second),
        deliveries_per_second: one.deliveries_per_second.min(other.deliveries_per_second),
        cores: one.cores + other.cores,
    });
}

#[expect(clippy::needless_pass_by_value, reason = "one shape for all that is added")]
fn add_group(to: &mut GroupResult, from: GroupResult) {
    to.intended += from.intended;
    to.started += from.started;
    to.not_sent += from.not_sent;
    to.users += from.users;
    to.intended_rate += from.intended_rate;
    to.achieved_rate += from.achieved_rate;
}

#[expect(clippy::needless_pass_by_value, reason = "one shape for all that is added")]
fn add_operation(to: &mut OperationResult, from: OperationResult) {
    to.succeeded += from.succeeded;
    to.failed += from.failed;
    to.bytes_sent += from.bytes_sent;
    to.bytes_received += from.bytes_received;
    to.times.merge(&from.times);
    to.service.merge(&from.service);
    to.first_byte.merge(&from.first_byte);
    to.connect.merge(&from.connect);
}

fn add_delivery(to: &mut DeliveryResult, from: DeliveryResult) {
    to.readers += from.readers;
    to.expected += from.expected;
    to.delivered += from.delivered;
    to.lost += from.lost;
    to.duplicated += from.duplicated;
    to.reordered += from.reordered;
    to.damaged += from.damaged;
    to.reconnects += from.reconnects;
    to.failed_readers += from.failed_readers;
    to.unjudged += from.unjudged;
    to.bytes_received += from.bytes_received;
    to.times.merge(&from.times);
    to.last_reader.merge(&from.last_reader);
    to.reader_max.merge(&from.reader_max);
    to.reader_mean.merge(&from.reader_mean);
    to.setup.merge(&from.setup);
    to.faults.extend(from.faults);
    to.faults.truncate(MOST_FAULTS);
}

#[expect(clippy::needless_pass_by_value, reason = "one shape for all that is added")]
fn add_interval(to: &mut Interval, from: Interval) {
    to.length_ms = to.length_ms.max(from.length_ms);
    to.succeeded += from.succeeded;
    to.failed += from.failed;
    to.bytes += from.bytes;
    let mut times = to.times.clone();
    times.merge(&from.times);
    to.times = times.packed();
}

fn add_gauge(to: &mut Gauge, from: Gauge) {
    to.users += from.users;
    to.readers += from.readers;
    to.in_flight += from.in_flight;
}

/// Faults that are kept by name, over all workers.
const MOST_FAULTS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::fixture::example;

    #[test]
    fn one_stays_as_it_is() {
        assert_eq!(merge(Vec::new()), None);
        assert_eq!(merge(vec![example()]), Some(example()));
    }

    #[test]
    fn two_are_twice_as_much() {
        let merged = merge(vec![example(), example()]).unwrap();
        let one = example();
        let (tail, was) = (&merged.deliveries[0], &one.deliveries[0]);
        assert_eq!((tail.readers, tail.delivered), (20_000, 2 * was.delivered));
        assert_eq!(tail.times.count(), 2 * was.times.count());
        for percentile in [1.0, 50.0, 99.0, 99.99, 100.0] {
            assert_eq!(tail.times.percentile(percentile), was.times.percentile(percentile));
        }
        assert_eq!(merged.groups[1].intended_rate, 10.0);
        assert_eq!(merged.meta.duration_ms, one.meta.duration_ms);
        let names: Vec<&str> = merged.cores.iter().map(|core| core.name.as_str()).collect();
        assert_eq!(names, ["0/0", "0/1", "1/0", "1/1"]);
        assert_eq!(merged.intervals.len(), one.intervals.len());
        assert_eq!(merged.intervals[7].times.count(), 2 * one.intervals[7].times.count());
        assert_eq!(merged.gauges[3].readers, 20_000);
        assert_eq!(merged.errors[0].count, 6);
        assert!(merged.verdicts.is_empty(), "they are about one worker");
    }

    #[test]
    fn what_only_one_has_is_kept() {
        let (one, mut other) = (example(), example());
        other.operations[1].label = "other".to_owned();
        other.intervals.retain(|interval| interval.at_ms > 50_000);
        other.gauges.remove(0);
        other.meta.plan_hash = "other".to_owned();
        let note = Note { warning: true, code: "own".to_owned(), text: "x".to_owned() };
        other.notes = vec![note.clone()];
        let merged = merge(vec![other, one]).unwrap();
        let labels: Vec<&str> = merged.operations.iter().map(|one| one.label.as_str()).collect();
        assert_eq!(labels, ["publish", "other", "read history"]);
        assert!(merged.intervals.is_sorted_by_key(|interval| interval.at_ms));
        assert_eq!(merged.gauges[0].at_ms, 0);
        assert!(merged.notes.contains(&note));
        assert!(merged.notes.iter().any(|note| note.code == "plans-differ"));
    }
}
