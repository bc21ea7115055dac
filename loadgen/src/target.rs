//! Where a stream lives: the part of a URL that goes into a socket address and a request.
//!
//! Deliberately absent: TLS and user information, which arrive with the front door.

use std::net::{SocketAddr, ToSocketAddrs};

use crate::LoadError;

/// A stream of a server that is reached without TLS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Where to connect to.
    pub address: SocketAddr,
    /// The `Host` field.
    pub host: String,
    /// The path of the stream, or of the base below which streams are made.
    pub path: String,
}

impl Target {
    /// Takes a URL apart and looks its host up.
    pub fn parse(url: &str) -> Result<Target, LoadError> {
        let refused = |reason: &str| LoadError::Url { url: url.to_owned(), reason: reason.into() };
        let rest = url.strip_prefix("http://").ok_or_else(|| refused("the scheme is not http"))?;
        // A server may have its streams right below its root.
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if rest.contains(['?', '#', ' ']) {
            return Err(refused("it has a query, a fragment or a space"));
        }
        let with_port = match host.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
            _ => format!("{host}:80"),
        };
        let mut found = with_port.to_socket_addrs().map_err(|error| refused(&error.to_string()))?;
        let address = found.next().ok_or_else(|| refused("its host has no address"))?;
        Ok(Target { address, host: host.to_owned(), path: path.trim_end_matches('/').to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |url: &str, want: Option<(&str, &str, &str)>| {
            let got = Target::parse(url).ok();
            let got = got.map(|target| (target.address.to_string(), target.host, target.path));
            let want = want.map(|(a, h, p)| (a.to_owned(), h.to_owned(), p.to_owned()));
            assert_eq!(got, want, "{url}");
        };
        check("http://127.0.0.1:4437/v1/x", Some(("127.0.0.1:4437", "127.0.0.1:4437", "/v1/x")));
        check("http://127.0.0.1/v1/", Some(("127.0.0.1:80", "127.0.0.1", "/v1")));
        check("http://[::1]:9/a", Some(("[::1]:9", "[::1]:9", "/a")));
        check("https://127.0.0.1/a", None);
        check("http://127.0.0.1", Some(("127.0.0.1:80", "127.0.0.1", "")));
        check("http://127.0.0.1:4437", Some(("127.0.0.1:4437", "127.0.0.1:4437", "")));
        check("http://127.0.0.1?b", None);
        check("http://", None);
        check("http://127.0.0.1/a?b", None);
        check("http://127.0.0.1:99999/a", None);
        check("127.0.0.1/a", None);
    }
}
