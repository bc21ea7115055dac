//! Each deadline passes, and is counted by what was waited for.

use crate::operations::metrics::{scrape, value};
use crate::support::{Request, Server, wait_until};
use crate::tls::Secure;

fn passed(server: &Server, deadline: &str) -> f64 {
    let label = format!("deadline=\"{deadline}\"");
    value(&scrape(server), "thalweg_deadlines_passed_total", &[&label])
}

#[test]
fn http_1() {
    let toml = "[limits]\nrequest_head_timeout = '300ms'\nbody_stall_timeout = '300ms'\n\
                keep_alive_timeout = '400ms'\nwrite_stall_timeout = '300ms'";
    let server = Server::start_configured(toml, &["--admin=127.0.0.1:0"]);
    server.connect().expect_end();
    wait_until("idle", || passed(&server, "idle") >= 1.0);

    let mut head = server.connect();
    head.send("GET / HT");
    head.answer().expect_problem(408, "request-timeout");
    wait_until("a head", || passed(&server, "head") == 1.0);

    server.put("a", "text/plain", "").expect_status(201);
    let mut body = server.connect();
    let append = Request::post("a").with("content-type", "text/plain").body("12345").encode();
    body.send(&append[..append.len() - 1]);
    body.answer().expect_problem(408, "request-timeout");
    wait_until("a body", || passed(&server, "body") == 1.0);

    // A live reader that reads nothing. What it is to get is more than all buffers on the way hold,
    // in pieces that are small, so that the least rate allows them little time.
    let mut reader = server.connect();
    reader.send(Request::get("a?offset=-1&live=sse").encode());
    reader.head().expect_status(200);
    let piece = vec![b'x'; 16 * 1024];
    wait_until("a write", || {
        for _ in 0..64 {
            server.post("a", "text/plain", &piece).expect_status(204);
        }
        passed(&server, "write") == 1.0
    });
}

#[test]
fn tls() {
    let toml = "[limits]\ntls_handshake_timeout = '300ms'";
    let secure = Secure::start_configured(toml, &["--admin=127.0.0.1:0"]);
    secure.server.connect().expect_end();
    wait_until("a handshake", || passed(&secure.server, "handshake") == 1.0);
}

#[test]
fn http_2() {
    let toml = "[limits]\nrequest_head_timeout = '300ms'\nkeep_alive_timeout = '400ms'";
    let server = Server::start_configured(toml, &["--admin=127.0.0.1:0"]);
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut slow = server.connect();
    slow.send(&preface[..preface.len() - 1]);
    assert!(slow.rest().is_ok());
    wait_until("a preface", || passed(&server, "head") == 1.0);
    // A client that never says what it can do; one with nothing under way; and one that never ends
    // a head, which does not put it off.
    let idle = passed(&server, "idle");
    let settings = "\0\0\0\u{4}\0\0\0\0\0";
    let half_a_head = "\0\0\u{1}\u{1}\0\0\0\0\u{1}\u{2}";
    for [first, second] in [["", ""], [settings, ""], [settings, half_a_head]] {
        let mut client = server.connect();
        client.send(format!("{preface}{first}{second}"));
        assert!(client.rest().is_ok());
    }
    wait_until("all", || passed(&server, "idle") >= idle + 3.0);
}
