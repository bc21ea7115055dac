//! Same plan, same seed: the same requests to the same streams, of the same sizes, at the same
//! times; another seed, and they differ.

use std::collections::BTreeMap;

use thalweg_loadgen::message::stamps;

use crate::runs::{plan, run_on};
use crate::stub::Stub;

/// What was sent, without what must differ: the run's number and when it began.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Sent {
    request: String,
    bytes: usize,
    /// Source, sequence and intended time from the first one's, of each message.
    stamps: Vec<(u32, u32, u64)>,
    /// A body without a stamp.
    text: String,
}

/// By stream, in the order in which the server got it.
type Schedule = BTreeMap<String, Vec<Sent>>;

fn schedule(text: &str, seed: u64, cores: usize) -> Schedule {
    let stub = Stub::start();
    let result = run_on(&plan(&stub, &format!("seed = {seed}\n{text}")), cores);
    assert_eq!(result.errors, [], "{text}");
    let log = stub.log();
    let sent = log.requests.iter().filter(|request| request.method != "PUT");
    let first = sent.clone().flat_map(|request| stamps(&request.body)).flatten();
    let first_ns = first.map(|stamp| stamp.intended_ns).min().unwrap_or_default();
    let mut schedule = Schedule::new();
    for request in sent {
        let stamps: Vec<_> = stamps(&request.body)
            .map(|stamp| stamp.expect("whole"))
            .map(|stamp| (stamp.source, stamp.sequence, stamp.intended_ns - first_ns))
            .collect();
        let body = String::from_utf8_lossy(&request.body).into_owned();
        schedule.entry(request.path.clone()).or_default().push(Sent {
            request: format!("{} {}\n{}", request.method, request.query, request.fields),
            bytes: request.body.len(),
            text: if stamps.is_empty() { body } else { String::new() },
            stamps,
        });
    }
    schedule.values_mut().flatten().for_each(|sent| sent.request = without_host(&sent.request));
    schedule
}

/// Its port differs from run to run.
fn without_host(head: &str) -> String {
    let lines = head.lines().filter(|line| !line.starts_with("host:"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Two runs are the same, on any number of cores; another seed is another one. `in_order`: requests
/// to a stream come over one connection.
fn check(text: &str, in_order: bool, least: usize) {
    let schedule = |text: &str, seed, cores| {
        let mut schedule = schedule(text, seed, cores);
        if !in_order {
            schedule.values_mut().for_each(|sent| sent.sort());
        }
        schedule
    };
    let first = schedule(text, 7, 1);
    let count: usize = first.values().map(Vec::len).sum();
    assert!(count >= least, "{count} requests");
    let same = |other: &Schedule, what: &str| {
        assert_eq!(first.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>(), "{what}");
        for (stream, sent) in &first {
            let others = &other[stream];
            for (at, (one, two)) in sent.iter().zip(others).enumerate() {
                assert_eq!(one, two, "{what}: {stream}, request {at}");
            }
            assert_eq!(sent.len(), others.len(), "{what}: {stream}");
        }
    };
    same(&schedule(text, 7, 1), "again");
    same(&schedule(text, 7, 2), "on two cores");
    assert_ne!(first, schedule(text, 8, 1), "another seed");
}

/// Poisson arrivals in stages, Zipf's choice, sizes from a distribution: message for message, with
/// their intended times to the nanosecond.
#[test]
fn an_open_schedule() {
    check(
        r#"
        [[streams]]
        name = "x"
        count = 50
        choice = { zipf = 1.1 }

        [[groups]]
        arrivals = "poisson"
        stages = [{ duration = "500ms", rate = 800 }, { duration = "300ms", rate = 800 }]
        steps = [{ append = { size = { median = 200, p99 = "4KiB" } } }]
        "#,
        true,
        300,
    );
}

/// Several steps, so that each iteration is a user's; texts with random parts.
#[test]
fn an_open_schedule_of_iterations() {
    check(
        r#"
        [[streams]]
        name = "x"
        count = 20
        choice = { hot_streams = "10%", hot_operations = "90%" }

        [[groups]]
        rate = 200
        arrivals = "poisson"
        duration = "500ms"
        steps = [
            { append = { body = '{"id":"${__UUID}","n":${__Random(1,1000)}}' } },
            { read = { from = "now" }, headers = { X-Dice = "${__Random(1,6)}" } },
        ]
        "#,
        false,
        150,
    );
}

/// Users of a closed group choose by their own generators, whatever thread they are on.
#[test]
fn a_closed_schedule() {
    check(
        r#"
        [[streams]]
        name = "x"
        count = 8
        choice = "per-user"

        [[groups]]
        users = 8
        iterations = 10
        steps = [
            { append = { body = '{"n":${__Random(1,1000)},"u":${__threadNum}}' } },
            { pause = { min = "0ms", max = "5ms" } },
            { append_batch = { messages = 3, body = '{"i":"${__UUID}"}' } },
        ]
        "#,
        true,
        160,
    );
}
