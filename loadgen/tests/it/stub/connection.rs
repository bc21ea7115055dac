//! One connection: requests out of bytes, answers into the socket as far as it takes them.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// A connection.
pub(super) struct Connection {
    pub(super) socket: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Close it when everything is sent.
    pub(super) ends: bool,
    pub(super) live: Option<Live>,
    /// A message that comes after the next one.
    pub(super) held: Option<Vec<u8>>,
}

/// A reader that waits for messages.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) stream: String,
    /// It gets no control events.
    pub(super) plain: bool,
    /// Messages that it has.
    pub(super) at: usize,
    /// Of a long poll: when it is answered in any case.
    pub(super) until: Option<Instant>,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    /// The head's lines but the first.
    pub(super) fields: String,
    pub(super) body: Vec<u8>,
}

impl Connection {
    pub(super) fn new(socket: TcpStream) -> Connection {
        let (input, output) = (Vec::new(), Vec::new());
        Connection { socket, input, output, ends: false, live: None, held: None }
    }

    /// Reads what there is. `false`: the connection is over.
    pub(super) fn read(&mut self) -> bool {
        let mut buf = [0; 64 * 1024];
        loop {
            match self.socket.read(&mut buf) {
                Ok(0) => return false,
                Ok(read) => self.input.extend_from_slice(&buf[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    pub(super) fn next_request(&mut self) -> Option<Request> {
        let end = self.input.windows(4).position(|end| end == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.input[..end]).into_owned();
        let (first, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
        let mut words = first.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            fields: fields.to_owned(),
            body: Vec::new(),
        };
        let length = request.field("content-length").map_or(0, |value| value.parse().unwrap());
        if self.input.len() < end + 4 + length {
            return None;
        }
        request.body = self.input[end + 4..end + 4 + length].to_vec();
        self.input.drain(..end + 4 + length);
        Some(request)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Whether the socket has not taken everything.
    pub(super) fn is_blocked(&self) -> bool {
        !self.output.is_empty()
    }

    /// Hands on what the socket takes. `false`: the connection is over.
    pub(super) fn flush(&mut self) -> bool {
        let mut sent = 0;
        while sent < self.output.len() {
            match self.socket.write(&self.output[sent..]) {
                Ok(written) => sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.output.drain(..sent);
        !(self.ends && self.output.is_empty())
    }
}

impl Request {
    /// The value of a header field.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.fields.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The value of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}
