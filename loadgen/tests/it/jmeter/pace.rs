//! Timers that keep to a rate: both programs make about as many requests in the same time.

use std::collections::BTreeMap;

use super::jmx::{defaults, element, get, group_with, plan};
use super::{Counts, PlanFile, counts, run, run_in_jmeter};
use crate::jmeter::stub::Stub;

#[test]
fn both_programs_keep_to_the_rate() {
    let duration = SECONDS.to_string();
    let scheduled = [("ThreadGroup.scheduler", "true"), ("ThreadGroup.duration", &duration)];
    let constant = |per_minute, mode| {
        let properties = [("throughput", per_minute), ("calcMode", mode)];
        element("ConstantThroughputTimer", "Pace", &properties, &[])
    };
    let precise = [
        ("throughput", "40.0"),
        ("throughputPeriod", "1"),
        ("duration", &duration),
        ("batchSize", "1"),
        ("batchThreadDelay", "0"),
        ("allowedThroughputSurplus", "1.0"),
        ("exactLimit", "10000"),
        ("randomSeed", "0"),
    ];
    let precise = element("PreciseThroughputTimer", "Pace", &precise, &[]);
    let group = |name, steps: &[String]| group_with(name, "4", "-1", &scheduled, steps);
    let text = plan(
        &[],
        &[
            defaults("${__P(port,80)}", &[]),
            group("Each", &[constant("600", "0"), get("each", "/echo", &[])]),
            group("Together", &[constant("2400", "2"), get("together", "/echo", &[])]),
            group("Shared", &[constant("2400", "4"), get("shared", "/echo", &[])]),
            group(
                "Two",
                &[constant("2400", "4"), get("one", "/echo", &[]), get("other", "/echo", &[])],
            ),
            group("Precise", &[precise, get("precise", "/echo", &[])]),
        ],
    );
    let file = PlanFile::new(&text, &[]);
    let stub = Stub::start();
    let port = stub.port().to_string();
    let properties = [("port", port.as_str())];
    let (ours, theirs) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| run_in_jmeter(&file.path, &properties));
        (counts(&run(&file.path, &properties)), theirs.join().expect("no panic"))
    });
    check(&ours, "counted here");
    if let Some(theirs) = theirs {
        check(&theirs, "counted by JMeter");
    }
}

/// Half as many to half as many again: the first requests come at once, a Poisson process has its
/// own mind, and a machine with other work to do is late. Twice the rate, or a timer that each of
/// several samplers has for itself, would be beyond.
#[track_caller]
fn check(counts: &Counts, whose: &str) {
    let per_second = [
        ("each", 40),
        ("together", 40),
        ("shared", 40),
        ("one", 20),
        ("other", 20),
        ("precise", 40),
    ];
    let want = BTreeMap::from(per_second);
    assert_eq!(counts.len(), want.len(), "{whose}: {counts:?}");
    for (label, count) in counts {
        let wanted = want[label.as_str()] * SECONDS;
        let range = wanted / 2..=wanted * 3 / 2;
        assert!(range.contains(&count.samples), "{whose}: {label} not in {range:?}: {counts:?}");
        assert_eq!(count.errors, 0, "{whose}: {label}");
    }
}

const SECONDS: u64 = 4;
