//! SIGTERM under load: nothing acknowledged is lost, and live readers know where to go on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::{Client, Events, Request, Server, wait_until};

const READERS: usize = 4;
/// Acknowledged before the signal comes.
const LOAD: usize = 200;

/// What a live reader has when its answer ends.
struct Received {
    messages: Vec<u64>,
    /// Where it should go on.
    next: String,
}

#[test]
fn live_readers_resume_after_a_termination_under_load() {
    for cores in ["--cores=1", "--cores=2"] {
        check(cores);
    }
}

fn check(cores: &str) {
    let mut server = Server::start(&[cores]);
    server.put("live", "application/json", "").expect_status(201);
    let address = server.address();
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let events = Events::open(server.connect(), &Request::get("live?offset=-1&live=sse"));
            thread::spawn(move || receive(events))
        })
        .collect();
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let writer = thread::spawn({
        let acknowledged = Arc::clone(&acknowledged);
        move || write(address, &acknowledged)
    });
    wait_until("there is load", || acknowledged.load(Ordering::Relaxed) >= LOAD);
    server.stop();
    let acknowledged = writer.join().expect("a writer");
    server.launch();
    let stored: Vec<u64> = read(&server, "-1");
    // The last one may have been stored without an answer.
    assert!((acknowledged..=acknowledged + 1).contains(&stored.len()), "{acknowledged}");
    assert!(stored.iter().copied().eq(0..stored.len() as u64), "{stored:?}");
    for reader in readers {
        let Received { mut messages, next } = reader.join().expect("a reader");
        messages.extend(read(&server, &next));
        assert_eq!(messages, stored, "resumed at {next}");
    }
    server.stop();
}

/// Appends numbers until the server stops; how many were acknowledged.
fn write(address: SocketAddr, acknowledged: &AtomicUsize) -> usize {
    let mut client = Client::connect(address);
    for number in 0.. {
        let request = Request::post("live").with("content-type", "application/json");
        let sent = client.try_send(request.body(format!("[{number}]")).encode());
        match client.try_answer_to("POST") {
            Ok(Some(answer)) if sent && answer.status == 204 => {
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            _ => return number,
        }
    }
    unreachable!("it ends with the server")
}

fn receive(mut events: Events) -> Received {
    let mut received = Received { messages: Vec::new(), next: "-1".to_owned() };
    while let Some(event) = events.next() {
        match event.kind.as_str() {
            "data" => {
                let messages: Vec<u64> = serde_json::from_str(&event.data).expect("numbers");
                received.messages.extend(messages);
            }
            _ => {
                let next = &event.json()["streamNextOffset"];
                received.next = next.as_str().expect("an offset").to_owned();
            }
        }
    }
    received
}

fn read(server: &Server, from: &str) -> Vec<u64> {
    let page = server.get(&format!("live?offset={from}")).expect_status(200);
    serde_json::from_slice(&page.body).expect("numbers")
}
