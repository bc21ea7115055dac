//! Client certificates as credentials.

use std::fs;
use std::sync::Arc;

use super::Secure;
use crate::support::{
    Authority, Client, Events, Pair, Request, connection, refused_start, wait_until,
};

const RULES: &str = "[[certificate]]\nname = 'ingest'\ndns = 'ingest-*.example'\n\
    scopes = ['create,append:events/**']\n\
    [[certificate]]\nname = 'web'\nuri = 'spiffe://example/ns/*/sa/web'\nscopes = ['read:**']\n\
    [[certificate]]\nname = 'ops'\ncn = 'Ops *'\nscopes = ['*:**']\n";

/// A server that asks for certificates of `clients`, with rules in a file.
fn start(directory: &tempfile::TempDir, clients: &Authority, rules: &str, more: &[&str]) -> Secure {
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let ca = format!("--tls-client-ca={}", file("clients.pem", &clients.pem));
    let rules = format!("--auth-certificates={}", file("rules.toml", rules));
    Secure::start(&[&[ca.as_str(), rules.as_str()], more].concat())
}

fn connect(secure: &Secure, own: Option<&Pair>) -> Client {
    let config = Arc::new(secure.authority.client(own));
    Client::secure(secure.server.address(), connection(&config, "localhost"))
}

fn put(path: &str) -> Request {
    Request::put(path).with("content-type", "text/plain").body("x")
}

#[test]
fn names_have_scopes() {
    let directory = tempfile::tempdir().expect("a directory");
    let clients = Authority::new("clients");
    let secure = start(&directory, &clients, RULES, &["--tls-client-auth=optional"]);
    let ingest = clients.sign(&["ingest-7.example"]);
    let web = clients.sign_as("somebody", "spiffe://example/ns/shop/sa/web");
    let ops = clients.sign_as("Ops Ada", "");
    let other = clients.sign(&["ingest-7.example.evil"]);
    let check = |own: Option<&Pair>, request: &Request, want: u16, code: &str| {
        let answer = connect(&secure, own).ask(request);
        match code {
            "" => drop(answer.expect_status(want)),
            code => drop(answer.expect_problem(want, code)),
        }
    };
    let (get, delete) = (Request::get("events/a"), Request::delete("events/a"));
    check(Some(&ingest), &put("events/a"), 201, "");
    check(Some(&ingest), &put("other"), 403, "scope-insufficient");
    check(Some(&ingest), &get, 403, "scope-insufficient");
    check(Some(&web), &get, 200, "");
    check(Some(&web), &delete, 403, "scope-insufficient");
    check(Some(&other), &get, 401, "credentials-missing");
    check(None, &get, 401, "credentials-missing");
    // Whoever shows a token is judged by it alone.
    check(Some(&ops), &get.with("authorization", "Bearer nothing"), 401, "token-invalid");
    check(Some(&ops), &delete, 204, "");
}

/// Over a session that was taken up again there is no certificate in the handshake.
#[test]
fn a_resumed_session_has_its_identity() {
    let directory = tempfile::tempdir().expect("a directory");
    let clients = Authority::new("clients");
    let secure = start(&directory, &clients, RULES, &[]);
    let config = Arc::new(secure.authority.client(Some(&clients.sign_as("Ops Ada", ""))));
    for (path, kind) in [("a", rustls::HandshakeKind::Full), ("b", rustls::HandshakeKind::Resumed)]
    {
        let mut client = secure.connect_with(&config);
        client.ask(&put(path)).expect_status(201);
        assert_eq!(client.tls().handshake_kind(), Some(kind));
    }
}

/// A rule that is taken out ends live reads and closes what it opened; the others go on.
#[test]
fn rules_change_while_readers_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let clients = Authority::new("clients");
    let secure = start(&directory, &clients, RULES, &[]);
    let web = clients.sign_as("somebody", "spiffe://example/ns/shop/sa/web");
    let ops = clients.sign_as("Ops Ada", "");
    connect(&secure, Some(&ops)).ask(&put("a")).expect_status(201);
    let live = Request::get("a?offset=-1&live=sse");
    let mut ends = Events::open(connect(&secure, Some(&web)), &live);
    let mut stays = Events::open(connect(&secure, Some(&ops)), &live);
    ends.next_of("control");
    stays.next_of("control");
    let rules = RULES.replace("ns/*/sa/web", "ns/other/sa/web");
    fs::write(directory.path().join("rules.toml"), &rules).expect("written");
    secure.server.hang_up();
    // A proper end, or this panics.
    while ends.next().is_some() {}
    let mut ops = connect(&secure, Some(&ops));
    let news = Request::post("a").with("content-type", "text/plain").body("news");
    ops.ask(&news).expect_status(204);
    assert_eq!(stays.next_of("data").data, "news");
    connect(&secure, Some(&web)).ask(&Request::get("a")).expect_problem(401, "credentials-missing");

    fs::write(directory.path().join("rules.toml"), "[[certificate]]\nname = 'x'\n")
        .expect("written");
    secure.server.hang_up();
    wait_until("the refusal", || secure.server.log().contains("new configuration is refused"));
    ops.ask(&news).expect_status(204);
}

#[test]
fn a_public_address_may_be_for_whoever_has_a_certificate() {
    let directory = tempfile::tempdir().expect("a directory");
    let clients = Authority::new("clients");
    let ca = directory.path().join("clients.pem");
    fs::write(&ca, &clients.pem).expect("written");
    let ca = format!("--tls-client-ca={}", ca.display());
    let secure = Secure::start(&[&ca, "--listen=0.0.0.0:0"]);
    let log = secure.server.log();
    assert!(!log.contains("refused"), "{log}");
    let data = directory.path().join("data");
    let refused = |arguments: &[&str], want: &str| {
        let output = refused_start(&data, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(want), "{said}");
    };
    let tls = ["--tls-cert=a", "--tls-key=b", &ca, "--tls-client-auth=optional"];
    refused(&[&["--listen=0.0.0.0:0"], &tls[..]].concat(), "auth.certificates");
    refused(&["--auth-certificates=rules"], "tls.client_ca beside it");
}
