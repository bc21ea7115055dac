//! The access log, request ids, and SIGHUP.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Events, Request, Server, wait_for, wait_until};

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn requests_are_logged_with_their_ids() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("access.log");
    let mut server = Server::start(&[&format!("--access-log={}", file.display())]);
    server.put("a", "text/plain", "hello").expect_status(201);
    let append = Request::post("a?secret=1").with("content-type", "text/plain").body("12345");
    let secret = append.with("authorization", "Bearer verysecret").with("x-request-id", "mine-7");
    let answer = server.ask(&secret).expect_status(204);
    assert_eq!(answer.field("x-request-id"), Some("mine-7"));
    let answer = server.ask(&Request::get("none").with("x-request-id", "not \"sane\""));
    let made = answer.field("x-request-id").expect("an id").to_owned();
    assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
    let mut reader = Events::open(server.connect(), &Request::get("a?offset=-1&live=sse"));
    reader.next_of("control");
    // What was answered before the end is written.
    server.stop();
    let lines = lines(&file);
    assert_eq!(lines.len(), 4, "{lines:?}");
    let check = |index: usize, want: &[(&str, Value)]| {
        for (key, value) in want {
            assert_eq!(&lines[index][key], value, "{key} of {}", lines[index]);
        }
    };
    check(
        0,
        &[("operation", "create".into()), ("status", 201.into()), ("request_bytes", 5.into())],
    );
    check(
        1,
        &[
            ("request_id", "mine-7".into()),
            ("path", "/v1/stream/a".into()),
            ("method", "POST".into()),
            ("status", 204.into()),
            ("protocol", "HTTP/1.1".into()),
            ("core", 0.into()),
        ],
    );
    check(2, &[("code", "stream-not-found".into()), ("request_id", made.into())]);
    check(3, &[("operation", "sse".into()), ("status", 200.into())]);
    assert!(lines[0]["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")));
    assert!(lines[1]["duration_us"].as_u64().is_some_and(|took| took > 0), "{}", lines[1]);
    let text = fs::read_to_string(&file).expect("the log");
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn lines_name_the_trace_and_who_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let token = "0123456789abcdef0123456789abcdef";
    let hash = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let entry = format!("[[token]]\nname = 'ada'\nsha256 = '{hash}'\nscopes = ['*:**']\n");
    fs::write(path("tokens"), entry).expect("written");
    let tokens = format!("--auth-tokens={}", path("tokens"));
    let mut server = Server::start(&[&tokens, &format!("--access-log={}", path("log"))]);
    let put = Request::put("a").with("content-type", "text/plain");
    let put = put.with("authorization", format!("Bearer {token}"));
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    server.ask(&put.clone().with("traceparent", trace)).expect_status(201);
    server.ask(&put.with("traceparent", "not one")).expect_status(200);
    server.get("a").expect_status(401);
    server.stop();
    let lines = lines(Path::new(&path("log")));
    assert_eq!(lines[0]["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(lines[0]["parent_span_id"], "b7ad6b7169203331");
    assert_eq!(lines[0]["principal"], "token:ada");
    assert_eq!(lines[1]["trace_id"], Value::Null);
    assert_eq!(lines[2]["principal"], Value::Null);
}

#[test]
fn without_an_access_log_there_are_no_ids() {
    let server = Server::start(&[]);
    let answer = server.ask(&Request::get("none").with("x-request-id", "mine"));
    assert_eq!(answer.field("x-request-id"), None);
}

/// The file is moved away and opened again, the log begins, its level changes, a timeout and what
/// is kept of streams change; what is refused changes nothing.
#[test]
fn sighup_takes_what_can_change() {
    let directory = tempfile::tempdir().expect("a directory");
    let (config, log) = (directory.path().join("t.toml"), directory.path().join("access.log"));
    let write = |text: &str| fs::write(&config, text).expect("written");
    // Longer than the client waits.
    write("[live]\nlong_poll_timeout = '5m'\n");
    let mut server = Server::start(&[&format!("--config={}", config.display())]);
    let hang_up = |server: &Server, line: &str, count: usize| {
        server.signal(Signal::HUP);
        wait_until(line, || server.log().matches(line).count() == count);
    };
    server.put("a", "text/plain", "x").expect_status(201);
    server.put("long", "text/plain", "a record").expect_status(201);
    server.post("long", "text/plain", "and another").expect_status(204);

    write(&format!(
        "base_path = '/other'\n[storage]\nretention_bytes = '9'\n[log]\naccess = {:?}\n[live]\nlong_poll_timeout = '100ms'\n",
        log.display().to_string()
    ));
    hang_up(&server, "the configuration was read again", 1);
    assert!(server.log().contains("need a restart"), "{}", server.log());
    server.get("a?offset=now&live=long-poll").expect_status(204);
    wait_until("the long stream is trimmed", || server.get("long").text() == "and another");
    wait_until("lines", || lines(&log).len() >= 2);

    let moved = directory.path().join("moved.log");
    fs::rename(&log, &moved).expect("moved");
    hang_up(&server, "the configuration was read again", 2);
    wait_for("a line in the new file", || {
        server.get("a").expect_status(200);
        (!lines(&log).is_empty()).then_some(())
    });

    write("[log]\nlevel = 'loud'\n");
    hang_up(&server, "the new configuration is refused", 1);
    assert_eq!(server.get("a").text(), "x");

    write("[log]\nlevel = 'error'\n");
    let before = lines(&log).len();
    server.signal(Signal::HUP);
    wait_until("the access log ends", || {
        server.ask(&Request::get("a").with("x-request-id", "i")).field("x-request-id").is_none()
    });
    assert!(lines(&log).len() >= before);
    server.stop();
    assert!(!server.log().contains("stopping"), "the level was not changed: {}", server.log());
}
