//! A client that does exactly one thing after the other.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::Failure;

pub(super) struct Client {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Client {
    pub(super) fn connect(port: u16) -> Result<Client, Failure> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client { stream, input: Vec::new() })
    }

    pub(super) fn several(port: u16, count: u32) -> Result<Vec<Client>, Failure> {
        (0..count).map(|_| Client::connect(port)).collect()
    }

    pub(super) fn send(&mut self, request: &[u8]) -> Result<(), Failure> {
        Ok(self.stream.write_all(request)?)
    }

    /// The head of an answer that must have this status and no body of a known length.
    pub(super) fn answer(&mut self, status: &str) -> Result<(), Failure> {
        let head = self.until(b"\r\n\r\n")?;
        match head.split(' ').nth(1) {
            Some(found) if found == status => Ok(()),
            _ => Err(format!("expected an answer with status {status}, got {head}").into()),
        }
    }

    pub(super) fn exchange(&mut self, request: &[u8], status: &str) -> Result<(), Failure> {
        self.send(request)?;
        self.answer(status)
    }

    /// A frame up to the end of its control event.
    pub(super) fn frame(&mut self) -> Result<(), Failure> {
        self.until(b"}\n\n\r\n").map(drop)
    }

    fn until(&mut self, end: &[u8]) -> Result<String, Failure> {
        loop {
            if let Some(at) = self.input.windows(end.len()).position(|window| window == end) {
                let taken: Vec<u8> = self.input.drain(..at + end.len()).collect();
                return Ok(String::from_utf8_lossy(&taken).into_owned());
            }
            let mut buf = [0; 4096];
            match self.stream.read(&mut buf)? {
                0 => return Err("the server has closed the connection".into()),
                read => self.input.extend_from_slice(&buf[..read]),
            }
        }
    }
}

/// Under callgrind everything takes fifty times as long.
const PATIENCE: Duration = Duration::from_secs(60);
