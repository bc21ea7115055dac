//! Access control on a running server; its decisions one by one are tested in the library.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use crate::support::{Events, Request, Server, refused_start, wait_until};

/// Makes a token by the command line; returns it and its entry.
fn token(name: &str, scopes: &[&str]) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.args(["auth", "token", "new", "--name", name]);
    command.args(scopes.iter().flat_map(|scope| ["--scope", *scope]));
    let output = command.output().expect("the binary");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (text(output.stdout).trim().to_owned(), text(output.stderr))
}

fn with(request: Request, token: &str) -> Request {
    request.with("authorization", format!("Bearer {token}"))
}

fn put(path: &str) -> Request {
    Request::put(path).with("content-type", "text/plain").body("x")
}

#[test]
fn tokens_open_what_their_scopes_say() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("tokens.toml");
    let (writer, entry) = token("writer", &["create,append,read:logs/*"]);
    let (reader, other) = token("reader", &["read:logs/**"]);
    fs::write(&file, &entry).expect("written");
    let mut server = Server::start(&[
        &format!("--auth-tokens={}", file.display()),
        "--admin=127.0.0.1:0",
        "--cores=2",
    ]);
    let refused = server.ask(&put("logs/a")).expect_problem(401, "credentials-missing");
    assert_eq!(refused.field("www-authenticate"), Some("Bearer realm=\"thalweg\""));
    server.ask(&with(put("logs/a"), &writer)).expect_status(201);
    let elsewhere = server.ask(&with(put("other"), &writer));
    let elsewhere = elsewhere.expect_problem(403, "scope-insufficient");
    assert!(elsewhere.field("www-authenticate").is_some_and(|text| text.contains("scope")));
    server.ask(&with(Request::get("logs/a"), &reader)).expect_problem(401, "token-invalid");
    server.ask(&Request::get("/readyz")).expect_status(200);

    // Refusals do not end a connection, and nothing is read that is not wanted.
    let mut client = server.connect();
    client.ask(&Request::get("logs/a")).expect_status(401);
    client.ask(&with(Request::get("logs/a"), &writer)).expect_status(200);
    client.send("POST /v1/stream/logs/a HTTP/1.1\r\nhost: t\r\ncontent-length: 8000000\r\n\r\n");
    client.answer().expect_status(401);

    // Forks show their source.
    let fork = put("logs/fork").with("stream-forked-from", "/v1/stream/secret");
    server.ask(&with(fork, &writer)).expect_problem(403, "scope-insufficient");

    fs::write(&file, entry + &other).expect("written");
    server.signal(rustix::process::Signal::HUP);
    wait_until("the new token is known", || {
        server.ask(&with(Request::get("logs/a"), &reader)).status == 200
    });
    let metrics = crate::support::Client::connect(server.admin()).ask(&Request::get("/metrics"));
    let metrics = metrics.text();
    for code in ["credentials-missing", "scope-insufficient", "token-invalid"] {
        assert!(metrics.contains(&format!("code=\"{code}\"")), "{code} is not in\n{metrics}");
    }
    server.stop();
    let log = server.log();
    assert!(log.contains("access refused") && log.contains("scope-insufficient"), "{log}");
    assert!(!log.contains(&writer) && !log.contains(&reader), "{log}");
}

#[test]
fn live_readers_end_with_their_token() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("tokens.toml");
    let (token, entry) = token("t", &["create,read:**"]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let ends = jiff::Timestamp::from_second((now + Duration::from_secs(5)).as_secs() as i64);
    fs::write(&file, format!("{entry}expires = {}\n", ends.expect("a time"))).expect("written");
    let server = Server::start_configured(
        "[live]\nlong_poll_timeout = '5m'\nsse_lifetime = '1h'\n",
        &[&format!("--auth-tokens={}", file.display())],
    );
    server.ask(&with(put("a"), &token)).expect_status(201);
    let request = with(Request::get("a?offset=-1&live=sse"), &token);
    let mut events = Events::open(server.connect(), &request);
    let mut poll = server.connect();
    poll.send(with(Request::get("a?offset=now&live=long-poll"), &token).encode());
    events.next_of("control");
    // A proper end, or this panics.
    while events.next().is_some() {}
    poll.answer().expect_status(204);
    server.ask(&with(Request::get("a"), &token)).expect_problem(401, "token-expired");
}

/// From no access control to some, to other keys, and back; what cannot be used changes nothing.
#[test]
fn all_of_it_changes_by_sighup() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (first, one) = token("first", &["*:**"]);
    let (second, two) = token("second", &["*:**"]);
    fs::write(path("one"), one).expect("written");
    fs::write(path("two"), two).expect("written");
    let config = |text: String| fs::write(path("config"), text).expect("written");
    let live = "[live]\nlong_poll_timeout = '5m'\nsse_lifetime = '1h'\n";
    config(live.to_owned());
    let server = Server::start(&[&format!("--config={}", path("config")), "--admin=127.0.0.1:0"]);
    let reload = |text: String| {
        config(text);
        server.hang_up();
    };
    let metric = |name: &str| {
        let text = crate::support::Client::connect(server.admin()).ask(&Request::get("/metrics"));
        let text = text.text();
        let line = text.lines().find(|line| line.starts_with(name)).expect(name).to_owned();
        line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number")
    };
    server.ask(&put("a")).expect_status(201);
    let sse = Request::get("a?offset=-1&live=sse");
    let mut unknown = Events::open(server.connect(), &sse);
    unknown.next_of("control");

    // On: whoever has shown nothing ends.
    reload(format!("{live}[auth]\ntokens = {:?}\n", path("one")));
    while unknown.next().is_some() {}
    server.get("a").expect_problem(401, "credentials-missing");
    let mut reader = Events::open(server.connect(), &with(sse.clone(), &first));
    reader.next_of("control");
    let mut poll = server.connect();
    poll.send(with(Request::get("a?offset=now&live=long-poll"), &first).encode());
    assert_eq!(metric("thalweg_config_last_reload_successful"), 1.0);

    // A file that is not there, and an address that would be open: the old one stays.
    let refusals = || server.log().matches("the new configuration is refused").count();
    reload(format!("{live}[auth]\ntokens = {:?}\n", path("none")));
    wait_until("a refusal", || refusals() == 1);
    assert!(server.log().contains(&path("none")), "{}", server.log());
    assert_eq!(metric("thalweg_config_last_reload_successful"), 0.0);
    reload(format!("{live}[auth]\njwt_keys = 'x'\n"));
    wait_until("another refusal", || refusals() == 2);
    server.ask(&with(Request::get("a"), &first)).expect_status(200);

    // Other tokens: the reader ends in the middle of its hour, with where to go on.
    reload(format!("{live}[auth]\ntokens = {:?}\n", path("two")));
    while reader.next().is_some() {}
    poll.answer().expect_status(204);
    server.ask(&with(Request::get("a"), &first)).expect_problem(401, "token-invalid");
    let mut reader = Events::open(server.connect(), &with(sse, &second));
    reader.next_of("control");
    assert!(metric("thalweg_readers_access_withdrawn_total") >= 2.0);

    // Off again: everybody may, and whoever reads goes on.
    reload(live.to_owned());
    wait_until("everybody may", || server.get("a").status == 200);
    let news = Request::post("a").with("content-type", "text/plain").body("news");
    server.ask(&news).expect_status(204);
    assert_eq!(reader.next_of("data").data, "news");
}

#[test]
fn signed_urls_and_what_is_public() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("keys");
    fs::write(&file, "0123456789abcdef0123456789abcdef\n").expect("written");
    let server = Server::start_configured(
        "[auth]\nanonymous = ['create,read:public/**']\n",
        &[&format!("--auth-signing-keys={}", file.display())],
    );
    let signed = |method: &str, target: &str| {
        let url = format!("http://{}{target}", server.address());
        let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
        command.args(["auth", "sign", "--method", method, "--keys"]).arg(&file).arg(url);
        let output = command.output().expect("the binary");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let url = String::from_utf8(output.stdout).expect("text");
        let target = url.trim().split_once(&server.address().to_string());
        target.expect("the address").1.to_owned()
    };
    server.ask(&put("public/a")).expect_status(201);
    server.get("public/a").expect_status(200);
    server.ask(&put("mine")).expect_problem(401, "credentials-missing");
    let target = signed("PUT", "/v1/stream/mine");
    server.ask(&put(&target)).expect_status(201);
    server.get("mine").expect_problem(401, "credentials-missing");
    let target = signed("GET", "/v1/stream/mine?live=sse");
    let mut events = Events::open(server.connect(), &Request::get(&format!("{target}&offset=-1")));
    events.next_of("data");
    server.get(&target.replace("/mine", "/other")).expect_problem(403, "signature-invalid");
    server.ask(&Request::delete(&target)).expect_problem(403, "signature-invalid");
}

#[test]
fn a_public_address_needs_access_control_or_a_word() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let output = refused_start(&data, &["--listen=0.0.0.0:0", "--cores=1", "--admin=off"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--insecure") && said.contains("0.0.0.0:0"), "{said}");
    let missing = refused_start(&data, &["--auth-tokens=/nowhere", "--listen=127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert_eq!(missing.status.code(), Some(1), "{said}");
    assert!(said.contains("/nowhere"), "{said}");
}

#[test]
fn a_token_can_be_hashed_elsewhere() {
    let hash = |token: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
        command.args(["auth", "token", "hash", "--name", "n", "--scope", "read:**"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary");
        child.stdin.take().expect("piped").write_all(token.as_bytes()).expect("written");
        child.wait_with_output().expect("its end")
    };
    let (token, entry) = token("n", &["read:**"]);
    let output = hash(&format!("{token}\n"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), entry);
    assert_eq!(hash("short").status.code(), Some(2));
}

/// Publishes keys, one set after the other.
struct Issuer {
    address: SocketAddr,
    keys: Arc<Mutex<Value>>,
}

impl Issuer {
    fn start() -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let keys = Arc::new(Mutex::new(json!({ "keys": [] })));
        let published = Arc::clone(&keys);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = socket.expect("a connection");
                let mut request = [0; 4096];
                let _ = socket.read(&mut request);
                let body = published.lock().expect("no panic").to_string();
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json";
                let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = socket.write_all(answer.as_bytes());
            }
        });
        Issuer { address, keys }
    }

    /// From now on this key is published.
    fn publish(&self, id: &str, key: &Ed25519KeyPair) {
        let x = URL_SAFE_NO_PAD.encode(key.public_key());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": id, "x": x});
        *self.keys.lock().expect("no panic") = json!({ "keys": [jwk] });
    }
}

fn jwt(id: &str, key: &Ed25519KeyPair) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let claims = json!({
        "iss": "https://id", "aud": "us", "exp": now + 600, "scope": "create,read:**",
    });
    let message = format!("{}.{}", part(json!({"alg": "EdDSA", "kid": id})), part(claims));
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes())))
}

#[test]
fn published_keys_are_fetched_and_replaced() {
    let issuer = Issuer::start();
    let key = |seed| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a seed");
    let (old, new) = (key(1), key(2));
    issuer.publish("old", &old);
    let config = format!(
        "[auth]\njwt_keys = 'http://{}/keys'\njwt_issuer = 'https://id'\njwt_audience = 'us'\n",
        issuer.address
    );
    let server = Server::start_configured(&config, &[]);
    wait_until("the keys are fetched", || {
        server.ask(&with(put("a"), &jwt("old", &old))).status != 401
    });
    server.ask(&with(Request::get("a"), &jwt("old", &old))).expect_status(200);
    server.ask(&with(Request::get("a"), &jwt("new", &new))).expect_problem(401, "token-invalid");
    issuer.publish("new", &new);
    wait_until("the new key is fetched, because a token names it", || {
        server.ask(&with(Request::get("a"), &jwt("new", &new))).status == 200
    });
    server.ask(&with(Request::get("a"), &jwt("old", &old))).expect_problem(401, "token-invalid");
}
