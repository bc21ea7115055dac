//! Subscriptions on a server that is killed: nothing of their state is only in memory.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::support::{Delivery, Receiver, Request, Response, Server, wait_for, wait_until};

const JSON: &str = "application/json";

fn subscribe(server: &Server, id: &str, config: &Value) -> Response {
    server.put(&format!("__ds/subscriptions/{id}"), JSON, config.to_string())
}

fn describe(server: &Server, id: &str) -> Value {
    server.get(&format!("__ds/subscriptions/{id}")).expect_status(200).json()
}

fn act(server: &Server, id: &str, action: &str, token: &str, body: &Value) -> Response {
    let request = Request::post(&format!("__ds/subscriptions/{id}/{action}"));
    let request = request.with("authorization", format!("Bearer {token}"));
    server.ask(&request.with("content-type", JSON).body(body.to_string()))
}

#[track_caller]
fn check_error(response: Response, status: u16, code: &str) -> Value {
    let response = response.expect_status(status);
    let body = response.json();
    assert_eq!(body["error"]["code"], code, "{body}");
    body
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// Checks a delivery's signature against the server's published keys.
fn check_signature(delivery: &Delivery, jwks: &Value) -> String {
    let header = delivery.field("webhook-signature").expect("a signature");
    let parts: HashMap<&str, &str> =
        header.split(',').map(|part| part.split_once('=').expect("name=value")).collect();
    let key = jwks["keys"].as_array().expect("keys").iter().find(|key| key["kid"] == parts["kid"]);
    let key = URL_SAFE_NO_PAD.decode(key.expect("the key")["x"].as_str().expect("x")).expect("x");
    let signature = URL_SAFE_NO_PAD.decode(parts["ed25519"]).expect("base64url");
    let mut message = format!("{}.", parts["t"]).into_bytes();
    message.extend_from_slice(&delivery.body);
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key);
    key.verify(&message, &signature).expect("a valid signature");
    parts["kid"].to_owned()
}

/// Waits until the server has taken note of so many failures, durably.
fn wait_for_failures(server: &Server, count: usize) {
    wait_until("the failures are noted", || {
        server.log().matches("webhook delivery failed").count() >= count
    });
    // Whatever was noted before this append is durable with it.
    server.put(&format!("barrier/{count}"), "text/plain", "x").expect_status(201);
}

#[test]
fn a_failing_webhook_keeps_its_schedule_over_a_crash() {
    let mut server = Server::start(&["--cores=2"]);
    let receiver = Receiver::start(500, "{}");
    let config =
        json!({ "type": "webhook", "pattern": "ev/*", "webhook": { "url": receiver.url() } });
    let created = subscribe(&server, "s", &config).expect_status(201).json();
    let jwks = server.get("__ds/jwks.json").expect_status(200).json();
    assert_eq!(created["webhook"]["signing"]["kid"], jwks["keys"][0]["kid"]);
    server.put("ev/a", JSON, "[1]").expect_status(201);

    let failed = receiver.wait_for(3);
    wait_for_failures(&server, 3);
    let before = describe(&server, "s");
    assert_eq!(before["status"], "failed");
    let crashed_after = failed[2].at.elapsed();
    server.crash();
    assert_eq!(describe(&server, "s"), before);
    assert_eq!(server.get("__ds/jwks.json").json(), jwks);
    subscribe(&server, "s", &config).expect_status(200);

    receiver.set(200, r#"{"done":true}"#);
    let deliveries = receiver.wait_for(4);
    // Third failure: 4 s less 20 %; the restart neither forgets nor shortens it.
    let waited = deliveries[3].at - deliveries[2].at;
    assert!(waited >= Duration::from_millis(3150), "{waited:?}, crash after {crashed_after:?}");
    assert!(waited < Duration::from_millis(8000), "{waited:?}");
    let first = deliveries[0].json();
    for delivery in &deliveries {
        let body = delivery.json();
        check_signature(delivery, &jwks);
        assert_eq!(body["generation"], first["generation"], "one wake, however often tried");
        assert_eq!(body["wake_id"], first["wake_id"]);
        assert_eq!(body["streams"][0]["path"], "ev/a");
    }
    let tail = server.tail("ev/a").expect("a tail");
    wait_until("the ack is applied", || {
        let now = describe(&server, "s");
        now["status"] == "active" && now["streams"][0]["acked_offset"] == tail
    });

    // Acked once, acked for ever; new data is a new generation, even after another crash.
    server.crash();
    server.post("ev/a", JSON, "2").expect_status(204);
    let fifth = receiver.wait_for(5)[4].json();
    assert!(fifth["generation"].as_u64() > first["generation"].as_u64(), "{fifth}");
    assert_ne!(fifth["wake_id"], first["wake_id"]);
    assert_eq!(fifth["streams"][0]["acked_offset"], tail);
}

#[test]
fn data_that_came_just_before_a_crash_is_delivered_after_it() {
    let mut server = Server::start(&[]);
    let receiver = Receiver::start(200, r#"{"done":true}"#);
    let config =
        json!({ "type": "webhook", "pattern": "ev/**", "webhook": { "url": receiver.url() } });
    subscribe(&server, "s", &config).expect_status(201);
    let mut tails = HashMap::new();
    for round in 0..5 {
        let path = format!("ev/{round}/x");
        server.put(&path, JSON, "[1]").expect_status(201);
        server.crash();
        tails.insert(path.clone(), server.tail(&path).expect("a tail"));
    }
    wait_until("everything is acked", || {
        let described = describe(&server, "s");
        let streams = described["streams"].as_array().expect("an array").clone();
        let acked = |path: &str, tail: &str| {
            streams.iter().any(|link| link["path"] == path && link["acked_offset"] == tail)
        };
        tails.iter().all(|(path, tail)| acked(path, tail))
    });
}

/// A server with a pull-wake subscription and work for it.
fn with_work(lease_ttl_ms: u64) -> Server {
    let server = Server::start(&["--cores=2"]);
    server.put("wake", JSON, "").expect_status(201);
    server.put("ev/a", JSON, "").expect_status(201);
    let config = json!({
        "type": "pull-wake", "streams": ["ev/a"], "wake_stream": "wake",
        "lease_ttl_ms": lease_ttl_ms,
    });
    subscribe(&server, "s", &config).expect_status(201);
    server.post("ev/a", JSON, "1").expect_status(204);
    server.post("ev/a", JSON, "2").expect_status(204);
    server
}

fn claim(server: &Server, worker: &str) -> Response {
    act(server, "s", "claim", "service", &json!({ "worker": worker }))
}

fn wake_events(server: &Server) -> Vec<Value> {
    server.get("wake").json().as_array().expect("an array").clone()
}

#[test]
fn a_lease_and_its_acks_survive_a_crash() {
    let mut server = with_work(60_000);
    let events =
        wait_for("a wake event", || Some(wake_events(&server)).filter(|all| !all.is_empty()));
    assert_eq!(events[0]["subscription_id"], "s");
    assert_eq!(events[0]["stream"], "ev/a");
    let grant = claim(&server, "one").expect_status(200).json();
    assert_eq!(grant["generation"], events[0]["generation"]);
    let token = text(&grant["token"]);
    let tail = text(&grant["streams"][0]["tail_offset"]);
    let report = |acks: Value, done: bool| {
        json!({
            "wake_id": grant["wake_id"], "generation": grant["generation"], "acks": acks,
            "done": done,
        })
    };
    let (epoch, _) = tail.split_once('_').expect("two parts");
    let first = format!("{epoch}_0000000000000002");
    let partly = json!([{ "stream": "ev/a", "offset": first }]);
    act(&server, "s", "ack", &token, &report(partly, false)).expect_status(200);

    server.crash();
    let described = describe(&server, "s");
    assert_eq!(described["streams"][0]["acked_offset"], first);
    let taken = check_error(claim(&server, "two"), 409, "ALREADY_CLAIMED");
    assert_eq!(taken["error"]["current_holder"], "one");
    assert_eq!(taken["error"]["generation"], grant["generation"]);

    // The token is as good as before, and everything else as bad.
    let wrong_wake = json!({ "wake_id": "w_other", "generation": grant["generation"] });
    check_error(act(&server, "s", "release", &token, &wrong_wake), 409, "FENCED");
    let wrong_generation = json!({ "wake_id": grant["wake_id"], "generation": 999 });
    check_error(act(&server, "s", "ack", &token, &wrong_generation), 409, "FENCED");
    check_error(act(&server, "s", "ack", "junk", &report(json!([]), false)), 401, "TOKEN_INVALID");
    let forged = format!("{}x", &token[..token.len() - 1]);
    check_error(act(&server, "s", "ack", &forged, &report(json!([]), false)), 401, "TOKEN_INVALID");
    let beyond = json!([{ "stream": "ev/a", "offset": format!("{epoch}_0000000000000999") }]);
    check_error(act(&server, "s", "ack", &token, &report(beyond, true)), 409, "INVALID_OFFSET");
    let unlinked = json!([{ "stream": "wake", "offset": tail }]);
    check_error(act(&server, "s", "ack", &token, &report(unlinked, true)), 409, "INVALID_OFFSET");
    check_error(
        act(&server, "s", "callback", &token, &report(json!([]), true)),
        400,
        "INVALID_REQUEST",
    );
    assert_eq!(describe(&server, "s"), described, "refusals change nothing");

    let all = json!([{ "stream": "ev/a", "offset": tail }]);
    let done = act(&server, "s", "ack", &token, &report(all.clone(), true)).expect_status(200);
    assert_eq!(done.json(), json!({ "ok": true, "next_wake": false }));
    check_error(act(&server, "s", "ack", &token, &report(all.clone(), true)), 409, "FENCED");
    server.crash();
    check_error(act(&server, "s", "ack", &token, &report(all, true)), 409, "FENCED");
    check_error(claim(&server, "two"), 409, "NO_PENDING_WORK");
    assert_eq!(describe(&server, "s")["streams"][0]["acked_offset"], tail);
    // New data wakes once more, under a later generation.
    server.post("ev/a", JSON, "3").expect_status(204);
    let grant_after = wait_for("new work", || {
        let answer = claim(&server, "two");
        (answer.status == 200).then(|| answer.json())
    });
    assert!(grant_after["generation"].as_u64() > grant["generation"].as_u64());
}

#[test]
fn a_lease_that_ran_out_while_the_server_was_down() {
    let mut server = with_work(1_000);
    let grant =
        wait_for("work", || Some(claim(&server, "one")).filter(|it| it.status == 200)).json();
    let claimed = Instant::now();
    server.kill();
    wait_until("the lease has run out", || claimed.elapsed() > Duration::from_millis(1_100));
    server.launch();
    let next =
        wait_for("work", || Some(claim(&server, "two")).filter(|it| it.status == 200)).json();
    assert!(next["generation"].as_u64() > grant["generation"].as_u64());
    let stale = json!({
        "wake_id": grant["wake_id"], "generation": grant["generation"],
        "acks": [{ "stream": "ev/a", "offset": grant["streams"][0]["tail_offset"] }], "done": true,
    });
    let late = act(&server, "s", "ack", &text(&grant["token"]), &stale);
    check_error(late, 409, "FENCED");
    let acked = &describe(&server, "s")["streams"][0]["acked_offset"];
    assert_eq!(*acked, next["streams"][0]["acked_offset"], "a fenced ack moves nothing");
}

#[test]
fn a_released_lease_wakes_again() {
    let server = with_work(60_000);
    wait_until("a wake event", || wake_events(&server).len() == 1);
    let grant = claim(&server, "one").expect_status(200).json();
    let report = json!({ "wake_id": grant["wake_id"], "generation": grant["generation"] });
    act(&server, "s", "release", &text(&grant["token"]), &report).expect_status(204);
    check_error(act(&server, "s", "release", &text(&grant["token"]), &report), 409, "FENCED");
    wait_until("another wake event", || wake_events(&server).len() == 2);
    claim(&server, "two").expect_status(200);
}

#[test]
fn deleted_subscriptions_stay_deleted() {
    let mut server = with_work(60_000);
    let grant =
        wait_for("work", || Some(claim(&server, "one")).filter(|it| it.status == 200)).json();
    server.delete("__ds/subscriptions/s").expect_status(204);
    let report = json!({ "wake_id": grant["wake_id"], "generation": grant["generation"] });
    for _ in 0..2 {
        server.get("__ds/subscriptions/s").expect_status(404);
        let late = act(&server, "s", "ack", &text(&grant["token"]), &report);
        check_error(late, 404, "SUBSCRIPTION_NOT_FOUND");
        server.crash();
    }
}

#[test]
fn webhook_urls_that_may_not_be_called() {
    let server = Server::start(&[]);
    for url in [
        "http://example.com/hook",
        "https://10.0.0.1/",
        "https://172.16.9.9/",
        "https://192.168.1.1/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://x.localhost/",
        "https://169.254.169.254/latest/meta-data",
        "https://0.0.0.0/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[64:ff9b::a00:1]/",
        "https://100.64.0.1/",
        "https://224.0.0.1/",
        "https://user:secret@example.com/",
        "http://169.254.169.254/",
        "http://localhost.example.com/",
        "http://localhost@10.0.0.1/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "//example.com/",
        "not a url",
    ] {
        let config = json!({ "type": "webhook", "pattern": "*", "webhook": { "url": url } });
        let refused = subscribe(&server, "s", &config).expect_status(400).json();
        let code = refused["error"]["code"].as_str();
        assert_eq!(code, Some("WEBHOOK_URL_REJECTED"), "{url}: {refused}");
        server.get("__ds/subscriptions/s").expect_status(404);
    }
}

#[test]
fn requests_that_are_no_subscription() {
    let server = Server::start(&[]);
    let check = |body: &str| {
        let refused = server.put("__ds/subscriptions/s", JSON, body);
        check_error(refused, 400, "INVALID_REQUEST");
        server.get("__ds/subscriptions/s").expect_status(404);
    };
    check("");
    check("{");
    check("[]");
    check("{}");
    check(r#"{"type":"carrier-pigeon","pattern":"*"}"#);
    check(r#"{"type":"webhook","pattern":"*"}"#);
    check(r#"{"type":"pull-wake","pattern":"*"}"#);
    check(r#"{"type":"pull-wake","wake_stream":"w"}"#);
    check(r#"{"type":"pull-wake","wake_stream":"../w","pattern":"*"}"#);
    check(r#"{"type":"pull-wake","wake_stream":"w","streams":["a//b"]}"#);
    check(r#"{"type":"pull-wake","wake_stream":"w","streams":"a"}"#);
    check(r#"{"type":"pull-wake","wake_stream":"w","pattern":7}"#);
    check(r#"{"type":"pull-wake","wake_stream":"w","pattern":"*","lease_ttl_ms":999}"#);
    check(r#"{"type":"pull-wake","wake_stream":"w","pattern":"*","lease_ttl_ms":600001}"#);
    check(r#"{"type":"pull-wake","wake_stream":"w","pattern":"*","lease_ttl_ms":-1}"#);
    let many = json!({ "type": "pull-wake", "wake_stream": "w", "streams": vec!["a"; 1025] });
    check(&many.to_string());
    let deep = "[".repeat(100_000);
    check(&format!("{{\"type\":{deep}"));
    server.get("__ds/nothing").expect_status(404);
    let put = server.put("__ds/jwks.json", JSON, "{}").expect_status(405);
    assert_eq!(put.field("allow"), Some("GET, HEAD"));
}
