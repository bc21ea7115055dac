//! Clients that are slow, hasty, gone, or of another century.

use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use super::super::support::{Request, Server, wait_until};
use super::{Target, post_with};

#[test]
fn two_requests_in_one_packet() {
    let target = Target::start(&[]);
    let mut client = target.server.connect();
    let first = Request::put("first").with("content-type", "text/plain").body("1");
    client.send([first.encode(), Request::get("first").encode()].concat());
    client.answer().expect_status(201);
    assert_eq!(client.answer().expect_status(200).text(), "1");
    // A refusal in the middle answers in its turn and does not take the others with it.
    let refused = Request::post("first").with("content-type", "application/json").body("{");
    let requests = [Request::get("first"), refused, Request::get("absent"), Request::get("kept")];
    client.send(requests.iter().flat_map(Request::encode).collect::<Vec<u8>>());
    assert_eq!(client.answer().expect_status(200).text(), "1");
    client.answer().expect_problem(409, "content-type-mismatch");
    client.answer().expect_problem(404, "stream-not-found");
    assert_eq!(client.answer().expect_status(200).text(), "kept");
}

#[test]
fn nothing_after_a_broken_request_is_done() {
    let target = Target::start(&[]);
    let smuggled = Request::put("smuggled").with("content-type", "text/plain").body("x");
    let bad = post_with("content-length: 1\r\ntransfer-encoding: chunked\r\n") + "0\r\n\r\n";
    let mut client = target.server.connect();
    client.send([bad.into_bytes(), smuggled.encode()].concat());
    client.answer().expect_problem(400, "ambiguous-length");
    client.finish();
    client.expect_end();
    target.check_unchanged("smuggled");
}

#[test]
fn one_byte_at_a_time() {
    let target = Target::start(&[]);
    let chunked = "PUT /v1/stream/slow HTTP/1.1\r\nhost: t\r\ncontent-type: text/plain\r\n\
        transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nt: u\r\n\r\n";
    let append = Request::post("slow").with("content-type", "text/plain").body("fgh").encode();
    let mut client = target.server.connect();
    for byte in chunked.as_bytes().iter().chain(&append) {
        client.send([*byte]);
        // So that each byte has a good chance to be a packet.
        thread::sleep(Duration::from_micros(200));
    }
    client.answer().expect_status(201);
    client.answer().expect_status(204);
    assert_eq!(target.server.get("slow").text(), "abcdefgh");
}

#[test]
fn gone_in_mid_body() {
    let mut target = Target::start(&[]);
    let known = post_with("content-length: 100000\r\n") + "only so much";
    let chunked = post_with("transfer-encoding: chunked\r\n") + "5\r\nhello\r\n5\r\nhe";
    let complete_but_for_the_end = post_with("transfer-encoding: chunked\r\n") + "5\r\nhello\r\n";
    let create = known.replace("POST", "PUT").replace("/kept ", "/new ");
    let half_a_head = "POST /v1/stream/kept HTTP/1.1\r\nho".to_owned();
    for bytes in [known, chunked, complete_but_for_the_end, create, half_a_head] {
        for how in [Shutdown::Write, Shutdown::Both] {
            let mut client = target.server.connect();
            client.send(&bytes);
            client.socket().shutdown(how).expect("shut down");
            if how == Shutdown::Write {
                // There is no answer to half a request, but an end.
                client.expect_end();
            }
        }
        let mut client = target.server.connect();
        client.send(&bytes);
        drop(client);
        target.check_unchanged(&bytes);
    }
    assert!(target.server.is_alive());
}

#[test]
fn gone_before_the_answer() {
    let mut target = Target::start(&[]);
    for round in 0..50 {
        let mut client = target.server.connect();
        let reads = Request::get("kept").encode().repeat(1 + round % 7);
        client.send(reads);
        drop(client);
    }
    for live in ["sse", "long-poll"] {
        for _ in 0..50 {
            let mut client = target.server.connect();
            client.send(Request::get(&format!("kept?offset=now&live={live}")).encode());
            drop(client);
        }
    }
    target.check_unchanged("readers that left");
    assert!(target.server.is_alive());
}

#[test]
fn slow_head() {
    let server = Server::start_configured("[limits]\nrequest_head_timeout = \"300ms\"", &[]);
    let target = Target::on(server);
    for start in ["G", "GET /v1/stream/kept HTTP/1.1\r\nhost: t\r\n"] {
        let began = Instant::now();
        let mut client = target.server.connect();
        client.send(start);
        let refusal = client.answer().expect_problem(408, "request-timeout");
        assert_eq!(refusal.field("connection"), Some("close"));
        assert!(began.elapsed() >= Duration::from_millis(250), "{:?}", began.elapsed());
        client.expect_end();
    }
    // A trickle does not put it off.
    let mut client = target.server.connect();
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < Duration::from_secs(1) && client.try_send("G") {
        sent += 1;
        thread::sleep(Duration::from_millis(50));
    }
    assert!(sent > 1);
    client.answer().expect_problem(408, "request-timeout");
    target.check_unchanged("slow heads");
}

#[test]
fn slow_body() {
    let toml = "[limits]\nbody_stall_timeout = \"300ms\"\nbody_timeout = \"1s\"";
    let target = Target::on(Server::start_configured(toml, &[]));
    target.check_refused(post_with("content-length: 10\r\n") + "stalls", 408, "request-timeout");
    let chunked = post_with("transfer-encoding: chunked\r\n") + "6\r\nstalls\r\n";
    target.check_refused(chunked, 408, "request-timeout");
    // Never stalls, and never ends.
    let mut client = target.server.connect();
    client.send(post_with("content-length: 1000000\r\n"));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) && client.try_send("x") {
        thread::sleep(Duration::from_millis(20));
    }
    client.answer().expect_problem(408, "request-timeout");
    target.check_unchanged("slow bodies");
}

#[test]
fn idle_connections_end() {
    let target =
        Target::on(Server::start_configured("[limits]\nkeep_alive_timeout = \"200ms\"", &[]));
    let mut silent = target.server.connect();
    silent.expect_end();
    let mut client = target.server.connect();
    client.ask(&Request::get("kept")).expect_status(200);
    client.expect_end();
}

#[test]
fn a_reader_that_does_not_read_is_given_up() {
    let toml = "[limits]\nwrite_stall_timeout = \"200ms\"";
    let mut target = Target::on(Server::start_configured(toml, &["--max-body-bytes=16MiB"]));
    target.server.put("large", "text/plain", vec![b'x'; 12 << 20]).expect_status(201);
    let mut client = target.server.connect();
    client.send(Request::get("large").encode().repeat(16));
    // Nothing is read until the server has had more than enough: 4 MiB may take 256 s at the
    // least rate, so only that others are served meanwhile is checked here.
    wait_until("others are served", || target.server.get("kept").status == 200);
    drop(client);
    assert!(target.server.is_alive());
}

#[test]
fn http_1_0() {
    let target = Target::start(&["--sse-lifetime=1s"]);
    let get = |query: &str, fields: &str| {
        let mut client = target.server.connect();
        client.send(format!("GET /v1/stream/kept{query} HTTP/1.0\r\n{fields}\r\n"));
        client
    };
    let mut client = get("", "");
    let read = client.answer().expect_status(200);
    assert_eq!((read.text().as_str(), read.field("connection")), ("kept", Some("close")));
    client.expect_end();

    let mut client = get("", "connection: keep-alive\r\n");
    let read = client.answer().expect_status(200);
    assert_eq!((read.text().as_str(), read.field("connection")), ("kept", Some("keep-alive")));
    client.send("GET /v1/stream/kept HTTP/1.0\r\n\r\n");
    client.answer().expect_status(200);
    client.expect_end();

    // No chunks: the end of the connection is the end of the events.
    let mut client = get("?offset=-1&live=sse", "connection: keep-alive\r\n");
    let streamed = client.head().expect_status(200);
    assert_eq!(streamed.field("transfer-encoding"), None);
    assert_eq!(streamed.field("content-length"), None);
    let events = String::from_utf8(client.rest().expect("an end")).expect("text");
    assert!(events.starts_with("event: data\ndata:"), "{events:?}");
    assert!(events.ends_with("\n\n") && events.contains("kept"), "{events:?}");

    let append = "POST /v1/stream/kept HTTP/1.0\r\ncontent-type: text/plain\r\n\
        expect: 100-continue\r\ncontent-length: 1\r\n\r\n!";
    let mut client = target.server.connect();
    client.send(append);
    client.answer().expect_status(204);
    assert_eq!(target.server.get("kept").text(), "kept!");
}

#[test]
fn head_has_no_body() {
    let target = Target::start(&[]);
    let mut client = target.server.connect();
    let requests = ["kept", "absent", "doc", "a//b", "__ds/streams", "/nowhere", "/healthz"];
    for path in requests {
        client.send(Request::head(path).encode());
        client.send(Request::get("kept").encode());
        let head = client.answer_to("HEAD");
        let want = match path {
            "absent" | "/nowhere" => 404,
            "a//b" => 400,
            _ => 200,
        };
        assert_eq!(head.status, want, "{path}");
        // If there were a body, this would not be the next answer.
        assert_eq!(client.answer().expect_status(200).text(), "kept", "{path}");
    }
}

#[test]
fn preflights() {
    let target = Target::start(&[]);
    for path in ["kept", "absent", "__ds/subscriptions/x", "__ds/streams"] {
        let request = Request::new("OPTIONS", path)
            .with("origin", "https://page.example")
            .with("access-control-request-method", "PUT")
            .with("access-control-request-headers", "content-type,if-none-match,producer-id");
        let answer = target.server.ask(&request).expect_status(204);
        assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
        let list = |name| answer.field(name).expect(name).to_lowercase();
        for method in ["get", "head", "put", "post", "delete", "options"] {
            assert!(list("access-control-allow-methods").contains(method), "{method}");
        }
        for name in ["content-type", "if-none-match", "authorization", "producer-id", "stream-seq"]
        {
            assert!(list("access-control-allow-headers").contains(name), "{name}");
        }
    }
    let mut client = target.server.connect();
    client.send("OPTIONS * HTTP/1.1\r\nhost: t\r\n\r\n");
    client.answer().expect_status(204);
    target.check_unchanged("preflights");
}

#[test]
fn every_answer_has_the_security_fields() {
    let target = Target::start(&[]);
    for path in ["kept", "absent", "a//b", "__ds/jwks.json", "/healthz", "/nowhere"] {
        let answer = target.server.get(path);
        let field = |name| answer.field(name).unwrap_or_else(|| panic!("{name} of {path}"));
        assert_eq!(field("x-content-type-options"), "nosniff");
        assert_eq!(field("cross-origin-resource-policy"), "cross-origin");
        assert_eq!(field("access-control-allow-origin"), "*");
        for name in ["stream-next-offset", "stream-cursor", "etag"] {
            assert!(field("access-control-expose-headers").contains(name), "{name}");
        }
    }
}
