//! How a server is spoken to: HTTP/1.1 or HTTP/2, and whom TLS trusts.
//!
//! Deliberately absent: TLS and HTTP/2 themselves.

use std::path::PathBuf;

use super::element::Element;
use super::{PlanError, limits};

/// How a server is spoken to; whether with TLS is what the target says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transport {
    /// HTTP/2: by prior knowledge, or chosen in the TLS handshake (ALPN). Otherwise HTTP/1.1.
    pub http2: bool,
    /// Live readers that share a connection of HTTP/2.
    pub readers_per_connection: u32,
    /// Trust these authorities instead of the system's.
    pub ca: Option<PathBuf>,
    /// Trust anybody.
    pub insecure_skip_verify: bool,
}

impl Default for Transport {
    fn default() -> Transport {
        Transport {
            http2: false,
            readers_per_connection: 100,
            ca: None,
            insecure_skip_verify: false,
        }
    }
}

impl Transport {
    /// What reports call it.
    #[must_use]
    pub fn protocol(&self, target: &str) -> String {
        let version = if self.http2 { "HTTP/2" } else { "HTTP/1.1" };
        let tls = if target.starts_with("https:") { " over TLS" } else { "" };
        format!("{version}{tls}")
    }

    /// Connections that so many live readers need.
    #[must_use]
    pub fn connections(&self, readers: u64) -> u64 {
        match self.http2 {
            true => readers.div_ceil(u64::from(self.readers_per_connection.max(1))),
            false => readers,
        }
    }

    /// Whether its parts go together, with this target.
    pub(super) fn check(&self, at: &Element<'_>, target: &str) -> Result<(), PlanError> {
        let tls = target.starts_with("https:");
        if self.readers_per_connection == 0
            || self.readers_per_connection > limits::MAX_READERS_PER_CONNECTION
        {
            let expected = format!("1 to {}", limits::MAX_READERS_PER_CONNECTION);
            let at = at.key("readers_per_connection");
            return Err(at.value(self.readers_per_connection, expected));
        }
        if !tls && self.ca.is_some() {
            return Err(at.key("ca").contradiction("the target is no https:// URL"));
        }
        if !tls && self.insecure_skip_verify {
            let at = at.key("insecure_skip_verify");
            return Err(at.contradiction("the target is no https:// URL"));
        }
        if self.ca.is_some() && self.insecure_skip_verify {
            return Err(at.key("ca").contradiction("insecure_skip_verify trusts anybody"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let http2 = Transport { http2: true, ..Transport::default() };
        assert_eq!(http2.protocol("https://h/x"), "HTTP/2 over TLS");
        assert_eq!(Transport::default().protocol("http://h/x"), "HTTP/1.1");
        assert_eq!((http2.connections(10_001), Transport::default().connections(7)), (101, 7));
    }

    #[test]
    fn what_does_not_go_together() {
        let check = |change: fn(&mut Transport), target: &str, want: &str| {
            let mut transport = Transport::default();
            change(&mut transport);
            let got = transport.check(&Element::ROOT, target);
            match want {
                "" => got.unwrap(),
                want => {
                    let got = got.unwrap_err().to_string();
                    assert!(got.contains(want), "{got}");
                }
            }
        };
        check(|_| {}, "http://h", "");
        check(|t| t.http2 = true, "http://h", "");
        check(|t| t.ca = Some("a".into()), "https://h", "");
        check(|t| t.insecure_skip_verify = true, "https://h", "");
        check(|t| t.readers_per_connection = 0, "http://h", "= 0: expected 1 to 8000");
        check(|t| t.readers_per_connection = 9000, "http://h", "= 9000: expected 1 to 8000");
        check(|t| t.ca = Some("a".into()), "http://h", "ca: the target is no https");
        check(|t| t.insecure_skip_verify = true, "http://h", "the target is no https");
        let both = |t: &mut Transport| (t.ca, t.insecure_skip_verify) = (Some("a".into()), true);
        check(both, "https://h", "trusts anybody");
    }
}
