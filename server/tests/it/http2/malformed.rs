//! What is no good HTTP/2 (RFC 9113): each mistake has its error, and nothing of it is run.

use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PADDED, PING, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, WITH_PRIORITY, Wire, fields, get,
};
use crate::support::{Request, Server};

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const FRAME_SIZE_ERROR: u32 = 6;

/// How a mistake ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The stream, with a code.
    Stream(u32),
    /// The connection, with a code.
    Connection(u32),
    /// Like a request of HTTP/1.1 that is refused.
    Status(u16),
}
use End::{Connection, Status, Stream};

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    Frame::new(kind, flags, stream, payload).encode()
}

/// How the first thing that goes wrong on the connection ends.
fn end_of(wire: &mut Wire, what: &str) -> End {
    loop {
        let next = wire.next().unwrap_or_else(|| panic!("{what}: nothing was said"));
        match next.kind {
            HEADERS => return Status(next.status()),
            RST_STREAM => return Stream(next.error()),
            GOAWAY => return Connection(next.error()),
            _ => {}
        }
    }
}

/// The fields of a request that creates `made`.
const PUT: [(&str, &str); 5] = [
    (":method", "PUT"),
    (":scheme", "http"),
    (":authority", "test"),
    (":path", "/v1/stream/made"),
    ("content-type", "text/plain"),
];

/// One server, and what was not as it should be.
struct Checks {
    server: Server,
    wrong: Vec<String>,
}

impl Checks {
    fn new() -> Checks {
        let server = Server::start(&[]);
        server.put("a", "text/plain", "here").expect_status(201);
        Checks { server, wrong: Vec::new() }
    }

    /// Sends this instead of a good request.
    fn check(&mut self, what: &str, bytes: &[u8], want: End) {
        let mut wire = Wire::open(self.server.address());
        wire.send(bytes);
        let end = end_of(&mut wire, what);
        if end != want {
            self.wrong.push(format!("{what}: {end:?} instead of {want:?}"));
        }
        if self.server.delete("made").status != 404 {
            self.wrong.push(format!("{what}: it was run"));
        }
        if let Connection(_) = end {
            while wire.next().is_some() {}
            return;
        }
        // The next request on the same connection is served.
        wire.send(&frame(HEADERS, END_STREAM | END_HEADERS, 99, &get("/v1/stream/a")));
        let answers = std::iter::from_fn(|| wire.next());
        let of_next = |frame: &Frame| frame.stream == 99 && frame.kind == HEADERS;
        if answers.map(|frame| of_next(&frame).then(|| frame.status())).find_map(|it| it)
            != Some(200)
        {
            self.wrong.push(format!("{what}: the connection does not go on"));
        }
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        }
    }
}

#[test]
fn heads() {
    let checks = std::cell::RefCell::new(Checks::new());
    let check_fields = |what: &str, list: &[(&str, &str)], want: End| {
        let bytes = frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields(list));
        checks.borrow_mut().check(what, &bytes, want);
    };
    let with = |name: &str, value: &str, want: End| {
        let list = [&PUT[..], &[(name, value)]].concat();
        check_fields(&format!("{name}: {value:?}"), &list, want);
    };
    let malformed = Stream(PROTOCOL_ERROR);
    // Fields of the connection (section 8.2.2).
    with("connection", "close", malformed);
    with("keep-alive", "timeout=5", malformed);
    with("proxy-connection", "close", malformed);
    with("transfer-encoding", "chunked", malformed);
    with("upgrade", "h2c", malformed);
    with("te", "gzip", malformed);
    // Names and values (section 8.2.1): the library gives the whole connection up.
    let broken = Connection(PROTOCOL_ERROR);
    with("X-Upper", "y", broken);
    with("", "y", broken);
    with("x y", "z", broken);
    with("x:y", "z", broken);
    with("x\r\ny", "z", broken);
    with("x", "y\r\nz: z", broken);
    with("x", "y\nz", broken);
    with("x", "y\0z", broken);
    // Pseudo-fields (section 8.3).
    with(":path", "/v1/stream/other", malformed);
    with(":status", "200", malformed);
    with(":x", "y", broken);
    with(":authority", "other", malformed);
    for missing in [":method", ":scheme", ":path"] {
        let list: Vec<_> = PUT.into_iter().filter(|(name, _)| *name != missing).collect();
        check_fields(&format!("no {missing}"), &list, malformed);
    }
    let changed = |name: &str, value: &'static str, want: End| {
        let list = PUT.map(|(key, old)| (key, if key == name { value } else { old }));
        check_fields(&format!("{name} {value:?}"), &list, want);
    };
    changed(":path", "", malformed);
    changed(":method", "P T", broken);
    changed(":path", "/v1/stream/a b", malformed);
    changed(":path", "/v1/stream/%00", Status(400));
    changed(":path", "/v1/stream/../made", Status(400));
    changed(":authority", "user@test", Status(400));
    // CONNECT has neither scheme nor path (section 8.5), and nothing to connect to.
    changed(":method", "CONNECT", malformed);
    check_fields("CONNECT", &[(":method", "CONNECT"), (":authority", "test:80")], Status(400));
    with(":protocol", "websocket", malformed);
    // Hosts (section 8.3.1).
    with("host", "other", Status(400));
    let hosts = [&PUT[..], &[("host", "test"), ("host", "test")]].concat();
    check_fields("two hosts", &hosts, Status(400));
    let none: Vec<_> = PUT.into_iter().filter(|(name, _)| *name != ":authority").collect();
    check_fields("no host", &none, Status(400));
    // A length without a body.
    with("content-length", "5", malformed);
    with("content-length", "x", malformed);
    with("content-length", "-1", malformed);
    // What HTTP/1.1 refuses is refused.
    with("content-type", "text/html", Status(400));
    with("expect", "200-ok", Status(417));
}

#[test]
fn bodies() {
    let mut checks = Checks::new();
    let put =
        |more: &[(&str, &str)]| frame(HEADERS, END_HEADERS, 1, &fields(&[&PUT[..], more].concat()));
    let mut check = |what: &str, bytes: Vec<Vec<u8>>, want: End| {
        checks.check(what, &bytes.concat(), want);
    };
    let (data, last) =
        (|text: &[u8]| frame(DATA, 0, 1, text), |text: &[u8]| frame(DATA, END_STREAM, 1, text));
    let malformed = Stream(PROTOCOL_ERROR);
    let length = [("content-length", "3")];
    check("less than its length", vec![put(&length), last(b"xx")], malformed);
    check("more than its length", vec![put(&length), last(b"xxxx")], malformed);
    check("more, in two frames", vec![put(&length), data(b"xx"), last(b"xx")], malformed);
    let two = [("content-length", "3"), ("content-length", "4")];
    check("two lengths", vec![put(&two), last(b"xxx")], malformed);
    let two = [("content-length", "3"), ("content-length", "3")];
    check("the same length twice", vec![put(&two), last(b"xxx")], Status(400));
    let trailers = frame(HEADERS, END_HEADERS, 1, &fields(&[("x", "y")]));
    check("trailers that do not end", vec![put(&[]), data(b"x"), trailers], malformed);
    let reset = frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]);
    let other = frame(HEADERS, END_STREAM | END_HEADERS, 3, &get("/v1/stream/a"));
    check("taken back", vec![put(&[]), data(b"x"), reset, other], Status(200));
}

#[test]
fn streams() {
    let mut checks = Checks::new();
    let mut check = |what: &str, bytes: Vec<Vec<u8>>, want: End| {
        checks.check(what, &bytes.concat(), want);
    };
    let flags = END_STREAM | END_HEADERS;
    let waits = get("/v1/stream/a?offset=now&live=long-poll");
    let open = |stream: u32| frame(HEADERS, flags, stream, &waits);
    let broken = Connection(PROTOCOL_ERROR);
    check("an even number", vec![open(2)], broken);
    check("stream 0", vec![open(0)], broken);
    check("a number that was passed over", vec![open(5), open(3)], broken);
    check("data on no stream", vec![frame(DATA, 0, 0, b"x")], broken);
    check("data before a request", vec![frame(DATA, 0, 1, b"x")], broken);
    check("a reset before a request", vec![frame(RST_STREAM, 0, 1, &[0; 4])], broken);
    check("a push", vec![open(1), frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2])], broken);
    check("data behind the end", vec![open(1), frame(DATA, 0, 1, b"x")], broken);
    let depends = [&[0, 0, 0, 1, 7][..], &waits].concat();
    let depends = frame(HEADERS, flags | WITH_PRIORITY, 1, &depends);
    check("a stream that depends on itself", vec![depends], Stream(PROTOCOL_ERROR));
    let head = frame(HEADERS, END_STREAM, 1, &waits);
    let ping = frame(PING, 0, 0, &[0; 8]);
    check("a frame in the middle of a head", vec![head.clone(), ping], broken);
    let other = frame(CONTINUATION, END_HEADERS, 3, &[]);
    check("the rest of another head", vec![head, other], broken);
    check("a rest without a head", vec![frame(CONTINUATION, 4, 1, &[])], broken);
}

#[test]
fn frames() {
    let mut checks = Checks::new();
    let mut check = |what: &str, bytes: Vec<u8>, want: End| checks.check(what, &bytes, want);
    let broken = Connection(PROTOCOL_ERROR);
    let size = Connection(FRAME_SIZE_ERROR);
    // The library says so too where FRAME_SIZE_ERROR or FLOW_CONTROL_ERROR would be exact.
    check("a ping of 7 bytes", frame(PING, 0, 0, &[0; 7]), broken);
    check("a ping on a stream", frame(PING, 0, 1, &[0; 8]), broken);
    check("settings of 5 bytes", frame(SETTINGS, 0, 0, &[0; 5]), broken);
    check("settings on a stream", frame(SETTINGS, 0, 1, &[]), broken);
    check("an answer with settings", frame(SETTINGS, 1, 0, &[0; 6]), broken);
    check("a window update of 3 bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), broken);
    check("a window update of nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), broken);
    check("a priority of 4 bytes", frame(PRIORITY, 0, 1, &[0; 4]), broken);
    check("a frame of 16 KiB and a byte", frame(DATA, 0, 1, &vec![0; 16 * 1024 + 1]), size);
    let flow = Connection(FLOW_CONTROL_ERROR);
    check("a window above 2^31", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), flow);
    check("windows of 2^31", frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]), broken);
    check("frames of 2^24", frame(SETTINGS, 0, 0, &[0, 5, 1, 0, 0, 0]), broken);
    check("push that is 2", frame(SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2]), broken);
    let padded = [&[200][..], &get("/v1/stream/a")].concat();
    let padded = frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, &padded);
    check("more padding than frame", padded, broken);
}

#[test]
fn compression() {
    let server = Server::start(&[]);
    let check = |what: &str, block: &[u8]| {
        let mut wire = Wire::open(server.address());
        wire.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, block));
        assert!(matches!(end_of(&mut wire, what), Connection(_)), "{what}");
    };
    check("an entry that there is not", &[0xff, 0xff, 0x7f]);
    check("entry 0", &[0x80]);
    check("a number without end", &[0xff; 12]);
    check("a text without end", &[0, 1, b'x', 0x7f, 0xff, 0x7f]);
    check("a table of 2^28", &[0x3f, 0xff, 0xff, 0xff, 0x7f]);
    check("bad Huffman code", &[0, 1, b'x', 0x84, 0xff, 0xff, 0xff, 0xff]);
    server.ask(&Request::get("a")).expect_status(404);
}
