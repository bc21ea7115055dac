//! What a client cannot do to the server: floods, and requests without end.

use super::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM,
    SETTINGS, Wire, fields, get,
};
use super::{Http2, run, soon};
use crate::support::{Request, Server};

const REFUSED: u32 = 0x7;

/// Others are served as ever.
#[track_caller]
fn is_well(server: &Server) {
    server.ask(&Request::get("none")).expect_status(404);
}

#[test]
fn a_head_without_end_ends_its_connection() {
    let server = Server::start(&[]);
    let mut wire = Wire::open(server.address());
    wire.send(&Frame::new(HEADERS, END_STREAM, 1, &get("/v1/stream/a")).encode());
    let more = fields(&[("x", &"y".repeat(8000))]);
    let frame = Frame::new(CONTINUATION, 0, 1, &more).encode();
    while wire.send(&frame) {}
    while wire.next().is_some() {}
    is_well(&server);
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let server = Server::start(&[]);
    let mut wire = Wire::open(server.address());
    let mut head = get("/v1/stream/a");
    head.extend(fields(&[("x", &"y".repeat(12_000)), ("z", &"y".repeat(12_000))]));
    let (first, second) = head.split_at(16_000);
    wire.send(&Frame::new(HEADERS, END_STREAM, 1, first).encode());
    wire.send(&Frame::new(CONTINUATION, END_HEADERS, 1, second).encode());
    // 431 on the stream; the connection goes on.
    let answer = wire.next_of(HEADERS).expect("an answer");
    assert_eq!(answer.stream, 1);
    let flags = END_STREAM | END_HEADERS;
    wire.send(&Frame::new(HEADERS, flags, 3, &get("/v1/stream/a")).encode());
    let answer = wire.next_of(HEADERS).expect("an answer");
    assert_eq!(answer.stream, 3);
}

#[test]
fn pings_and_settings_are_answered_and_no_more() {
    let server = Server::start(&[]);
    let mut wire = Wire::open(server.address());
    for number in 0..1000u64 {
        wire.send(&Frame::new(PING, 0, 0, &number.to_be_bytes()).encode());
        let pong = wire.next_of(PING).expect("an answer");
        assert_eq!(pong.payload, number.to_be_bytes());
    }
    // Without reading the answers: the server stops reading before it keeps too many.
    let mut flood = Vec::new();
    for number in 0..100_000u64 {
        flood.extend(Frame::new(PING, 0, 0, &number.to_be_bytes()).encode());
        if number % 10 == 0 {
            flood.extend(Frame::new(SETTINGS, 0, 0, &[0, 4, 0, 0, 16, 0]).encode());
        }
    }
    let mut other = Wire::open(server.address());
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()));
        let status = status.expect("a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number")
    };
    let before = resident();
    let _ = other.send(&flood);
    assert!(resident() < before + 64 * 1024, "{before} kB before, {} kB after", resident());
    is_well(&server);
}

#[test]
fn requests_at_once_are_limited() {
    let server = Server::start_configured("[limits]\nhttp2_streams = 2", &[]);
    server.put("a", "text/plain", "").expect_status(201);
    let mut wire = Wire::open(server.address());
    for number in 0..3u32 {
        let head = get("/v1/stream/a?offset=-1&live=sse");
        let stream = 2 * number + 1;
        wire.send(&Frame::new(HEADERS, END_STREAM | END_HEADERS, stream, &head).encode());
    }
    let refused = wire.next_of(RST_STREAM).expect("a refusal");
    assert_eq!((refused.stream, refused.error()), (5, REFUSED));
    is_well(&server);
}

#[test]
fn what_is_no_preface_is_no_http2() {
    let toml = "[limits]\nrequest_head_timeout = '300ms'\nkeep_alive_timeout = '300ms'";
    let server = Server::start_configured(toml, &[]);
    let mut client = server.connect();
    client.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    // As HTTP/1.1 it makes no sense either.
    assert!(matches!(client.answer().status, 400 | 505));
    client.expect_end();
    // Half of it, and then nothing.
    let mut wire = Wire::connect(server.address());
    wire.send(&PREFACE[..10]);
    while wire.next().is_some() {}
    // All of it, and then nothing, or nothing that is a frame.
    let mut wire = Wire::connect(server.address());
    wire.send(PREFACE);
    while wire.next().is_some() {}
    let mut wire = Wire::connect(server.address());
    wire.send(PREFACE);
    wire.send(&[0xff; 4096]);
    while wire.next().is_some() {}
    is_well(&server);
}

#[test]
fn an_idle_connection_is_told_before_it_ends() {
    let server = Server::start_configured("[limits]\nkeep_alive_timeout = '300ms'", &[]);
    run(async {
        let mut client = Http2::connect(server.address()).await;
        client.create("a").await;
        // A live reader is not idle, for longer than the timeout.
        let mut reader = client.open("a?offset=-1&live=sse").await;
        reader.event().await.expect("an event");
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        client.append("a", "news").await;
        reader.data_event().await;
        drop(reader);
        soon(client.ended()).await.expect("GOAWAY without an error");
    });
    let mut wire = Wire::open(server.address());
    let goaway = wire.next_of(GOAWAY).expect("a goodbye");
    assert_eq!(goaway.error(), 0);
    assert_eq!(wire.next(), None);
}
