//! The extensions: compare-and-append, and the listing. Off the wire unless asked for.

use std::sync::Barrier;
use std::thread;

use super::support::{Request, Response, Server};

fn append(stream: &str, expected: &str, body: &str) -> Request {
    let request = Request::post(stream).with("content-type", "text/plain");
    request.with("stream-expected-offset", expected).body(body)
}

#[test]
fn expected_offsets() {
    let mut server = Server::start(&[]);
    server.put("a", "text/plain", "").expect_status(201);
    let start = server.tail("a").expect("a tail");
    let first = server.ask(&append("a", "-1", "one ")).expect_status(204);
    let check_mismatch = |server: &Server, request: &Request| {
        let before = server.tail("a").expect("a tail");
        let refusal = server.ask(request).expect_problem(409, "unexpected-tail");
        assert_eq!(refusal.next_offset(), before);
        assert!(!refusal.is_closed());
        assert_eq!(server.tail("a"), Some(before));
    };
    check_mismatch(&server, &append("a", "-1", "x"));
    check_mismatch(&server, &append("a", &start, "x"));
    let second = server.ask(&append("a", first.next_offset(), "two ")).expect_status(204);
    server.crash();
    check_mismatch(&server, &append("a", first.next_offset(), "x"));
    // Of another stream, and beyond the tail.
    server.put("b", "text/plain", "one two ").expect_status(201);
    check_mismatch(&server, &append("a", &server.tail("b").expect("a tail"), "x"));
    let (epoch, _) = start.split_once('_').expect("two parts");
    check_mismatch(&server, &append("a", &format!("{epoch}_0000000000000999"), "x"));
    // Closing alone is an append of nothing, and expects no less.
    let close = Request::post("a").with("stream-closed", "true");
    check_mismatch(&server, &close.clone().with("stream-expected-offset", first.next_offset()));
    let close = close.with("stream-expected-offset", second.next_offset());
    assert!(server.ask(&close).expect_status(204).is_closed());
    assert_eq!(server.get("a").text(), "one two ");
    server.ask(&append("a", second.next_offset(), "x")).expect_problem(409, "stream-closed");
    server.ask(&append("absent", "-1", "x")).expect_problem(404, "stream-not-found");
    assert_eq!(server.streams(), ["a", "b"]);
}

#[test]
fn a_repetition_by_a_producer_is_no_mismatch() {
    let server = Server::start(&[]);
    server.put("a", "text/plain", "").expect_status(201);
    let request = append("a", "-1", "once").producer("p", 0, 0);
    let first = server.ask(&request).expect_status(200);
    let again = server.ask(&request).expect_status(204);
    assert_eq!(again.next_offset(), first.next_offset());
    // One that does not match uses up no sequence number.
    server.ask(&append("a", "-1", "x").producer("p", 0, 1)).expect_problem(409, "unexpected-tail");
    let next = append("a", first.next_offset(), " more").producer("p", 0, 1);
    server.ask(&next).expect_status(200);
    assert_eq!(server.get("a").text(), "once more");
}

#[test]
fn eight_writers_race_and_one_wins_each_round() {
    const WRITERS: usize = 8;
    const ROUNDS: usize = 30;
    let server = Server::start(&["--cores=2"]);
    server.put("a", "text/plain", "").expect_status(201);
    let start = server.tail("a").expect("a tail");
    let barrier = Barrier::new(WRITERS);
    let run = |writer: usize| -> Vec<Response> {
        let mut client = server.connect();
        let mut tail = start.clone();
        let attempt = |_| {
            barrier.wait();
            let answer = client.ask(&append("a", &tail, &writer.to_string()));
            tail = answer.next_offset().to_owned();
            answer
        };
        (0..ROUNDS).map(attempt).collect()
    };
    let run = &run;
    let answers: Vec<Vec<Response>> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || run(writer))).collect();
        writers.into_iter().map(|writer| writer.join().expect("no panic")).collect()
    });
    let mut want = String::new();
    for round in 0..ROUNDS {
        let of_round: Vec<&Response> = answers.iter().map(|answers| &answers[round]).collect();
        let won: Vec<usize> = (0..WRITERS).filter(|at| of_round[*at].status == 204).collect();
        assert_eq!(won.len(), 1, "round {round}: {won:?}");
        want.push_str(&won[0].to_string());
        for (writer, answer) in of_round.iter().enumerate().filter(|(at, _)| *at != won[0]) {
            assert_eq!((answer.status, answer.code().as_str()), (409, "unexpected-tail"));
            assert_eq!(answer.next_offset(), of_round[won[0]].next_offset(), "{writer}");
        }
    }
    assert_eq!(server.get("a").text(), want);
}

#[test]
fn listings() {
    let mut server = Server::start(&["--cores=2"]);
    assert_eq!(server.get("__ds/streams").text(), r#"{"streams":[],"next_cursor":null}"#);
    let mut paths: Vec<String> = (0..250).map(|n| format!("many/{n:03}")).collect();
    paths.extend(["a", "a b", "a/b", "man", "\u{e9}/x", "z&y"].map(str::to_owned));
    let encoded = |path: &str| {
        let escape = |byte: u8| match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'/' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        path.bytes().map(escape).collect::<String>()
    };
    for path in &paths {
        server.put(&encoded(path), "text/plain", "x").expect_status(201);
    }
    paths.sort();
    server.crash();
    let list = |query: &str| -> (Vec<String>, Option<String>) {
        let listed = server.get(&format!("__ds/streams{query}")).expect_status(200);
        assert_eq!(listed.field("cache-control"), Some("no-store"));
        assert_eq!(listed.field("content-type"), Some("application/json"));
        let listed = listed.json();
        let path = |entry: &serde_json::Value| entry["path"].as_str().expect("a path").to_owned();
        let streams = listed["streams"].as_array().expect("an array").iter().map(path).collect();
        (streams, listed["next_cursor"].as_str().map(str::to_owned))
    };
    let check = |query: &str, limit: usize, want: &[String]| {
        let mut got = Vec::new();
        let mut cursor = None;
        loop {
            let after = cursor
                .map_or(String::new(), |cursor: String| format!("&cursor={}", encoded(&cursor)));
            let (streams, next) = list(&format!("?{query}{after}"));
            assert!(streams.len() == limit || next.is_none(), "{query}");
            got.extend(streams);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(got, want, "{query}");
    };
    let many: Vec<String> =
        paths.iter().filter(|path| path.starts_with("many/")).cloned().collect();
    check("", 100, &paths);
    check("limit=1000", 1000, &paths);
    check("limit=7", 7, &paths);
    check("limit=1&prefix=a", 1, &["a", "a b", "a/b"].map(str::to_owned));
    check("prefix=many/", 100, &many);
    check("prefix=many/&limit=250", 250, &many);
    check("prefix=many/24&limit=3", 3, &many[240..]);
    check("prefix=%C3%A9", 100, &["\u{e9}/x".to_owned()]);
    check("prefix=nobody", 100, &[]);
    check("cursor=zzz", 100, &paths[paths.len() - 1..]);
    check("prefix=many/&cursor=a&limit=1000", 1000, &many);
    check("prefix=a&cursor=many", 100, &[]);
}

#[test]
fn listings_have_bounds() {
    let server = Server::start(&[]);
    server.put("a", "text/plain", "x").expect_status(201);
    for limit in ["0", "1001", "-1", "", "x", "1.0", "99999999999999999999"] {
        let query = format!("__ds/streams?limit={limit}");
        server.get(&query).expect_problem(400, "invalid-request");
    }
    for query in ["limit=1&limit=2", "prefix=%ff", "cursor=%zz"] {
        server.get(&format!("__ds/streams?{query}")).expect_problem(400, "invalid-request");
    }
    let head = server.head("__ds/streams").expect_status(200);
    assert_eq!(head.field("content-type"), Some("application/json"));
}

#[test]
fn what_a_listing_says() {
    let server = Server::start(&[]);
    server.put("open", "application/json", "[1]").expect_status(201);
    let closed = Request::put("closed").with("stream-closed", "true").with("stream-ttl", 3600);
    server.ask(&closed.with("content-type", "text/plain")).expect_status(201);
    server.put("deleted", "text/plain", "x").expect_status(201);
    server.delete("deleted").expect_status(204);
    let listed = server.get("__ds/streams").json();
    let entry = |at: usize| &listed["streams"][at];
    assert_eq!(listed["streams"].as_array().map(Vec::len), Some(2));
    assert_eq!(entry(0)["path"], "closed");
    assert_eq!(entry(0)["closed"], true);
    assert_eq!(entry(0)["content_type"], "text/plain");
    assert!(entry(0)["expires_at"].as_str().is_some_and(|at| at.ends_with('Z')));
    assert_eq!(entry(1)["closed"], false);
    assert_eq!(entry(1)["expires_at"], serde_json::Value::Null);
    assert_eq!(entry(1)["next_offset"].as_str(), server.tail("open").as_deref());
}

#[test]
fn nobody_who_did_not_ask_hears_of_them() {
    let server = Server::start(&[]);
    server.put("a", "text/plain", "x").expect_status(201);
    let known = [
        "x-content-type-options",
        "cross-origin-resource-policy",
        "access-control-allow-origin",
        "access-control-expose-headers",
        "date",
        "content-length",
        "content-type",
        "cache-control",
        "etag",
        "location",
        "stream-next-offset",
        "stream-up-to-date",
        "stream-closed",
        "stream-ttl",
        "stream-expires-at",
    ];
    let post = server.post("a", "text/plain", "y").expect_status(204);
    for answer in [server.put("b", "text/plain", ""), post, server.get("a"), server.head("a")] {
        for (name, _) in &answer.fields {
            assert!(known.contains(&name.as_str()), "{name}");
        }
    }
}
