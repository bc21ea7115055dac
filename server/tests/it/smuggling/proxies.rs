//! The cases, sent through nginx and haproxy.
//!
//! Whatever a proxy makes of a case: the server runs no request that the proxy has not sent on as
//! one, none more often than it was sent on, and another client of the proxy gets its own answer,
//! although both share connections to the server.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde_json::Value;

use super::case::{self, Case};
use super::judge::{self, Judged};
use super::page;
use super::proxy::{Kind, Seen};
use crate::support::{BASE, Client, PATIENCE, Request, Server};

/// Cases at once: most of their time they wait for the proxy to give up.
const THREADS: usize = 16;
/// On requests of the test itself, so that the server's log tells them apart.
const OUR_ID: &str = "the-test-itself";

#[test]
fn behind_nginx_and_haproxy() {
    let found: Vec<_> = thread::scope(|scope| {
        let begin = |kind: Kind| match kind.version() {
            Some(version) => Some((kind, version, scope.spawn(move || run(kind)))),
            None => {
                println!("skipped: {} is not installed", kind.program());
                None
            }
        };
        let running: Vec<_> = Kind::ALL.into_iter().filter_map(begin).collect();
        let end = |(kind, version, run): (_, _, thread::ScopedJoinHandle<'_, _>)| {
            (kind, version, run.join().expect("it passes"))
        };
        running.into_iter().map(end).collect()
    });
    page::check(&found, run);
}

/// What became of each case.
fn run(kind: Kind) -> Vec<Judged> {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("access.log");
    let mut server = Server::start(&[&format!("--access-log={}", log.display())]);
    let cases = case::all();
    for number in 0..cases.len() {
        let id = id(number);
        for stream in [case::stream(&id), case::marker_stream(&id)] {
            ours(&server, Request::put(&stream)).expect_status(201);
        }
        let own = Request::put(&victim(&id)).body(&id);
        ours(&server, own).expect_status(201);
    }
    let proxy = kind.start(server.address());
    let statuses = send_all(&cases, proxy.address);
    let stored: Vec<[usize; 2]> = (0..cases.len())
        .map(|number| {
            let id = id(number);
            [case::stream(&id), case::marker_stream(&id)].map(|stream| stored(&server, &stream))
        })
        .collect();
    let sent_on = proxy.stop();
    // What was answered before the end is written.
    server.stop();
    let taken = taken(&fs::read_to_string(&log).expect("a log"));
    judge::no_request_from_nowhere(kind, &sent_on, &taken);
    let count = |number: usize| {
        let start = format!("{BASE}/{}-", id(number));
        let own = format!("{BASE}/{}", victim(&id(number)));
        let ofcase = |seen: &&Seen| seen.path.starts_with(&start) && seen.path != own;
        taken.iter().filter(ofcase).count()
    };
    let judged =
        statuses.into_iter().zip(stored).enumerate().map(|(number, (statuses, stored))| {
            let judged = Judged { statuses, taken: count(number), marker: stored[1] > 0 };
            judge::at_most_once(kind, &cases[number], stored);
            judged
        });
    judged.collect()
}

fn id(number: usize) -> String {
    format!("c{number:03}")
}

/// The stream of another client of the proxy.
fn victim(id: &str) -> String {
    format!("{id}-victim")
}

fn ours(server: &Server, request: Request) -> crate::support::Response {
    server.ask(&request.with("content-type", "text/plain").with("x-request-id", OUR_ID))
}

/// Bytes of a stream; none if the case has deleted it.
fn stored(server: &Server, stream: &str) -> usize {
    let read = ours(server, Request::get(stream));
    if read.status == 200 { read.body.len() } else { 0 }
}

/// The statuses that the client of each case has seen.
fn send_all(cases: &[Case], proxy: SocketAddr) -> Vec<Vec<u16>> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(vec![Vec::new(); cases.len()]);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { return };
                    let statuses = send(case, &id(number), proxy);
                    found.lock().unwrap_or_else(PoisonError::into_inner)[number] = statuses;
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn send(case: &Case, id: &str, proxy: SocketAddr) -> Vec<u16> {
    let mut socket = TcpStream::connect(proxy).expect("a connection");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // It may answer and close before it has seen everything.
    let _ = socket.write_all(&case.bytes(id));
    let own = Request::get(&victim(id));
    let answer = Client::connect(proxy).ask(&own).expect_status(200);
    assert_eq!(answer.text(), id, "{}: somebody else's answer", case.name);
    // The proxy ends the connection after a while. Its own answers need not be good HTTP.
    let mut answers = Vec::new();
    if let Err(error) = socket.read_to_end(&mut answers) {
        let kind = error.kind();
        assert_eq!(kind, std::io::ErrorKind::ConnectionReset, "{}: {error}", case.name);
    }
    let _ = socket.shutdown(Shutdown::Both);
    statuses(&answers)
}

/// The statuses of final answers, one after the other. No body of this test looks like one.
fn statuses(answers: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answers);
    let words = text.split("HTTP/1.").skip(1);
    let codes = words.filter_map(|rest| rest.get(2..5)?.parse().ok());
    codes.filter(|status| *status >= 200).collect()
}

/// The requests that the server ran, without those of the test itself.
fn taken(log: &str) -> Vec<Seen> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    let lines = lines.filter(|line| line["request_id"] != OUR_ID);
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    lines.map(|line| Seen { method: text(&line["method"]), path: text(&line["path"]) }).collect()
}

/// How often each is there.
pub(super) fn counted(list: &[Seen]) -> HashMap<&Seen, usize> {
    let mut counts = HashMap::new();
    for seen in list {
        *counts.entry(seen).or_insert(0) += 1;
    }
    counts
}
