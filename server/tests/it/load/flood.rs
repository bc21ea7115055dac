//! A server that sends more than its readers can take, and never comes to an end.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::{Files, load};

const LIVE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
                      event: control\ndata: {\"streamNextOffset\":\"0\",\"upToDate\":true}\n\n";

/// Answers requests until the client leaves; a live reader gets messages that nobody sent.
fn serve(connection: &TcpStream) -> std::io::Result<()> {
    let mut to = connection;
    let mut from = BufReader::new(connection);
    let mut line = String::new();
    while from.read_line(&mut line)? > 0 {
        let live = line.contains("live=sse");
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            from.read_line(&mut line)?;
            let lower = line.to_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        std::io::copy(&mut std::io::Read::take(&mut from, length), &mut std::io::sink())?;
        if live {
            to.write_all(LIVE)?;
            let event = "event: data\ndata: [{\"not\":\"ours\"}]\n\n".repeat(1000);
            loop {
                to.write_all(event.as_bytes())?;
            }
        }
        to.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        line.clear();
    }
    Ok(())
}

#[test]
fn readers_that_never_catch_up_are_not_forgotten() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/x", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for connection in listener.incoming() {
            let connection = connection.expect("a connection");
            // The client leaves when it has seen enough.
            thread::spawn(move || drop(serve(&connection)));
        }
    });
    let files = Files::new();
    let summary = files.path("s.json");
    let words = ["fanout", "--url", &url, "--readers=8", "--rate=5", "--duration=2s", "-q"];
    let ran = load(&[&words[..], &["--drain=500ms", "--summary", &summary]].concat()).expect(1);
    let summary = files.json("s.json");
    assert_eq!(summary["deliveries"][0]["readers"], 8, "{}", ran.stdout);
    assert_eq!((&summary["expected"], &summary["lost"]), (&80.into(), &80.into()));
}
