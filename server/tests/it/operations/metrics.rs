//! The admin listener: what it says is true, clean, and on the page about it.

use std::io::Write;
use std::process::{Command, Stdio};

use super::has;
use crate::support::{Client, Events, Request, Response, Server, wait_until};

/// A server with an admin listener.
fn server(arguments: &[&str]) -> Server {
    Server::start(&[&["--admin=127.0.0.1:0"], arguments].concat())
}

fn admin(server: &Server, path: &str) -> Response {
    Client::connect(server.admin()).ask(&Request::get(path))
}

/// The sum of all samples of a name whose labels contain all of `labels`.
pub(super) fn value(text: &str, name: &str, labels: &[&str]) -> f64 {
    let samples = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (found, given) = series.split_once('{').unwrap_or((series, ""));
        let all = labels.iter().all(|label| given.contains(label));
        (found == name && all).then(|| value.parse::<f64>().expect(line))
    });
    samples.sum()
}

pub(super) fn scrape(server: &Server) -> String {
    admin(server, "/metrics").expect_status(200).text()
}

#[test]
fn numbers_are_true() {
    let server = server(&["--cores=2"]);
    for n in 0..8 {
        server.put(&format!("s{n}"), "text/plain", "12345").expect_status(201);
        server.post(&format!("s{n}"), "text/plain", "67890").expect_status(204);
        server.get(&format!("s{n}")).expect_status(200);
    }
    server.get("none").expect_problem(404, "stream-not-found");
    server.post("none", "text/plain", "x").expect_problem(404, "stream-not-found");
    let mut bad = server.connect();
    bad.send("NOT HTTP\r\n\r\n");
    assert_eq!(bad.answer().status, 400);
    let mut reader = Events::open(server.connect(), &Request::get("s0?offset=-1&live=sse"));
    reader.next_of("control");
    let mut poll = server.connect();
    poll.send(Request::get("s1?offset=now&live=long-poll").encode());
    let reads = ["kind=\"long_poll\""];
    wait_until("the long-poll waits", || value(&scrape(&server), "thalweg_readers", &reads) == 1.0);
    server.post("s0", "text/plain", "news").expect_status(204);
    reader.next_of("data");

    let text = scrape(&server);
    let check = |name: &str, labels: &[&str], want: f64| {
        assert_eq!(value(&text, name, labels), want, "{name} {labels:?} in\n{text}");
    };
    let requests = "thalweg_requests_total";
    check(requests, &["operation=\"create\"", "status=\"2xx\""], 8.0);
    check(requests, &["operation=\"append\"", "status=\"2xx\""], 9.0);
    check(requests, &["operation=\"append\"", "status=\"4xx\""], 1.0);
    check(requests, &["operation=\"read\"", "status=\"2xx\""], 8.0);
    check(requests, &["operation=\"sse\"", "status=\"2xx\""], 1.0);
    check(requests, &["operation=\"invalid\"", "status=\"4xx\""], 1.0);
    check("thalweg_refusals_total", &["code=\"stream-not-found\""], 2.0);
    check("thalweg_append_duration_seconds_count", &[], 10.0);
    check("thalweg_readers", &["kind=\"sse\""], 1.0);
    check("thalweg_streams", &[], 8.0);
    check("thalweg_appended_records_total", &[], 17.0);
    check("thalweg_appended_bytes_total", &[], 84.0);
    check("thalweg_hot_tail_misses_total", &[], 0.0);
    check("thalweg_core_up", &[], 2.0);
    check("thalweg_ready", &[], 1.0);
    check("thalweg_fanout_frames_total", &[], 1.0);
    check("thalweg_disk_full", &[], 0.0);
    check("thalweg_server_info", &["durability=\"sync\"", "cores=\"2\""], 1.0);
    assert!(value(&text, "thalweg_log_write_duration_seconds_count", &[]) >= 2.0, "{text}");
    assert!(value(&text, "thalweg_log_group_records_sum", &[]) >= 17.0, "{text}");
    assert!(value(&text, "thalweg_connections", &[]) >= 2.0, "{text}");
    assert!(value(&text, "process_resident_memory_bytes", &[]) > 1e6, "{text}");
}

#[test]
fn what_retention_drops_is_counted() {
    let server = server(&[]);
    let put = Request::put("a").with("content-type", "text/plain");
    server.ask(&put.with("stream-retention-bytes", "1000")).expect_status(201);
    for _ in 0..20 {
        server.post("a", "text/plain", [b'x'; 100]).expect_status(204);
    }
    let dropped = || value(&scrape(&server), "thalweg_retention_trimmed_bytes_total", &[]);
    // At least as much is kept as was asked for, in whole records.
    wait_until("all that is too much is dropped", || dropped() == 1000.0);
    assert!(value(&scrape(&server), "thalweg_retention_trims_total", &[]) >= 1.0);
}

#[test]
fn http2_is_counted() {
    use crate::http2::{Http2, run, soon};
    let mut server = server(&[]);
    let address = server.address();
    run(async {
        let mut client = Http2::connect(address).await;
        client.create("a").await;
        let mut live = client.open("a?offset=-1&live=sse").await;
        live.event().await;
        let text = scrape(&server);
        let check = |name: &str, want: f64| {
            assert_eq!(value(&text, name, &[]), want, "{name} in\n{text}");
        };
        check("thalweg_http2_connections", 1.0);
        check("thalweg_http2_connections_opened_total", 1.0);
        check("thalweg_http2_streams_opened_total", 2.0);
        check("thalweg_http2_streams", 1.0);
        assert!(value(&text, "thalweg_send_ring_calls_total", &[]) >= 0.0);
        drop(live);
        let resets = || value(&scrape(&server), "thalweg_http2_client_resets_total", &[]);
        soon(async {
            // The library sends it when its connection is polled.
            while resets() != 1.0 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
        soon(client.get("a")).await.expect_status(200);
    });
    wait_until("the connection is gone", || {
        value(&scrape(&server), "thalweg_http2_connections", &[]) == 0.0
    });
    server.stop();
}

#[test]
fn tls_is_counted() {
    use rustls::version::{TLS12, TLS13};
    let secure = crate::tls::Secure::start(&["--admin=127.0.0.1:0"]);
    for version in [&TLS12, &TLS13] {
        let config = std::sync::Arc::new(secure.authority.client_of(None, &[version]));
        for _ in 0..2 {
            // A ticket comes with the first answer at the latest.
            secure.connect_with(&config).ask(&Request::get("none")).expect_status(404);
        }
    }
    let mut plain = Client::connect(secure.server.address());
    plain.ask(&Request::get("a")).expect_problem(400, "not-tls");
    let stranger = crate::support::Authority::new("not the server's");
    let config = std::sync::Arc::new(stranger.client(None));
    let connection = crate::support::connection(&config, "localhost");
    assert!(Client::try_secure(secure.server.address(), connection).is_err());
    let failures = |reason: &str| {
        let text = scrape(&secure.server);
        value(&text, "thalweg_tls_handshake_failures_total", &[&format!("reason=\"{reason}\"")])
    };
    wait_until("the client's alert", || failures("client_alert") == 1.0);
    assert_eq!(failures("not_tls"), 1.0);
    let text = scrape(&secure.server);
    for version in ["1.2", "1.3"] {
        for resumed in ["false", "true"] {
            let labels = [&*format!("version=\"{version}\""), &*format!("resumed=\"{resumed}\"")];
            assert_eq!(value(&text, "thalweg_tls_handshakes_total", &labels), 1.0, "{labels:?}");
        }
    }
    assert_eq!(value(&text, "thalweg_tls_handshake_duration_seconds_count", &[]), 4.0);
    // 2099-01-01.
    let expiry = "thalweg_tls_certificate_expiry_timestamp_seconds";
    assert_eq!(value(&text, expiry, &["server.pem"]), 4_070_908_800.0, "{text}");
    assert_eq!(value(&text, "thalweg_tls_last_reload_successful", &[]), 1.0);
    std::fs::write(secure.files.path().join("server.pem"), "no certificate").expect("written");
    secure.server.hang_up();
    wait_until("the failure is told", || {
        value(&scrape(&secure.server), "thalweg_tls_last_reload_successful", &[]) == 0.0
    });
}

#[test]
fn what_was_recovered_is_told() {
    let mut server = server(&[]);
    server.put("a", "text/plain", "x").expect_status(201);
    server.put("b", "text/plain", "y").expect_status(201);
    server.crash();
    let text = scrape(&server);
    assert_eq!(value(&text, "thalweg_recovery_streams", &[]), 2.0, "{text}");
    assert_eq!(value(&text, "thalweg_recovery_records", &[]), 2.0, "{text}");
    assert!(value(&text, "thalweg_recovery_duration_seconds", &[]) > 0.0, "{text}");
}

/// Every name that is told is on the page, and the page has been read (a test of the library
/// compares it with the list).
#[test]
fn names_are_on_the_page() {
    let server = server(&[]);
    server.get("none").expect_status(404);
    let page = include_str!("../../../../docs/metrics.md");
    let text = scrape(&server);
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("| `{name}` |")), "docs/metrics.md does not show {name}");
    }
}

#[test]
fn health_on_both_listeners() {
    let server = server(&[]);
    for answer in [admin(&server, "/readyz"), server.get("/readyz")] {
        let body = answer.expect_status(200).json();
        assert_eq!(body["state"], "ready");
        assert_eq!(body["durability"], "sync");
        assert!(matches!(body["io"].as_str(), Some("io_uring" | "epoll")), "{body}");
        assert_eq!(body["reasons"], serde_json::json!([]));
    }
    assert_eq!(admin(&server, "/healthz").expect_status(200).json()["state"], "alive");
    assert_eq!(admin(&server, "/nowhere").status, 404);
    let mut client = Client::connect(server.admin());
    let refused = client.ask(&Request::post("/metrics").body("x")).expect_status(405);
    assert_eq!(refused.field("allow"), Some("GET, HEAD"));
    assert_eq!(server.get("/metrics").status, 404, "not for the public");
}

/// While a request is finished, whoever asks is told to go elsewhere.
#[test]
fn a_server_that_drains_is_not_ready() {
    let mut server = server(&[]);
    server.put("a", "text/plain", "x").expect_status(201);
    let mut writer = server.connect();
    let head = "POST /v1/stream/a HTTP/1.1\r\nhost: t\r\ncontent-type: text/plain\r\n\
        content-length: 4\r\nexpect: 100-continue\r\n\r\n";
    writer.send(head);
    assert_eq!(writer.answer().status, 100);
    server.terminate();
    wait_until("it drains", || admin(&server, "/readyz").status == 503);
    let body = admin(&server, "/readyz").json();
    assert_eq!(body["state"], "draining", "{body}");
    assert!(body["reasons"][0].as_str().is_some_and(|text| text.starts_with("draining")));
    assert_eq!(admin(&server, "/healthz").status, 200);
    assert_eq!(value(&scrape(&server), "thalweg_ready", &[]), 0.0);
    writer.send("done");
    writer.answer().expect_status(204);
    drop(writer);
    assert_eq!(server.exit().code(), Some(0));
}

#[test]
fn promtool_finds_nothing_wrong() {
    if !has("promtool") {
        return;
    }
    let server = server(&["--cores=2"]);
    server.put("a", "text/plain", "x").expect_status(201);
    server.get("none").expect_status(404);
    let text = scrape(&server);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool");
    promtool.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
    let output = promtool.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}

#[test]
fn promtool_accepts_the_alert_rules() {
    if !has("promtool") {
        return;
    }
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/alerts.yaml");
    let output = Command::new("promtool").args(["check", "rules", rules]).output().expect("run");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && !said.contains("FAILED"), "{said}");
}

/// With a request that Prometheus would make.
#[test]
fn open_metrics_for_whoever_asks() {
    let server = server(&[]);
    let request = Request::get("/metrics")
        .with("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    let answer = Client::connect(server.admin()).ask(&request).expect_status(200);
    let kind = answer.field("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(text.contains("# TYPE thalweg_requests counter\n"), "{text}");
    let plain = admin(&server, "/metrics");
    let kind = plain.field("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
}

#[test]
fn an_admin_address_that_is_taken() {
    let server = server(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let taken = format!("--admin={}", server.admin());
    let arguments = ["--listen=127.0.0.1:0", "--cores=1", &taken];
    let output = crate::support::refused_start(&directory.path().join("data"), &arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--admin") && said.contains(&server.admin().to_string()), "{said}");
}
