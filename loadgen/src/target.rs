//! Where a stream lives: the part of a URL that goes into a socket address and a request, and what
//! a secure connection to it needs.
//!
//! Deliberately absent: user information; a token is the plan's.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::plan::Transport;
use crate::{LoadError, net};

/// A stream of a server.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where to connect to.
    pub address: SocketAddr,
    /// The `Host` field.
    pub host: String,
    /// The path of the stream, or of the base below which streams are made.
    pub path: String,
    /// Its TLS, if it has any.
    pub(crate) secure: Option<Secure>,
}

/// How connections are secured.
#[derive(Clone)]
pub(crate) struct Secure {
    /// Whom the certificate must be for.
    pub(crate) name: ServerName<'static>,
    pub(crate) config: Arc<ClientConfig>,
    /// The server must choose HTTP/2.
    pub(crate) http2: bool,
}

impl Target {
    /// Takes a URL apart and looks its host up.
    pub fn parse(url: &str, transport: &Transport) -> Result<Target, LoadError> {
        let refused = |reason: &str| LoadError::Url { url: url.to_owned(), reason: reason.into() };
        let (rest, port) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (rest, 80),
            (None, Some(rest)) => (rest, 443),
            (None, None) => return Err(refused("the scheme is neither http nor https")),
        };
        // A server may have its streams right below its root.
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if rest.contains(['?', '#', ' ']) {
            return Err(refused("it has a query, a fragment or a space"));
        }
        let (name, with_port) = match host.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => (name, host.to_owned()),
            _ => (host, format!("{host}:{port}")),
        };
        let mut found = with_port.to_socket_addrs().map_err(|error| refused(&error.to_string()))?;
        let address = found.next().ok_or_else(|| refused("its host has no address"))?;
        let secure = match url.starts_with("https:") {
            false => None,
            true => Some(Secure {
                name: ServerName::try_from(name.trim_matches(['[', ']']).to_owned())
                    .map_err(|_| refused("no certificate can be for this host"))?,
                config: net::tls_config(transport)?,
                http2: transport.http2,
            }),
        };
        let (host, path) = (host.to_owned(), path.trim_end_matches('/').to_owned());
        Ok(Target { address, host, path, secure })
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.secure.is_some() { "https" } else { "http" }
    }
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let transport = Transport { insecure_skip_verify: true, ..Transport::default() };
        let check = |url: &str, want: Option<(&str, &str, &str)>| {
            let got = Target::parse(url, &transport).ok();
            let got = got.map(|target| (target.address.to_string(), target.host, target.path));
            let want = want.map(|(a, h, p)| (a.to_owned(), h.to_owned(), p.to_owned()));
            assert_eq!(got, want, "{url}");
        };
        check("http://127.0.0.1:4437/v1/x", Some(("127.0.0.1:4437", "127.0.0.1:4437", "/v1/x")));
        check("http://127.0.0.1/v1/", Some(("127.0.0.1:80", "127.0.0.1", "/v1")));
        check("http://[::1]:9/a", Some(("[::1]:9", "[::1]:9", "/a")));
        check("https://127.0.0.1/a", Some(("127.0.0.1:443", "127.0.0.1", "/a")));
        check("https://[::1]:9/a", Some(("[::1]:9", "[::1]:9", "/a")));
        check("http://127.0.0.1", Some(("127.0.0.1:80", "127.0.0.1", "")));
        check("http://127.0.0.1:4437", Some(("127.0.0.1:4437", "127.0.0.1:4437", "")));
        check("http://127.0.0.1?b", None);
        check("http://", None);
        check("http://127.0.0.1/a?b", None);
        check("http://127.0.0.1:99999/a", None);
        check("127.0.0.1/a", None);
        check("ftp://127.0.0.1/a", None);
    }

    #[test]
    fn authorities_that_cannot_be_read() {
        let transport = Transport { ca: Some("/nothing/here.pem".into()), ..Transport::default() };
        let error = Target::parse("https://127.0.0.1/a", &transport).unwrap_err().to_string();
        assert!(error.contains("/nothing/here.pem"), "{error}");
    }
}
