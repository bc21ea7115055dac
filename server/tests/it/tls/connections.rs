//! What goes over a TLS connection, and what does not become one.

use std::io::Read;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

use super::Secure;
use crate::support::{Client, Events, Request, connection, wait_for};

#[test]
fn requests_pages_and_live_reads() {
    let secure = Secure::start(&[]);
    for version in [&TLS12, &TLS13] {
        let config = Arc::new(secure.authority.client_of(None, &[version]));
        let mut client = secure.connect_with(&config);
        let name = format!("{:?}", version.version);
        let created = client.ask(&Request::put(&name).with("content-type", "text/plain"));
        let location = created.expect_status(201);
        let want = format!("https://test/v1/stream/{name}");
        assert_eq!(location.field("location"), Some(want.as_str()));
        // Many records each way.
        let body: String = (0..300_000).map(|number| format!("{number} ")).collect();
        let post = Request::post(&name).with("content-type", "text/plain").body(&body);
        client.ask(&post).expect_status(204);
        let page = client.ask(&Request::get(&format!("{name}?offset=-1"))).expect_status(200);
        assert!(page.body == body.as_bytes(), "{} bytes", page.body.len());

        let tail = page.next_offset().to_owned();
        let live = Request::get(&format!("{name}?offset={tail}&live=sse"));
        let mut events = Events::open(secure.connect_with(&config), &live);
        events.next_of("control");
        let waiting = thread::spawn({
            let mut poller = secure.connect_with(&config);
            let poll = Request::get(&format!("{name}?offset={tail}&live=long-poll"));
            move || poller.ask(&poll)
        });
        for word in ["one", "two"] {
            let post = Request::post(&name).with("content-type", "text/plain").body(word);
            client.ask(&post).expect_status(204);
            assert_eq!(events.next_of("data").data, word);
        }
        let polled = waiting.join().expect("an answer").expect_status(200);
        assert!(polled.text().starts_with("one"), "{}", polled.text());
        // The end of the stream is the end of the answer, and of the session.
        client.ask(&Request::post(&name).with("stream-closed", "true")).expect_status(204);
        let last = std::iter::from_fn(|| events.next()).last().expect("events");
        assert!(last.data.contains("\"streamClosed\":true"), "{last:?}");
    }
}

#[test]
fn sessions_are_taken_up_again() {
    let secure = Secure::start(&[]);
    for version in [&TLS12, &TLS13] {
        let config = Arc::new(secure.authority.client_of(None, &[version]));
        let kinds: Vec<_> = (0..2)
            .map(|_| {
                let mut client = secure.connect_with(&config);
                // A ticket comes with the first answer at the latest.
                client.ask(&Request::get("none")).expect_status(404);
                client.tls().handshake_kind()
            })
            .collect();
        let want = [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)];
        assert_eq!(kinds, want, "{:?}", version.version);
    }
}

#[test]
fn what_is_no_handshake_harms_nobody() {
    let secure = Secure::start(&[]);
    // HTTP without TLS is told so.
    let mut plain = secure.server.connect();
    plain.ask(&Request::get("a")).expect_problem(400, "not-tls");
    plain.expect_end();
    // Anything else gets an alert or nothing, and the end.
    let garbage: [&[u8]; 4] = [
        b"\x16\x03\x01\x00\x05hello",
        b"\x16\x03\x01\xff\xff",
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        &[0xff; 70_000],
    ];
    for bytes in garbage {
        let mut client = secure.server.connect();
        client.try_send(bytes);
        client.finish();
        let mut answer = Vec::new();
        // The connection may be reset: there was more than the server read.
        let _ = client.socket().read_to_end(&mut answer);
        assert!(answer.len() < 64, "{answer:?}");
    }
    secure.connect().ask(&Request::get("a")).expect_status(404);
}

#[test]
fn a_slow_handshake_is_given_up() {
    let toml = "[limits]\ntls_handshake_timeout = '300ms'";
    let secure = Secure::start_configured(toml, &[]);
    let mut silent = secure.server.connect();
    silent.expect_end();
    // The first half of a hello.
    let mut tls = connection(&secure.config, "localhost");
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).expect("a hello");
    let mut slow = secure.server.connect();
    slow.send(&hello[..hello.len() / 2]);
    slow.expect_end();
    secure.connect().ask(&Request::get("a")).expect_status(404);
}

#[test]
fn a_session_that_breaks_ends_alone() {
    let secure = Secure::start(&[]);
    let mut client = secure.connect();
    client.ask(&Request::get("a")).expect_status(404);
    // A record that is not encrypted with the session's key.
    let mut socket = client.socket().try_clone().expect("a socket");
    std::io::Write::write_all(&mut socket, b"\x17\x03\x03\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
        .expect("sent");
    assert!(client.rest().is_err(), "an alert");
    secure.connect().ask(&Request::get("a")).expect_status(404);
}

#[test]
fn a_reader_that_leaves_is_noticed() {
    let secure = Secure::start(&[]);
    let sockets = || {
        let dir = format!("/proc/{}/fd", secure.server.pid());
        let entries = std::fs::read_dir(dir).expect("descriptors").flatten();
        let targets = entries.flat_map(|entry| std::fs::read_link(entry.path()));
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    };
    let before = sockets();
    secure.connect().ask(&Request::put("a").with("content-type", "text/plain")).expect_status(201);
    wait_for("the end of the first connection", || (sockets() <= before).then_some(()));
    let live = Request::get("a?offset=-1&live=sse");
    let mut reader = Events::open(secure.connect(), &live);
    reader.next_of("control");
    let mut poller = secure.connect();
    poller.send(Request::get("a?offset=now&live=long-poll").encode());
    wait_for("two connections", || (sockets() >= before + 2).then_some(()));
    drop(reader);
    drop(poller);
    // Long before the long-poll is over.
    wait_for("their end", || (sockets() <= before).then_some(()));
}

#[test]
fn curl_speaks_to_it() {
    let Ok(version) = Command::new("curl").arg("--version").output() else {
        println!("skipped: there is no curl");
        return;
    };
    let has_http2 = String::from_utf8_lossy(&version.stdout).contains("HTTP2");
    let secure = Secure::start(&[]);
    let url = format!("https://localhost:{}/v1/stream/curl", secure.server.address().port());
    let curl = |version: &str, arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--fail", "--noproxy", "*", version, "--cacert"]);
        command.arg(secure.authority_file()).args(arguments).arg(&url);
        let output = command.output().expect("curl");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        String::from_utf8(output.stdout).expect("text")
    };
    let put = ["-X", "PUT", "-H", "content-type: text/plain", "--data", "hello"];
    curl("--http1.1", &put);
    let versions = if has_http2 { vec!["--http1.1", "--http2"] } else { vec!["--http1.1"] };
    for version in versions {
        assert_eq!(curl(version, &[]), "hello");
        let shown = curl(version, &["-o", "/dev/null", "-w", "%{http_version}"]);
        assert_eq!(shown, if version == "--http2" { "2" } else { "1.1" });
    }
}

#[test]
fn the_command_line_client_speaks_to_it() {
    let secure = Secure::start(&[]);
    let url = format!("https://localhost:{}/v1/stream", secure.server.address().port());
    let ca = format!("--ca={}", secure.authority_file().display());
    let stream = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
        command.args(["stream", "--url", &url]).args(words).env("NO_PROXY", "*");
        let output = command.output().expect("the binary");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    for (name, trust) in [("a", ca.as_str()), ("b", "--insecure-skip-verify")] {
        let create = ["create", name, "--content-type=text/plain", "--data=hello", trust];
        assert!(stream(&create).0);
        let (well, read, error) = stream(&["read", name, trust, "--http2"]);
        assert!(well, "{error}");
        assert_eq!(read, "hello");
    }
    let (well, _, error) = stream(&["read", "a"]);
    assert!(!well, "an authority that nobody knows");
    assert!(error.contains("certificate"), "{error}");
}

#[test]
fn stopping_ends_live_reads_as_they_should_end() {
    let mut secure = Secure::start(&[]);
    secure.connect().ask(&Request::put("a").with("content-type", "text/plain")).expect_status(201);
    let mut events = Events::open(secure.connect(), &Request::get("a?offset=-1&live=sse"));
    events.next_of("control");
    let mut idle: Client = secure.connect();
    secure.server.terminate();
    assert_eq!(events.next(), None);
    idle.expect_end();
    assert!(secure.server.exit().success());
}
