//! A raw HTTP/1.1 client: sends any bytes, reads one answer at a time, and takes no liberties of
//! the server.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use rustls::{ClientConnection, Stream};

use super::{BASE, PATIENCE};

/// A request for a stream.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: &'static str,
    target: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// One connection.
pub(crate) struct Client {
    socket: TcpStream,
    /// Over the socket, if there is any.
    tls: Option<Box<ClientConnection>>,
    /// What has come beyond the last answer.
    buffer: Vec<u8>,
}

impl Request {
    /// `target` is relative to the base path unless it begins with a slash.
    pub(crate) fn new(method: &'static str, target: &str) -> Request {
        let target = match target.starts_with('/') {
            true => target.to_owned(),
            false => format!("{BASE}/{target}"),
        };
        Request { method, target, fields: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn get(target: &str) -> Request {
        Request::new("GET", target)
    }

    pub(crate) fn head(target: &str) -> Request {
        Request::new("HEAD", target)
    }

    pub(crate) fn put(target: &str) -> Request {
        Request::new("PUT", target)
    }

    pub(crate) fn post(target: &str) -> Request {
        Request::new("POST", target)
    }

    pub(crate) fn delete(target: &str) -> Request {
        Request::new("DELETE", target)
    }

    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Request {
        self.fields.push((name.to_owned(), value.to_string()));
        self
    }

    /// The three fields of an idempotent producer.
    pub(crate) fn producer(self, id: &str, epoch: u64, seq: u64) -> Request {
        self.with("producer-id", id).with("producer-epoch", epoch).with("producer-seq", seq)
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Request {
        self.body = body.as_ref().to_vec();
        self
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\nhost: test\r\n", self.method, self.target);
        for (name, value) in &self.fields {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() || matches!(self.method, "PUT" | "POST") {
            out.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        out.push_str("\r\n");
        let mut out = out.into_bytes();
        out.extend_from_slice(&self.body);
        out
    }
}

impl Response {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&self.body)))
    }

    /// `code` of a problem; empty if there is none.
    pub(crate) fn code(&self) -> String {
        let body = serde_json::from_slice::<serde_json::Value>(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The tail, or where to read on.
    #[track_caller]
    pub(crate) fn next_offset(&self) -> &str {
        self.field("stream-next-offset").expect("Stream-Next-Offset")
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.field("stream-closed") == Some("true")
    }

    #[track_caller]
    pub(crate) fn expect_status(self, status: u16) -> Response {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{:?} {body:.500}", self.fields);
        self
    }

    /// Checks status and code of a refusal, and that it is a problem document with both.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Response {
        let body = String::from_utf8_lossy(&self.body).into_owned();
        assert_eq!((self.status, self.code().as_str()), (status, code), "{body}");
        assert_eq!(self.field("content-type"), Some("application/problem+json"), "{body}");
        assert_eq!(self.field("cache-control"), Some("no-store"), "{body}");
        assert_eq!(self.json()["status"], status, "{body}");
        assert!(self.json()["detail"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
        self
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).expect("a connection"))
    }

    pub(crate) fn over(socket: TcpStream) -> Client {
        socket.set_nodelay(true).expect("no delay");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Client { socket, tls: None, buffer: Vec::new() }
    }

    /// Connects, and shakes hands.
    pub(crate) fn secure(address: SocketAddr, tls: ClientConnection) -> Client {
        let mut client = Client::connect(address);
        client.tls = Some(Box::new(tls));
        client.shake_hands().expect("a handshake");
        client
    }

    /// Connects; the error is what the handshake ended with.
    pub(crate) fn try_secure(address: SocketAddr, tls: ClientConnection) -> Result<Client, String> {
        let mut client = Client::connect(address);
        client.tls = Some(Box::new(tls));
        client.shake_hands().map(|()| client).map_err(|error| error.to_string())
    }

    fn shake_hands(&mut self) -> std::io::Result<()> {
        let Client { socket, tls: Some(tls), .. } = self else { return Ok(()) };
        while tls.is_handshaking() {
            tls.complete_io(socket)?;
        }
        Ok(())
    }

    /// What the handshake came to.
    pub(crate) fn tls(&self) -> &ClientConnection {
        self.tls.as_ref().expect("TLS")
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        assert!(self.try_send(bytes), "sent");
    }

    /// Sends what the server may not want any more: it may have closed the connection.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let Client { socket, tls, .. } = self;
        match tls {
            None => socket.write_all(bytes.as_ref()).is_ok(),
            Some(tls) => Stream::new(&mut **tls, socket).write_all(bytes.as_ref()).is_ok(),
        }
    }

    /// Says that no more requests come.
    pub(crate) fn finish(&mut self) {
        // The server may have closed already.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Sends a request and reads its answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Request) -> Response {
        self.send(request.encode());
        self.answer_to(request.method)
    }

    /// Reads the answer to a request that may have a body.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Response {
        self.answer_to("GET")
    }

    /// Reads the answer to a request with this method.
    #[track_caller]
    pub(crate) fn answer_to(&mut self, method: &str) -> Response {
        match self.try_answer_to(method) {
            Ok(Some(response)) => response,
            Ok(None) => panic!("the connection ended before an answer"),
            Err(what) => panic!("{what}"),
        }
    }

    /// Reads an answer; `None` if the connection ends cleanly before its first byte.
    pub(crate) fn try_answer_to(&mut self, method: &str) -> Result<Option<Response>, String> {
        let Some(mut response) = self.try_head()? else { return Ok(None) };
        let length = response.field("content-length").map(str::to_owned);
        let chunked = response.field("transfer-encoding") == Some("chunked");
        if method == "HEAD" || matches!(response.status, 100..=199 | 204 | 304) {
            if chunked || response.status != 200 && length.is_some() && method != "HEAD" {
                return Err(format!("a body where there is none: {response:?}"));
            }
            return Ok(Some(response));
        }
        response.body = match (length, chunked) {
            (Some(length), false) => {
                let length = length.parse().map_err(|_| format!("length {length:?}"))?;
                self.take(length)?
            }
            (None, true) => {
                let mut body = Vec::new();
                while let Some(chunk) = self.try_chunk()? {
                    body.extend(chunk);
                }
                body
            }
            (None, false) => self.rest()?,
            (Some(_), true) => return Err("both length and chunks".to_owned()),
        };
        Ok(Some(response))
    }

    /// Reads the head of an answer whose body goes on.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Response {
        self.try_head().expect("a head").expect("an answer")
    }

    /// Reads one chunk of a chunked body; `None` at its proper end.
    pub(crate) fn try_chunk(&mut self) -> Result<Option<Vec<u8>>, String> {
        let line = self.line()?.ok_or("the connection ended between two chunks")?;
        let size = usize::from_str_radix(&line, 16).map_err(|_| format!("chunk size {line:?}"))?;
        let data = self.take(size)?;
        if self.take(2)? != b"\r\n" {
            return Err("a chunk without CRLF".to_owned());
        }
        Ok((size > 0).then_some(data))
    }

    /// Everything up to the end of the connection.
    pub(crate) fn rest(&mut self) -> Result<Vec<u8>, String> {
        while self.fill()? {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Checks that the server ends the connection and sends nothing more.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let rest = self.rest().expect("a clean end");
        assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    }

    fn try_head(&mut self) -> Result<Option<Response>, String> {
        let Some(first) = self.line()? else { return Ok(None) };
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split_once(' '));
        let (status, _) = status.ok_or_else(|| format!("status line {first:?}"))?;
        let status = status.parse().map_err(|_| format!("status {status:?}"))?;
        let mut fields: Vec<(String, String)> = Vec::new();
        loop {
            let line = self.line()?.ok_or("the connection ended within a head")?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").ok_or_else(|| format!("field {line:?}"))?;
            let name = name.to_lowercase();
            if fields.iter().any(|(key, _)| *key == name && name != "vary") {
                return Err(format!("{name} twice in {fields:?}"));
            }
            fields.push((name, value.to_owned()));
        }
        Ok(Some(Response { status, fields, body: Vec::new() }))
    }

    /// A line without its CRLF; `None` if the connection ends before its first byte.
    fn line(&mut self) -> Result<Option<String>, String> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=searched + at).collect();
                line.pop();
                if line.pop() != Some(b'\r') || line.contains(&b'\r') {
                    return Err(format!("line end of {:?}", String::from_utf8_lossy(&line)));
                }
                return String::from_utf8(line).map(Some).map_err(|error| error.to_string());
            }
            searched = self.buffer.len();
            if !self.fill()? {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err("the connection ended within a line".to_owned()),
                };
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, String> {
        while self.buffer.len() < length {
            if !self.fill()? {
                return Err(format!("ended {} bytes early", length - self.buffer.len()));
            }
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    /// Reads more; false at the end.
    fn fill(&mut self) -> Result<bool, String> {
        let mut chunk = [0; 16 * 1024];
        loop {
            let Client { socket, tls, .. } = self;
            let read = match tls {
                None => socket.read(&mut chunk),
                Some(tls) => Stream::new(&mut **tls, socket).read(&mut chunk),
            };
            match read {
                Ok(0) => return Ok(false),
                Ok(read) => {
                    self.buffer.extend_from_slice(&chunk[..read]);
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("read: {error}")),
            }
        }
    }
}
