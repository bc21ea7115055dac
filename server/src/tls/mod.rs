//! TLS: certificates from files to running sessions.
//!
//! [`Keeper`] owns what new connections are set up with and replaces it when the files change;
//! [`Session`] is one connection's TLS without I/O, by rustls; [`TlsStream`] moves its bytes over
//! a socket. Invariants: a connection keeps the certificates that it began with; a file that
//! cannot be used changes nothing; secrets are never logged. Deliberately absent: what the bytes
//! mean, and the choice between HTTP/1.1 and HTTP/2, which is `conn`'s.

mod choose;
mod error;
mod files;
mod keeper;
mod session;
mod stream;
mod validity;

pub use error::TlsError;
pub use keeper::Keeper;
pub use session::{Handshake, Session};
pub use stream::{NoHandshake, TlsStream};

/// What ALPN offers, the best first.
const PROTOCOLS: [&[u8]; 2] = [HTTP2, b"http/1.1"];
/// HTTP/2 in ALPN.
const HTTP2: &[u8] = b"h2";
