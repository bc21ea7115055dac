//! What a signal does to a run.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, ChildStderr};

use rustix::process::{Pid, Signal, kill_process};

use super::{Files, command, target};
use crate::support::{Server, wait_for, wait_until};

/// A command under way.
struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Running {
    fn start(words: &[&str]) -> Running {
        let mut child = command(words).spawn().expect("the binary");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        Running { child, stderr }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signalled");
    }

    /// Reads what it says until it says that.
    fn until(&mut self, what: &str) {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            let read = self.stderr.read_line(&mut line).expect("text");
            assert!(read > 0, "it ended before it said {what:?}");
        }
    }

    /// Its exit code and what it wrote to stdout.
    fn end(mut self) -> (Option<i32>, String) {
        wait_for("its end", || self.child.try_wait().expect("its status"));
        let output = self.child.wait_with_output().expect("its output");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    }
}

#[test]
fn a_signal_ends_a_run_with_its_result() {
    let server = Server::start(&[]);
    let url = format!("{}/x", target(&server));
    for signal in [Signal::INT, Signal::TERM] {
        let files = Files::new();
        let report = files.path("report");
        let words = ["fanout", "--url", &url, "--readers=3", "--rate=20", "--duration=1h"];
        let mut running = Running::start(&[&words[..], &["-o", &report]].concat());
        running.until("running 1 s");
        running.signal(signal);
        running.until("stopping");
        let (code, stdout) = running.end();
        assert_eq!(code, Some(4), "{stdout}");
        assert!(stdout.contains("stopped before its end"), "{stdout}");
        assert!(stdout.contains(" to 3 sse readers: 0 lost"), "{stdout}");
        let summary = files.json("report/summary.json");
        assert_eq!((&summary["interrupted"], &summary["lost"]), (&true.into(), &0.into()));
        assert!(summary["delivered"].as_u64() > Some(0), "{summary}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    // Accepts and never answers, so the set-up hangs.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/x", silent.local_addr().expect("an address"));
    for (signal, want) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut running = Running::start(&["fanout", "--url", &url, "--readers=1"]);
        let _connection = silent.accept().expect("a connection");
        running.signal(signal);
        running.until("stopping");
        running.signal(signal);
        let (code, stdout) = running.end();
        assert_eq!((code, stdout.as_str()), (Some(want), ""));
    }
}

#[test]
fn a_search_that_is_stopped_has_a_report() {
    let server = Server::start(&[]);
    let files = Files::new();
    let url = format!("{}/x", target(&server));
    let words = ["fanout", "--url", &url, "--readers=2", "--duration=1h", "--print-plan"];
    let plan = files.write("p.toml", &super::load(&words).expect(0).stdout);
    let words = ["capacity", &plan, "--slo=p50<1m", "--knob=readers"];
    let running = Running::start(&words);
    wait_until("messages of the first trial", || {
        let response = server.get("x");
        response.status == 200 && response.body.len() > 2
    });
    running.signal(Signal::INT);
    let (code, stdout) = running.end();
    assert_eq!(code, Some(4), "{stdout}");
    assert!(stdout.contains("STOPPED: nothing held until then"), "{stdout}");
}

#[test]
fn a_signal_is_not_kept_waiting() {
    // Accepts and never answers: the timeouts of requests and of the plan are far longer.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/x", silent.local_addr().expect("an address"));
    let mut running = Running::start(&["fanout", "--url", &url, "--readers=1"]);
    let _connection = silent.accept().expect("a connection");
    running.signal(Signal::INT);
    running.until("stopping");
    let asked = std::time::Instant::now();
    assert_eq!(running.end(), (Some(4), String::new()));
    assert!(asked.elapsed() < std::time::Duration::from_secs(9), "{:?}", asked.elapsed());

    // Readers come one every ten seconds.
    let server = Server::start(&[]);
    let url = format!("{}/x", target(&server));
    let slow = ["fanout", "--url", &url, "--readers=9", "--connect-rate=0.1"];
    let mut running = Running::start(&slow);
    running.until("setting up");
    running.signal(Signal::INT);
    running.until("stopping");
    let asked = std::time::Instant::now();
    assert_eq!(running.end(), (Some(4), String::new()));
    assert!(asked.elapsed() < std::time::Duration::from_secs(9), "{:?}", asked.elapsed());
}
