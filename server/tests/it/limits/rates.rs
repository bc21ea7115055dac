//! Requests, bytes and connections over a rate.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use super::Limited;
use crate::http2::{Http2, run};
use crate::support::{Client, Request, Response, Server, wait_for, wait_until};

/// How many of so many requests pass; the others must be refused with this code.
fn passed(count: usize, code: &str, mut ask: impl FnMut() -> Response) -> usize {
    let pass = |response: Response| match response.status {
        429 => {
            response.expect_problem(429, code);
            false
        }
        status => {
            assert!(status < 300, "{status} {:?}", response.code());
            true
        }
    };
    (0..count).filter(|_| pass(ask())).count()
}

/// A connection from another address of this machine.
fn from(address: [u8; 4], server: SocketAddr) -> Client {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.bind(&SocketAddr::from((address, 0)).into()).expect("an address");
    socket.connect(&server.into()).expect("a connection");
    Client::over(TcpStream::from(socket))
}

fn text(request: Request, body: &str) -> Request {
    request.with("content-type", "text/plain").body(body)
}

#[test]
fn an_address_has_one_burst_however_it_connects() {
    let config = "[limits.rate]\naddress_requests = '1/h burst 20'\n";
    let limited = Limited::start(config, &["--cores=2", "--access-log=stdout"]);
    let server = &limited.server;
    let code = "rate-address-requests";
    // Connections land on both cores, and speak both versions.
    let mut clients: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    let health = Request::get("/readyz");
    let request = Request::new("OPTIONS", "a");
    let mut next = 0;
    let over_http1 = passed(15, code, || {
        next += 1;
        // Health is nobody's burden.
        clients[next % 8].ask(&health).expect_status(200);
        clients[next % 8].ask(&request)
    });
    assert_eq!(over_http1, 15);
    let over_http2 = run(async {
        let mut client = Http2::connect(server.address()).await;
        let mut count = 0;
        for _ in 0..10 {
            let response = client.ask("OPTIONS", "a", &[], b"").await;
            if response.status == 429 {
                response.expect_problem(429, code);
            } else {
                count += 1;
            }
        }
        count
    });
    assert_eq!(over_http2, 5);
    let refused = clients[0].ask(&request).expect_problem(429, code);
    let policy = "\"address-requests\";q=20;qu=\"requests\";w=72000";
    assert_eq!(refused.field("ratelimit-policy"), Some(policy));
    let retry: u64 = refused.field("retry-after").and_then(|s| s.parse().ok()).expect("seconds");
    assert!((1..=3600).contains(&retry), "{retry}");
    let left = format!("\"address-requests\";r=0;t={retry}");
    assert_eq!(refused.field("ratelimit"), Some(left.as_str()));
    assert_eq!(
        (&refused.json()["scope"], &refused.json()["limit"]),
        (&"address".into(), &"requests".into())
    );
    // The connection goes on, and others are not concerned.
    clients[0].ask(&request).expect_problem(429, code);
    assert_eq!(passed(22, code, || from([127, 0, 0, 2], server.address()).ask(&request)), 20);
    let refusals = format!("thalweg_refusals_total{{code=\"{code}\"}}");
    assert_eq!(limited.metric(&refusals), 5.0 + 2.0 + 2.0);
    assert_eq!(limited.metric("thalweg_requests_total{operation=\"options\",status=\"4xx\"}"), 9.0);
}

#[test]
fn who_comes_back_as_told_is_let_in() {
    let server = Server::start(&["--rate-address-requests=1/s burst 2"]);
    let mut client = server.connect();
    let mut ask = || client.ask(&Request::new("OPTIONS", "a"));
    let refused = wait_for("a refusal", || Some(ask()).filter(|answer| answer.status == 429));
    assert_eq!(refused.field("retry-after"), Some("1"));
    wait_until("room", || ask().status == 204);
}

#[test]
fn tokens_and_streams_have_their_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("tokens.toml");
    let mut entries = Vec::new();
    let mut token = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
        command.args(["auth", "token", "new", "--name", name, "--scope", "*:**"]);
        let output = command.output().expect("the binary");
        entries.extend(output.stderr);
        format!("Bearer {}", String::from_utf8(output.stdout).expect("text").trim())
    };
    let (one, other) = (token("one"), token("other"));
    fs::write(&file, entries).expect("written");
    let config = "[limits.rate]\ntoken_requests = '1/h burst 6'\nstream_requests = '1/h burst 4'\n";
    let limited =
        Limited::start(config, &[&format!("--auth-tokens={}", file.display()), "--cores=2"]);
    let server = &limited.server;
    let ask = |token: &str, stream: &str| {
        server.ask(&text(Request::put(stream), "").with("authorization", token))
    };
    let of_stream = "rate-stream-requests";
    assert_eq!(passed(6, of_stream, || ask(&one, "a")), 4);
    // The two that were refused count for whoever made them.
    assert_eq!(passed(2, "rate-token-requests", || ask(&one, "b")), 0);
    assert_eq!(passed(3, of_stream, || ask(&other, "b")), 3);
    assert_eq!(passed(1, of_stream, || ask(&other, "a")), 0);
    // Without a good token there is nobody to charge.
    for _ in 0..10 {
        ask("Bearer x", "a").expect_problem(401, "token-invalid");
    }
    let refused = ask(&one, "c").expect_problem(429, "rate-token-requests");
    assert_eq!(refused.json()["scope"], "token");
}

#[test]
fn bytes_are_charged_both_ways() {
    // A byte in 86 seconds.
    let config = "[limits.rate]\nstream_bytes = '42/h burst 1000'\n";
    let limited = Limited::start(config, &[]);
    let server = &limited.server;
    let code = "rate-stream-bytes";
    for stream in ["a", "b", "c"] {
        server.put(stream, "text/plain", "").expect_status(201);
    }
    let hundred = "x".repeat(100);
    let post = |stream: &str| server.post(stream, "text/plain", &hundred);
    assert_eq!(passed(12, code, || post("a")), 10);
    server.get("a?offset=-1").expect_problem(429, code);
    assert_eq!(passed(5, code, || post("b")), 5);
    // One is let through as long as anything is left, and pays for all of its bytes.
    assert_eq!(passed(5, code, || server.get("b?offset=-1")), 1);
    run(async {
        let mut client = Http2::connect(server.address()).await;
        let text = [("content-type", "text/plain")];
        for _ in 0..5 {
            client.ask("POST", "c", &text, hundred.as_bytes()).await.expect_status(204);
        }
        // A live reader pays for what it finds.
        let mut live = client.open("c?offset=-1&live=sse").await;
        assert_eq!(live.head.status(), 200);
        live.event().await.expect("data");
        client.ask("POST", "c", &text, b"x").await.expect_problem(429, code);
    });
    // A large body is refused before it is sent.
    let mut client = server.connect();
    client.send("POST /v1/stream/a HTTP/1.1\r\nhost: t\r\ncontent-length: 8000000\r\n\r\n");
    client.answer().expect_problem(429, code);
}

#[test]
fn connections_over_the_rate_are_told_and_closed() {
    let limited = Limited::start("[limits.rate]\naddress_connections = '1/h burst 3'\n", &[]);
    let server = &limited.server;
    let mut kept: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut kept {
        client.ask(&Request::new("OPTIONS", "a")).expect_status(204);
    }
    let mut fourth = server.connect();
    let refused = fourth.answer().expect_problem(429, "rate-address-connections");
    assert_eq!(refused.field("connection"), Some("close"));
    fourth.expect_end();
    from([127, 0, 0, 2], server.address()).ask(&Request::new("OPTIONS", "a")).expect_status(204);
    kept[0].ask(&Request::new("OPTIONS", "a")).expect_status(204);
    let refusals = "thalweg_refusals_total{code=\"rate-address-connections\"}";
    assert_eq!(limited.metric(refusals), 1.0);
}

#[test]
fn limits_change_while_the_server_runs() {
    let config = |rate: &str| format!("[limits.rate]\naddress_requests = '{rate}'\n");
    let limited = Limited::start(&config("1/h burst 2"), &["--cores=2"]);
    let ask = || limited.server.ask(&Request::new("OPTIONS", "a"));
    assert_eq!(passed(4, "rate-address-requests", ask), 2);
    limited.reload(&config("off"));
    wait_until("no limit", || ask().status == 204);
    limited.reload(&config("1/h burst 3"));
    wait_until("a limit", || ask().status == 429);
    limited.reload(&config("nonsense"));
    wait_until("the refusal of the configuration", || {
        limited.server.log().contains("limits.rate.address_requests")
    });
    assert_eq!(ask().status, 429);
}
