//! A core that is late refuses new work, and only that.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use crate::operations::metrics::{scrape, value};
use crate::support::{Request, Server, wait_until};

/// So little that a few clients in a hurry make the core late.
const NARROW: &str = "[limits]\nshed_delay = '1ms'\nshed_target = '1ms'";

fn shed(server: &Server, kind: &str) -> f64 {
    let label = format!("kind=\"{kind}\"");
    value(&scrape(server), "thalweg_shed_requests_total", &[&label])
}

fn append(stream: &str, bytes: usize) -> Request {
    Request::post(stream).with("content-type", "text/plain").body(vec![b'x'; bytes])
}

#[test]
fn new_work_is_refused_and_the_rest_is_not() {
    let server = Server::start_configured(NARROW, &["--admin=127.0.0.1:0"]);
    for stream in ["a", "closed", "deleted"] {
        server.put(stream, "text/plain", "x").expect_status(201);
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = server.connect();
                while !over.load(Relaxed) {
                    // Many at once: what has come waits.
                    client.send(append("a", 1).encode().repeat(PIPELINED));
                    for _ in 0..PIPELINED {
                        let answer = client.answer();
                        if answer.status == 503 {
                            let seconds = answer.field("retry-after").expect("Retry-After");
                            assert!(["1", "2", "3"].contains(&seconds), "{seconds}");
                            answer.expect_problem(503, "busy");
                        } else {
                            answer.expect_status(204);
                        }
                    }
                }
            });
        }
        wait_until("appends are refused", || shed(&server, "append") > 100.0);
        // A long body is refused before it has come, and nothing is to come after it.
        wait_until("a long body is refused", || {
            let mut client = server.connect();
            client.send(
                "POST /v1/stream/a HTTP/1.1\r\nhost: t\r\ncontent-type: text/plain\r\n\
                         content-length: 100000\r\nexpect: 100-continue\r\n\r\n",
            );
            let answer = client.answer();
            answer.status == 503 && answer.field("connection") == Some("close")
        });
        wait_until("creates are refused", || {
            let answer = server.put("b", "text/plain", "");
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
        over.store(true, Relaxed);
    });
    // When it is over everything is let in again.
    let label = ["kind=\"append\""];
    wait_until("all is let in", || {
        value(&scrape(&server), "thalweg_admitted_ratio", &label) == 1.0
    });
    server.ask(&append("a", 1)).expect_status(204);
}

#[test]
fn what_was_refused_was_not_stored() {
    let server = Server::start_configured(NARROW, &["--admin=127.0.0.1:0", "--cores=2"]);
    server.put("a", "text/plain", "").expect_status(201);
    let stored: usize = thread::scope(|scope| {
        let appenders: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = server.connect();
                    let mut stored = 0;
                    for _ in 0..20 {
                        client.send(append("a", 1).encode().repeat(PIPELINED));
                        for _ in 0..PIPELINED {
                            stored += usize::from(client.answer().status == 204);
                        }
                    }
                    stored
                })
            })
            .collect();
        appenders.into_iter().map(|appender| appender.join().expect("no panic")).sum()
    });
    wait_until("reads are let in", || {
        let read = server.get("a");
        assert!(read.status != 200 || read.body.len() == stored, "{} of {stored}", read.body.len());
        read.status == 200
    });
}

#[test]
fn it_can_be_switched_off() {
    let server = Server::start_configured("[limits]\nshed_delay = '0ms'", &["--admin=127.0.0.1:0"]);
    server.put("a", "text/plain", "").expect_status(201);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = server.connect();
                for _ in 0..10 {
                    client.send(append("a", 1).encode().repeat(PIPELINED));
                    for _ in 0..PIPELINED {
                        client.answer().expect_status(204);
                    }
                }
            });
        }
    });
    assert_eq!(shed(&server, "append"), 0.0);
}

const CLIENTS: usize = 24;
const PIPELINED: usize = 32;
