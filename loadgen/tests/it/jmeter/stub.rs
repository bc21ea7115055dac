//! A server that knows enough of the protocol for the example plan: JSON streams in memory, one
//! thread per connection.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Messages by path.
type Streams = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// It runs until the process ends.
pub(crate) struct Stub(u16);

impl Stub {
    pub(crate) fn start() -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let streams = Streams::default();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let streams = Arc::clone(&streams);
                thread::spawn(move || serve(connection, &streams));
            }
        });
        Stub(port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0
    }
}

fn serve(mut connection: TcpStream, streams: &Streams) {
    let Ok(other) = connection.try_clone() else { return };
    let mut reader = BufReader::new(other);
    while let Some((method, path, body)) = request(&mut reader) {
        let answer = answer(&method, &path, body, streams);
        if connection.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(reader: &mut impl BufRead) -> Option<(String, String, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim().split_once(':') {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()?;
            }
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, String::from_utf8(body).ok()?))
}

fn answer(method: &str, path: &str, body: String, streams: &Streams) -> String {
    let mut streams = streams.lock().expect("no one panicked");
    let (name, query) = path.split_once('?').unwrap_or((path, ""));
    let there = streams.contains_key(name);
    match method {
        "PUT" if there => reply("200 OK", 0, ""),
        "PUT" => {
            streams.insert(name.to_owned(), Vec::new());
            reply("201 Created", 0, "")
        }
        _ if !there => reply("404 Not Found", 0, ""),
        "DELETE" => {
            streams.remove(name);
            reply("204 No Content", 0, "")
        }
        _ => {
            let messages = streams.entry(name.to_owned()).or_default();
            if method == "POST" {
                messages.push(body);
                return reply("204 No Content", messages.len(), "");
            }
            let from = query.strip_prefix("offset=").and_then(|from| from.parse().ok());
            let tail = messages.get(from.unwrap_or(0)..).unwrap_or_default();
            reply("200 OK", messages.len(), &format!("[{}]", tail.join(",")))
        }
    }
}

fn reply(status: &str, offset: usize, body: &str) -> String {
    // A 204 has no body and so no length.
    let length = match status {
        "204 No Content" => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nStream-Next-Offset: {offset}\r\n\
         {length}\r\n{body}"
    )
}
