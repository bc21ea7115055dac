//! Field and parameter values.

use super::super::support::Request;
use super::Target;

fn append() -> Request {
    Request::post("kept").with("content-type", "text/plain").body("x")
}

#[test]
fn invalid_offsets() {
    let target = Target::start(&[]);
    let check = |query: &str, code| {
        target.check_problem(&Request::get(&format!("kept?{query}")), 400, code);
    };
    let tail = target.server.tail("kept").expect("a tail");
    let (epoch, _) = tail.split_once('_').expect("two parts");
    for offset in ["", "abc", "0", "0_0", "-2", "--1", "NOW", "now%00", "%20-1", "1%2F2", "*"] {
        check(&format!("offset={offset}"), "malformed-offset");
    }
    check(&format!("offset={tail}0"), "malformed-offset");
    check(&format!("offset={}", &tail[1..]), "malformed-offset");
    check(&format!("offset={epoch}_000000000000000%CD%BE"), "malformed-offset");
    check(&format!("offset={epoch}_9999999999999999"), "offset-beyond-tail");
    check(&format!("offset={epoch}_0000000000000005"), "offset-beyond-tail");
    check("offset=9999999999999999_0000000000000000", "offset-foreign");
    check("offset=-1&offset=-1", "invalid-request");
    check("offset=%zz", "invalid-request");
    check("offset=%ff", "invalid-request");
    check("live=sse", "invalid-request");
    check("live=long-poll", "invalid-request");
    check("offset=-1&live=websocket", "invalid-request");
    check("offset=-1&live=", "invalid-request");
    check("offset=-1&live=sse&live=sse", "invalid-request");
    check(&format!("live=sse&offset={epoch}_9999999999999999"), "offset-beyond-tail");
    check(&format!("live=long-poll&offset={epoch}_9999999999999999"), "offset-beyond-tail");
    let expected = append().with("stream-expected-offset", "7");
    target.check_problem(&expected, 400, "malformed-offset");
    let expected = append().with("stream-expected-offset", "now");
    target.check_problem(&expected, 400, "malformed-offset");
}

#[test]
fn invalid_forks() {
    let target = Target::start(&[]);
    let tail = target.server.tail("kept").expect("a tail");
    let check = |fields: &[(&str, &str)], status, code| {
        let request = Request::put("new");
        let request =
            fields.iter().fold(request, |request, (name, value)| request.with(name, value));
        target.check_problem(&request, status, code);
    };
    let from = ("stream-forked-from", "/v1/stream/kept");
    check(&[from, ("stream-fork-offset", "junk")], 400, "malformed-offset");
    check(&[from, ("stream-fork-offset", "now")], 400, "malformed-offset");
    let beyond = tail.replace("_000000000000000", "_900000000000000");
    check(&[from, ("stream-fork-offset", &beyond)], 400, "offset-beyond-tail");
    for sub in ["-1", "1.5", "01", "", "x", "99999999999999999999"] {
        check(&[from, ("stream-fork-sub-offset", sub)], 400, "invalid-request");
    }
    check(&[from, ("stream-fork-sub-offset", "9")], 400, "sub-offset-overshoots");
    let start = ("stream-fork-offset", "-1");
    check(&[from, start, ("stream-fork-sub-offset", "5")], 400, "sub-offset-overshoots");
    check(&[("stream-fork-offset", "-1")], 400, "invalid-request");
    check(&[("stream-fork-sub-offset", "0")], 400, "invalid-request");
    check(&[("stream-forked-from", "/v1/stream/nobody")], 404, "source-not-found");
    check(&[("stream-forked-from", "/v1/stream/new")], 404, "source-not-found");
    for source in ["kept", "", "/kept", "/v1/stream/", "/v1/stream/../kept", "/v1/stream/kept?x"] {
        check(&[("stream-forked-from", source)], 400, "invalid-request");
    }
    for source in
        ["/v1/stream/a%2Fb", "/v1/stream/kept#x", "http://t/v1/stream/kept", "/v1/stream/__ds/x"]
    {
        check(&[("stream-forked-from", source)], 400, "invalid-request");
    }
    check(&[from, ("content-type", "application/json")], 409, "content-type-mismatch");
}

#[test]
fn invalid_ttls() {
    let target = Target::start(&[]);
    for ttl in ["-1", "+1", "1.5", "007", "1e3", "", "abc", "1 ", "0x10", "99999999999999999999"] {
        let request = Request::put("new").with("stream-ttl", ttl);
        // White space around a value is not part of it.
        if ttl.trim() == ttl {
            target.check_problem(&request, 400, "invalid-request");
        }
    }
    let beyond = (100u64 * 366 * 24 * 3600 + 1).to_string();
    let request = Request::put("new").with("stream-ttl", beyond);
    target.check_problem(&request, 400, "invalid-request");
    let both = Request::put("new")
        .with("stream-ttl", 60)
        .with("stream-expires-at", "2090-01-01T00:00:00Z");
    target.check_problem(&both, 400, "conflicting-expiry");
    // Not even valid values may change a stream that is there.
    let other = Request::put("kept").with("content-type", "text/plain").with("stream-ttl", 60);
    target.check_problem(&other, 409, "stream-exists");
}

#[test]
fn invalid_expires_at() {
    let target = Target::start(&[]);
    for at in [
        "tomorrow",
        "",
        "2090-01-01",
        "2090-13-01T00:00:00Z",
        "2090-02-30T00:00:00Z",
        "2090-01-01T25:00:00Z",
        "2090-01-01T00:00:00",
        "1700000000",
        "Thu, 01 Jan 2090 00:00:00 GMT",
        "2090-01-01T00:00:00Z extra",
        "-2090-01-01T00:00:00Z",
    ] {
        let request = Request::put("new").with("stream-expires-at", at);
        target.check_problem(&request, 400, "invalid-request");
    }
}

#[test]
fn invalid_producers() {
    let target = Target::start(&[]);
    let check = |fields: &[(&str, &str)]| {
        let request =
            fields.iter().fold(append(), |request, (name, value)| request.with(name, value));
        target.check_problem(&request, 400, "invalid-request");
    };
    let id = ("producer-id", "p");
    let epoch = ("producer-epoch", "0");
    let seq = ("producer-seq", "0");
    for number in ["-1", "+1", "1.0", "", "x", "1e3", "0x1", "9007199254740992", "1_0"] {
        check(&[id, epoch, ("producer-seq", number)]);
        check(&[id, ("producer-epoch", number), seq]);
    }
    let longer = "p".repeat(257);
    check(&[("producer-id", ""), epoch, seq]);
    check(&[("producer-id", &longer), epoch, seq]);
    check(&[id, epoch]);
    check(&[id, seq]);
    check(&[epoch, seq]);
    check(&[id]);
    check(&[("stream-seq", "")]);
    check(&[("stream-seq", &longer)]);
}

#[test]
fn producers_out_of_order() {
    let mut target = Target::start(&[]);
    let server = &target.server;
    server.ask(&append().producer("p", 3, 0)).expect_status(200);
    server.ask(&append().producer("p", 3, 1)).expect_status(200);
    server.ask(&append().with("stream-seq", "m")).expect_status(204);
    target.before = target.contents();
    let check = |request: Request, status, code: &str, extra: &[(&str, &str)]| {
        let refusal = target.server.ask(&request).expect_problem(status, code);
        for (name, value) in extra {
            assert_eq!(refusal.field(name), Some(*value), "{refusal:?}");
        }
        assert_eq!(target.contents(), target.before);
    };
    let gap = [("producer-expected-seq", "2"), ("producer-received-seq", "3")];
    check(append().producer("p", 3, 3), 409, "producer-sequence-gap", &gap);
    check(append().producer("q", 0, 1), 409, "producer-sequence-gap", &[]);
    check(append().producer("p", 2, 2), 403, "stale-producer-epoch", &[("producer-epoch", "3")]);
    check(append().producer("p", 4, 1), 400, "epoch-must-start-at-zero", &[]);
    check(append().with("stream-seq", "m"), 409, "sequence-regression", &[]);
    check(append().with("stream-seq", "M"), 409, "sequence-regression", &[]);
    // A repetition is a success that stores nothing.
    target.server.ask(&append().producer("p", 3, 1)).expect_status(204);
    assert_eq!(target.contents(), target.before);
}

#[test]
fn closed_streams_stay_as_they_are() {
    let mut target = Target::start(&[]);
    let closed = Request::put("closed").with("content-type", "text/plain");
    target.server.ask(&closed.with("stream-closed", "TRUE").body("end")).expect_status(201);
    target.before = target.contents();
    let append = Request::post("closed").with("content-type", "text/plain").body("x");
    for request in [append.clone(), append.clone().with("stream-closed", "true")] {
        let refusal = target.check_problem(&request, 409, "stream-closed");
        assert!(refusal.is_closed());
        assert_eq!(Some(refusal.next_offset()), target.server.tail("closed").as_deref());
    }
    target.check_problem(&append.producer("p", 0, 0), 409, "stream-closed");
    // Closing again is no news.
    let close = Request::post("closed").with("stream-closed", "true");
    assert!(target.server.ask(&close).expect_status(204).is_closed());
    assert_eq!(target.server.get("closed").text(), "end");
    // Any other value is as good as none.
    for value in ["false", "yes", "1", ""] {
        let append = append_to_kept(value);
        target.check_problem(&append, 400, "empty-body");
    }
}

fn append_to_kept(closed: &str) -> Request {
    Request::post("kept").with("content-type", "text/plain").with("stream-closed", closed)
}

#[test]
fn absurd_fields_are_ignored() {
    let target = Target::start(&[]);
    let long = "x".repeat(4000);
    for (name, value) in [
        ("range", "bytes=0-0"),
        ("range", "bytes=-99999999999999999999"),
        ("range", "nonsense"),
        ("if-range", "\"x\""),
        ("if-none-match", "garbage"),
        ("if-none-match", "\"unclosed"),
        ("if-match", "\"x\""),
        ("if-modified-since", "never"),
        ("accept", "*/*;q=nan"),
        ("accept-encoding", "*;q=0"),
        ("te", "trailers, deflate"),
        ("upgrade", "websocket"),
        ("connection", "upgrade, http2-settings"),
        ("cookie", &long),
        ("x-forwarded-for", "\"'<>"),
        ("content-type", "not/relevant"),
        ("stream-ttl", "junk"),
        ("producer-id", ""),
    ] {
        let read = target.server.ask(&Request::get("kept").with(name, value));
        assert_eq!((read.status, read.text().as_str()), (200, "kept"), "{name}: {value}");
    }
    let unknown = target.server.get("kept?offset=-1&timeout=999&cursor=minus&%zz=1");
    assert_eq!(unknown.expect_status(200).text(), "kept");
    target.check_unchanged("absurd fields");
}
