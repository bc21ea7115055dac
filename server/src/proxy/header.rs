//! Reads the header of the PROXY protocol from a connection.

use std::fmt;
use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use thalweg_proto::proxy_protocol::{ProxyError, ProxyStatus, parse_proxy_header};

use super::canonical;
use crate::config::ProxyConfig;
use crate::rt::Socket;

/// Why a connection that should begin with a header is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoHeader {
    /// Whoever connected is no trusted proxy.
    Untrusted,
    /// The bytes are none.
    Malformed(ProxyError),
    /// The connection ended, or its deadline passed.
    Ended,
}

impl NoHeader {
    /// As refusals are counted.
    pub(crate) fn code(self) -> &'static str {
        match self {
            NoHeader::Untrusted => "proxy-untrusted",
            NoHeader::Malformed(_) => "proxy-header-malformed",
            NoHeader::Ended => "proxy-header-missing",
        }
    }
}

impl fmt::Display for NoHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoHeader::Untrusted => f.write_str("whoever connected is no trusted proxy"),
            NoHeader::Malformed(error) => error.fmt(f),
            NoHeader::Ended => f.write_str("the connection ended, or was too slow"),
        }
    }
}

/// Where the client is, and what it has sent behind the header. The caller has set a deadline on
/// the socket.
pub(crate) async fn receive_header(
    proxy: &ProxyConfig,
    socket: &mut Socket,
    peer: SocketAddr,
) -> Result<(SocketAddr, BytesMut), NoHeader> {
    if !proxy.trusts(peer.ip()) {
        return Err(NoHeader::Untrusted);
    }
    let mut buf = BytesMut::new();
    loop {
        // Small: nearly always there is nothing but the header.
        buf.reserve(FIRST_BYTES);
        let (result, back) = socket.read(buf).await;
        buf = back;
        if !matches!(result, Ok(1..)) {
            return Err(NoHeader::Ended);
        }
        match parse_proxy_header(&buf).map_err(NoHeader::Malformed)? {
            ProxyStatus::Incomplete => {}
            ProxyStatus::Complete(header, taken) => {
                buf.advance(taken);
                return Ok((header.source.map_or(peer, canonical), buf));
            }
        }
    }
}

const FIRST_BYTES: usize = 512;
