//! What is counted about TLS and HTTP/2.

use std::cell::Cell;

use rustls::Error;

use super::histogram::Times;
use super::{Counter, Named};
use crate::tls::Handshake;

/// Handshakes.
#[derive(Default)]
pub struct Tls {
    /// By version, then by whether a session was taken up.
    done: [[Counter; 2]; 2],
    /// Those that failed.
    pub failures: Named,
    /// How long they took.
    pub took: Times,
}

/// HTTP/2.
#[derive(Default)]
pub struct Http2 {
    /// Open connections.
    pub connections: Cell<usize>,
    /// Connections so far.
    pub opened: Counter,
    /// Requests under way.
    pub streams: Cell<usize>,
    /// Requests so far.
    pub streams_opened: Counter,
    /// Requests that clients have taken back.
    pub client_resets: Counter,
    /// Frames that live readers got past `h2`.
    pub lane_frames: Counter,
    /// Ends of connections that were no error.
    pub goaways: Named,
}

impl Tls {
    /// A handshake has succeeded.
    pub fn shook(&self, handshake: Handshake) {
        self.done[usize::from(handshake.tls13)][usize::from(handshake.resumed)].increment();
    }

    /// Each kind of handshake, as labels, with its count.
    pub(super) fn done(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let kinds = ["1.2", "1.3"].into_iter().zip(&self.done);
        kinds.flat_map(|(version, counts)| {
            let counts = ["false", "true"].into_iter().zip(counts);
            counts.map(move |(resumed, count)| (version, resumed, count.get()))
        })
    }
}

/// Why a handshake failed, as a label.
#[must_use]
pub fn reason_of(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(_) => "client_certificate_invalid",
        Error::NoCertificatesPresented => "client_certificate_missing",
        Error::PeerIncompatible(_) => "incompatible",
        // Mostly because it does not trust the server's certificate.
        Error::AlertReceived(_) => "client_alert",
        _ => "protocol",
    }
}
