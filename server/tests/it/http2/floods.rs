//! Floods: frames that cost a client little and the server work. Each ends its connection with the
//! code that says why, within bounded memory, and nobody else notices.

use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, PRIORITY,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, Wire, fields, get,
};
use crate::operations::metrics::scrape;
use crate::support::{Request, Server, wait_until};

/// `ENHANCE_YOUR_CALM`.
const CALM: u32 = 0xb;
/// More than any budget.
const MANY: usize = 20_000;

fn server() -> Server {
    let server = Server::start(&["--admin=127.0.0.1:0"]);
    server.put("a", "text/plain", "here").expect_status(201);
    server
}

fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()));
    let status = status.expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

/// What becomes of a connection that sends this. `reason`: how the refusal is counted, if it is
/// ours and not the library's.
#[track_caller]
fn check(what: &str, begin: &[u8], flood: &[u8], code: u32, reason: Option<&str>) {
    let server = server();
    let before = resident(&server);
    let mut wire = Wire::open(server.address());
    wire.send(begin);
    // It may be ended in the middle.
    let _ = wire.send(flood);
    // Others are served, whatever it is still sending.
    server.ask(&Request::get("a")).expect_status(200);
    let goaway = wire.next_of(GOAWAY).unwrap_or_else(|| panic!("{what}: no GOAWAY"));
    assert_eq!(goaway.error(), code, "{what}");
    while wire.next().is_some() {}
    let after = resident(&server);
    assert!(after < before + 64 * 1024, "{what}: {before} kB before, {after} kB after");
    let name = if code == CALM { "enhance_your_calm" } else { "" };
    let counted = |text: &str, metric: &str, label: &str| {
        let wanted = |line: &&str| line.starts_with(metric) && line.contains(label);
        text.lines().any(|line| wanted(&line))
    };
    wait_until(what, || {
        let text = scrape(&server);
        counted(&text, "thalweg_http2_connection_errors_total", name)
            && reason.is_none_or(|reason| counted(&text, "thalweg_refusals_total", reason))
    });
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    Frame::new(kind, flags, stream, payload).encode()
}

fn post() -> Vec<u8> {
    let head = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "test"),
        (":path", "/v1/stream/a"),
        ("content-type", "text/plain"),
    ];
    frame(HEADERS, END_HEADERS, 1, &fields(&head))
}

#[test]
fn frames_for_nothing() {
    let control = Some("http2-control-flood");
    let check = |what: &str, begin: &[u8], one: Vec<u8>, count: usize| {
        check(what, begin, &one.repeat(count), CALM, control);
    };
    check("pings", b"", frame(PING, 0, 0, &[7; 8]), MANY);
    check("answers to pings", b"", frame(PING, 1, 0, &[7; 8]), MANY);
    check("settings", b"", frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 16, 0]), 1000);
    check("empty settings", b"", frame(SETTINGS, 0, 0, &[]), 1000);
    check("priorities", b"", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 7]), MANY);
    check("window updates", b"", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]), MANY);
    check("unknown frames", b"", frame(0x77, 0, 0, &[]), MANY);
}

#[test]
fn small_data() {
    // The library counts what each frame costs beside its bytes.
    check("empty data", &post(), &frame(DATA, 0, 1, &[]).repeat(MANY), CALM, None);
    check("a byte in a frame", &post(), &frame(DATA, 0, 1, b"x").repeat(60_000), CALM, None);
}

#[test]
fn heads_without_end() {
    let first = get("/v1/stream/a");
    let begin = frame(HEADERS, END_STREAM, 1, &first);
    check("empty continuations", &begin, &frame(CONTINUATION, 0, 1, &[]).repeat(MANY), CALM, None);
    let more = frame(CONTINUATION, 0, 1, &fields(&[("x", "y")]));
    check("continuations", &begin, &more.repeat(MANY), CALM, None);
}

#[test]
fn header_bombs() {
    // One field of 3 KiB, kept in the table, and then named by one byte each.
    let mut bomb = get("/v1/stream/a");
    bomb.extend([0x40, 1, b'x', 0x7f]);
    let rest = 3000 - 127;
    bomb.extend([(rest % 128) as u8 | 128, (rest / 128) as u8]);
    bomb.extend(vec![b'y'; 3000]);
    bomb.extend(vec![0xbe; 12_000]);
    let bomb = frame(HEADERS, END_STREAM | END_HEADERS, 1, &bomb);
    check("a bomb", b"", &bomb, CALM, None);
}

#[test]
fn resets_before_the_requests_are_looked_at() {
    let mut flood = Vec::new();
    for number in 0..10_000u32 {
        let stream = 2 * number + 1;
        flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &get("/v1/stream/a")));
        flood.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
    }
    check("rapid reset", b"", &flood, CALM, None);
}

#[test]
fn resets_of_requests_that_have_begun() {
    let server = server();
    let mut wire = Wire::open(server.address());
    let head = get("/v1/stream/a?offset=now&live=long-poll");
    // A few at a time, and a ping after each lot: all have been taken before they are taken back.
    let mut stream = 1;
    let goaway = 'flood: {
        for lot in 0..100u64 {
            let streams: Vec<u32> = (0..20).map(|number| stream + 2 * number).collect();
            stream += 40;
            let begin = |&stream: &u32| frame(HEADERS, END_STREAM | END_HEADERS, stream, &head);
            wire.send(&streams.iter().flat_map(begin).collect::<Vec<u8>>());
            wire.send(&frame(PING, 0, 0, &lot.to_be_bytes()));
            loop {
                match wire.next() {
                    Some(frame) if frame.kind == GOAWAY => break 'flood Some(frame),
                    Some(frame) if frame.kind == PING => break,
                    Some(_) => {}
                    None => break 'flood None,
                }
            }
            let reset = |&stream: &u32| frame(RST_STREAM, 0, stream, &8u32.to_be_bytes());
            wire.send(&streams.iter().flat_map(reset).collect::<Vec<u8>>());
        }
        wire.next_of(GOAWAY)
    };
    assert_eq!(goaway.expect("GOAWAY").error(), CALM);
    server.ask(&Request::get("a")).expect_status(200);
    let counted = |text: String| text.contains("code=\"http2-reset-flood\"");
    wait_until("it is counted", || counted(scrape(&server)));
}

#[test]
fn readers_that_leave_are_no_flood() {
    // More than the budget, but each has had an answer.
    let server = Server::start_configured("[limits]\nhttp2_streams = 100", &[]);
    server.put("a", "text/plain", "here").expect_status(201);
    let mut wire = Wire::open(server.address());
    let head = get("/v1/stream/a?offset=-1&live=sse");
    for number in 0..2500u32 {
        let stream = 2 * number + 1;
        wire.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &head));
        let answer = loop {
            let next = wire.next().expect("a frame");
            match next.kind {
                HEADERS => break next,
                DATA => {
                    let len = (next.payload.len() as u32).to_be_bytes();
                    wire.send(&frame(WINDOW_UPDATE, 0, 0, &len));
                }
                _ => assert_ne!(next.kind, GOAWAY, "after {number} readers"),
            }
        };
        assert_eq!((answer.stream, answer.status()), (stream, 200));
        wire.send(&frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
    }
}

#[test]
fn windows_that_open_by_one_byte() {
    let server = server();
    server.put("large", "text/plain", vec![b'x'; 1 << 20]).expect_status(201);
    let mut wire = Wire::open(server.address());
    // SETTINGS_INITIAL_WINDOW_SIZE of 1.
    wire.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]));
    let flags = END_STREAM | END_HEADERS;
    wire.send(&frame(HEADERS, flags, 1, &get("/v1/stream/large?offset=-1")));
    assert_eq!(wire.next_of(HEADERS).expect("an answer").status(), 200);
    let _ = wire.send(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]).repeat(MANY));
    server.ask(&Request::get("a")).expect_status(200);
    assert_eq!(wire.next_of(GOAWAY).expect("GOAWAY").error(), CALM);
}

#[test]
fn windows_that_stay_closed() {
    let toml = "[limits]\nwrite_stall_timeout = '300ms'";
    let server = Server::start_configured(toml, &[]);
    server.put("large", "text/plain", vec![b'x'; 1 << 20]).expect_status(201);
    let mut wire = Wire::open(server.address());
    wire.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    let flags = END_STREAM | END_HEADERS;
    // A page of a few bytes, so that no more time is granted for it.
    server.put("small", "text/plain", "small").expect_status(201);
    wire.send(&frame(HEADERS, flags, 1, &get("/v1/stream/small?offset=-1")));
    wire.send(&frame(HEADERS, flags, 3, &get("/v1/stream/large?offset=-1")));
    let reset = wire.next_of(RST_STREAM).expect("the end of the stalled stream");
    assert_eq!((reset.stream, reset.error()), (1, 8));
    // The connection goes on, and its other streams too.
    wire.send(&frame(WINDOW_UPDATE, 0, 3, &[0, 0, 0xff, 0]));
    assert_eq!(wire.next_of(DATA).expect("data").stream, 3);
}
