//! Servers that refuse, break off, keep silent or talk nonsense: each failure has its kind, nothing
//! is lost that was not, and every run ends.

use std::time::{Duration, Instant};

use thalweg_loadgen::result::RunResult;

use crate::runs::{delivery, errors, is_whole, ms, operation, passed, plan, run, side_by_side};
use crate::stub::{Cut, Faults, Reply, Stub, Target, Then};

const PUBLISH_AND_FOLLOW: &str = r#"
    drain = "30s"

    [[streams]]
    name = "x"

    [[groups]]
    rate = 100
    duration = "1s"
    steps = [{ append = {} }]

    [[groups]]
    users = 10
    hold = "1s"
    steps = [{ label = "deliver", tail = {} }]
"#;

#[test]
fn a_refused_append_has_failed_and_is_not_lost() {
    let stub = Stub::with(Faults { refuse_one_in: Some(10), ..Faults::default() });
    let result = run(&plan(&stub, PUBLISH_AND_FOLLOW));
    let append = operation(&result, "append");
    assert_eq!((append.succeeded, append.failed), (90, 10));
    assert_eq!(errors(&result), [("append", "status 503", 10)]);
    is_whole(&result, "deliver");
    assert_eq!(delivery(&result, "deliver").delivered, 10 * 90);
    assert!(!passed(&result), "failed operations fail the run");
}

/// A reader goes on where the server's last word was; what it got after that comes again, and is
/// no duplicate.
#[test]
fn a_cut_connection_is_a_reconnect() {
    side_by_side([Cut::Data, Cut::Control, Cut::Proper], |cut| {
        let stub = Stub::with(Faults { cut: Some((97, cut)), ..Faults::default() });
        let result = run(&plan(&stub, PUBLISH_AND_FOLLOW));
        is_whole(&result, "deliver");
        let deliver = delivery(&result, "deliver");
        assert_eq!(deliver.delivered, 10 * 100, "{cut:?}");
        let cuts = stub.log().cuts;
        assert!(cuts >= 5, "{cut:?}: {cuts}");
        assert_eq!(deliver.reconnects, cuts, "{cut:?}");
        let failures: u64 = errors(&result).iter().map(|error| error.2).sum();
        let proper = cut == Cut::Proper;
        assert_eq!(failures, if proper { 0 } else { cuts }, "{:?}", result.errors);
        assert_eq!(operation(&result, "append").failed, 0);
    });
}

/// More breaks than a reader tries in a row, each after something good.
#[test]
fn a_reader_that_gets_on_does_not_give_up() {
    let stub = Stub::with(Faults { cut: Some((2, Cut::Data)), ..Faults::default() });
    let text = PUBLISH_AND_FOLLOW.replace("users = 10", "users = 1").replace("1s", "4500ms");
    let result = run(&plan(&stub, &text));
    is_whole(&result, "deliver");
    let reconnects = delivery(&result, "deliver").reconnects;
    assert!(reconnects > 10, "{reconnects}");
}

/// The publisher's connection is closed after each answer: what was under way has failed.
#[test]
fn a_publisher_connects_again() {
    let bytes = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec();
    let reply = Reply { bytes, then: Then::Close };
    let stub = Stub::with(Faults { reply: Some((Target::Appends, reply)), ..Faults::default() });
    let result = run(&plan(&stub, APPEND));
    let append = operation(&result, "append");
    assert_eq!(append.succeeded + append.failed, 50);
    assert!(append.succeeded > 0, "{:?}", result.errors);
    assert!(stub.log().accepted > 10);
}

const APPEND: &str = r#"
    timeout = "500ms"

    [[streams]]
    name = "x"

    [[groups]]
    rate = 50
    duration = "1s"
    steps = [{ append = {} }]
"#;

const CLOSED: &str = r#"
    timeout = "1s"

    [[streams]]
    name = "x"

    [[groups]]
    users = 2
    iterations = 3
    steps = [{ append = {} }]
"#;

const READ: &str = r#"
    timeout = "1s"

    [[streams]]
    name = "x"

    [[groups]]
    users = 2
    iterations = 3
    steps = [{ read = {} }]
"#;

/// Answers that are none, what becomes of the connection, and the kind of failure for a request
/// that is alone on its connection.
fn malformed() -> Vec<(&'static str, Reply, &'static str)> {
    let reply = |text: &str, then| Reply { bytes: text.as_bytes().to_vec(), then };
    let ok = "HTTP/1.1 200 OK\r\n";
    let long = format!("{ok}{}", "x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(30_000));
    vec![
        ("nothing", reply("", Then::Close), "connection"),
        ("silence", reply("", Then::Stay), "timeout"),
        ("half a head", reply("HTTP/1.1 200 OK\r\ncontent-le", Then::Close), "connection"),
        ("half a head, kept", reply("HTTP/1.1 200 OK\r\ncontent-le", Then::Stay), "timeout"),
        ("other protocol", reply("SSH-2.0-x\r\n\r\n", Then::Stay), "malformed answer"),
        ("bytes", Reply { bytes: vec![0xff; 20_000], then: Then::Stay }, "malformed answer"),
        ("no end of fields", reply(&long, Then::Stay), "malformed answer"),
        ("status", reply("HTTP/1.1 99999 X\r\n\r\n", Then::Stay), "malformed answer"),
        (
            "cut short",
            reply(&format!("{ok}content-length: 100\r\n\r\nabc"), Then::Close),
            "connection",
        ),
        (
            "length",
            reply(&format!("{ok}content-length: x\r\n\r\n"), Then::Stay),
            "malformed answer",
        ),
        (
            "two lengths",
            reply(&format!("{ok}content-length: 1\r\ncontent-length: 2\r\n\r\nab"), Then::Stay),
            "malformed answer",
        ),
        (
            "huge length",
            reply(&format!("{ok}content-length: 99999999999\r\n\r\nab"), Then::Stay),
            "malformed answer",
        ),
        (
            "chunk",
            reply(&format!("{ok}transfer-encoding: chunked\r\n\r\nxyz\r\n"), Then::Stay),
            "malformed answer",
        ),
        (
            "cut chunk",
            reply(&format!("{ok}transfer-encoding: chunked\r\n\r\n5\r\nab"), Then::Close),
            "connection",
        ),
        (
            "error",
            reply("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", Then::Stay),
            "status 500",
        ),
    ]
}

/// Runs it; it must end.
fn ends(text: &str, target: Target, reply: &Reply, name: &str) -> RunResult {
    let reply = Some((target, reply.clone()));
    let stub = Stub::with(Faults { reply, ..Faults::default() });
    let begin = Instant::now();
    let result = run(&plan(&stub, text));
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(20), "{name}: {took:?}");
    result
}

/// All of them, side by side: they mostly wait.
fn each(check: impl Fn(&'static str, &Reply, &'static str) + Sync) {
    side_by_side(malformed(), |(name, reply, kind)| check(name, &reply, kind));
}

#[test]
fn malformed_answers_to_requests() {
    let check = |label: &str, text: &str, target: Target| {
        each(|name, reply, kind| {
            let result = ends(text, target, reply, name);
            let all = operation(&result, label);
            assert_eq!((all.succeeded, all.failed), (0, 6), "{name}");
            assert_eq!(errors(&result), [(label, kind, 6)], "{name}: {:?}", result.errors);
            assert!(!passed(&result), "{name}");
        });
    };
    check("append", CLOSED, Target::Appends);
    check("read", READ, Target::Reads);
}

/// Pipelined, more than one may be under way on a connection that fails.
#[test]
fn malformed_answers_to_a_publisher() {
    let text = APPEND.replace("\"1s\"", "\"200ms\"");
    each(|name, reply, kind| {
        let result = ends(&text, Target::Appends, reply, name);
        let all = operation(&result, "append");
        assert_eq!((all.succeeded, all.failed), (0, 10), "{name}");
        // What is sent before the failure is noticed may meet a closed connection.
        let errors = errors(&result);
        let known = |error: &(&str, &str, u64)| [kind, "connection"].contains(&error.1);
        assert!(errors.iter().all(known), "{name}: {:?}", result.errors);
        assert!(errors.iter().any(|error| error.1 == kind), "{name}: {:?}", result.errors);
    });
}

/// Two readers of a mode, and messages that they do not get.
fn malformed_for_readers(
    mode: &str,
    target: Target,
    kind_of: fn(&str, &'static str) -> &'static str,
) {
    let text = format!(
        r#"
        timeout = "500ms"
        drain = "1s"

        [[streams]]
        name = "x"

        [[groups]]
        rate = 50
        duration = "300ms"
        steps = [{{ append = {{}} }}]

        [[groups]]
        users = 2
        hold = "300ms"
        steps = [{{ label = "deliver", tail = {{ mode = "{mode}", from = "beginning" }} }}]
        "#
    );
    each(|name, reply, kind| {
        let result = ends(&text, target, reply, name);
        let deliver = delivery(&result, "deliver");
        assert_eq!((deliver.readers, deliver.delivered), (2, 0), "{name}");
        assert_eq!(deliver.lost, 2 * 15, "{name}");
        let kinds: Vec<_> = errors(&result).iter().map(|error| (error.0, error.1)).collect();
        let want = kind_of(name, kind);
        // A long poll may take its time.
        let silent = want == "timeout" && mode == "long-poll";
        let want = if silent { vec![] } else { vec![("deliver", want)] };
        assert_eq!(kinds, want, "{name}: {:?}", result.errors);
        assert!(!passed(&result), "{name}");
        if mode == "sse" {
            assert_eq!(deliver.failed_readers, 2, "{name}");
        }
    });
}

/// They never get as far as to be confirmed, so they give up before the load begins.
#[test]
fn malformed_answers_to_sse_readers() {
    malformed_for_readers("sse", Target::Live, |name, kind| match name {
        "huge length" => "timeout",
        "error" => "status",
        _ => kind,
    });
}

#[test]
fn malformed_answers_to_long_polls() {
    malformed_for_readers("long-poll", Target::Live, |name, kind| match name {
        "error" => "status",
        _ => kind,
    });
}

#[test]
fn malformed_answers_to_polling_readers() {
    malformed_for_readers("catch-up", Target::Reads, |name, kind| match name {
        "error" => "status",
        _ => kind,
    });
}

/// Events that are none.
#[test]
fn malformed_events() {
    let events = |text: &[u8]| [b"HTTP/1.1 200 OK\r\n\r\n", text].concat();
    let check = |text: &[u8], then, want: &str| {
        let reply = Reply { bytes: events(text), then };
        let text = PUBLISH_AND_FOLLOW.replace("1s", "100ms");
        let text = text.replace("\"30s\"", "\"100ms\"");
        let text = format!("timeout = \"300ms\"\n{text}");
        let result = ends(&text, Target::Live, &reply, want);
        let errors = errors(&result);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!((errors[0].0, errors[0].1), ("deliver", want));
        assert_eq!(delivery(&result, "deliver").failed_readers, 10, "{errors:?}");
    };
    let cases: [(&[u8], Then, &str); 5] = [
        (b"", Then::Close, "malformed answer"),
        (b"event: data\ndata:[]\n\n", Then::Close, "malformed answer"),
        (b"event: data\ndata:[\xff\xfe]\n\n", Then::Stay, "timeout"),
        (&[b'x'; 100_000], Then::Close, "malformed answer"),
        (b"event: control\ndata:{", Then::Stay, "timeout"),
    ];
    side_by_side(cases, |(text, then, want)| check(text, then, want));
}

/// A request that the server does not take must not wait without end.
#[test]
fn a_server_that_does_not_read() {
    let stub = Stub::with(Faults { deaf: true, ..Faults::default() });
    let text = CLOSED
        .replace("name = \"x\"", "name = \"x\"\ncreate = false")
        .replace("append = {}", "append = { size = \"16MiB\" }");
    let begin = Instant::now();
    let result = run(&plan(&stub, &text));
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert_eq!(errors(&result), [("append", "timeout", 6)]);
}

#[test]
fn nobody_listens() {
    let stub = Stub::start();
    let text = CLOSED.replace("name = \"x\"", "name = \"x\"\ncreate = false");
    let plan = plan(&stub, &text);
    drop(stub);
    let result = run(&plan);
    assert_eq!(errors(&result), [("append", "connect", 6)], "{:?}", result.errors);
}

/// Nobody has a message before its last byte.
#[test]
fn an_answer_in_two_halves() {
    let pause = Duration::from_millis(200);
    side_by_side(["long-poll", "catch-up"], |mode| {
        let stub = Stub::with(Faults { halves: Some(pause), ..Faults::default() });
        let text = PUBLISH_AND_FOLLOW
            .replace("tail = {}", &format!("tail = {{ mode = \"{mode}\" }}"))
            .replace("rate = 100", "rate = 10");
        let result = run(&plan(&stub, &text));
        is_whole(&result, "deliver");
        let times = &delivery(&result, "deliver").times;
        assert!(times.min() >= 199_000_000, "{mode}: {} ms", ms(times, 0.0));
    });
}
