//! `kill -9` under load: what was acknowledged is there once, in order, whole; what was not is
//! there whole or not at all; and what clients repeat afterwards is stored exactly once.
//!
//! Twenty-five kills with seeds of their own, or as many as `THALWEG_TEST_KILLS` says, five in a row on
//! each server, so that each round also checks what the earlier ones left. A seed fixes what is
//! sent and when the kill comes, not how the threads interleave. Each test prints one line of
//! counts for each server (`--nocapture`).

mod history;
mod verify;
mod writer;

use std::fs;
use std::ops::RangeFrom;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use history::Log;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use verify::Found;
use writer::{Counts, Slot, Writer};

use crate::support::{Server, wait_until};

const WRITERS: usize = 4;
const STREAMS_PER_WRITER: usize = 5;
/// One JSON, one text.
const SHARED_STREAMS: usize = 2;
const KILLS_PER_SERVER: usize = 5;
/// On average at least: some ends come with the first appends.
const APPENDS_PER_END: u64 = 20;
/// Each new log begins with two segments full of zeros, on a disk that many tests share.
const SEGMENTS: &str = "--segment-bytes=9MiB";
/// Segments that are soon full, and bodies that fit into them.
const SMALL: [&str; 2] = ["--segment-bytes=1MiB", "--max-body-bytes=256KiB"];
/// When the end comes.
const LOAD_MS: std::ops::Range<u64> = 30..700;

/// How a round ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Kill,
    Terminate,
    /// SIGKILL, and twice more within the first 50 ms of the next two starts.
    KillInRecovery,
}

/// A server and everything that its writers know.
pub(crate) struct World {
    pub(crate) server: Server,
    writers: Vec<Writer>,
    found: Vec<Found>,
    /// Ends of the server, of whatever kind.
    ends: u32,
}

impl World {
    fn start(cores: usize) -> World {
        World::on(Server::start(&[&format!("--cores={cores}"), SEGMENTS]))
    }

    /// Writers that fill segments: every third record is a large one.
    pub(crate) fn with_large_records(mut self) -> World {
        self.writers.iter_mut().for_each(|writer| writer.large_percent = 33);
        self
    }

    /// On a server that has no streams yet.
    pub(crate) fn on(server: Server) -> World {
        for index in 0..SHARED_STREAMS {
            let log = Log::new(&shared_path(index), index == 0, String::new());
            server.put(&log.path, log.content_type(), "").expect_status(201);
        }
        let writers = (0..WRITERS).map(new_writer).collect();
        World { server, writers, found: Vec::new(), ends: 0 }
    }

    /// Load, the end, a restart on so many cores, and the check.
    fn round(&mut self, seed: u64, end: End, cores_after: usize) {
        self.round_with(seed, end, &[&format!("--cores={cores_after}"), SEGMENTS]);
    }

    fn round_with(&mut self, seed: u64, end: End, arguments_after: &[&str]) {
        eprintln!("seed {seed}, {end:?}, then {arguments_after:?}");
        let mut random = StdRng::seed_from_u64(seed);
        self.load(&mut random, |server| match end {
            End::Kill | End::KillInRecovery => server.kill(),
            End::Terminate => server.stop(),
        });
        if end == End::KillInRecovery {
            for _ in 0..2 {
                self.start_and_kill(arguments_after, random.random_range(0..50));
            }
        }
        self.server.launch_with(arguments_after);
        self.verify(&mut random);
    }

    /// Lets the writers write for a while, then ends the server while they go on.
    pub(crate) fn load(&mut self, random: &mut StdRng, end: impl FnOnce(&mut Server)) {
        let address = self.server.address();
        let acknowledged = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = self
            .writers
            .drain(..)
            .map(|writer| {
                let seed = random.random();
                let writer = Writer { acknowledged: Arc::clone(&acknowledged), ..writer };
                thread::spawn(move || writer.run(address, seed))
            })
            .collect();
        thread::sleep(Duration::from_millis(random.random_range(LOAD_MS)));
        // On a busy machine that time may be nothing.
        let least = random.random_range(0..=2 * APPENDS_PER_END);
        wait_until("there is load", || acknowledged.load(Ordering::Relaxed) >= least);
        end(&mut self.server);
        self.ends += 1;
        self.writers = threads.into_iter().map(|thread| thread.join().expect("a writer")).collect();
    }

    /// More load, until there is a sealed segment, and a kill. The server stands as before then.
    fn load_until_sealed(&mut self, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed + 1000);
        let data_dir = self.server.data_dir();
        self.load(&mut random, |server| {
            wait_until("a sealed segment", || has_sealed(&data_dir));
            server.kill();
        });
        self.server.launch();
        self.verify(&mut random);
    }

    /// Checks everything that the writers know, on a server that was started again.
    pub(crate) fn verify(&mut self, random: &mut StdRng) {
        let mut client = self.server.connect();
        for writer in &mut self.writers {
            assert_eq!(writer.fault, None, "{} saw it before the end", writer.name);
            self.found.push(verify::verify(writer, &mut client, random));
        }
    }

    fn start_and_kill(&mut self, arguments: &[&str], after_ms: u64) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_thalweg"))
            .arg("serve")
            .arg("--data-dir")
            .arg(self.server.data_dir())
            .arg(format!("--listen={}", self.server.address()))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary");
        thread::sleep(Duration::from_millis(after_ms));
        child.kill().expect("killed");
        child.wait().expect("its end");
        self.ends += 1;
    }

    /// Prints what happened.
    pub(crate) fn summary(&self, name: &str) {
        let count = |of: fn(&Counts) -> u64| -> u64 {
            self.writers.iter().map(|writer| of(&writer.counts)).sum()
        };
        let found = |of: fn(&Found) -> u64| -> u64 { self.found.iter().map(of).sum() };
        println!(
            "{name}: {} ends; acknowledged: {} appends, {} creates (of them {} forks), {} closes, \
             {} deletes; unacknowledged: {} stored whole, {} absent; retries: {} known, {} stored; \
             {} tokens read again, {} deletions checked",
            self.ends,
            count(|counts| counts.appends),
            count(|counts| counts.creates),
            count(|counts| counts.forks),
            count(|counts| counts.closes),
            count(|counts| counts.deletes),
            found(|found| found.stored),
            found(|found| found.absent),
            found(|found| found.known),
            found(|found| found.retried),
            found(|found| found.tokens),
            found(|found| found.deleted),
        );
        let appends = count(|counts| counts.appends);
        assert!(appends >= u64::from(self.ends), "there was no load to speak of");
    }
}

/// Whether a log has a sealed segment.
fn has_sealed(data_dir: &Path) -> bool {
    let logs = fs::read_dir(data_dir).into_iter().flatten().flatten();
    let files = logs.filter_map(|log| fs::read_dir(log.path()).ok()).flatten().flatten();
    files.map(|file| file.path()).any(|path| path.extension().is_some_and(|end| end == "seg"))
}

fn new_writer(index: usize) -> Writer {
    let name = format!("w{index}");
    let slot = |slot| Slot::new(format!("{name}/s{slot}"), slot % 2 == 0);
    let shared = |shared| {
        Log::new(&shared_path(shared), shared == 0, format!("{name}/{}", shared_path(shared)))
    };
    Writer {
        slots: (0..STREAMS_PER_WRITER).map(slot).collect(),
        shared: (0..SHARED_STREAMS).map(shared).collect(),
        counts: Counts::default(),
        acknowledged: Arc::default(),
        large_percent: 1,
        fault: None,
        name,
    }
}

fn shared_path(index: usize) -> String {
    format!("shared/{index}")
}

/// The rounds of one test: seeds, and the number of cores after each kill. Five, or a fifth of
/// `THALWEG_TEST_KILLS`.
fn rounds(seeds: RangeFrom<u64>, cores_after: [usize; 5]) -> Vec<(u64, usize)> {
    let kills = number_from_environment("THALWEG_TEST_KILLS", 25).div_ceil(5);
    seeds.zip(cores_after.into_iter().cycle()).take(kills).collect()
}

fn kills(name: &str, cores: usize, seeds: RangeFrom<u64>, cores_after: [usize; 5]) {
    let rounds = rounds(seeds, cores_after);
    for rounds in rounds.chunks(KILLS_PER_SERVER) {
        let mut world = World::start(cores);
        for (seed, cores_after) in rounds {
            world.round(*seed, End::Kill, *cores_after);
        }
        world.summary(name);
    }
}

/// How often a test repeats its fault: as the environment says, for long runs by hand.
pub(crate) fn number_from_environment(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")),
        Err(_) => default,
    }
}

#[test]
fn kills_on_one_core() {
    kills("one core", 1, 101.., [1; 5]);
}

#[test]
fn kills_on_two_cores() {
    kills("two cores", 2, 201.., [2; 5]);
}

#[test]
fn kills_while_the_cores_grow_and_shrink() {
    kills("one core, two, one", 1, 301.., [2, 1, 2, 2, 1]);
}

#[test]
fn kills_while_the_cores_shrink_and_grow() {
    kills("two cores, one, two", 2, 401.., [1, 2, 1, 1, 2]);
}

/// With segments so small, and records so large, that the log is sealed, compacted and recycled all
/// the time.
#[test]
fn kills_while_segments_are_sealed() {
    let arguments = |cores| [["--cores=1", "--cores=2"][cores - 1], SMALL[0], SMALL[1]];
    for rounds in rounds(601.., [1, 1, 2, 2, 1]).chunks(KILLS_PER_SERVER) {
        let mut world = World::on(Server::start(&arguments(1))).with_large_records();
        for (seed, cores_after) in rounds {
            world.round_with(*seed, End::Kill, &arguments(*cores_after));
            world.load_until_sealed(*seed);
        }
        world.summary("small segments");
    }
}

#[test]
fn termination_and_kills_during_recovery() {
    let mut world = World::start(2);
    world.round(501, End::Terminate, 2);
    world.round(502, End::KillInRecovery, 2);
    world.round(503, End::Terminate, 1);
    world.round(504, End::KillInRecovery, 2);
    world.summary("termination and recovery");
}
