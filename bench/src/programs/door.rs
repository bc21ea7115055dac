//! The epoll loop of the floors: accepts connections, reads requests, sends answers.
//!
//! Invariants: answers leave in the order of the requests; what a socket does not take waits for
//! it, so that nothing is lost and nothing overtakes. Edge-triggered, one thread.
//!
//! Deliberately absent: deadlines and limits on connections: this serves one client, our own.

use std::io;
use std::net::TcpListener;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_send_buffer_size;

use super::connection::{Connection, Connections, Token};
use super::http::{Malformed, Request};

/// What is served.
pub(crate) trait Service {
    /// Answers a request by appending to `out`.
    fn answer(&mut self, from: Token, request: &Request<'_>, out: &mut Vec<u8>);

    /// Takes bytes that have come over a connection, and answers what of them is whole.
    fn receive(
        &mut self,
        from: Token,
        connection: &mut Connection,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        connection.take(bytes, |request, out| self.answer(from, request, out), out)
    }

    /// Called when the requests that came over a connection are answered and the answers are on
    /// their way: sends what they mean for other connections.
    fn settle(&mut self, connections: &mut Connections) -> io::Result<()>;

    /// Called when what [`Door::watch`] was given is readable.
    fn completed(&mut self, _connections: &mut Connections) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) struct Door {
    listener: TcpListener,
    epoll: OwnedFd,
    connections: Connections,
    events: Vec<Event>,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Door {
    /// Serves a listener. `send_buffer`: bytes that the kernel may hold per connection, or as it
    /// likes.
    pub(crate) fn new(listener: TcpListener, send_buffer: Option<usize>) -> io::Result<Door> {
        if let Some(bytes) = send_buffer {
            // What it accepts inherits the size.
            set_socket_send_buffer_size(&listener, bytes)?;
        }
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(Door {
            listener,
            epoll,
            connections: Connections::default(),
            events: vec![NO_EVENT; EVENTS],
            input: vec![0; READ_BYTES],
            output: Vec::new(),
        })
    }

    /// Serves until the process ends.
    pub(crate) fn serve(mut self, mut service: impl Service) -> io::Result<()> {
        loop {
            self.turn(&mut service)?;
        }
    }

    /// Watches something else too.
    pub(crate) fn watch(&mut self, other: impl AsFd) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, other, EventData::new_u64(OTHER), EventFlags::IN)?)
    }

    fn turn(&mut self, service: &mut impl Service) -> io::Result<()> {
        let count = match epoll::wait(&self.epoll, &mut self.events[..], None) {
            Err(Errno::INTR) => 0,
            count => count?,
        };
        for index in 0..count {
            let Event { flags, data } = self.events[index];
            match data.u64() {
                LISTENER => self.accept()?,
                OTHER => service.completed(&mut self.connections)?,
                token => self.ready(service, Token(token), flags)?,
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let token = self.connections.add(Connection::new(stream));
            if let Some(connection) = self.connections.get(token) {
                let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                epoll::add(&self.epoll, &connection.stream, EventData::new_u64(token.0), flags)?;
            }
        }
    }

    fn ready(
        &mut self,
        service: &mut impl Service,
        token: Token,
        flags: EventFlags,
    ) -> io::Result<()> {
        let Some(connection) = self.connections.get(token) else { return Ok(()) };
        if flags.contains(EventFlags::OUT) {
            connection.flush();
        }
        let over = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        if !flags.intersects(EventFlags::IN | over) {
            return Ok(());
        }
        let stays = self.receive(service, token, flags.intersects(over));
        if !stays {
            // Closing takes it out of the epoll set.
            self.connections.remove(token);
        }
        service.settle(&mut self.connections)
    }

    /// Reads and answers what there is; false at the end of the connection.
    fn receive(&mut self, service: &mut impl Service, token: Token, to_end: bool) -> bool {
        let Some(connection) = self.connections.get(token) else { return false };
        loop {
            let read = match rustix::io::read(&connection.stream, &mut self.input[..]) {
                Ok(0) => return false,
                Ok(read) => read,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            };
            let bytes = &self.input[..read];
            let answered = service.receive(token, connection, bytes, &mut self.output);
            connection.send_copy(&self.output);
            self.output.clear();
            if answered.is_err() {
                return false;
            }
            // A short read has emptied the socket: what comes later is told anew.
            if read < self.input.len() && !to_end {
                return true;
            }
        }
    }
}

/// No tokens: nobody has so many slots.
const LISTENER: u64 = u64::MAX;
const OTHER: u64 = u64::MAX - 1;
const EVENTS: usize = 1024;
const NO_EVENT: Event = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
const READ_BYTES: usize = 64 * 1024;
