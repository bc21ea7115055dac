//! A core that is late refuses new work, and only that.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use crate::operations::metrics::{scrape, value};
use crate::support::{Request, Response, Server, wait_until};

/// So little that a few clients in a hurry make the core late.
const NARROW: &str = "[limits]\nshed_delay = '1ms'\nshed_target = '1ms'";

const CLIENTS: usize = 24;
const PIPELINED: usize = 8;
/// Of one append: much work for the core and little for the client, so that the core is what is
/// late, however fast it is.
const MESSAGES: usize = 16_000;

fn shed(server: &Server, kind: &str) -> f64 {
    let label = format!("kind=\"{kind}\"");
    value(&scrape(server), "thalweg_shed_requests_total", &[&label])
}

/// Samples for which the core would have shed.
fn late(server: &Server) -> f64 {
    let metrics = scrape(server);
    let of = |name, labels: &[&str]| value(&metrics, name, labels);
    of("thalweg_core_delay_seconds_count", &[])
        - of("thalweg_core_delay_seconds_bucket", &["le=\"0.001024\""])
}

fn append() -> Request {
    let body = format!("[{}1]", "1,".repeat(MESSAGES - 1));
    Request::post("a").with("content-type", "application/json").body(body)
}

/// Where the stream `a` ends when so many appends are stored.
fn end_of(appends: usize) -> String {
    format!("{:016}", appends * MESSAGES * "1,".len())
}

/// Appends from many clients for as long as `during` takes; how many were stored.
fn in_a_hurry(server: &Server, during: impl FnOnce()) -> usize {
    server.put("a", "application/json", "").expect_status(201);
    let requests = append().encode().repeat(PIPELINED);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let hurry = || {
            let mut client = server.connect();
            let mut stored = 0;
            while !over.load(Relaxed) {
                // Many at once: what has come waits.
                client.send(&requests);
                stored += (0..PIPELINED).filter(|_| is_stored(client.answer())).count();
            }
            stored
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(hurry)).collect();
        {
            // By a panic too: the scope waits for them.
            scopeguard::defer! { over.store(true, Relaxed) }
            during();
        }
        clients.into_iter().map(|client| client.join().expect("no panic")).sum()
    })
}

fn is_stored(answer: Response) -> bool {
    if answer.status != 503 {
        answer.expect_status(204);
        return true;
    }
    let seconds = answer.field("retry-after").expect("Retry-After");
    assert!(["1", "2", "3"].contains(&seconds), "{seconds}");
    answer.expect_problem(503, "busy");
    false
}

#[test]
fn new_work_is_refused_and_the_rest_is_not() {
    let server = Server::start_configured(NARROW, &["--admin=127.0.0.1:0"]);
    for stream in ["closed", "deleted"] {
        server.put(stream, "application/json", "").expect_status(201);
    }
    in_a_hurry(&server, || {
        wait_until("appends are refused", || shed(&server, "append") > 100.0);
        // A long body is refused before it has come, and nothing is to come after it.
        wait_until("a long body is refused", || {
            let mut client = server.connect();
            client.send(
                "POST /v1/stream/a HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n\
                         content-length: 100000\r\nexpect: 100-continue\r\n\r\n",
            );
            let answer = client.answer();
            answer.status == 503 && answer.field("connection") == Some("close")
        });
        wait_until("creates are refused", || {
            let answer = server.put("b", "application/json", "");
            assert!(matches!(answer.status, 200 | 201 | 503), "{}", answer.status);
            shed(&server, "create") > 0.0
        });
        wait_until("live readers are refused", || {
            let mut client = server.connect();
            client.send(Request::get("a?offset=-1&live=long-poll").encode());
            let answer = client.answer();
            assert!(matches!(answer.status, 200 | 503), "{}", answer.status);
            shed(&server, "live") > 0.0
        });
        for _ in 0..50 {
            server.head("a").expect_status(200);
            assert_eq!(server.get("/healthz").status, 200);
            assert_eq!(server.get("/readyz").status, 200);
            server.get("__ds/streams").expect_status(200);
        }
        let close = Request::post("closed").with("stream-closed", "true");
        for _ in 0..20 {
            server.ask(&close).expect_status(204);
        }
        server.delete("deleted").expect_status(204);
    });
    // When it is over everything is let in again.
    let label = ["kind=\"append\""];
    wait_until("all is let in", || {
        value(&scrape(&server), "thalweg_admitted_ratio", &label) == 1.0
    });
    server.ask(&append()).expect_status(204);
}

#[test]
fn what_was_refused_was_not_stored() {
    let server = Server::start_configured(NARROW, &["--admin=127.0.0.1:0", "--cores=2"]);
    let stored = in_a_hurry(&server, || {
        wait_until("appends are refused", || shed(&server, "append") > 100.0);
    });
    let end = server.head("a").next_offset().to_owned();
    assert!(end.ends_with(&end_of(stored)), "{end} after {stored}");
}

#[test]
fn it_can_be_switched_off() {
    let server = Server::start_configured("[limits]\nshed_delay = '0ms'", &["--admin=127.0.0.1:0"]);
    let stored = in_a_hurry(&server, || {
        wait_until("the core is late", || late(&server) > 10.0);
    });
    assert!(stored > 0);
    assert_eq!(shed(&server, "append"), 0.0);
}
