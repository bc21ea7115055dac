//! HTTP/2 by hand: frames that no library sends.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::PATIENCE;

/// How a client begins.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
/// Of SETTINGS and PING.
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
/// Of DATA and HEADERS.
pub(super) const PADDED: u8 = 8;
/// Of HEADERS: a priority goes before the fields.
pub(super) const WITH_PRIORITY: u8 = 0x20;

impl Frame {
    pub(super) fn new(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Frame {
        Frame { kind, flags, stream, payload: payload.to_vec() }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let length = (self.payload.len() as u32).to_be_bytes();
        let mut out = length[1..].to_vec();
        out.extend([self.kind, self.flags]);
        out.extend(self.stream.to_be_bytes());
        out.extend(&self.payload);
        out
    }

    /// The status of an answer, which comes first in HEADERS.
    pub(super) fn status(&self) -> u16 {
        match self.payload[..] {
            // The static table.
            [index @ 0x88..=0x8e, ..] => {
                [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)]
            }
            // `:status` with a value of its own.
            [0x48, length, ref value @ ..] if length & 0x80 == 0 => {
                let value = &value[..usize::from(length)];
                std::str::from_utf8(value).expect("text").parse().expect("a status")
            }
            [0x48, length, ref value @ ..] => digits(&value[..usize::from(length & 0x7f)]),
            ref other => panic!("no status in {other:x?}"),
        }
    }

    /// The error code of a RST_STREAM or GOAWAY.
    pub(super) fn error(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }
}

/// Three digits in Huffman code: 0 to 2 have five bits, the others six.
fn digits(bytes: &[u8]) -> u16 {
    let bits = bytes.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
    let mut at = 8 * bytes.len();
    let mut next = || {
        let short = bits >> (at - 5) & 0x1f;
        if short <= 2 {
            at -= 5;
            return short;
        }
        at -= 6;
        (bits >> at & 0x3f) - 0x19 + 3
    };
    let value = (0..3).fold(0, |value, _| 10 * value + next());
    u16::try_from(value).expect("a status")
}

/// The fields of a request, none of them compressed.
pub(super) fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in list {
        out.push(0);
        for text in [name, value] {
            // Seven bits of length, more in the next bytes.
            match u8::try_from(text.len()) {
                Ok(length @ 0..127) => out.push(length),
                _ => {
                    out.push(127);
                    let mut rest = text.len() - 127;
                    while rest >= 128 {
                        out.push((rest % 128) as u8 | 128);
                        rest /= 128;
                    }
                    out.push(rest as u8);
                }
            }
            out.extend(text.as_bytes());
        }
    }
    out
}

pub(super) fn get(path: &str) -> Vec<u8> {
    fields(&[(":method", "GET"), (":scheme", "http"), (":authority", "test"), (":path", path)])
}

/// A connection whose frames are written one by one.
pub(super) struct Wire(TcpStream);

impl Wire {
    /// Connects, and sends preface and settings.
    pub(super) fn open(address: SocketAddr) -> Wire {
        let mut wire = Wire::connect(address);
        wire.send(PREFACE);
        wire.send(&Frame::new(SETTINGS, 0, 0, &[]).encode());
        wire
    }

    pub(super) fn connect(address: SocketAddr) -> Wire {
        let socket = TcpStream::connect(address).expect("a connection");
        socket.set_nodelay(true).expect("no delay");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Wire(socket)
    }

    /// Sends as much as the server takes.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// The next frame; `None` at the end of the connection.
    pub(super) fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.read(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length as usize];
        self.read(&mut payload)?;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of a kind.
    pub(super) fn next_of(&mut self, kind: u8) -> Option<Frame> {
        std::iter::from_fn(|| self.next()).find(|frame| frame.kind == kind)
    }

    fn read(&mut self, buf: &mut [u8]) -> Option<()> {
        match self.0.read_exact(buf) {
            Ok(()) => Some(()),
            Err(error) => {
                let timed_out = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                assert!(!timed_out, "it took too long");
                None
            }
        }
    }
}
