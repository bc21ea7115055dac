//! The floor of appends and of small reads: every request is read whole and answered with bytes
//! that were there before, by one send(2) for all requests that came together.
//!
//! Answers have the fields that the server's own have, so that both cost the client the same.

use std::io;
use std::net::TcpListener;

use super::connection::{Connections, Token};
use super::door::{Door, Service};
use super::http::{Method, Request};
use super::stream::Stream;
use crate::Failure;

pub(crate) fn epoll(listener: TcpListener, page_bytes: usize) -> Result<(), Failure> {
    Ok(Door::new(listener, None)?.serve(Static::new(page_bytes))?)
}

/// The date in the answers is that of the start.
struct Static {
    read: Vec<u8>,
    created: Vec<u8>,
    appended: Vec<u8>,
}

impl Static {
    fn new(page_bytes: usize) -> Static {
        let prepared = Stream::prepared(page_bytes);
        Static { read: prepared.read, created: prepared.created, appended: prepared.appended }
    }
}

impl Service for Static {
    fn answer(&mut self, _from: Token, request: &Request<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(match request.method {
            Method::Get => &self.read,
            Method::Put => &self.created,
            Method::Post | Method::Other => &self.appended,
        });
    }

    fn settle(&mut self, _connections: &mut Connections) -> io::Result<()> {
        Ok(())
    }
}
