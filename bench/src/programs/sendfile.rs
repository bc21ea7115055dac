//! The floor of large reads: every GET is answered with the same page out of a file that is in the
//! page cache, by sendfile(2).

use std::fs::File;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::rc::Rc;

use bytes::Bytes;

use super::ProgramArgs;
use super::connection::{Connections, Piece, Token};
use super::door::{Door, Service};
use super::http::{Method, Request};
use super::stream::Stream;
use crate::Failure;

pub(crate) fn epoll(listener: TcpListener, args: &ProgramArgs) -> Result<(), Failure> {
    Ok(Door::new(listener, None)?.serve(Pages::new(args)?)?)
}

struct Pages {
    file: Rc<File>,
    page_bytes: usize,
    head: Bytes,
    created: Vec<u8>,
    appended: Vec<u8>,
    asked: Vec<Token>,
}

impl Pages {
    fn new(args: &ProgramArgs) -> io::Result<Pages> {
        let prepared = Stream::prepared(args.page_bytes);
        let (head, body) = prepared.read.split_at(prepared.read.len() - prepared.body_bytes);
        let mut file = match &args.data_dir {
            Some(directory) => tempfile::tempfile_in(directory)?,
            None => tempfile::tempfile()?,
        };
        file.write_all(body)?;
        Ok(Pages {
            file: Rc::new(file),
            page_bytes: prepared.body_bytes,
            head: Bytes::copy_from_slice(head),
            created: prepared.created,
            appended: prepared.appended,
            asked: Vec::new(),
        })
    }
}

impl Service for Pages {
    fn answer(&mut self, from: Token, request: &Request<'_>, out: &mut Vec<u8>) {
        match request.method {
            Method::Get => self.asked.push(from),
            Method::Put => out.extend_from_slice(&self.created),
            Method::Post | Method::Other => out.extend_from_slice(&self.appended),
        }
    }

    fn settle(&mut self, connections: &mut Connections) -> io::Result<()> {
        for token in self.asked.drain(..) {
            if let Some(connection) = connections.get(token) {
                connection.push(Piece::Bytes(self.head.clone()));
                connection.push(Piece::File(Rc::clone(&self.file), 0, self.page_bytes));
                connection.flush();
            }
        }
        Ok(())
    }
}
