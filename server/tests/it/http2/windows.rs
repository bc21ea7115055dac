//! Windows: what live readers get goes past `h2` where it can, and the client's windows hold
//! whichever way it goes.

use std::collections::VecDeque;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, Wire, get,
};
use crate::operations::metrics::{scrape, value};
use crate::support::{Request, Server, wait_until};

/// A client with one live reader that keeps the books of its windows.
struct Reader {
    wire: Wire,
    initial: i64,
    /// Of settings that the server has not answered yet.
    said: VecDeque<i64>,
    stream: i64,
    connection: i64,
    seen: Vec<u8>,
    /// Frames with data.
    frames: usize,
}

const DEFAULT_WINDOW: i64 = 65_535;

impl Reader {
    fn open(server: &Server, initial: u32, connection: u32) -> Reader {
        let mut wire = Wire::connect(server.address());
        wire.send(PREFACE);
        wire.send(&settings(initial));
        if connection > 0 {
            wire.send(&update(0, connection));
        }
        let request = get("/v1/stream/a?offset=now&live=sse");
        wire.send(&Frame::new(HEADERS, END_STREAM | END_HEADERS, 1, &request).encode());
        let mut reader = Reader {
            wire,
            initial: i64::from(initial),
            said: [i64::from(initial)].into(),
            stream: i64::from(initial),
            connection: DEFAULT_WINDOW + i64::from(connection),
            seen: Vec::new(),
            frames: 0,
        };
        reader.take_until(|frame| frame.kind == DATA);
        reader
    }

    fn take_until(&mut self, is_last: impl Fn(&Frame) -> bool) {
        loop {
            let frame = self.wire.next().expect("a frame");
            assert!(!matches!(frame.kind, GOAWAY | RST_STREAM), "{frame:?}");
            if frame.kind == DATA {
                let len = frame.payload.len();
                self.stream -= len as i64;
                self.connection -= len as i64;
                assert!(self.stream >= 0, "the stream's window is exceeded by {}", -self.stream);
                assert!(self.connection >= 0, "the connection's by {}", -self.connection);
                self.seen.extend(&frame.payload);
                self.frames += 1;
            }
            if frame.kind == SETTINGS && frame.flags & ACK != 0 {
                let initial = self.said.pop_front().expect("settings");
                self.stream += initial - self.initial;
                self.initial = initial;
            }
            if is_last(&frame) {
                return;
            }
        }
    }

    /// Takes what has been sent so far.
    fn take(&mut self) {
        self.wire.send(&Frame::new(PING, 0, 0, b"whatever").encode());
        self.take_until(|frame| frame.kind == PING);
    }

    fn take_end(&mut self) {
        self.take_until(|frame| frame.kind == DATA && frame.flags & END_STREAM != 0);
    }

    fn grant(&mut self, stream: u32, more: u32) {
        *(if stream == 0 { &mut self.connection } else { &mut self.stream }) += i64::from(more);
        self.wire.send(&update(stream, more));
    }

    /// It holds when the server has answered.
    fn begin_with(&mut self, initial: u32) {
        self.said.push_back(i64::from(initial));
        self.wire.send(&settings(initial));
    }

    /// All words came, each once and in order.
    fn has_all(&self, words: &[String]) {
        let text = std::str::from_utf8(&self.seen).expect("text");
        let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
        let data: String = data.filter(|line| !line.starts_with('{')).collect();
        assert!(data == words.concat(), "{} bytes of {}", data.len(), words.concat().len());
    }
}

fn settings(initial: u32) -> Vec<u8> {
    let payload = [&[0, 4][..], &initial.to_be_bytes()].concat();
    Frame::new(SETTINGS, 0, 0, &payload).encode()
}

fn update(stream: u32, more: u32) -> Vec<u8> {
    Frame::new(WINDOW_UPDATE, 0, stream, &more.to_be_bytes()).encode()
}

fn server() -> Server {
    let server = Server::start(&["--admin=127.0.0.1:0"]);
    server.put("a", "text/plain", "").expect_status(201);
    server
}

/// Frames that went past `h2`.
fn past(server: &Server) -> u64 {
    value(&scrape(server), "thalweg_http2_lane_frames_total", &[]) as u64
}

fn word(number: usize, len: u32) -> String {
    format!("<{number}{}>", "x".repeat(len as usize))
}

fn finish(server: &Server, reader: &mut Reader, words: &[String]) {
    let close = Request::post("a").with("stream-closed", "true");
    server.ask(&close).expect_status(204);
    reader.take_end();
    reader.has_all(words);
}

#[test]
fn no_window_is_exceeded_and_nothing_is_lost() {
    for seed in 1..=6 {
        println!("seed {seed}");
        let server = server();
        let mut random = StdRng::seed_from_u64(seed);
        let mut reader = Reader::open(&server, 600, 1 << random.random_range(0..20));
        let mut words = Vec::new();
        for number in 0..150 {
            words.push(word(number, random.random_range(1..=300)));
            server.post("a", "text/plain", &words[number]).expect_status(204);
            match random.random_range(0..8) {
                0..3 => reader.take(),
                3..6 => reader.grant(1, random.random_range(1..=1000)),
                6 => reader.grant(0, random.random_range(1..=1000)),
                _ => reader.begin_with(random.random_range(100..1100)),
            }
        }
        reader.grant(1, 1 << 24);
        reader.grant(0, 1 << 24);
        finish(&server, &mut reader, &words);
    }
}

#[test]
fn a_generous_client_gets_its_events_past_h2() {
    let server = server();
    let mut reader = Reader::open(&server, 1 << 20, 1 << 20);
    let mut words = Vec::new();
    for number in 0..50 {
        words.push(word(number, 100));
        server.post("a", "text/plain", &words[number]).expect_status(204);
        reader.take_until(|frame| frame.kind == DATA);
    }
    wait_until("all are counted", || past(&server) == 50);
    finish(&server, &mut reader, &words);
    assert_eq!(past(&server), 50, "the end goes through h2");
}

/// What the lane does not use is not missing elsewhere.
#[test]
fn an_answer_may_take_the_whole_window() {
    let server = server();
    server.put("large", "text/plain", vec![b'x'; 900_000]).expect_status(201);
    let mut reader = Reader::open(&server, 1 << 20, 1 << 20);
    let request = get("/v1/stream/large?offset=-1");
    reader.wire.send(&Frame::new(HEADERS, END_STREAM | END_HEADERS, 3, &request).encode());
    let mut left = 900_000;
    while left > 0 {
        let frame = reader.wire.next_of(DATA).expect("more of it");
        assert_eq!(frame.stream, 3);
        left -= frame.payload.len();
    }
    // Nothing was granted again; the live reader goes on with what is left, through `h2`.
    let before = past(&server);
    server.post("a", "text/plain", "news").expect_status(204);
    reader.connection -= 900_000;
    reader.take_until(|frame| frame.kind == DATA);
    assert_eq!(past(&server), before);
    reader.has_all(&["news".to_owned()]);
}

#[test]
fn a_client_with_the_least_window_is_served_by_h2() {
    let server = server();
    let mut reader = Reader::open(&server, DEFAULT_WINDOW as u32, 0);
    let mut words = Vec::new();
    for number in 0..300 {
        words.push(word(number, 500));
        server.post("a", "text/plain", &words[number]).expect_status(204);
        let before = reader.connection;
        reader.take_until(|frame| frame.kind == DATA);
        let taken = u32::try_from(before - reader.connection).expect("a length");
        reader.grant(0, taken);
        reader.grant(1, taken);
    }
    assert_eq!(past(&server), 0);
    finish(&server, &mut reader, &words);
}

#[test]
fn a_window_that_shrinks_below_nothing_opens_again() {
    let server = server();
    let mut reader = Reader::open(&server, 2_000, 1 << 20);
    let mut words = Vec::new();
    for number in 0..4 {
        words.push(word(number, 100));
        server.post("a", "text/plain", &words[number]).expect_status(204);
        reader.take_until(|frame| frame.kind == DATA);
    }
    // Less than was sent so far.
    reader.begin_with(10);
    reader.take_until(|frame| frame.kind == SETTINGS);
    let frames = reader.frames;
    assert!(reader.stream < 0);
    words.push(word(4, 100));
    server.post("a", "text/plain", &words[4]).expect_status(204);
    reader.take();
    assert_eq!(reader.frames, frames);
    reader.begin_with(1 << 20);
    finish(&server, &mut reader, &words);
}
