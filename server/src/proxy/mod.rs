//! Where a client is when proxies stand between: what a connection and a request say about it, if
//! whoever says so is trusted (`[proxy]`).
//!
//! Everything that goes by a client's address (access log, limits, metrics) asks here:
//! [`Origin::address`] for a connection, [`Origin::client`] for a request. Invariant: an address
//! that somebody who is not trusted has written is never taken for anybody's.

mod header;

use std::net::{IpAddr, SocketAddr};

use thalweg_proto::http1::RequestHead;
use thalweg_proto::http1::forwarded::{ForwardedField, believe};

use crate::config::{Forwarded, ProxyConfig};
pub(crate) use header::receive_header;

/// Where a connection comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// Its other end; or what a trusted proxy has said about it by the PROXY protocol.
    pub address: SocketAddr,
    /// It has TLS.
    pub secure: bool,
}

impl Origin {
    /// Of a connection without TLS, from this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Origin {
        Origin { address: canonical(address), secure: false }
    }

    /// Notes in the head of a request where it comes from, as far as that is believed.
    pub fn mark(&self, proxy: &ProxyConfig, head: &mut RequestHead) {
        head.secure = self.secure;
        let field = match proxy.forwarded {
            Forwarded::Off => return,
            Forwarded::Forwarded => ForwardedField::Forwarded,
            Forwarded::XForwarded => ForwardedField::XForwarded,
        };
        let peer = self.address.ip();
        if proxy.trusts(peer) {
            believe(head, field, peer, |address| proxy.trusts(address));
        }
    }

    /// The same with a port, which is that of the connection.
    #[must_use]
    pub fn client_address(&self, head: &RequestHead) -> SocketAddr {
        SocketAddr::new(self.client(head), self.address.port())
    }

    /// Where the client of a request is.
    #[must_use]
    pub fn client(&self, head: &RequestHead) -> IpAddr {
        head.client.unwrap_or(self.address.ip())
    }
}

/// IPv4 that IPv6 carries is IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use thalweg_proto::http1::{HeadStatus, parse_head};

    use super::*;
    use crate::config::{Config, Machine};

    #[test]
    fn only_trusted_proxies_are_believed() {
        let machine = Machine { cpus: vec![0], descriptors: 4096 };
        let text = "[proxy]\ntrusted = ['10.0.0.0/8']\nforwarded = 'x-forwarded'";
        let config = Config::from_toml(text, &machine).unwrap();
        let check = |from: &str, want: &str, secure: bool| {
            let text = "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 192.0.2.1\r\n\
                        x-forwarded-proto: https\r\nforwarded: for=192.0.2.2\r\n\r\n";
            let Ok(HeadStatus::Complete(mut head, _)) = parse_head(text.as_bytes()) else {
                panic!("a head")
            };
            let origin = Origin::new(from.parse().unwrap());
            origin.mark(&config.proxy, &mut head);
            assert_eq!(origin.client(&head).to_string(), want, "{from}");
            assert_eq!(head.secure, secure, "{from}");
        };
        check("10.1.2.3:4", "192.0.2.1", true);
        check("[::ffff:10.1.2.3]:4", "192.0.2.1", true);
        check("203.0.113.1:4", "203.0.113.1", false);
        check("[fd00::1]:4", "fd00::1", false);
    }
}
