use proptest::prelude::*;

use super::*;
use crate::http1::{HeadStatus, parse_head};
use crate::limits::MAX_ID_BYTES;
use crate::offset::{Offset, ReadFrom};
use crate::path::StreamPath;
use crate::request::{AppendRequest, CreateRequest, LiveMode, ReadRequest};
use crate::stream::config::Expiry;
use crate::stream::retention::Retention;
use crate::time::Timestamp;

const TOKEN: &str = "0000000000000007_0000000000000042";
const AT: Offset = Offset { epoch: 7, position: 42 };

fn context() -> ParseContext {
    ParseContext { base_path: "/v1/stream".to_owned(), public_base: None }
}

fn head(line: &str, fields: &str) -> RequestHead {
    let text = format!("{line} HTTP/1.1\r\nHost: h:1\r\n{}\r\n", fields.replace('\n', "\r\n"));
    match parse_head(text.as_bytes()) {
        Ok(HeadStatus::Complete(head, _)) => head,
        other => panic!("{text}: {other:?}"),
    }
}

fn request(line: &str, fields: &str, body: &'static str) -> Result<Request, Problem> {
    parse(&head(line, fields), Bytes::from_static(body.as_bytes()), &context())
}

/// The status, and a word that the explanation must have.
fn refused(line: &str, fields: &str, body: &'static str, status: u16, word: &str) {
    let problem = request(line, fields, body).expect_err(&format!("{line} {fields}"));
    assert_eq!(problem.status.as_u16(), status, "{line} {fields} {}", problem.detail);
    assert!(problem.detail.contains(word), "{line} {fields}: {}", problem.detail);
}

fn path() -> StreamPath {
    StreamPath::new("a").unwrap()
}

fn create(fields: &str, body: &'static str) -> CreateRequest {
    match request("PUT /v1/stream/a", fields, body) {
        Ok(Request::Create(create)) => create,
        other => panic!("{fields}: {other:?}"),
    }
}

fn append(fields: &str, body: &'static str) -> AppendRequest {
    match request("POST /v1/stream/a", fields, body) {
        Ok(Request::Append(append)) => append,
        other => panic!("{fields}: {other:?}"),
    }
}

#[test]
fn methods() {
    let check = |line: &str, want: Request| assert_eq!(request(line, "", ""), Ok(want), "{line}");
    check("HEAD /v1/stream/a", Request::Metadata { path: path() });
    check("DELETE /v1/stream/a", Request::Delete { path: path() });
    check("OPTIONS /v1/stream/a", Request::Options);
    check("OPTIONS *", Request::Options);
    check("OPTIONS /elsewhere", Request::Options);
    for method in ["PATCH", "TRACE", "BREW", "get"] {
        let line = format!("{method} /v1/stream/a");
        refused(&line, "", "", 405, method);
        let problem = precheck(&head(&line, ""), &context()).unwrap_err();
        assert_eq!(problem.fields, [("allow", ALLOWED_METHODS.into())]);
    }
    refused("POST /v1/stream/__ds/streams", "", "", 405, "POST");
    refused("GET /v2/stream/a", "", "", 404, "/v1/stream/");
}

#[test]
fn reads() {
    let check = |query: &str, from, live, cursor| {
        let want = ReadRequest { path: path(), from, live, cursor, if_none_match: None };
        let got = request(&format!("GET /v1/stream/a{query}"), "", "");
        assert_eq!(got, Ok(Request::Read(want)), "{query}");
    };
    check("", ReadFrom::Start, LiveMode::CatchUp, None);
    check("?", ReadFrom::Start, LiveMode::CatchUp, None);
    check("?offset=-1&foo=bar&foo=qux", ReadFrom::Start, LiveMode::CatchUp, None);
    check(&format!("?offset={TOKEN}"), ReadFrom::At(AT), LiveMode::CatchUp, None);
    check("?offset=now&live=sse&cursor=12", ReadFrom::Now, LiveMode::Sse, Some(12));
    check("?live=long-poll&offset=-1&cursor=", ReadFrom::Start, LiveMode::LongPoll, None);
    check("?offset=-1&cursor=x", ReadFrom::Start, LiveMode::CatchUp, None);
    check("?offset=-1&cursor=%2B1", ReadFrom::Start, LiveMode::CatchUp, None);

    let fields = "If-None-Match: \"a\"\nIf-None-Match: W/\"b\", \"c\"\n";
    let Ok(Request::Read(read)) = request("GET /v1/stream/a", fields, "") else { panic!() };
    assert_eq!(read.if_none_match.as_deref(), Some("\"a\", W/\"b\", \"c\""));
}

#[test]
fn refused_reads() {
    let check =
        |query: &str, word| refused(&format!("GET /v1/stream/a?{query}"), "", "", 400, word);
    for bad in ["", "0,1", "0%201", "a", "%2e%2e%2Fx", "1%00", "-2", "NOW", "now%20"] {
        check(&format!("offset={bad}"), "offset");
    }
    check("offset", "offset");
    check("offset=a&offset=b", "offset");
    check("offset=-1&offset=-1", "offset");
    check("offset=%ff", "offset");
    check("live=sse", "offset");
    check("live=long-poll", "offset");
    for bad in ["", "true", "SSE", "websocket", "longpoll"] {
        check(&format!("offset=-1&live={bad}"), "live");
    }
    check("offset=-1&live=sse&live=sse", "live");
}

#[test]
fn listings() {
    let check = |query: &str, prefix: &str, cursor: Option<&str>, limit| {
        let Ok(Request::List(list)) =
            request(&format!("GET /v1/stream/__ds/streams{query}"), "", "")
        else {
            panic!("{query}");
        };
        assert_eq!((list.prefix.as_str(), list.cursor.as_deref()), (prefix, cursor), "{query}");
        assert_eq!(list.limit, limit, "{query}");
    };
    check("", "", None, 100);
    check("?prefix=a%2Fb&cursor=a%2Fc&limit=1000", "a/b", Some("a/c"), 1000);
    for bad in ["0", "1001", "", "x", "-1", "99999999999999999999"] {
        refused(&format!("GET /v1/stream/__ds/streams?limit={bad}"), "", "", 400, "limit");
    }
}

#[test]
fn creations() {
    let plain = create("", "");
    assert_eq!((plain.content_type, plain.expiry, plain.close), (None, Expiry::Never, false));
    assert_eq!((plain.fork, plain.body), (None, Body::default()));

    let ttl = |seconds| Expiry::Ttl { seconds };
    let check = |fields: &str, want| assert_eq!(create(fields, "").expiry, want, "{fields}");
    check("Stream-TTL: 0\n", ttl(0));
    check("stream-ttl: 3600\n", ttl(3600));
    check("Stream-TTL: 3162240000\n", ttl(3_162_240_000));
    check("Stream-Expires-At: 1970-01-01T01:00:01+01:00\n", Expiry::At(Timestamp(1000)));

    assert_eq!(plain.retention, Retention::default());
    let check = |fields: &str, bytes, seconds| {
        assert_eq!(create(fields, "").retention, Retention { bytes, seconds }, "{fields}");
    };
    check("Stream-Retention-Bytes: 0\n", Some(0), None);
    check("stream-retention-bytes: 1125899906842624\n", Some(1 << 50), None);
    check("Stream-Retention-Seconds: 3162240000\n", None, Some(3_162_240_000));
    check("Stream-Retention-Bytes: 1\nStream-Retention-Seconds: 2\n", Some(1), Some(2));
    for (name, beyond) in [("Bytes", "1125899906842625"), ("Seconds", "3162240001")] {
        for bad in ["", "-1", "+1", "01", "1.0", "1e3", "1 MiB", "none", beyond] {
            let field = format!("Stream-Retention-{name}: {bad}\n");
            refused("PUT /v1/stream/a", &field, "", 400, &format!("Stream-Retention-{name}"));
        }
    }

    let closed = create("Stream-Closed: TRUE\nContent-Type: application/json\n", "[1,2]");
    assert!(closed.close);
    assert_eq!(closed.body.json.unwrap().unwrap().bytes, "1,2,");
    assert!(!create("Stream-Closed: yes\n", "").close);
    assert_eq!(create("Content-Type: application/json\n", "").body.json, None);
    assert!(create("Content-Type: application/json\n", "{").body.json.unwrap().is_err());
    assert_eq!(create("Content-Type: text/plain\n", "{").body.raw, "{");
}

#[test]
fn forks() {
    let check = |fields: &str, offset, sub_offset| {
        let fields = format!("Stream-Forked-From: /v1/stream/b/c%20d\n{fields}");
        let fork = create(&fields, "").fork.unwrap();
        assert_eq!(fork.source.as_str(), "b/c d");
        assert_eq!((fork.offset, fork.sub_offset), (offset, sub_offset), "{fields}");
    };
    check("", None, 0);
    check("Stream-Fork-Offset: -1\n", Some(Offset::ZERO), 0);
    check("Stream-Fork-Offset: 0000000000000000_0000000000000000\n", Some(Offset::ZERO), 0);
    check(&format!("Stream-Fork-Offset: {TOKEN}\nStream-Fork-Sub-Offset: 3\n"), Some(AT), 3);
    check("Stream-Fork-Sub-Offset: 0\n", None, 0);
}

#[test]
fn refused_creations() {
    let check = |fields: &str, word| refused("PUT /v1/stream/a", fields, "", 400, word);
    for bad in ["", "-1", "abc", "+3600", "03600", "3600.0", "3.6e3", "3162240001"] {
        check(&format!("Stream-TTL: {bad}\n"), "Stream-TTL");
    }
    for bad in ["", "tomorrow", "2030-01-01", "2030-13-01T00:00:00Z", "2030-01-01T00:00:00"] {
        check(&format!("Stream-Expires-At: {bad}\n"), "Stream-Expires-At");
    }
    let both = "Stream-TTL: 1\nStream-Expires-At: 2030-01-01T00:00:00Z\n";
    check(both, "Stream-TTL and Stream-Expires-At");
    for bad in ["", "json", "a/b/c", "/"] {
        check(&format!("Content-Type: {bad}\n"), "Content-Type");
    }
    let outside = ["", "b", "/v1/streams/b", "/v1/stream", "/v1/stream/", "http://h/v1/stream/b"];
    let malformed = ["/v1/stream/a//b", "/v1/stream/%2e", "/v1/stream/__ds/x", "/v1/stream/a?b"];
    for bad in outside.iter().chain(&malformed) {
        check(&format!("Stream-Forked-From: {bad}\n"), "Stream-Forked-From");
    }
    let source = "Stream-Forked-From: /v1/stream/b\n";
    for bad in ["", "now", "12", "-2"] {
        check(&format!("{source}Stream-Fork-Offset: {bad}\n"), "Stream-Fork-Offset");
    }
    for bad in ["", "-1", "abc", "1.5", "05", "+1"] {
        check(&format!("{source}Stream-Fork-Sub-Offset: {bad}\n"), "Stream-Fork-Sub-Offset");
    }
    check(&format!("Stream-Fork-Offset: {TOKEN}\n"), "Stream-Fork-Offset");
    check("Stream-Fork-Sub-Offset: 0\n", "Stream-Fork-Sub-Offset");
}

#[test]
fn appends() {
    let plain = append("Content-Type: text/plain; charset=utf-8\n", "x");
    assert_eq!(plain.content_type.unwrap().as_str(), "text/plain; charset=utf-8");
    assert_eq!((plain.producer, plain.seq, plain.close), (None, None, false));
    assert_eq!((plain.expected, plain.body.json), (None, None));

    let fields = format!(
        "Content-Type: application/json\nProducer-Id: p 1\nProducer-Epoch: 007\n\
         Producer-Seq: 9007199254740991\nStream-Seq: a-1\nStream-Expected-Offset: {TOKEN}\n"
    );
    let full = append(&fields, "{}");
    let producer = full.producer.unwrap();
    assert_eq!((&*producer.id, producer.epoch, producer.seq), ("p 1", 7, (1 << 53) - 1));
    assert_eq!((full.seq.as_deref(), full.expected), (Some("a-1"), Some(AT)));
    assert_eq!(full.body.json.unwrap().unwrap().bytes, "{},");

    // Nothing about the type matters when there is nothing to append.
    for fields in ["", "Content-Type: application/json\n", "Content-Type: ?\n"] {
        let close = append(&format!("{fields}Stream-Closed: true\n"), "");
        assert_eq!((close.close, close.content_type, close.body), (true, None, Body::default()));
    }
}

#[test]
fn refused_appends() {
    let post = "POST /v1/stream/a";
    refused(post, "Content-Type: text/plain\n", "", 400, "empty");
    refused(post, "Stream-Closed: false\n", "", 400, "empty");
    refused(post, "", "x", 400, "Content-Type");
    refused(post, "Content-Type: text\n", "x", 400, "Content-Type");
    let check = |fields: &str, word| {
        refused(post, &format!("Content-Type: text/plain\n{fields}"), "x", 400, word);
    };
    check("Stream-Seq: \n", "Stream-Seq");
    check(&format!("Stream-Seq: {}\n", "x".repeat(MAX_ID_BYTES + 1)), "Stream-Seq");
    check("Stream-Expected-Offset: now\n", "Stream-Expected-Offset");
    check("Producer-Id: p\n", "Producer-Epoch and Producer-Seq");
    check("Producer-Epoch: 0\nProducer-Seq: 0\n", "Producer-Id");
    check("Producer-Id: p\nProducer-Epoch: 0\n", "Producer-Seq");
    check("Producer-Id: \nProducer-Epoch: 0\nProducer-Seq: 0\n", "Producer-Id");
    let long = "x".repeat(MAX_ID_BYTES + 1);
    check(&format!("Producer-Id: {long}\nProducer-Epoch: 0\nProducer-Seq: 0\n"), "Producer-Id");
    for bad in ["", "1abc", "0xyz", "1e3", "-1", "+1", "1.0", "9007199254740992"] {
        check(
            &format!("Producer-Id: p\nProducer-Epoch: {bad}\nProducer-Seq: 0\n"),
            "Producer-Epoch",
        );
        check(&format!("Producer-Id: p\nProducer-Epoch: 0\nProducer-Seq: {bad}\n"), "Producer-Seq");
    }
}

#[test]
fn control_requests() {
    let line = "PUT /v1/stream/__ds/subscriptions/a%2Fb?x";
    let head = head(line, "Authorization: Bearer t\n");
    let check = |public_base: Option<&str>, want: &str| {
        let context = ParseContext { public_base: public_base.map(str::to_owned), ..context() };
        let want = Request::Control(ControlRequest {
            method: Method::PUT,
            tail: "subscriptions/a%2Fb".to_owned(),
            authorization: Some("Bearer t".into()),
            public_base: want.to_owned(),
            body: Bytes::from_static(b"{}"),
        });
        assert_eq!(parse(&head, Bytes::from_static(b"{}"), &context), Ok(want));
    };
    check(None, "http://h:1/v1/stream");
    check(Some("https://x.example/v1/stream/"), "https://x.example/v1/stream");
    let long = Bytes::from(vec![b' '; MAX_SUBSCRIPTION_BODY_BYTES + 1]);
    assert_eq!(parse(&head, long, &context()).unwrap_err().status.as_u16(), 413);
}

#[test]
fn prechecks() {
    let check = |line: &str, length: usize, want: Option<u16>| {
        let head = head(line, &format!("Content-Length: {length}\n"));
        let got = precheck(&head, &context()).err().map(|problem| problem.status.as_u16());
        assert_eq!(got, want, "{line}");
    };
    check("POST /v1/stream/a", 1 << 30, None);
    check("OPTIONS /x", 5, None);
    check("POST /x", 5, Some(404));
    check("PATCH /v1/stream/a", 5, Some(405));
    check("POST /v1/stream/a//b", 5, Some(400));
    check(&format!("POST /v1/stream/{}", "x".repeat(1025)), 5, Some(414));
    check("PUT /v1/stream/__ds/subscriptions/a", MAX_SUBSCRIPTION_BODY_BYTES, None);
    check("PUT /v1/stream/__ds/subscriptions/a", MAX_SUBSCRIPTION_BODY_BYTES + 1, Some(413));
    check("PUT /v1/stream/__ds/streams", 5, Some(405));
}

proptest! {
    #[test]
    fn nothing_that_comes_in_makes_it_panic(
        method in "GET|HEAD|PUT|POST|DELETE|OPTIONS|PATCH",
        target in "[!-\"$-~]{0,40}",
        name in prop::sample::select(vec![
            "Stream-TTL", "Stream-Expires-At", "Stream-Seq", "Producer-Id", "Stream-Forked-From",
            "Stream-Expected-Offset", "Content-Type", "Stream-Fork-Offset", "If-None-Match",
        ]),
        value in "[ -~]{0,40}",
        body: Vec<u8>,
    ) {
        for target in [format!("/{target}"), format!("/v1/stream/{target}")] {
            let text = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{name}: {value}\r\n\r\n");
            let Ok(HeadStatus::Complete(head, _)) = parse_head(text.as_bytes()) else {
                panic!("{text}");
            };
            let early = precheck(&head, &context());
            let parsed = parse(&head, body.clone().into(), &context());
            prop_assert!(early.is_ok() || parsed == Err(early.unwrap_err()));
        }
    }
}
