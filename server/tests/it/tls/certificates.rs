//! Which certificate a client gets, which certificate it needs, and what is wrong with files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::Secure;
use crate::support::{Authority, Client, Request, Server, connection, refused_start};

/// `[tls]` with these pairs of files.
fn table(dir: &Path, names: &[&str]) -> String {
    let list = |ending: &str| {
        let files: Vec<_> = names
            .iter()
            .map(|name| format!("'{}'", dir.join(format!("{name}.{ending}")).display()))
            .collect();
        files.join(", ")
    };
    format!("[tls]\ncert = [{}]\nkey = [{}]\n", list("pem"), list("key"))
}

#[test]
fn names_choose_certificates() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("names");
    let first = authority.sign(&["one.example", "localhost"]);
    let second = authority.sign(&["two.example", "*.two.example"]);
    first.write(dir.path(), "first");
    second.write(dir.path(), "second");
    let server = Server::start_configured(&table(dir.path(), &["first", "second"]), &[]);
    let config = Arc::new(authority.client(None));
    let check = |name: &str, want: &crate::support::Pair| {
        let client = Client::secure(server.address(), connection(&config, name));
        let shown = client.tls().peer_certificates().expect("a certificate");
        assert!(shown[0] == want.der(), "{name}");
    };
    check("one.example", &first);
    check("two.example", &second);
    check("deep.two.example", &second);
    check("localhost", &first);
    // There is none for this one: the first is shown, and the client judges.
    let other = Client::try_secure(server.address(), connection(&config, "three.example"));
    let error = other.err().expect("another name");
    assert!(error.contains("not valid for name"), "{error}");
}

#[test]
fn clients_may_need_a_certificate_of_their_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("clients");
    fs::write(dir.path().join("clients.pem"), &authority.pem).expect("written");
    let flag = format!("--tls-client-ca={}", dir.path().join("clients.pem").display());
    let known = authority.sign(&["a client"]);
    let stranger = Authority::new("another authority").sign(&["a stranger"]);
    let asks = |secure: &Secure, own| {
        let config = Arc::new(secure.authority.client(own));
        // In TLS 1.3 a client learns that it was refused when it reads.
        let address = secure.server.address();
        let mut client = Client::try_secure(address, connection(&config, "localhost")).ok()?;
        client.try_send(Request::get("a").encode());
        client.try_answer_to("GET").ok().flatten().map(|answer| answer.status)
    };
    let required = Secure::start(&[&flag]);
    assert_eq!(asks(&required, Some(&known)), Some(404));
    assert_eq!(asks(&required, Some(&stranger)), None);
    assert_eq!(asks(&required, None), None);
    let optional = Secure::start(&[&flag, "--tls-client-auth=optional"]);
    assert_eq!(asks(&optional, Some(&known)), Some(404));
    assert_eq!(asks(&optional, Some(&stranger)), None);
    assert_eq!(asks(&optional, None), Some(404));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("files");
    let (one, other) = (authority.sign(&["one"]), authority.sign(&["other"]));
    one.write(dir.path(), "one");
    other.write(dir.path(), "other");
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("empty"), "").expect("written");
    fs::write(path("broken"), "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n")
        .expect("written");
    fs::write(path("garbage"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .expect("written");
    let check = |cert: &str, key: &str, want: &[&str]| {
        let flags = [format!("--tls-cert={}", path(cert)), format!("--tls-key={}", path(key))];
        let data = dir.path().join("data");
        let output = refused_start(&data, &[&flags[0], &flags[1], "--listen=127.0.0.1:0"]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        for words in want {
            assert!(error.contains(words), "{cert} {key}: {error}");
        }
        assert!(!data.exists(), "nothing is made by a start that is refused");
    };
    check("none", "one.key", &["cannot read", &path("none"), "No such file"]);
    check("one.pem", "none", &["cannot read", &path("none")]);
    check("empty", "one.key", &[&path("empty"), "has no PEM certificate"]);
    check("one.key", "one.pem", &[&path("one.key"), "are the two files swapped?"]);
    check("one.pem", "empty", &[&path("empty"), "has no PEM private key"]);
    check("broken", "one.key", &[&path("broken"), "is not valid PEM"]);
    check("garbage", "one.key", &[&path("garbage"), "certificate that cannot be used"]);
    let swapped = format!("the key in {} is not the key", path("other.key"));
    check("one.pem", "other.key", &[&swapped, &path("one.pem")]);
}

#[test]
fn doubtful_dates_are_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("dates");
    authority.sign_until(&["localhost"], 2021).write(dir.path(), "old");
    authority.sign(&["localhost"]).write(dir.path(), "new");
    let server = Server::start_configured(&table(dir.path(), &["old"]), &[]);
    assert!(server.log().contains("the certificate has expired"), "{}", server.log());
    let server = Server::start_configured(&table(dir.path(), &["new"]), &[]);
    assert!(!server.log().contains("certificate"), "{}", server.log());
}
