//! Connections of the floors: what has come of a request, and what a socket did not take yet.

use std::collections::VecDeque;
use std::fs::File;
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;

use bytes::Bytes;
use rustix::io::Errno;
use rustix::net::SendFlags;

use super::http::{Malformed, Request};

/// Names a connection for as long as the process lives: its slot, and how often that was used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token(pub(crate) u64);

#[derive(Default)]
pub(crate) struct Connections {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    connection: Option<Connection>,
    /// It is gone, but the ring has not let go of it.
    gone: bool,
}

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    /// The beginning of a request.
    input: Vec<u8>,
    unsent: VecDeque<Piece>,
    /// What the ring sends at present; everything else waits for it.
    pub(crate) sending: Option<Bytes>,
}

/// What is sent.
pub(crate) enum Piece {
    Bytes(Bytes),
    /// So many bytes of a file, from an offset.
    File(Rc<File>, u64, usize),
}

impl Token {
    fn new(slot: u32, generation: u32) -> Token {
        Token(u64::from(generation) << 32 | u64::from(slot))
    }

    pub(crate) fn slot(self) -> u32 {
        self.0 as u32
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl Connections {
    pub(crate) fn add(&mut self, connection: Connection) -> Token {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let place = &mut self.slots[slot as usize];
        place.connection = Some(connection);
        Token::new(slot, place.generation)
    }

    /// `None`: it is gone.
    pub(crate) fn get(&mut self, token: Token) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(token.slot() as usize)?;
        slot.connection.as_mut().filter(|_| slot.generation == token.generation() && !slot.gone)
    }

    /// Closes a connection, or at least ends it if the ring still sends: the slot's number stands
    /// for it there.
    pub(crate) fn remove(&mut self, token: Token) {
        let Some(connection) = self.get(token) else { return };
        if connection.sending.is_some() {
            // It may be lost already.
            let _ = connection.stream.shutdown(Shutdown::Both);
            self.slots[token.slot() as usize].gone = true;
        } else {
            self.free(token.slot());
        }
    }

    /// The connection of which the ring says that a send has ended.
    pub(crate) fn sent(&mut self, slot: u32) -> Option<(Token, &mut Connection)> {
        if self.slots.get(slot as usize)?.gone {
            self.free(slot);
        }
        let place = &mut self.slots[slot as usize];
        let token = Token::new(slot, place.generation);
        place.connection.as_mut().map(|connection| (token, connection))
    }

    fn free(&mut self, slot: u32) {
        let generation = self.slots[slot as usize].generation.wrapping_add(1);
        self.slots[slot as usize] = Slot { generation, ..Slot::default() };
        self.free.push(slot);
    }
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Connection {
        Connection { stream, input: Vec::new(), unsent: VecDeque::new(), sending: None }
    }

    /// Takes bytes that have come, and has every whole request answered into `out`.
    pub(crate) fn take(
        &mut self,
        bytes: &[u8],
        mut answer: impl FnMut(&Request<'_>, &mut Vec<u8>),
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let mut all = |mut input: &[u8]| {
            let begin = input.len();
            while let Some((request, length)) = Request::first(input)? {
                answer(&request, out);
                input = &input[length..];
            }
            Ok(begin - input.len())
        };
        if self.input.is_empty() {
            // As a rule a request comes whole, and alone.
            let taken = all(bytes)?;
            self.input.extend_from_slice(&bytes[taken..]);
        } else {
            self.input.extend_from_slice(bytes);
            let taken = all(&self.input)?;
            self.input.drain(..taken);
        }
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        Ok(())
    }

    /// Sends bytes that are not kept; what the socket does not take is copied.
    pub(crate) fn send_copy(&mut self, bytes: &[u8]) {
        let sent = if self.is_free() { self.try_send(bytes) } else { 0 };
        if sent < bytes.len() {
            self.unsent.push_back(Piece::Bytes(Bytes::copy_from_slice(&bytes[sent..])));
        }
    }

    /// Sends shared bytes: one send(2) if nothing waits.
    pub(crate) fn send(&mut self, bytes: &Bytes) {
        let sent = if self.is_free() { self.try_send(bytes) } else { 0 };
        if sent < bytes.len() {
            self.unsent.push_back(Piece::Bytes(bytes.slice(sent..)));
        }
    }

    /// Puts a piece behind what waits.
    pub(crate) fn push(&mut self, piece: Piece) {
        self.unsent.push_back(piece);
    }

    /// Takes out what the ring is to send next.
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        match self.unsent.pop_front() {
            Some(Piece::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// Puts back what the ring did not get rid of.
    pub(crate) fn push_front(&mut self, bytes: Bytes) {
        self.unsent.push_front(Piece::Bytes(bytes));
    }

    /// Sends what waits, as far as the socket takes it.
    pub(crate) fn flush(&mut self) {
        while self.sending.is_none()
            && let Some(piece) = self.unsent.pop_front()
        {
            let rest = match piece {
                Piece::Bytes(bytes) => {
                    let sent = self.try_send(&bytes);
                    (sent < bytes.len()).then(|| Piece::Bytes(bytes.slice(sent..)))
                }
                Piece::File(file, offset, length) => {
                    let sent = self.try_send_file(&file, offset, length);
                    let rest = Piece::File(file, offset + sent as u64, length - sent);
                    (sent < length).then_some(rest)
                }
            };
            if let Some(rest) = rest {
                self.unsent.push_front(rest);
                return;
            }
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_free(&self) -> bool {
        self.unsent.is_empty() && self.sending.is_none()
    }

    /// How much the socket took. An error is also an event, upon which the connection ends.
    fn try_send(&self, bytes: &[u8]) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        rustix::net::send(&self.stream, bytes, SendFlags::NOSIGNAL).unwrap_or(0)
    }

    fn try_send_file(&self, file: &File, offset: u64, length: usize) -> usize {
        let mut sent = 0;
        while sent < length {
            let mut at = offset + sent as u64;
            match rustix::fs::sendfile(&self.stream, file, Some(&mut at), length - sent) {
                Ok(more @ 1..) => sent += more,
                Err(Errno::INTR) => {}
                _ => break,
            }
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_one_connection_only() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let connect =
            || Connection::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let mut connections = Connections::default();
        let (first, second) = (connections.add(connect()), connections.add(connect()));
        connections.remove(first);
        connections.remove(first);
        let third = connections.add(connect());
        assert_eq!(third.slot(), first.slot());
        assert!(connections.get(first).is_none());
        assert!(connections.get(second).is_some() && connections.get(third).is_some());
        assert_eq!(connections.slots.len(), 2);
    }
}
