//! The floors of SSE: one prepared frame per message, sent to every reader, one after the other.
//!
//! What is left out is what a server does for a living: finding the stream, deciding, storing,
//! following where each reader is, deadlines, and putting several messages into one send. A loop
//! that sends each message to each reader by itself falls behind without bound when messages come
//! faster than it sends.

use std::io;
use std::net::TcpListener;

use bytes::Bytes;

use super::SEND_BUFFER_BYTES;
use super::connection::{Connections, Token};
use super::door::{Door, Service};
use super::http::Request;
use super::sends::{Direct, RingSends, Sends};
use super::stream::{Outcome, Stream};
use crate::Failure;

/// epoll, and one send(2) per reader.
pub(crate) fn epoll(listener: TcpListener) -> Result<(), Failure> {
    Ok(Door::new(listener, Some(SEND_BUFFER_BYTES))?.serve(Fanout::new(Direct))?)
}

/// io_uring: a send per reader too, but one system call for a ring full of them.
pub(crate) fn uring(listener: TcpListener) -> Result<(), Failure> {
    let mut door = Door::new(listener, Some(SEND_BUFFER_BYTES))?;
    let sends = RingSends::new()?;
    door.watch(&sends)?;
    Ok(door.serve(Fanout::new(sends))?)
}

struct Fanout<S> {
    stream: Stream,
    /// Those that are gone are taken out with the next frame.
    readers: Vec<Token>,
    /// Not sent yet.
    frames: Vec<Bytes>,
    sends: S,
}

impl<S> Fanout<S> {
    fn new(sends: S) -> Fanout<S> {
        Fanout { stream: Stream::new(), readers: Vec::new(), frames: Vec::new(), sends }
    }
}

impl<S: Sends> Service for Fanout<S> {
    fn answer(&mut self, from: Token, request: &Request<'_>, out: &mut Vec<u8>) {
        match self.stream.answer(request, out) {
            Outcome::News(position) => self.frames.push(self.stream.frame(position)),
            Outcome::Follow => self.readers.push(from),
            // Long-polls have programs of their own; here one waits for ever.
            Outcome::Answered | Outcome::Wait => {}
        }
    }

    fn settle(&mut self, connections: &mut Connections) -> io::Result<()> {
        for frame in std::mem::take(&mut self.frames) {
            let mut sent = Ok(());
            self.readers.retain(|reader| match connections.get(*reader) {
                Some(connection) if sent.is_ok() => {
                    sent = self.sends.send(*reader, connection, &frame);
                    true
                }
                found => found.is_some(),
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
