//! A socket with a TLS session on it: what HTTP/1.1 reads from and writes to.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::ServerConfig;
use thalweg_proto::response::Pieces;

use super::session::{Handshake, Session};
use crate::config::limits::{READ_BUFFER_BYTES, READ_BUFFER_KEPT_BYTES, TLS_WRITE_BYTES};
use crate::rt::Socket;

/// See the module.
pub struct TlsStream {
    socket: Socket,
    session: Session,
    /// What the peer said while the server was not reading.
    early: BytesMut,
}

/// Why there is no session.
pub enum NoHandshake {
    /// The peer left, or was too slow.
    Ended,
    /// It speaks HTTP, or something else that begins with a letter.
    NotTls,
    /// It speaks TLS, and the two did not agree. It has been told why.
    Refused(rustls::Error),
}

impl TlsStream {
    /// Waits for the handshake, whose first bytes may have come already. The caller has set a
    /// deadline on the socket.
    pub async fn accept(
        socket: Socket,
        first: BytesMut,
        config: Arc<ServerConfig>,
    ) -> Result<(TlsStream, Handshake), (Socket, NoHandshake)> {
        let session = match Session::new(config) {
            Ok(session) => session,
            Err(error) => return Err((socket, NoHandshake::Refused(error))),
        };
        let mut stream = TlsStream { socket, session, early: BytesMut::new() };
        stream.session.incoming = first;
        match stream.handshake().await {
            Ok(()) => {
                let handshake = stream.session.begins();
                Ok((stream, handshake))
            }
            Err(why) => Err((stream.socket, why)),
        }
    }

    async fn handshake(&mut self) -> Result<(), NoHandshake> {
        let mut first = true;
        while self.session.is_handshaking() {
            let has_come = first && !self.session.incoming.is_empty();
            if !has_come && !matches!(self.fill(READ_BUFFER_BYTES).await, Ok(1..)) {
                return Err(NoHandshake::Ended);
            }
            let begin = self.session.incoming.first();
            if std::mem::take(&mut first) && begin.is_some_and(u8::is_ascii_alphabetic) {
                return Err(NoHandshake::NotTls);
            }
            let received = self.session.receive(&mut self.early);
            let sent = self.flush().await;
            received.map_err(NoHandshake::Refused)?;
            sent.map_err(|_| NoHandshake::Ended)?;
        }
        Ok(())
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The socket under it.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The socket under it, when the session is over.
    pub fn socket_mut(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// For whoever moves the bytes from here on. What was said early is in the last one.
    #[must_use]
    pub fn into_parts(self) -> (Socket, Session, BytesMut) {
        (self.socket, self.session, self.early)
    }

    /// Reads what there is behind `buf`. 0: the peer is done.
    pub async fn read(&mut self, mut buf: BytesMut) -> (io::Result<usize>, BytesMut) {
        let start = buf.len();
        let capacity = (buf.capacity() - start).clamp(READ_BUFFER_BYTES, READ_BUFFER_KEPT_BYTES);
        if !self.early.is_empty() {
            buf.extend_from_slice(&std::mem::take(&mut self.early));
        }
        while buf.len() == start && !self.session.peer_closed() {
            match self.fill(capacity).await {
                Ok(1..) => {}
                end => return (end, buf),
            }
            let received = self.session.receive(&mut buf);
            // An answer to what came: an alert, a key update.
            let sent = self.flush().await;
            if let Err(error) = received.map_err(io::Error::other).and(sent) {
                return (Err(error), buf);
            }
        }
        (Ok(buf.len() - start), buf)
    }

    /// Writes all bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.encrypt(bytes).await?;
        self.flush().await
    }

    /// Writes all pieces in order.
    pub async fn write_all(&mut self, pieces: Pieces) -> io::Result<()> {
        for piece in pieces {
            self.encrypt(&piece).await?;
        }
        self.flush().await
    }

    /// Encrypts bytes, and writes what is more than one write should be.
    async fn encrypt(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(TLS_WRITE_BYTES) {
            self.session.send(part, &mut self.early).map_err(io::Error::other)?;
            if self.session.outgoing_len() >= TLS_WRITE_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Says that nothing more comes, then closes the sending side.
    pub async fn finish(&mut self) -> io::Result<()> {
        // Without a session there is nobody to tell.
        let _ = self.session.close(&mut self.early);
        self.flush().await?;
        self.socket.finish()
    }

    /// Whether the peer has nothing more to say. It says so by an alert before it closes.
    pub fn is_at_end(&mut self) -> bool {
        let ended = self.socket.read_now(&mut self.session.incoming) == Some(0);
        let lost = self.session.receive(&mut self.early).is_err();
        self.early.is_empty() && (ended || lost || self.session.peer_closed())
    }

    async fn fill(&mut self, capacity: usize) -> io::Result<usize> {
        let mut incoming = std::mem::take(&mut self.session.incoming);
        if incoming.is_empty() && incoming.capacity() > READ_BUFFER_BYTES {
            // An idle connection keeps no large buffer.
            incoming = BytesMut::new();
        }
        incoming.reserve(capacity);
        let (result, incoming) = self.socket.read(incoming).await;
        self.session.incoming = incoming;
        result
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.session.outgoing_len() == 0 {
            return Ok(());
        }
        let (result, buf) = self.socket.write_buf(self.session.take_outgoing()).await;
        if buf.capacity() <= READ_BUFFER_BYTES {
            self.session.give_back(buf);
        }
        result
    }
}
