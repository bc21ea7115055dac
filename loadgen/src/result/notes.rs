//! What a reader of the results must know, said loudly when the generator, not the server, may
//! have been the limit.
//!
//! Pure: the same result has the same notes. Deliberately absent: what only the engine knows; it
//! adds its own.

use super::{CoreResult, DeliveryResult, GroupResult, Note, RunResult, Times, units};

/// All that the numbers say, most important first.
#[must_use]
pub fn notes(result: &RunResult) -> Vec<Note> {
    let mut notes = Vec::new();
    if result.meta.interrupted {
        notes.push(warning(
            "interrupted",
            "the run was stopped before its end: what follows is a part of it".to_owned(),
        ));
    }
    let is_part = result.meta.interrupted;
    result.deliveries.iter().for_each(|delivery| faults(delivery, is_part, &mut notes));
    result.groups.iter().for_each(|group| behind(group, &mut notes));
    late(result, &mut notes);
    busy(result, &mut notes);
    near_ceiling(result, &mut notes);
    result.groups.iter().for_each(|group| closed_loop(group, &mut notes));
    few_samples(result, &mut notes);
    notes
}

/// Makes the notes again after what they rest on has changed; those of others stay.
pub fn renew(result: &mut RunResult) {
    let mut all = notes(result);
    all.extend(result.notes.drain(..).filter(|note| !is_derived(&note.code)));
    result.notes = all;
}

/// Codes that [`notes`] gives; all others are the engine's or a reader's.
pub(crate) fn is_derived(code: &str) -> bool {
    CODES.contains(&code)
}

const CODES: [&str; 13] = [
    "interrupted",
    "lost",
    "duplicated",
    "reordered",
    "damaged",
    "failed-readers",
    "no-deliveries",
    "generator-behind",
    "generator-late",
    "generator-busy",
    "near-ceiling",
    "closed-loop",
    "few-samples",
];

/// Of a run that was stopped nobody knows whether what is missing was lost or under way.
fn faults(delivery: &DeliveryResult, is_part: bool, notes: &mut Vec<Note>) {
    let DeliveryResult { label, expected, faults, .. } = delivery;
    let missing = if is_part { "had not arrived when it was stopped" } else { "were lost" };
    let kinds = [
        ("lost", delivery.lost, missing, " lost message "),
        ("duplicated", delivery.duplicated, "arrived again", " again"),
        ("reordered", delivery.reordered, "arrived out of order", " out of order"),
        ("damaged", delivery.damaged, "arrived damaged", " damaged "),
    ];
    for (code, count, what, name) in kinds.into_iter().filter(|kind| kind.1 > 0) {
        let first = faults.iter().find(|fault| fault.contains(name));
        let example = first.map_or(String::new(), |fault| format!("; first: {fault}"));
        let (count, expected) = (units::count(count), units::count(*expected));
        let text = format!("{label}: {count} of {expected} deliveries {what}{example}");
        notes.push(warning(code, text));
    }
    if delivery.failed_readers > 0 {
        let (failed, readers) = (delivery.failed_readers, delivery.readers);
        let text = format!("{label}: {failed} of {readers} readers gave up");
        notes.push(warning("failed-readers", text));
    }
    if delivery.is_unjudged() {
        let count = units::count(delivery.unjudged);
        let text = format!(
            "{label}: deliveries cannot be judged: {count} were acknowledged on the streams of its \
             readers, but no reader was there for them, or their bodies carry no stamp"
        );
        notes.push(warning("no-deliveries", text));
    }
}

fn behind(group: &GroupResult, notes: &mut Vec<Note>) {
    let GroupResult { name, started, not_sent, intended, .. } = group;
    // What waited until the end waited for the server.
    if group.open && ((started + not_sent) as f64) < LEAST_ACHIEVED * *intended as f64 {
        let part = units::percent(*started as f64 / *intended as f64);
        let text = format!(
            "group {name}: only {} of {} iterations were started ({part}): the load was lower \
             than planned",
            units::count(*started),
            units::count(*intended),
        );
        notes.push(warning("generator-behind", text));
    }
}

fn late(result: &RunResult, notes: &mut Vec<Note>) {
    let late = result.lateness.percentile(99.0);
    let measured = result.main_times().percentile(99.0);
    let matters = late > MOST_LATE_NS || late as f64 > MOST_LATE_PART * measured as f64;
    if matters && !result.lateness.is_empty() {
        let late = units::time(late as f64);
        let of = match measured {
            0 => String::new(),
            _ => format!(" of a measured p99 of {}", units::time(measured as f64)),
        };
        let text = format!(
            "the generator started operations late: p99 {late}{of}; the lateness is part of every \
             latency here, and it is not the server's"
        );
        notes.push(warning("generator-late", text));
    }
}

fn busy(result: &RunResult, notes: &mut Vec<Note>) {
    let busy = |core: &&CoreResult| core.cpu_ms as f64 > MOST_BUSY * core.wall_ms as f64;
    let cores: Vec<String> = result
        .cores
        .iter()
        .filter(busy)
        .map(|core| {
            let part = core.cpu_ms as f64 / core.wall_ms.max(1) as f64;
            format!("{} ({})", core.name, units::percent(part))
        })
        .collect();
    if let Some(first) = cores.first() {
        let which = if cores.len() == 1 {
            format!("thread {first} of the generator was")
        } else {
            format!("{} threads of the generator were, {first} the first,", cores.len())
        };
        let text = format!("{which} nearly always busy: use more cores or more workers");
        notes.push(warning("generator-busy", text));
    }
}

/// What `calibrate` found is what one thread of each kind can do on a processor of its own, so the
/// busiest thread counts.
fn near_ceiling(result: &RunResult, notes: &mut Vec<Note>) {
    let Some(ceiling) = result.meta.ceiling else { return };
    let open = result.groups.iter().any(|group| group.open);
    let requests_per_second = match open {
        true => ceiling.requests_per_second.max(ceiling.pipelined_per_second),
        false => ceiling.requests_per_second,
    };
    // Threads count transactions too, which are sums of requests.
    let all: u64 = result.operations.iter().map(|operation| operation.total()).sum();
    let plain: u64 = result.plain_operations().map(|operation| operation.total()).sum();
    let requests = plain as f64 / all.max(1) as f64;
    let part = |count: f64, core: &CoreResult, most: f64| {
        if most > 0.0 { count * 1e3 / core.wall_ms.max(1) as f64 / most } else { 0.0 }
    };
    let used = result.cores.iter().map(|core| {
        part(core.operations as f64 * requests, core, requests_per_second)
            + part(core.deliveries as f64, core, ceiling.deliveries_per_second)
    });
    let used = used.fold(0.0, f64::max);
    if used >= NEAR_CEILING {
        let text = format!(
            "this is {} of what the generator can do on this machine (calibrate: {} requests/s \
             or {} deliveries/s per core): the server may be able to do more",
            units::percent(used),
            units::rate(requests_per_second),
            units::rate(ceiling.deliveries_per_second),
        );
        notes.push(warning("near-ceiling", text));
    }
}

/// Readers that live as long as the run have one iteration each; their times are not those of a
/// loop.
fn closed_loop(group: &GroupResult, notes: &mut Vec<Note>) {
    if !group.open && group.started > u64::from(group.users) {
        let text = format!(
            "group {} is a closed loop: a stall of the server counts once per user, not once per \
             operation that should have been started meanwhile (coordinated omission)",
            group.name,
        );
        notes.push(warning("closed-loop", text));
    }
}

fn few_samples(result: &RunResult, notes: &mut Vec<Note>) {
    let operations = result.operations.iter().map(|operation| (&operation.label, &operation.times));
    let deliveries = result.deliveries.iter().map(|delivery| (&delivery.label, &delivery.times));
    for (label, times) in operations.chain(deliveries) {
        let few: Vec<String> = [99.0, 99.9, 99.99]
            .into_iter()
            .filter(|percentile| !times.is_empty() && !is_founded(times, *percentile))
            .map(|percentile| format!("p{percentile}"))
            .collect();
        if !few.is_empty() {
            let text = format!(
                "{label}: {} values are too few for {}: fewer than ten lie beyond",
                units::count(times.count()),
                few.join(", "),
            );
            notes.push(Note { warning: false, code: "few-samples".to_owned(), text });
        }
    }
}

/// Whether enough values lie beyond a percentile for it to mean something.
pub(crate) fn is_founded(times: &Times, percentile: f64) -> bool {
    times.count() as f64 * (100.0 - percentile) / 100.0 >= LEAST_BEYOND - 1e-6
}

fn warning(code: &str, text: String) -> Note {
    Note { warning: true, code: code.to_owned(), text }
}

/// Of what was intended.
const LEAST_ACHIEVED: f64 = 0.98;
/// Lateness at p99, absolute and as a part of the measured p99.
const MOST_LATE_NS: u64 = 1_000_000;
const MOST_LATE_PART: f64 = 0.1;
/// CPU time of wall time of a thread.
pub(crate) const MOST_BUSY: f64 = 0.85;
/// Of what `calibrate` found.
const NEAR_CEILING: f64 = 0.7;
/// Values beyond a percentile.
const LEAST_BEYOND: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Ceiling;
    use crate::result::fixture::example;

    fn codes(result: &RunResult) -> Vec<String> {
        notes(result).into_iter().map(|note| note.code).collect()
    }

    #[test]
    fn each_has_its_cause() {
        let before = codes(&example());
        let check = |change: &dyn Fn(&mut RunResult), code: &str, warns: bool| {
            assert!(is_derived(code));
            let mut result = example();
            assert!(!before.iter().any(|had| had == code), "{code} without a cause");
            change(&mut result);
            let found = notes(&result).into_iter().find(|note| note.code == code);
            assert_eq!(found.map(|note| note.warning), Some(warns), "{code}");
        };
        check(&|result| result.meta.interrupted = true, "interrupted", true);
        check(&|result| result.deliveries[0].lost = 1, "lost", true);
        check(&|result| result.deliveries[0].duplicated = 1, "duplicated", true);
        check(&|result| result.deliveries[0].reordered = 1, "reordered", true);
        check(&|result| result.deliveries[0].damaged = 1, "damaged", true);
        check(&|result| result.deliveries[0].failed_readers = 1, "failed-readers", true);
        check(
            &|result| {
                (result.deliveries[0].expected, result.deliveries[0].unjudged) = (0, 1);
            },
            "no-deliveries",
            true,
        );
        check(&|result| result.groups[1].started = 293, "generator-behind", true);
        check(&|result| result.lateness.record_n(1_100_000, 10), "generator-late", true);
        check(&|result| result.cores[1].cpu_ms = 51_001, "generator-busy", true);
        check(
            &|result| {
                result.meta.ceiling.iter_mut().for_each(|top| top.deliveries_per_second = 35e3);
            },
            "near-ceiling",
            true,
        );
        assert_eq!(before, ["closed-loop", "few-samples", "few-samples"]);
    }

    #[test]
    fn limits_are_exact() {
        let check = |change: &dyn Fn(&mut RunResult), code: &str| {
            let mut result = example();
            change(&mut result);
            assert!(!codes(&result).contains(&code.to_owned()), "{code}");
        };
        check(&|result| result.groups[1].started = 294, "generator-behind");
        check(
            &|result| (result.groups[1].started, result.groups[1].not_sent) = (100, 194),
            "generator-behind",
        );
        check(&|result| result.cores[1].cpu_ms = 51_000, "generator-busy");
        check(&|result| result.lateness = Times::new(), "generator-late");
        check(&|result| result.groups[2].started = 4, "closed-loop");
        let mut result = example();
        result.operations.clear();
        result.deliveries[0].times = Times::new();
        result.deliveries[0].times.record_n(1_000_000, 100_000);
        assert!(!codes(&result).contains(&"few-samples".to_owned()));
        result.deliveries[0].times = Times::new();
        result.deliveries[0].times.record_n(1_000_000, 99_999);
        let text = notes(&result).pop().unwrap().text;
        assert_eq!(text, "tail: 99,999 values are too few for p99.99: fewer than ten lie beyond");
    }

    #[test]
    fn the_busiest_thread_is_compared_with_the_ceiling() {
        let mut result = example();
        let ceiling = Ceiling { deliveries_per_second: 60e3, cores: 1, ..Ceiling::default() };
        result.meta.ceiling = Some(ceiling);
        // Two threads with 25,000 deliveries per second each.
        assert!(!codes(&result).contains(&"near-ceiling".to_owned()));
        result.cores[0].deliveries += std::mem::take(&mut result.cores[1].deliveries);
        let found = notes(&result).into_iter().find(|note| note.code == "near-ceiling");
        let text = found.unwrap().text;
        assert!(text.starts_with("this is 83.3 % of what"), "{text}");
    }

    #[test]
    fn lateness_without_a_latency() {
        let mut result = example();
        result.operations.clear();
        result.deliveries.clear();
        let late = notes(&result).into_iter().find(|note| note.code == "generator-late");
        let text = late.unwrap().text;
        assert!(!text.contains("of a measured") && text.contains("; the lateness is"), "{text}");
    }

    #[test]
    fn what_was_under_way_at_a_stop_is_not_called_lost() {
        let mut result = example();
        result.meta.interrupted = true;
        result.deliveries[0].lost = 1;
        let lost = notes(&result).into_iter().find(|note| note.code == "lost").unwrap().text;
        assert!(lost.contains("had not arrived when it was stopped"), "{lost}");
    }

    #[test]
    fn the_first_fault_is_named() {
        let mut result = example();
        result.deliveries[0].lost = 1;
        result.deliveries[0].reordered = 2;
        result.deliveries[0].faults = vec!["reader 17 of stream 0 lost message 4711".to_owned()];
        let texts: Vec<String> = notes(&result).into_iter().map(|note| note.text).collect();
        assert_eq!(
            texts[0],
            "tail: 1 of 3,000,000 deliveries were lost; first: reader 17 of stream 0 lost message \
             4711"
        );
        assert_eq!(texts[1], "tail: 2 of 3,000,000 deliveries arrived out of order");
    }
}
