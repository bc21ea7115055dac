//! Streams that go away by themselves. The listing tells what there is without touching it.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::super::support::{Events, Request, Server, wait_until};

fn create(server: &Server, stream: &str, name: &str, value: impl ToString) {
    let request = Request::put(stream).with("content-type", "text/plain").with(name, value);
    server.ask(&request.body("data")).expect_status(201);
}

fn is_listed(server: &Server, stream: &str) -> bool {
    server.streams().iter().any(|path| path == stream)
}

fn in_seconds(seconds: u64) -> String {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() + seconds;
    thalweg_proto::time::Timestamp(at * 1000).to_rfc3339()
}

#[test]
fn expiry_is_proactive() {
    let mut server = Server::start(&[]);
    let began = Instant::now();
    create(&server, "sliding", "stream-ttl", 1);
    create(&server, "absolute", "stream-expires-at", in_seconds(2));
    create(&server, "later", "stream-ttl", 3600);
    assert_eq!(server.streams(), ["absolute", "later", "sliding"]);
    wait_until("they are gone", || server.streams() == ["later"]);
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    server.get("sliding").expect_problem(404, "stream-not-found");
    server.get("absolute").expect_problem(404, "stream-not-found");
    // Gone is gone.
    server.crash();
    assert_eq!(server.streams(), ["later"]);
    assert_eq!(server.head("later").field("stream-ttl"), Some("3600"));
    server.put("sliding", "text/plain", "anew").expect_status(201);
}

#[test]
fn an_event_reader_keeps_a_stream_alive() {
    let server = Server::start(&["--sse-lifetime=10s"]);
    // Long enough for a busy machine to connect in time.
    create(&server, "a", "stream-ttl", 3);
    let began = Instant::now();
    let request = Request::get("a?offset=-1&live=sse");
    let mut events = Events::open(server.connect(), &request);
    events.next_of("control");
    while began.elapsed() < Duration::from_millis(4500) {
        assert!(is_listed(&server, "a"), "after {:?}", began.elapsed());
        thread::sleep(Duration::from_millis(50));
    }
    drop(events);
    wait_until("it is gone", || !is_listed(&server, "a"));
}

#[test]
fn reads_keep_a_stream_alive_across_a_restart() {
    let mut server = Server::start(&[]);
    create(&server, "read", "stream-ttl", 3);
    create(&server, "alone", "stream-ttl", 3);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(4600) {
        server.get("read").expect_status(200);
        thread::sleep(Duration::from_millis(100));
    }
    let last_read = Instant::now();
    server.crash();
    // Without the reads it would have ended at 3 s, 4 s with all there is to forgive.
    assert!(is_listed(&server, "read"));
    assert!(!is_listed(&server, "alone"));
    wait_until("it is gone", || !is_listed(&server, "read"));
    let lived = last_read.elapsed();
    assert!(lived >= Duration::from_millis(2900), "{lived:?}");
}

#[test]
fn writes_keep_a_stream_alive_and_absolute_expiry_does_not_move() {
    let server = Server::start(&[]);
    create(&server, "sliding", "stream-ttl", 1);
    create(&server, "absolute", "stream-expires-at", in_seconds(2));
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(3300) {
        server.post("sliding", "text/plain", "x").expect_status(204);
        let fixed = server.post("absolute", "text/plain", "x").status;
        assert!(fixed == 204 || began.elapsed() > Duration::from_millis(900), "{fixed}");
        thread::sleep(Duration::from_millis(100));
    }
    server.get("absolute").expect_problem(404, "stream-not-found");
    assert!(is_listed(&server, "sliding"));
}

#[test]
fn metadata_and_listings_do_not_count_as_reads() {
    let server = Server::start(&[]);
    create(&server, "a", "stream-ttl", 1);
    let began = Instant::now();
    wait_until("it is gone", || server.head("a").status == 404 && !is_listed(&server, "a"));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

/// A restart may count as a read, because reads just before it may not be in the log; it must not
/// count as one in the future, nor one restart after the other.
#[test]
fn restarts_do_not_prolong_a_stream() {
    const TTL_MS: u64 = 3600 * 1000;
    let mut server = Server::start(&[]);
    create(&server, "a", "stream-ttl", TTL_MS / 1000);
    let check = |server: &Server, when: &str| {
        let listed = server.get("__ds/streams").json();
        let at = listed["streams"][0]["expires_at"].as_str().expect("a time");
        let at = thalweg_proto::time::Timestamp::parse_rfc3339(at).expect("RFC 3339").0;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        let last_access = at - TTL_MS;
        assert!(u128::from(last_access) <= now, "{when}: read {last_access}, now {now}");
    };
    check(&server, "new");
    for _ in 0..3 {
        server.stop();
        server.launch();
        check(&server, "stopped");
        server.crash();
        check(&server, "killed");
    }
    server.get("a").expect_status(200);
    check(&server, "read");
}
