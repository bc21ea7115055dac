//! One TLS connection without I/O: what came goes in, what is to be sent comes out.
//!
//! ```text
//! socket -> incoming -> turn -> plaintext
//!                        |  <- data
//! socket <- outgoing <---'
//! ```
//!
//! Invariant: `outgoing` is in the order in which it must leave; whoever takes it sends it. No
//! error is recovered from: after one, `outgoing` holds the alert for the peer and nothing else
//! works any more.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{Error, HandshakeKind, ProtocolVersion, ServerConfig};

use super::HTTP2;
use crate::auth::Identity;

/// See the module.
pub struct Session {
    connection: UnbufferedServerConnection,
    /// From the peer, not processed yet: an incomplete record at most, between two turns.
    pub(super) incoming: BytesMut,
    outgoing: Vec<u8>,
    /// Who the client is by its certificate, once the handshake is over.
    identity: Option<Arc<Identity>>,
    /// The peer has said that it sends nothing more.
    peer_closed: bool,
    failed: bool,
}

/// What a handshake was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handshake {
    /// TLS 1.3, otherwise 1.2.
    pub tls13: bool,
    /// An earlier session was taken up.
    pub resumed: bool,
}

/// What a turn is for.
#[derive(Clone, Copy)]
enum Goal<'a> {
    /// To take in what has come.
    Receive,
    /// To encrypt this.
    Send(&'a [u8]),
    /// To say that nothing more comes.
    Close,
}

impl Session {
    /// A session whose handshake begins with what the client says.
    pub fn new(config: Arc<ServerConfig>) -> Result<Session, Error> {
        Ok(Session {
            connection: UnbufferedServerConnection::new(config)?,
            incoming: BytesMut::new(),
            outgoing: Vec::new(),
            identity: None,
            peer_closed: false,
            failed: false,
        })
    }

    /// Processes what has come; plaintext goes behind `plain`.
    pub fn receive(&mut self, plain: &mut BytesMut) -> Result<(), Error> {
        self.turn(Goal::Receive, plain)
    }

    /// Takes bytes from the peer in, and processes them; plaintext goes behind `plain`.
    pub fn take_in(&mut self, bytes: &[u8], plain: &mut BytesMut) -> Result<(), Error> {
        self.incoming.extend_from_slice(bytes);
        let received = self.receive(plain);
        if self.incoming.is_empty() {
            // An idle connection keeps no buffer.
            self.incoming = BytesMut::new();
        }
        received
    }

    /// Encrypts data behind what is to be sent already.
    pub fn send(&mut self, data: &[u8], plain: &mut BytesMut) -> Result<(), Error> {
        if data.is_empty() { Ok(()) } else { self.turn(Goal::Send(data), plain) }
    }

    /// Says that nothing more comes.
    pub fn close(&mut self, plain: &mut BytesMut) -> Result<(), Error> {
        self.turn(Goal::Close, plain)
    }

    /// What is to be sent.
    #[must_use]
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// How much is to be sent.
    #[must_use]
    pub fn outgoing_len(&self) -> usize {
        self.outgoing.len()
    }

    /// Gives an empty buffer back, so that the next one is not a new one.
    pub(super) fn give_back(&mut self, mut buf: Vec<u8>) {
        if self.outgoing.is_empty() {
            buf.clear();
            self.outgoing = buf;
        }
    }

    /// Whether the handshake is not over.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// The handshake is over: what it has shown about the client is kept, and what it was is told.
    pub(super) fn begins(&mut self) -> Handshake {
        let shown = self.connection.peer_certificates().and_then(|chain| chain.first());
        self.identity = shown.and_then(|certificate| Identity::of(certificate)).map(Arc::new);
        Handshake {
            tls13: self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3),
            resumed: self.connection.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }

    /// Who the client is by its certificate.
    #[must_use]
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// Whether the client chose HTTP/2.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        self.connection.alpn_protocol() == Some(HTTP2)
    }

    /// Whether the client offered a protocol and one was chosen.
    #[must_use]
    pub fn has_protocol(&self) -> bool {
        self.connection.alpn_protocol().is_some()
    }

    /// Whether the peer has said that it sends nothing more.
    #[must_use]
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    fn turn(&mut self, goal: Goal<'_>, plain: &mut BytesMut) -> Result<(), Error> {
        // The library must not see the bytes of a failed connection again.
        while !self.failed {
            // Always with all that is left of what came: the library remembers places in it.
            let status = self.connection.process_tls_records(&mut self.incoming);
            let UnbufferedStatus { discard, state } = status;
            let over = match state {
                Ok(state) => step(state, goal, &mut self.outgoing, plain, &mut self.peer_closed),
                Err(error) => Err(error),
            };
            self.incoming.advance(discard);
            match over {
                Ok(false) => {}
                Ok(true) => return Ok(()),
                Err(error) => {
                    self.failed = true;
                    self.take_alert();
                    return Err(error);
                }
            }
        }
        Err(Error::General("the session has failed before".to_owned()))
    }

    /// After an error: what the peer is told.
    fn take_alert(&mut self) {
        let mut ignored = BytesMut::new();
        while self.connection.wants_write() {
            // There is something to be sent, so that the library does not look for input.
            let Ok(state) = self.connection.process_tls_records(&mut []).state else { return };
            let closed = &mut self.peer_closed;
            if step(state, Goal::Receive, &mut self.outgoing, &mut ignored, closed) != Ok(false) {
                return;
            }
        }
    }
}

type Data = ServerConnectionData;

/// Handles one state. True when the goal is reached, or when the peer has to speak first.
fn step(
    state: ConnectionState<'_, '_, Data>,
    goal: Goal<'_>,
    outgoing: &mut Vec<u8>,
    plain: &mut BytesMut,
    peer_closed: &mut bool,
) -> Result<bool, Error> {
    match state {
        ConnectionState::ReadTraffic(mut traffic) => {
            while let Some(record) = traffic.next_record() {
                plain.extend_from_slice(record?.payload);
            }
            Ok(false)
        }
        ConnectionState::EncodeTlsData(data) => {
            encode(data, outgoing);
            Ok(false)
        }
        // It is in `outgoing`, in its place.
        ConnectionState::TransmitTlsData(sent) => {
            sent.done();
            Ok(false)
        }
        ConnectionState::PeerClosed => {
            *peer_closed = true;
            Ok(false)
        }
        ConnectionState::WriteTraffic(traffic) => write(traffic, goal, outgoing).map(|()| true),
        ConnectionState::BlockedHandshake if matches!(goal, Goal::Receive) => Ok(true),
        ConnectionState::Closed if !matches!(goal, Goal::Send(_)) => Ok(true),
        // Early data is not enabled, and nothing else can be sent now.
        _ => Err(Error::General("the session cannot send".to_owned())),
    }
}

fn write(
    mut traffic: WriteTraffic<'_, Data>,
    goal: Goal<'_>,
    outgoing: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = outgoing.len();
    let mut room = match goal {
        Goal::Receive => return Ok(()),
        Goal::Send(data) => data.len() + (data.len() / MAX_RECORD_BYTES + 1) * RECORD_OVERHEAD,
        Goal::Close => RECORD_OVERHEAD,
    };
    loop {
        outgoing.resize(start + room, 0);
        let written = match goal {
            Goal::Send(data) => traffic.encrypt(data, &mut outgoing[start..]),
            _ => traffic.queue_close_notify(&mut outgoing[start..]),
        };
        match written {
            Ok(written) => {
                outgoing.truncate(start + written);
                return Ok(());
            }
            Err(EncryptError::InsufficientSize(size)) if size.required_size > room => {
                room = size.required_size;
            }
            Err(error) => {
                outgoing.truncate(start);
                return Err(Error::General(error.to_string()));
            }
        }
    }
}

fn encode(mut data: rustls::unbuffered::EncodeTlsData<'_, Data>, outgoing: &mut Vec<u8>) {
    use rustls::unbuffered::EncodeError;
    let start = outgoing.len();
    // The first attempt says how much it is.
    let mut room = 0;
    loop {
        outgoing.resize(start + room, 0);
        match data.encode(&mut outgoing[start..]) {
            Ok(written) => return outgoing.truncate(start + written),
            Err(EncodeError::InsufficientSize(size)) if size.required_size > room => {
                room = size.required_size;
            }
            Err(_) => return outgoing.truncate(start),
        }
    }
}

/// Plaintext of one record.
const MAX_RECORD_BYTES: usize = 16 * 1024;
/// What a record needs beside its plaintext, and a key update that may go before it.
const RECORD_OVERHEAD: usize = 64;

#[cfg(test)]
mod tests;
