//! A connection's bytes: as they are, or with TLS on them. One surface for both.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::TcpStream;

use super::tls::Tls;
use crate::target::Secure;

/// See the module.
pub(crate) struct Stream {
    pub(crate) reads: ReadHalf,
    pub(crate) writes: WriteHalf,
}

/// What comes.
pub(crate) struct ReadHalf {
    socket: OwnedReadHalf<TcpStream>,
    tls: Option<Box<Opening>>,
}

/// What goes. Dropping it ends the sending side.
pub(crate) struct WriteHalf {
    socket: OwnedWriteHalf<TcpStream>,
    tls: Option<Rc<RefCell<Tls>>>,
    sealed: Vec<u8>,
}

/// The reading side of TLS.
struct Opening {
    tls: Rc<RefCell<Tls>>,
    /// As it came.
    buf: Vec<u8>,
    /// Decrypted, and not read yet.
    plain: Vec<u8>,
}

impl Stream {
    pub(crate) fn plain(socket: TcpStream) -> Stream {
        let (reads, writes) = socket.into_split();
        Stream {
            reads: ReadHalf { socket: reads, tls: None },
            writes: WriteHalf { socket: writes, tls: None, sealed: Vec::new() },
        }
    }

    /// Shakes hands. The caller limits the time.
    pub(crate) async fn secure(socket: TcpStream, secure: &Secure) -> io::Result<Stream> {
        let tls = Rc::new(RefCell::new(Tls::new(&secure.config, &secure.name)?));
        let mut stream = Stream::plain(socket);
        let opening = Opening { tls: Rc::clone(&tls), buf: Vec::new(), plain: Vec::new() };
        stream.reads.tls = Some(Box::new(opening));
        stream.writes.tls = Some(Rc::clone(&tls));
        loop {
            // The last word of the handshake is this side's.
            stream.writes.flush().await?;
            if !tls.borrow().is_handshaking() {
                break;
            }
            if stream.reads.fill().await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no TLS handshake"));
            }
        }
        match tls.borrow().is_http2() == secure.http2 {
            true => Ok(stream),
            // A server without ALPN speaks HTTP/1.1.
            false => Err(io::Error::other("the server does not speak HTTP/2 (ALPN)")),
        }
    }

    /// Reads what has come into an empty buffer; 0 at the end.
    pub(crate) async fn read(&mut self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        self.reads.read(buf).await
    }

    /// Writes all bytes and gives their memory back.
    pub(crate) async fn write_all(&mut self, bytes: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        self.writes.write_all(bytes).await
    }
}

impl ReadHalf {
    /// Reads what has come into an empty buffer; 0 at the end.
    pub(crate) async fn read(&mut self, mut buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        if self.tls.is_none() {
            return self.socket.read(buf).await;
        }
        loop {
            if let Some(opening) = &mut self.tls
                && !opening.plain.is_empty()
            {
                let len = opening.plain.len().min(buf.capacity().max(1));
                buf.extend(opening.plain.drain(..len));
                return (Ok(len), buf);
            }
            match self.fill().await {
                Ok(1..) => {}
                end => return (end, buf),
            }
        }
    }

    /// Takes in what has come with TLS on it; how many bytes that were.
    async fn fill(&mut self) -> io::Result<usize> {
        let Some(opening) = &mut self.tls else { return Ok(0) };
        let mut buf = std::mem::take(&mut opening.buf);
        buf.clear();
        buf.reserve(TLS_READ_BYTES);
        let (read, buf) = self.socket.read(buf).await;
        opening.buf = buf;
        let read = read?;
        let taken = opening.tls.borrow_mut().take_in(&opening.buf, &mut opening.plain);
        if opening.buf.len() < opening.buf.capacity() {
            // An idle reader keeps no buffer.
            opening.buf = Vec::new();
        }
        taken.map(|()| read)
    }

    /// The socket as it is, and what is already decrypted: for whoever opens the rest later.
    pub(crate) fn into_parts(self) -> (OwnedReadHalf<TcpStream>, Option<TlsRest>) {
        let rest = self.tls.map(|opening| (opening.tls, opening.plain));
        (self.socket, rest)
    }
}

/// A session, and what it has decrypted that nobody has read.
pub(crate) type TlsRest = (Rc<RefCell<Tls>>, Vec<u8>);

impl WriteHalf {
    /// Writes all bytes and gives their memory back.
    pub(crate) async fn write_all(&mut self, bytes: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        let Some(tls) = &self.tls else {
            let (written, bytes) = self.socket.write_all(bytes).await;
            return (written.map(drop), bytes);
        };
        self.sealed.clear();
        let sealed = tls.borrow_mut().seal(&bytes, &mut self.sealed);
        if sealed.is_err() || self.sealed.is_empty() {
            return (sealed, bytes);
        }
        let (written, sealed) = self.socket.write_all(std::mem::take(&mut self.sealed)).await;
        self.sealed = sealed;
        (written.map(drop), bytes)
    }

    /// Sends what TLS itself has to say.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.write_all(Vec::new()).await.0
    }
}

/// One record of the largest size.
const TLS_READ_BYTES: usize = 17 * 1024;
