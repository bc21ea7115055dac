//! Runs on workers, and the search for capacity.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{Files, command, load, target};
use crate::support::{Server, wait_for};

/// A worker that listens. Killed when dropped.
struct Worker {
    child: Child,
    address: String,
}

impl Worker {
    fn start(more: &[&str]) -> Worker {
        let words = [&["worker", "--listen=127.0.0.1:0"], more].concat();
        let mut child = command(&words).stderr(Stdio::inherit()).spawn().expect("the binary");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        stdout.read_line(&mut line).expect("a line");
        let address = line.trim_end().split(" ready: ").nth(1);
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
        Worker { child, address }
    }

    /// SIGTERM, and the end: it must be a good one.
    fn stop(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("signalled");
        let status = wait_for("a worker's end", || self.child.try_wait().expect("its status"));
        assert!(status.success(), "{status}");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn two_workers_make_one_run() {
    let server = Server::start(&[]);
    let files = Files::new();
    let token = files.write("token", "secret\n");
    let mut workers =
        [Worker::start(&["--token-file", &token]), Worker::start(&["--token-file", &token])];
    let addresses = format!("{},{}", workers[0].address, workers[1].address);
    let url = format!("{}/x", target(&server));
    let words = ["fanout", "--url", &url, "--readers=10", "--rate=40", "--duration=2s", "-q"];
    let distributed = [&words[..], &["--workers", &addresses]].concat();

    let refused = load(&distributed).expect(3);
    assert!(refused.stderr.contains("it needs a token (--token-file)"), "{}", refused.stderr);

    let (report, log) = (files.path("report"), files.path("r.jtl"));
    let more = ["--token-file", &token, "-o", &report, "-l", &log, "--threshold=append: p50<1m"];
    let ran = load(&[&distributed[..], &more].concat()).expect(0);
    assert!(ran.stdout.contains("pass     append: p50<1m"), "{}", ran.stdout);
    let summary = files.json("report/summary.json");
    let number = |pointer: &str| summary.pointer(pointer).and_then(|value| value.as_u64());
    assert_eq!(number("/operations/0/succeeded"), Some(80), "{summary}");
    assert_eq!(number("/deliveries/0/readers"), Some(10), "{summary}");
    // Each worker's five readers get the 40 messages that it published; those of the other worker
    // are not theirs to judge.
    assert_eq!((number("/expected"), number("/delivered")), (Some(400), Some(400)));
    assert_eq!((number("/lost"), number("/duplicated")), (Some(0), Some(0)));
    assert_eq!(summary["workers"].as_array().map(Vec::len), Some(2));
    assert_eq!(summary["plan_hash"].as_str().map(str::len), Some(64));
    let rows = files.read("r.jtl");
    assert_eq!(rows.lines().filter(|row| row.contains(",append,")).count(), 80);
    assert!(!rows.contains("secret"));

    workers.iter_mut().for_each(Worker::stop);
}

/// The plan of a tiny search. Nothing in it is due at a time, so a busy machine does not make the
/// generator late.
fn plan(server: &Server, files: &Files) -> String {
    let text = format!(
        "target = \"{}\"\nstreams = [{{ name = \"s\" }}]\n\
         [[groups]]\nusers = 2\nhold = \"300ms\"\n\
         steps = [{{ append = {{}} }}, {{ pause = \"20ms\" }}]\n",
        target(server)
    );
    files.write("p.toml", &text)
}

#[test]
fn a_search_finds_what_holds() {
    let server = Server::start(&[]);
    let files = Files::new();
    let (plan, report) = (plan(&server, &files), files.path("report"));
    let pid = server.pid().to_string();
    let search = ["--knob=streams", "--from=2", "--to=4", "--confirm=1", "--settle=0s"];
    let words = ["capacity", &plan, "--slo=p50<1m, errors<1%", "-o", &report, "--server-pid", &pid];
    let ran = load(&[&words[..], &search, &["--hardware=cores=16"]].concat()).expect(0);
    assert!(ran.stdout.contains("AT LEAST: 4 streams"), "{}", ran.stdout);
    assert!(ran.stderr.contains("trial  3"), "{}", ran.stderr);
    assert_eq!(files.list("report"), ["capacity.json", "capacity.txt"]);
    assert_eq!(files.read("report/capacity.txt"), ran.stdout);
    let report = files.json("report/capacity.json");
    assert_eq!((&report["best"], &report["knob"]), (&4.0.into(), &"streams".into()));
    assert_eq!(report["trials"].as_array().map(Vec::len), Some(3));
    assert_eq!(report["meta"]["plan_hash"].as_str().map(str::len), Some(64));

    let nothing = ["capacity", &plan, "-q", "--slo=p50<1ns", "--knob=streams", "--settle=0s"];
    let ran = load(&[&nothing[..], &["--max-trials=2", "--from=8"]].concat()).expect(1);
    assert!(ran.stdout.contains("UNKNOWN: nothing held"), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_search_on_a_worker() {
    let server = Server::start(&[]);
    let files = Files::new();
    let (plan, worker) = (plan(&server, &files), Worker::start(&[]));
    let words = ["capacity", &plan, "--slo=p50<1m", "--workers", &worker.address, "-q"];
    let search = ["--knob=streams", "--from=2", "--to=2", "--confirm=2", "--settle=0s"];
    let ran = load(&[&words[..], &search].concat()).expect(0);
    assert!(ran.stdout.contains("AT LEAST: 2 streams"), "{}", ran.stdout);
}
