//! No descriptor left: those that are connected are served, the others wait, and everything goes
//! on when there are some again.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::SMALL;
use super::machine::wait_for_segment_ahead;
use crate::support::{Client, PATIENCE, Request, Server, wait_until};

/// Descriptors left to the server, and connections that want one.
const LEFT: usize = 6;
const WANTED: usize = 40;
/// More than a segment of 1 MiB.
const APPENDS: usize = 1600;
const BODY: [u8; 1000] = [b'x'; 1000];

/// How many descriptors the server may have.
fn limit(server: &Server, descriptors: u64) {
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw);
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit { current: Some(descriptors), maximum };
    prlimit(pid, Resource::Nofile, limit).expect("a limit");
}

fn in_use(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("a process").count()
}

#[test]
fn without_descriptors_the_connected_are_served_and_the_others_wait() {
    let mut server = Server::start(&SMALL);
    server.put("a", "text/plain", "").expect_status(201);
    // The connections so far are gone, and the first segment is followed by a prepared one.
    server.crash();
    server.post("a", "text/plain", BODY).expect_status(204);
    wait_for_segment_ahead(&server, "log-0/segment-0000000000000002.log", 1 << 20);
    let mut writer = server.connect();
    writer.ask(&Request::get("a")).expect_status(200);

    limit(&server, (in_use(&server) + LEFT) as u64);
    let mut waiting: Vec<Client> = (0..WANTED).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send(Request::head("a").encode());
    }
    wait_until("it has none left", || server.log().contains("accept failed"));
    let acknowledged = AtomicUsize::new(1);
    thread::scope(|scope| {
        let appends = scope.spawn(|| append(writer, &acknowledged));
        wait_until("the log needs one", || server.log().contains("no descriptor for the log"));
        assert!(server.is_alive(), "{}", server.log());
        drop(waiting);
        appends.join().expect("all appends are acknowledged, now that there are descriptors");
    });
    limit(&server, getrlimit(Resource::Nofile).maximum.unwrap_or(1024));
    let address = server.address();
    let clients: Vec<_> = (0..WANTED).map(|_| thread::spawn(move || look(address))).collect();
    clients.into_iter().for_each(|client| client.join().expect("served"));

    let stored = acknowledged.into_inner() * BODY.len();
    assert_eq!(server.get("a").expect_status(200).text().len(), stored);
    server.crash();
    assert_eq!(server.get("a").expect_status(200).text().len(), stored);
    server.stop();
}

/// On a connection that was there before; a refusal is one for now.
fn append(mut client: Client, acknowledged: &AtomicUsize) {
    let request = Request::post("a").with("content-type", "text/plain").body(BODY);
    let mut last = Instant::now();
    while acknowledged.load(Ordering::Relaxed) < APPENDS {
        match client.ask(&request).status {
            204 => {
                acknowledged.fetch_add(1, Ordering::Relaxed);
                last = Instant::now();
            }
            503 | 507 => {
                assert!(last.elapsed() < PATIENCE, "refused for good");
                thread::sleep(Duration::from_millis(20));
            }
            status => panic!("{status}"),
        }
    }
}

fn look(address: SocketAddr) {
    Client::connect(address).ask(&Request::head("a")).expect_status(200);
}
