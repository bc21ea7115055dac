//! Two ways to send one thing to many connections.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use bytes::Bytes;
use thalweg::rt::{Completion, SendRing};

use super::connection::{Connection, Connections, Piece, Token};

pub(crate) trait Sends {
    /// Sends now, or with the next [`submit`](Sends::submit).
    fn send(&mut self, to: Token, connection: &mut Connection, bytes: &Bytes) -> io::Result<()>;

    /// Ends a batch, and goes on with what was held up before.
    fn submit(&mut self, connections: &mut Connections) -> io::Result<()>;
}

/// One send(2) each.
pub(crate) struct Direct;

impl Sends for Direct {
    fn send(&mut self, _to: Token, connection: &mut Connection, bytes: &Bytes) -> io::Result<()> {
        connection.send(bytes);
        Ok(())
    }

    fn submit(&mut self, _connections: &mut Connections) -> io::Result<()> {
        Ok(())
    }
}

/// Through a ring: one system call for as many as it has entries, one send under way per socket.
pub(crate) struct RingSends {
    ring: SendRing,
    /// Slots of connections whose send has ended.
    ended: Vec<(u32, io::Result<Bytes>)>,
}

impl RingSends {
    pub(crate) fn new() -> io::Result<RingSends> {
        Ok(RingSends { ring: SendRing::new(RING_ENTRIES)?, ended: Vec::new() })
    }

    fn begin(&mut self, to: Token, connection: &mut Connection, bytes: Bytes) -> io::Result<()> {
        self.ring.send(to.slot(), connection.stream.as_fd(), bytes.clone())?;
        connection.sending = Some(bytes);
        Ok(())
    }

    /// One send of a connection has ended: what is next?
    fn go_on(
        &mut self,
        connections: &mut Connections,
        slot: u32,
        rest: io::Result<Bytes>,
    ) -> io::Result<()> {
        let Some((token, connection)) = connections.sent(slot) else { return Ok(()) };
        let Some(bytes) = connection.sending.take() else { return Ok(()) };
        match rest {
            Ok(rest) if rest.is_empty() => {}
            Ok(rest) => connection.push_front(rest),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                connection.push_front(bytes);
                return Ok(());
            }
            // The connection is lost, which is an event of its own.
            Err(_) => return Ok(()),
        }
        match connection.pop() {
            Some(next) => self.begin(token, connection, next),
            None => Ok(()),
        }
    }
}

impl Sends for RingSends {
    fn send(&mut self, to: Token, connection: &mut Connection, bytes: &Bytes) -> io::Result<()> {
        if connection.is_free() {
            return self.begin(to, connection, bytes.clone());
        }
        connection.push(Piece::Bytes(bytes.clone()));
        Ok(())
    }

    fn submit(&mut self, connections: &mut Connections) -> io::Result<()> {
        loop {
            self.ring.submit()?;
            let mut ended = std::mem::take(&mut self.ended);
            self.ring.completions(usize::MAX, |slot, completion| {
                if let Completion::Sent(rest) = completion {
                    ended.push((slot, rest));
                }
            });
            if ended.is_empty() {
                return Ok(());
            }
            for (slot, rest) in ended.drain(..) {
                self.go_on(connections, slot, rest)?;
            }
            self.ended = ended;
        }
    }
}

impl AsFd for RingSends {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

/// As many as the server's ring has.
const RING_ENTRIES: u32 = 4096;
