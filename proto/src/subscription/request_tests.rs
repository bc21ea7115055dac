//! Routes, bodies and refusals, as data.

use http::Method;
use serde_json::Value;

use super::*;

fn parse(method: &str, tail: &str, body: &str) -> Result<SubscriptionRequest, Refusal> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    SubscriptionRequest::parse(&method, tail, Some("bearer t0ken"), body.as_bytes())
}

#[test]
fn routes() {
    let check = |method: &str, tail: &str, want: &str| {
        let body = r#"{"type":"webhook","webhook":{"url":"https://x"},"streams":["/a/"],
            "worker":"w","wake_id":"w_1","generation":1}"#;
        let got = match parse(method, tail, body) {
            Ok(SubscriptionRequest::Jwks) => "jwks".to_owned(),
            Ok(SubscriptionRequest::On { id, operation }) => match operation {
                Operation::Put(_) => format!("put {id}"),
                Operation::Get => format!("get {id}"),
                Operation::Delete => format!("delete {id}"),
                Operation::AddStreams(streams) => format!("add {id} {streams:?}"),
                Operation::RemoveStream(path) => format!("remove {id} {path}"),
                Operation::Claim { worker } => format!("claim {id} {worker}"),
                Operation::Ack(report) => format!("ack {id} {}", report.token),
                Operation::Callback(report) => format!("callback {id} {}", report.wake_id),
                Operation::Release(report) => format!("release {id} {}", report.generation),
            },
            Err(refusal) => format!("{} {}", refusal.status(), refusal.allow().unwrap_or("-")),
        };
        assert_eq!(got, want, "{method} {tail}");
    };
    check("GET", "jwks.json", "jwks");
    check("POST", "jwks.json", "405 GET, HEAD");
    check("PUT", "subscriptions/s", "put s");
    check("GET", "subscriptions/a%20b%2Fc", "get a b/c");
    check("HEAD", "subscriptions/s", "get s");
    check("DELETE", "subscriptions/s", "delete s");
    check("PATCH", "subscriptions/s", "405 GET, HEAD, PUT, DELETE");
    check("POST", "subscriptions/s/streams", r#"add s ["a"]"#);
    check("GET", "subscriptions/s/streams", "405 POST");
    check("DELETE", "subscriptions/s/streams/manual%2Fb", "remove s manual/b");
    check("DELETE", "subscriptions/s/streams/manual/b", "remove s manual/b");
    check("DELETE", "subscriptions/s/streams/a%5Cb", "400 -");
    check("POST", "subscriptions/s/streams/b", "405 DELETE");
    check("POST", "subscriptions/s/claim", "claim s w");
    check("POST", "subscriptions/s/ack", "ack s t0ken");
    check("POST", "subscriptions/s/callback", "callback s w_1");
    check("POST", "subscriptions/s/release", "release s 1");
    check("PUT", "subscriptions/s/release", "405 POST");
    check("POST", "subscriptions/s/nonsense", "404 -");
    check("GET", "subscriptions/", "400 -");
    check("GET", "subscriptions/..", "400 -");
    check("GET", "subscriptions/%zz", "400 -");
    check("GET", &format!("subscriptions/{}", "x".repeat(257)), "400 -");
    check("GET", "subscriptions", "404 -");
    check("GET", "", "404 -");
}

#[test]
fn refused_bodies_name_the_field() {
    let check = |tail: &str, body: &str, want: &str| {
        let method = if tail.contains('/') { "POST" } else { "PUT" };
        let refusal = parse(method, &format!("subscriptions/{tail}"), body).unwrap_err();
        assert_eq!(refusal.status(), 400, "{body}");
        let json: Value = serde_json::from_slice(&refusal.body()).unwrap();
        let message = json["error"]["message"].as_str().unwrap();
        assert!(message.contains(want), "{body}: {message}");
    };
    let with = |field: &str| {
        format!(r#"{{"type":"webhook","webhook":{{"url":"https://x"}},"pattern":"a/*",{field}}}"#)
    };
    check("s", "", "JSON object");
    check("s", "[]", "JSON object");
    check("s", "{}", "`type`");
    check("s", r#"{"type":"mail"}"#, "`type`");
    check("s", r#"{"type":"webhook","pattern":"a"}"#, "`webhook.url`");
    check("s", r#"{"type":"webhook","webhook":{"url":7},"pattern":"a"}"#, "`webhook.url`");
    check("s", r#"{"type":"webhook","webhook":{"url":"https://x"}}"#, "`pattern`");
    check("s", r#"{"type":"pull-wake","pattern":"a"}"#, "`wake_stream`");
    check("s", r#"{"type":"pull-wake","wake_stream":"__ds/x","pattern":"a"}"#, "`wake_stream`");
    check("s", r#"{"type":"pull-wake","wake_stream":"w","streams":["w"]}"#, "`streams`");
    check("s", &with(r#""pattern":"a//b""#), "`pattern`");
    check("s", &with(r#""pattern":7"#), "`pattern`");
    check("s", &with(r#""streams":"a""#), "`streams`");
    check("s", &with(r#""streams":["a",7]"#), "`streams`");
    check("s", &with(r#""streams":["a/../b"]"#), "`streams`");
    check("s", &with(r#""lease_ttl_ms":999"#), "`lease_ttl_ms`");
    check("s", &with(r#""lease_ttl_ms":600001"#), "`lease_ttl_ms`");
    check("s", &with(r#""lease_ttl_ms":1000.5"#), "`lease_ttl_ms`");
    check("s", &with(r#""lease_ttl_ms":"1000""#), "`lease_ttl_ms`");
    check("s", &with(r#""description":1"#), "`description`");
    check("s/streams", r#"{"streams":[]}"#, "`streams`");
    check("s/claim", r#"{"worker":""}"#, "`worker`");
    check("s/ack", r#"{"wake_id":"w"}"#, "`generation`");
    check("s/ack", r#"{"generation":1}"#, "`wake_id`");
    let report = |rest: &str| format!(r#"{{"wake_id":"w","generation":1,{rest}}}"#);
    check("s/ack", &report(r#""acks":[{}]"#), "`acks[].stream`");
    check("s/ack", &report(r#""acks":[{"stream":"a"}]"#), "`acks[].offset`");
    check("s/ack", &report(r#""acks":[{"stream":"a","offset":"-1"}]"#), "not an offset");
    check("s/ack", &report(r#""done":1"#), "`done`");
}

#[test]
fn configurations_are_normalised() {
    let check = |a: &str, b: &str, want: bool| {
        let parsed = |body: &str| parse("PUT", "subscriptions/s", body).unwrap();
        assert_eq!(parsed(a) == parsed(b), want, "{a} {b}");
    };
    let base = r#"{"type":"pull-wake","wake_stream":"w","streams":["b","a"]}"#;
    for same in [
        r#"{"type":"pull-wake","wake_stream":"/w","streams":["a","/b/","a"]}"#,
        r#"{"type":"pull-wake","wake_stream":"w","streams":["a","b"],"lease_ttl_ms":30000}"#,
        r#"{"type":"pull-wake","wake_stream":"w","streams":["a","b"],"lease_ttl_ms":3e4}"#,
        r#"{"type":"pull-wake","wake_stream":"w","streams":["a","b"],"pattern":null,"new":1}"#,
    ] {
        check(base, same, true);
    }
    for other in [
        r#"{"type":"pull-wake","wake_stream":"w","streams":["a"]}"#,
        r#"{"type":"pull-wake","wake_stream":"v","streams":["a","b"]}"#,
        r#"{"type":"pull-wake","wake_stream":"w","streams":["a","b"],"description":"d"}"#,
        r#"{"type":"pull-wake","wake_stream":"w","streams":["a","b"],"lease_ttl_ms":1000}"#,
        r#"{"type":"webhook","webhook":{"url":"w"},"streams":["a","b"]}"#,
    ] {
        check(base, other, false);
    }
}

#[test]
fn tokens_come_before_bodies() {
    let check = |authorization: Option<&str>, body: &str, want: u16| {
        let tail = "subscriptions/s/ack";
        let got = SubscriptionRequest::parse(&Method::POST, tail, authorization, body.as_bytes());
        assert_eq!(got.unwrap_err().status(), want, "{authorization:?} {body}");
    };
    check(None, "nonsense", 401);
    check(Some("Basic abc"), "{}", 401);
    check(Some("Bearer "), "{}", 401);
    check(Some("Bearer x"), "{}", 400);
    check(Some("Bearer x"), &" ".repeat(256 * 1024 + 1), 413);
}
