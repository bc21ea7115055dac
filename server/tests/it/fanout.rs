//! Many SSE readers on one stream: each gets every message, once, in order, and what they cost
//! comes back when they leave.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};
use thalweg_loadgen::engine::{self, RunOptions};
use thalweg_loadgen::plan::{FanoutOptions, fanout};
use thalweg_loadgen::result::{DeliveryResult, RunResult};

use crate::support::{BASE, Server, wait_until};

const MESSAGES: u32 = 100;
const PAYLOAD_BYTES: u32 = 100;
/// The whole test, set-up and drain included, should take less than a minute with a debug build
/// on two busy cores.
const DRAIN: Duration = Duration::from_secs(30);
/// Descriptors besides the readers'.
const SPARE_DESCRIPTORS: u64 = 200;
/// What may stay resident: pages that the allocator cannot give back because something small that
/// lives on is in them, tables that have grown once, and the hot tail with the 100 messages.
/// Measured: 1 to 5 MB after a growth of 22 MB with 10,000 readers, more on a busy machine. Half
/// of the readers' memory would break it.
const KEPT_BYTES: u64 = 8 * 1024 * 1024;

/// One crowd at a time: two of them on a small machine only wait for each other.
static CROWD: Mutex<()> = Mutex::new(());

fn check(cores: usize, readers: u32, rate: f64) {
    let _alone = CROWD.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = u64::from(readers) + SPARE_DESCRIPTORS;
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    if limit < wanted {
        println!("SKIPPED: {readers} readers need {wanted} descriptors, the hard limit is {limit}");
        return;
    }
    let server = Server::start(&[&format!("--cores={cores}")]);
    let run = |name: &str, readers, messages: u32| {
        let plan = fanout(&FanoutOptions {
            url: format!("http://{}{BASE}/{name}", server.address()),
            readers,
            rate,
            duration: Duration::from_secs_f64(f64::from(messages) / rate),
            payload_bytes: PAYLOAD_BYTES,
            drain: DRAIN,
            ..FanoutOptions::default()
        });
        engine::run(&plan, &RunOptions::default()).expect("a run")
    };
    // Everything that is allocated once is there before the measurement.
    run("warm-up", 10, 10);
    let before = Usage::of(&server);

    let started = Instant::now();
    let result = run("fanout", readers, MESSAGES);
    let took = started.elapsed();
    let during = Usage::of(&server);
    let report = judged(&result, readers);

    wait_until("the readers' sockets to be closed", || {
        Usage::of(&server).descriptors <= before.descriptors + 2
    });
    let bound = before.resident + KEPT_BYTES;
    let what = format!("the memory to come back: {before:?}, {during:?}, at most {bound}");
    wait_until(&what, || Usage::of(&server).resident <= bound);
    let after = Usage::of(&server);
    println!(
        "{cores} cores, {took:.1?}, resident MB: {:.1} before, {:.1} at the end of the run, {:.1} \
         after, {:.1} at the peak\n{report}",
        mb(before.resident),
        mb(during.resident),
        mb(after.resident),
        mb(after.peak),
    );
}

/// Everybody got everything, once and in order. The figures in words.
fn judged(result: &RunResult, readers: u32) -> String {
    let [delivery] = result.deliveries.as_slice() else { panic!("{:?}", result.deliveries) };
    let DeliveryResult { lost, duplicated, reordered, damaged, failed_readers, .. } = *delivery;
    let faults = [lost, duplicated, reordered, damaged, failed_readers];
    assert_eq!(faults, [0; 5], "{:?} {:?}", delivery.faults, result.errors);
    assert_eq!(result.operations[0].failed, 0, "{:?}", result.errors);
    assert_eq!(delivery.readers, u64::from(readers));
    assert_eq!(delivery.delivered, u64::from(readers) * u64::from(MESSAGES));
    assert_eq!(delivery.expected, delivery.delivered);
    assert_eq!(delivery.last_reader.count(), u64::from(MESSAGES));
    let ms = |percentile| delivery.times.percentile(percentile) as f64 / 1e6;
    format!("delivery p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", ms(50.0), ms(99.0), ms(100.0))
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Usage {
    resident: u64,
    peak: u64,
    descriptors: usize,
}

impl Usage {
    fn of(server: &Server) -> Usage {
        let process = format!("/proc/{}", server.pid());
        let status = fs::read_to_string(format!("{process}/status")).expect("its status");
        let kilobytes = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            line.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        let descriptors = fs::read_dir(format!("{process}/fd")).expect("its descriptors").count();
        let (resident, peak) = (kilobytes("VmRSS:") * 1024, kilobytes("VmHWM:") * 1024);
        Usage { resident, peak, descriptors }
    }
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[test]
fn ten_thousand_readers_on_one_core() {
    check(1, 10_000, 5.0);
}

#[test]
fn two_thousand_readers_on_two_cores() {
    check(2, 2_000, 10.0);
}
