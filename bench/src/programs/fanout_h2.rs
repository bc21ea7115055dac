//! The floor of SSE over HTTP/2: one prepared buffer per message and connection, with a frame for
//! each of its readers, and one send for it.
//!
//! Deliberately absent: reading fields (a GET follows the stream, a POST appends to it), windows
//! (the generator's are larger than what is under way), and everything that other clients need.

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;

use bytes::Bytes;

use super::SEND_BUFFER_BYTES;
use super::connection::{Connection, Connections, Token};
use super::door::{Door, Service};
use super::http::{Malformed, Request};
use super::sends::{RingSends, Sends};
use super::stream::Stream;
use crate::Failure;

/// io_uring: one system call for all connections.
pub(crate) fn uring(listener: TcpListener) -> Result<(), Failure> {
    let mut door = Door::new(listener, Some(SEND_BUFFER_BYTES))?;
    let sends = RingSends::new()?;
    door.watch(&sends)?;
    let (stream, clients, news) = (Stream::new(), HashMap::new(), Vec::new());
    Ok(door.serve(Fanout { stream, clients, news, sends })?)
}

struct Fanout {
    stream: Stream,
    clients: HashMap<u64, Client>,
    /// Where messages begin that are not sent yet.
    news: Vec<u64>,
    sends: RingSends,
}

/// One connection.
#[derive(Default)]
struct Client {
    /// Not understood yet.
    input: Vec<u8>,
    greeted: bool,
    /// Streams that follow.
    readers: Vec<u32>,
    /// The body that comes.
    body: Vec<u8>,
}

impl Service for Fanout {
    fn answer(&mut self, _: Token, _: &Request<'_>, _: &mut Vec<u8>) {}

    fn receive(
        &mut self,
        from: Token,
        _: &mut Connection,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let client = self.clients.entry(from.0).or_default();
        client.input.extend_from_slice(bytes);
        let mut taken = 0;
        if !client.greeted {
            if client.input.len() < PREFACE_BYTES {
                return Ok(());
            }
            taken = PREFACE_BYTES;
            client.greeted = true;
            frame(out, SETTINGS, 0, 0, b"");
        }
        while let Some((kind, flags, id, payload)) = next(&client.input[taken..]) {
            taken += HEAD_BYTES + payload.len();
            match kind {
                SETTINGS if flags & ACK == 0 => frame(out, SETTINGS, ACK, 0, b""),
                PING if flags & ACK == 0 => frame(out, PING, ACK, 0, payload),
                HEADERS => match request(flags, payload) {
                    GET => {
                        client.readers.push(id);
                        frame(out, HEADERS, END_HEADERS, id, &[STATUS_200]);
                        let position = self.stream.tail_position();
                        frame(out, DATA, 0, id, events(&self.stream.frame(position)));
                    }
                    POST => client.body.clear(),
                    _ => frame(out, HEADERS, END_HEADERS | END_STREAM, id, STATUS_201),
                },
                DATA => {
                    client.body.extend_from_slice(payload);
                    if flags & END_STREAM != 0 {
                        self.news.extend(self.stream.store(&client.body));
                        frame(out, HEADERS, END_HEADERS | END_STREAM, id, &[STATUS_204]);
                    }
                }
                _ => {}
            }
        }
        client.input.drain(..taken);
        Ok(())
    }

    fn settle(&mut self, connections: &mut Connections) -> io::Result<()> {
        for position in std::mem::take(&mut self.news) {
            let whole = self.stream.frame(position);
            let event = events(&whole);
            // As a rule all connections have the same streams: one buffer for all of them.
            let mut made: Option<(Vec<u32>, Bytes)> = None;
            let mut sent = Ok(());
            self.clients.retain(|token, client| {
                let Some(connection) = connections.get(Token(*token)) else { return false };
                if client.readers.is_empty() || sent.is_err() {
                    return true;
                }
                let frames = match &made {
                    Some((readers, frames)) if *readers == client.readers => frames.clone(),
                    _ => {
                        let mut frames = Vec::new();
                        client
                            .readers
                            .iter()
                            .for_each(|id| frame(&mut frames, DATA, 0, *id, event));
                        made.insert((client.readers.clone(), Bytes::from(frames))).1.clone()
                    }
                };
                sent = self.sends.send(Token(*token), connection, &frames);
                true
            });
            sent?;
            self.sends.submit(connections)?;
        }
        Ok(())
    }

    fn completed(&mut self, connections: &mut Connections) -> io::Result<()> {
        self.sends.submit(connections)
    }
}

/// The first frame, once it is whole: its type, flags, stream and payload.
fn next(input: &[u8]) -> Option<(u8, u8, u32, &[u8])> {
    let (head, rest) = input.split_at_checked(HEAD_BYTES)?;
    let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let id = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
    Some((head[3], head[4], id, rest.get(..len)?))
}

/// The method, as the generator's library writes it: the first field, by its place in the static
/// table.
fn request(flags: u8, payload: &[u8]) -> u8 {
    let at = if flags & PRIORITY == 0 { 0 } else { 5 };
    payload.get(at).copied().unwrap_or_default()
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(payload);
}

/// What is in a chunk of HTTP/1.1.
fn events(chunk: &[u8]) -> &[u8] {
    let begin = chunk.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    chunk.get(begin..chunk.len().saturating_sub(2)).unwrap_or_default()
}

const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PRIORITY: u8 = 0x20;
/// Fields of the static table.
const GET: u8 = 0x82;
const POST: u8 = 0x83;
const STATUS_200: u8 = 0x88;
const STATUS_204: u8 = 0x89;
/// A literal under the name of a status.
const STATUS_201: &[u8] = &[0x08, 3, b'2', b'0', b'1'];
