//! What proxies say about their clients: the PROXY protocol and `Forwarded`.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::operations::metrics::{scrape, value};
use crate::support::{Client, Request, Server, connection, wait_for, wait_until};
use crate::tls::Secure;

/// A trusted proxy connects from here: the tests.
const BEHIND: &str = "[proxy]\ntrusted = ['127.0.0.0/8']\nprotocol = ['127.0.0.1:0']\n";

/// Version 2, TCP over IPv4, from 192.0.2.1:4660, with an additional field.
const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\x02\x01\xc6\x33\x64\x02\x12\x34\x01\xbb\x04\0\x01\x09";

struct Logged {
    server: Server,
    _directory: tempfile::TempDir,
    log: PathBuf,
}

impl Logged {
    fn start(toml: &str) -> Logged {
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("access.log");
        let argument = format!("--access-log={}", log.display());
        let server = Server::start_configured(toml, &[&argument, "--admin=127.0.0.1:0"]);
        Logged { server, _directory: directory, log }
    }

    /// `peer` and `client` of the line about a stream.
    fn who(&self, stream: &str) -> (String, String) {
        let line = wait_for("the line", || {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            let line = text.lines().find(|line| line.contains(&format!("/{stream}\"")))?;
            serde_json::from_str::<Value>(line).ok()
        });
        let text = |name: &str| line[name].as_str().expect(name).to_owned();
        (text("peer"), text("client"))
    }

    fn refusals(&self, code: &str) -> f64 {
        let labels = [format!("code=\"{code}\"")];
        value(&scrape(&self.server), "thalweg_refusals_total", &[&labels[0]])
    }
}

fn put(stream: &str) -> Vec<u8> {
    Request::put(stream).with("content-type", "text/plain").body("x").encode()
}

#[test]
fn a_header_says_where_the_client_is() {
    let logged = Logged::start(BEHIND);
    let check = |stream: &str, header: &[u8], want: &str| {
        // In one piece with the request, and byte by byte.
        let mut whole = logged.server.connect();
        whole.send([header, &put(stream)].concat());
        whole.answer().expect_status(201);
        let (peer, client) = logged.who(stream);
        assert!(peer.starts_with(want), "{peer}");
        assert!(peer.contains(&client), "{peer} {client}");
        let mut bytes = logged.server.connect();
        for byte in header {
            bytes.send([*byte]);
        }
        bytes.ask(&Request::get(stream)).expect_status(200);
        bytes.ask(&Request::get(stream)).expect_status(200);
    };
    check("v2", HEADER, "192.0.2.1:4660");
    check("v1", b"PROXY TCP4 192.0.2.9 198.51.100.2 4661 443\r\n", "192.0.2.9:4661");
    check("v1-6", b"PROXY TCP6 2001:db8::7 ::1 4662 443\r\n", "[2001:db8::7]:4662");
    // The proxy's own connections, to see whether the server lives.
    check("unknown", b"PROXY UNKNOWN\r\n", "127.0.0.1:");
    check("local", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "127.0.0.1:");
}

#[test]
fn what_is_no_header_is_closed_and_counted() {
    let logged = Logged::start(BEHIND);
    let bad: [&[u8]; 4] = [
        b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n",
        b"PROXY TCP4 nonsense\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c0123456789ab",
        &[b'x'; 10_000],
    ];
    for bytes in bad {
        let mut client = logged.server.connect();
        client.try_send(bytes);
        // The connection may be reset: there was more than the server read.
        let answer = client.rest().unwrap_or_default();
        assert!(answer.is_empty(), "{:?}", String::from_utf8_lossy(&answer));
    }
    wait_until("all are counted", || logged.refusals("proxy-header-malformed") == 4.0);
    let mut silent = logged.server.connect();
    silent.send(&HEADER[..20]);
    silent.finish();
    silent.expect_end();
    wait_until("it is counted", || logged.refusals("proxy-header-missing") == 1.0);
    // The next one is served.
    let mut client = logged.server.connect();
    client.send([HEADER, &put("a")].concat());
    client.answer().expect_status(201);
}

#[test]
fn only_trusted_proxies_are_listened_to() {
    let toml = BEHIND.replace("127.0.0.0/8", "10.0.0.0/8");
    let logged = Logged::start(&toml);
    let mut client = logged.server.connect();
    client.try_send([HEADER, &put("a")].concat());
    assert!(client.rest().unwrap_or_default().is_empty());
    wait_until("it is counted", || logged.refusals("proxy-untrusted") == 1.0);
    // Without `protocol` a header is not HTTP.
    let server = Server::start_configured("[proxy]\ntrusted = ['127.0.0.1']", &[]);
    let mut client = server.connect();
    client.send(b"PROXY TCP4 192.0.2.9 198.51.100.2 4661 443\r\n\r\n");
    assert_eq!(client.answer().status, 400);
}

#[test]
fn a_header_before_a_handshake_and_before_http_2() {
    let secure = Secure::start_configured(BEHIND, &[]);
    let tls = connection(&secure.config, "localhost");
    let mut client = Client::secure_after(secure.server.address(), HEADER, tls);
    client.send(put("a"));
    let created = client.answer().expect_status(201);
    assert_eq!(created.field("location"), Some("https://test/v1/stream/a"));

    let server = Server::start_configured(BEHIND, &[]);
    let mut client = server.connect();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    client.send([HEADER, preface].concat());
    client.finish();
    let frames = client.rest().expect("frames");
    assert_eq!(frames.get(3), Some(&4), "settings: {frames:?}");
}

#[test]
fn a_header_must_come_in_time() {
    let logged = Logged::start(&format!("{BEHIND}[limits]\nrequest_head_timeout = '300ms'"));
    let mut slow = logged.server.connect();
    slow.send(&HEADER[..HEADER.len() - 1]);
    slow.expect_end();
    let labels = ["deadline=\"handshake\""];
    wait_until("it is counted", || {
        value(&scrape(&logged.server), "thalweg_deadlines_passed_total", &labels) == 1.0
    });
}

#[test]
fn fields_of_trusted_proxies() {
    let check = |word: &str, trusted: &str, fields: &[(&str, &str)], want: [&str; 2]| {
        let toml = format!("[proxy]\ntrusted = ['{trusted}']\nforwarded = '{word}'");
        let logged = Logged::start(&toml);
        let request = Request::put("a").with("content-type", "text/plain");
        let request =
            fields.iter().fold(request, |request, (name, value)| request.with(name, value));
        let created = logged.server.ask(&request).expect_status(201);
        let location = format!("{}/v1/stream/a", want[1]);
        assert_eq!(created.field("location"), Some(location.as_str()), "{word} {fields:?}");
        assert_eq!(logged.who("a").1, want[0], "{word} {fields:?}");
    };
    let forwarded = [
        ("forwarded", "for=198.51.100.1;host=evil, for=192.0.2.9;proto=https;host=\"s.example:8\""),
        ("x-forwarded-for", "203.0.113.5"),
    ];
    check("forwarded", "127.0.0.1", &forwarded, ["192.0.2.9", "https://s.example:8"]);
    check("x-forwarded", "127.0.0.1", &forwarded, ["203.0.113.5", "http://test"]);
    check("off", "127.0.0.1", &forwarded, ["127.0.0.1", "http://test"]);
    check("forwarded", "10.0.0.0/8", &forwarded, ["127.0.0.1", "http://test"]);
    let x = [
        ("x-forwarded-for", "198.51.100.1, 192.0.2.9, 127.0.0.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "x.example"),
    ];
    check("x-forwarded", "127.0.0.0/8", &x, ["192.0.2.9", "https://x.example"]);
}
