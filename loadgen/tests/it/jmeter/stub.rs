//! A server that knows enough for the plans here, one thread per connection: JSON streams in
//! memory, `/echo` that answers what it was sent, `/status/404`, and `/slow/300`, which takes so
//! many milliseconds.
//!
//! It keeps what it was sent, except to streams and to `/echo/by-chance`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// It runs until the process ends.
pub(crate) struct Stub {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Messages by path.
    streams: Mutex<BTreeMap<String, Vec<String>>>,
    requests: Mutex<BTreeMap<String, u64>>,
}

/// A request, as far as it matters here.
struct Request {
    method: String,
    target: String,
    /// Names in lower case.
    fields: BTreeMap<String, String>,
    body: String,
}

impl Stub {
    pub(crate) fn start() -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let stub = Stub { port, shared: Arc::default() };
        let shared = Arc::clone(&stub.shared);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(connection, &shared));
            }
        });
        stub
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What it was sent, and how often: method, target, the fields that plans set, body.
    pub(crate) fn requests(&self) -> BTreeMap<String, u64> {
        self.shared.requests.lock().expect("no one panicked").clone()
    }
}

impl Request {
    fn read(reader: &mut impl BufRead) -> Option<Request> {
        let line = line(reader)?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut fields = BTreeMap::new();
        loop {
            let line = self::line(reader)?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            fields.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = fields.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        Some(Request { method, target, fields, body: String::from_utf8(body).ok()? })
    }

    fn is_kept(&self) -> bool {
        let fixed = ["/echo", "/status", "/slow"].iter().any(|path| self.target.starts_with(path));
        fixed && !self.target.starts_with("/echo/by-chance")
    }

    /// On one line; without the fields that each program sends in its own way.
    fn summary(&self) -> String {
        let ours = |name: &str| name.starts_with("x-") || name == "content-type";
        let fields = self.fields.iter().filter(|(name, _)| ours(name));
        let fields: Vec<String> = fields.map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} {} {} {:?}", self.method, self.target, fields.join(" "), self.body)
    }
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok().filter(|length| *length > 0)?;
    Some(String::from_utf8_lossy(&line).into_owned())
}

fn serve(mut connection: TcpStream, shared: &Shared) {
    let Ok(other) = connection.try_clone() else { return };
    let mut reader = BufReader::new(other);
    while let Some(request) = Request::read(&mut reader) {
        if request.is_kept() {
            let mut requests = shared.requests.lock().expect("no one panicked");
            *requests.entry(request.summary()).or_default() += 1;
        }
        let answer = answer(&request, shared);
        if connection.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(request: &Request, shared: &Shared) -> String {
    let path = request.target.split('?').next().unwrap_or_default();
    let mut words = path.trim_start_matches('/').splitn(2, '/');
    match (words.next(), words.next()) {
        (Some("echo"), _) => echo(request),
        (Some("status"), Some(status)) => reply(status, 0, &format!("{{\"status\":{status}}}")),
        (Some("slow"), Some(millis)) => {
            thread::sleep(Duration::from_millis(millis.parse().expect("milliseconds")));
            echo(request)
        }
        _ => stream(request, path, shared),
    }
}

fn echo(request: &Request) -> String {
    let Request { method, target, fields, body } = request;
    let value = serde_json::json!({
        "method": method, "target": target, "fields": fields, "body": body, "nothing": null,
        "list": [1, 2.5, "drei"],
    });
    reply("200", 0, &value.to_string())
}

fn stream(request: &Request, path: &str, shared: &Shared) -> String {
    let mut streams = shared.streams.lock().expect("no one panicked");
    let there = streams.contains_key(path);
    match request.method.as_str() {
        "PUT" if there => reply("200", 0, ""),
        "PUT" => {
            streams.insert(path.to_owned(), Vec::new());
            reply("201", 0, "")
        }
        _ if !there => reply("404", 0, ""),
        "DELETE" => {
            streams.remove(path);
            reply("204", 0, "")
        }
        method => {
            let messages = streams.entry(path.to_owned()).or_default();
            if method == "POST" {
                messages.push(request.body.clone());
                return reply("204", messages.len(), "");
            }
            let query = request.target.split_once('?').map_or("", |(_, query)| query);
            let from = query.strip_prefix("offset=").and_then(|from| from.parse().ok());
            let tail = messages.get(from.unwrap_or(0)..).unwrap_or_default();
            reply("200", messages.len(), &format!("[{}]", tail.join(",")))
        }
    }
}

fn reply(status: &str, offset: usize, body: &str) -> String {
    // Without a body there is no length either.
    let (length, body) = match status {
        "204" | "304" => (String::new(), ""),
        _ => (format!("Content-Length: {}\r\n", body.len()), body),
    };
    format!(
        "HTTP/1.1 {status} It is {status}\r\nContent-Type: application/json; charset=utf-8\r\n\
         Location: /echo\r\nStream-Next-Offset: {offset}\r\n{length}\r\n{body}"
    )
}
