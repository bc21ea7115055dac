//! The floors of long-polls: one prepared answer per message, sent to everybody who waits; a client
//! that asks from further back gets an answer of its own at once.

use std::io;
use std::net::TcpListener;

use super::SEND_BUFFER_BYTES;
use super::connection::{Connections, Token};
use super::door::{Door, Service};
use super::http::Request;
use super::sends::{Direct, RingSends, Sends};
use super::stream::{Outcome, Stream};
use crate::Failure;

/// epoll, and one send(2) per answer.
pub(crate) fn epoll(listener: TcpListener) -> Result<(), Failure> {
    Ok(Door::new(listener, Some(SEND_BUFFER_BYTES))?.serve(LongPoll::new(Direct))?)
}

/// The answers by one system call for a ring full of them; requests are read as the other one does.
pub(crate) fn uring(listener: TcpListener) -> Result<(), Failure> {
    let mut door = Door::new(listener, Some(SEND_BUFFER_BYTES))?;
    let sends = RingSends::new()?;
    door.watch(&sends)?;
    Ok(door.serve(LongPoll::new(sends))?)
}

struct LongPoll<S> {
    stream: Stream,
    /// All of them wait for what comes after the tail.
    waiting: Vec<Token>,
    /// The first position that those who wait have not seen.
    news: Option<u64>,
    sends: S,
}

impl<S> LongPoll<S> {
    fn new(sends: S) -> LongPoll<S> {
        LongPoll { stream: Stream::new(), waiting: Vec::new(), news: None, sends }
    }
}

impl<S: Sends> Service for LongPoll<S> {
    fn answer(&mut self, from: Token, request: &Request<'_>, out: &mut Vec<u8>) {
        match self.stream.answer(request, out) {
            Outcome::News(position) => self.news = self.news.or(Some(position)),
            Outcome::Wait => self.waiting.push(from),
            // SSE has programs of its own; here no frame follows the first.
            Outcome::Answered | Outcome::Follow => {}
        }
    }

    fn settle(&mut self, connections: &mut Connections) -> io::Result<()> {
        let Some(position) = self.news.take() else { return Ok(()) };
        let page = self.stream.page(position);
        for reader in self.waiting.drain(..) {
            if let Some(connection) = connections.get(reader) {
                self.sends.send(reader, connection, &page)?;
            }
        }
        self.sends.submit(connections)
    }

    fn completed(&mut self, connections: &mut Connections) -> io::Result<()> {
        self.sends.submit(connections)
    }
}
