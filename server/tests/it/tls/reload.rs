//! Certificates are replaced while connections live.

use std::fs;

use super::Secure;
use crate::support::{Events, Request, wait_until};

#[test]
fn new_certificates_are_for_new_connections() {
    let secure = Secure::start(&[]);
    let put = Request::put("a").with("content-type", "text/plain");
    secure.connect().ask(&put).expect_status(201);
    let mut kept = secure.connect();
    let mut events = Events::open(secure.connect(), &Request::get("a?offset=-1&live=sse"));
    events.next_of("control");
    let shown = || {
        let client = secure.connect();
        client.tls().peer_certificates().expect("a certificate")[0].clone().into_owned()
    };
    assert!(shown() == secure.pair.der());

    // By signal.
    let second = secure.authority.sign(&["localhost"]);
    second.write(secure.files.path(), "server");
    secure.server.hang_up();
    wait_until("the second certificate", || shown() == second.der());

    // A file that cannot be used changes nothing.
    let cert = secure.files.path().join("server.pem");
    fs::write(&cert, "no certificate").expect("written");
    secure.server.hang_up();
    wait_until("an error that names the file", || {
        let log = secure.server.log();
        log.contains("the old ones stay in use") && log.contains(&cert.display().to_string())
    });
    assert!(shown() == second.der());

    // By a change of the files alone.
    let third = secure.authority.sign(&["localhost"]);
    third.write(secure.files.path(), "server");
    wait_until("the third certificate", || shown() == third.der());

    // What began before goes on.
    let post = Request::post("a").with("content-type", "text/plain").body("news");
    kept.ask(&post).expect_status(204);
    assert_eq!(events.next_of("data").data, "news");
}
