//! Streams and bytes over a quota.

use super::Limited;
use crate::support::{Request, Response, wait_until};

const CONFIG: &str = "[[limits.quotas]]\npattern = 'a/**'\nstreams = 3\nbytes = 100\n";

fn put(limited: &Limited, stream: &str, body: &str) -> Response {
    limited.server.put(stream, "text/plain", body)
}

fn post(limited: &Limited, stream: &str, bytes: usize) -> Response {
    limited.server.post(stream, "text/plain", "x".repeat(bytes))
}

/// Streams and bytes in use, as the metrics say.
fn used(limited: &Limited) -> (f64, f64) {
    let of = |name: &str| limited.metric(&format!("thalweg_quota_{name}{{pattern=\"a/**\"}}"));
    (of("streams"), of("bytes"))
}

#[test]
fn what_there_is_counts_over_cores_deletions_and_restarts() {
    let mut limited = Limited::start(CONFIG, &["--cores=2"]);
    for n in 0..3 {
        put(&limited, &format!("a/{n}"), "0123456789").expect_status(201);
        put(&limited, &format!("b/{n}"), "").expect_status(201);
    }
    let refused = put(&limited, "a/x/y", "").expect_problem(403, "quota-streams");
    assert_eq!(refused.json()["quota"], "a/**");
    // What is there already is no new stream.
    put(&limited, "a/0", "0123456789").expect_status(200);
    post(&limited, "a/0", 60).expect_status(204);
    post(&limited, "a/1", 11).expect_problem(403, "quota-bytes");
    post(&limited, "a/1", 10).expect_status(204);
    post(&limited, "a/2", 1).expect_problem(403, "quota-bytes");
    post(&limited, "b/2", 1000).expect_status(204);
    let close = Request::post("a/2").with("stream-closed", "true");
    limited.server.ask(&close).expect_status(204);
    assert_eq!(used(&limited), (3.0, 100.0));
    assert_eq!(limited.metric("thalweg_quota_bytes_limit{pattern=\"a/**\"}"), 100.0);
    assert_eq!(limited.metric("thalweg_refusals_total{code=\"quota-bytes\"}"), 2.0);

    limited.server.crash();
    assert_eq!(used(&limited), (3.0, 100.0));
    put(&limited, "a/x/y", "").expect_problem(403, "quota-streams");
    post(&limited, "a/0", 1).expect_problem(403, "quota-bytes");

    limited.server.delete("a/0").expect_status(204);
    assert_eq!(used(&limited), (2.0, 30.0));
    put(&limited, "a/0", "").expect_status(201);
    post(&limited, "a/0", 71).expect_problem(403, "quota-bytes");
    post(&limited, "a/0", 70).expect_status(204);
    limited.server.stop();
    limited.server.launch();
    assert_eq!(used(&limited), (3.0, 100.0));
}

#[test]
fn forks_and_expiry() {
    let limited = Limited::start(CONFIG, &[]);
    put(&limited, "a/source", "0123456789").expect_status(201);
    // A fork holds no byte of its source, and keeps it from going away.
    let fork = |name: &str, body: &str| {
        let request = Request::put(name).with("content-type", "text/plain").body(body);
        limited.server.ask(&request.with("stream-forked-from", "/v1/stream/a/source"))
    };
    fork("a/fork", "").expect_status(201);
    assert_eq!(used(&limited), (2.0, 10.0));
    limited.server.delete("a/source").expect_status(204);
    assert_eq!(used(&limited), (2.0, 10.0));
    limited.server.delete("a/fork").expect_status(204);
    wait_until("the source to go", || used(&limited) == (0.0, 0.0));
    // A fork that finds no room leaves no trace at its source.
    put(&limited, "a/source", &"x".repeat(95)).expect_status(201);
    fork("a/fork", "012345").expect_problem(403, "quota-bytes");
    limited.server.delete("a/source").expect_status(204);
    assert_eq!(used(&limited), (0.0, 0.0));

    for n in 0..3 {
        let request = Request::put(&format!("a/{n}")).with("content-type", "text/plain");
        limited.server.ask(&request.with("stream-ttl", 1)).expect_status(201);
    }
    wait_until("room after expiry", || put(&limited, "a/new", "").status == 201);
    wait_until("all to expire", || used(&limited) == (1.0, 0.0));
}

#[test]
fn retention_makes_room() {
    let limited = Limited::start(CONFIG, &[]);
    let request = Request::put("a/short").with("content-type", "text/plain");
    limited.server.ask(&request.with("stream-retention-bytes", 20)).expect_status(201);
    for _ in 0..20 {
        wait_until("room", || {
            let answer = post(&limited, "a/short", 10);
            assert!(matches!(answer.status, 204 | 403), "{}", answer.status);
            answer.status == 204
        });
    }
    wait_until("what is kept", || used(&limited).1 <= 30.0);
    assert!(used(&limited).1 >= 20.0, "{:?}", used(&limited));
}

#[test]
fn quotas_change_while_the_server_runs() {
    let limited = Limited::start("", &["--cores=2"]);
    for n in 0..10 {
        put(&limited, &format!("a/{n}"), "01234").expect_status(201);
    }
    // More than it allows is there already.
    limited.reload(CONFIG);
    wait_until("all to be counted", || used(&limited) == (10.0, 50.0));
    put(&limited, "a/x", "").expect_problem(403, "quota-streams");
    post(&limited, "a/1", 51).expect_problem(403, "quota-bytes");
    post(&limited, "a/1", 50).expect_status(204);
    // Another limit for the same streams; and one more quota.
    let more = "[limits]\nquotas = [{ pattern = 'a/*', bytes = 200 }, { pattern = 'a/**', bytes = '1KiB' }]\n";
    limited.reload(more);
    let inner = "thalweg_quota_bytes{pattern=\"a/*\"}";
    wait_until("the new one to count", || limited.metric(inner) == 100.0);
    assert_eq!(used(&limited), (10.0, 100.0));
    post(&limited, "a/2", 101).expect_problem(403, "quota-bytes");
    post(&limited, "a/2", 100).expect_status(204);
    put(&limited, "a/b/c", "01234").expect_status(201);
    assert_eq!((limited.metric(inner), used(&limited)), (200.0, (11.0, 205.0)));
    limited.reload("");
    wait_until("no quota", || post(&limited, "a/2", 1000).status == 204);
}
