//! What a connection's bytes go over: a socket as it is, or with TLS on it. One surface for both,
//! so that HTTP/1.1 is written once.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use thalweg_proto::response::Pieces;

use crate::auth::Identity;
use crate::rt::Socket;
use crate::tls::{Session, TlsStream};

/// See the module.
pub(crate) enum Transport {
    /// Bytes go as they are.
    Plain(Socket),
    /// Bytes go encrypted.
    Tls(Box<TlsStream>),
}

impl Transport {
    /// The socket.
    pub(super) fn socket(&self) -> &Socket {
        match self {
            Transport::Plain(socket) => socket,
            Transport::Tls(stream) => stream.socket(),
        }
    }

    /// Who the client is by its certificate.
    pub(super) fn identity(&self) -> Option<&Arc<Identity>> {
        match self {
            Transport::Plain(_) => None,
            Transport::Tls(stream) => stream.session().identity(),
        }
    }

    /// Whether the client chose HTTP/2 in its handshake; `None`: it chose nothing.
    pub(super) fn chose_http2(&self) -> Option<bool> {
        match self {
            Transport::Plain(_) => None,
            Transport::Tls(stream) => {
                let session = stream.session();
                session.has_protocol().then(|| session.is_http2())
            }
        }
    }

    /// Reads what there is behind `buf`. 0 bytes: the peer is done.
    pub(super) async fn read(&mut self, buf: BytesMut) -> (io::Result<usize>, BytesMut) {
        match self {
            Transport::Plain(socket) => socket.read(buf).await,
            Transport::Tls(stream) => stream.read(buf).await,
        }
    }

    /// Takes what has come by now behind `buf`, without waiting; whether there was something. Over
    /// TLS nobody looks: it would take a receive to know.
    pub(super) fn read_now(&self, buf: &mut BytesMut) -> bool {
        match self {
            Transport::Plain(socket) => matches!(socket.read_now(buf), Some(1..)),
            Transport::Tls(_) => false,
        }
    }

    /// Reads bytes as they are on the wire: nobody looks at them any more.
    pub(super) async fn read_raw(&mut self, buf: BytesMut) -> (io::Result<usize>, BytesMut) {
        match self {
            Transport::Plain(socket) => socket.read(buf).await,
            Transport::Tls(stream) => stream.socket_mut().read(buf).await,
        }
    }

    /// Writes all pieces in order.
    pub(super) async fn write_all(&mut self, pieces: Pieces) -> io::Result<()> {
        match self {
            Transport::Plain(socket) => socket.write_all(pieces).await,
            Transport::Tls(stream) => stream.write_all(pieces).await,
        }
    }

    /// Writes a whole buffer and gives it back.
    pub(super) async fn write_buf(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        match self {
            Transport::Plain(socket) => socket.write_buf(buf).await,
            Transport::Tls(stream) => (stream.write(&buf).await, buf),
        }
    }

    /// Says that nothing more will be written.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        match self {
            Transport::Plain(socket) => socket.finish(),
            Transport::Tls(stream) => stream.finish().await,
        }
    }

    /// Whether the peer has nothing more to say.
    pub(super) fn is_at_end(&mut self) -> bool {
        match self {
            Transport::Plain(socket) => socket.is_at_end(),
            Transport::Tls(stream) => stream.is_at_end(),
        }
    }

    /// For whoever moves the bytes from here on; what was read already is in the last one.
    pub(super) fn into_parts(self) -> (Socket, Option<Box<Session>>, BytesMut) {
        match self {
            Transport::Plain(socket) => (socket, None, BytesMut::new()),
            Transport::Tls(stream) => {
                let (socket, session, early) = stream.into_parts();
                (socket, Some(Box::new(session)), early)
            }
        }
    }
}
