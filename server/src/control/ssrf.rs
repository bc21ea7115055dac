//! Which URLs the server may call for a client (sections 6.2 and 12.8).
//!
//! Two gates, because a name can change its mind between them: the URL and every address of its
//! host when a subscription is created, and every address again at each connection, inside the
//! resolver of the HTTP client (`GuardedResolver`), so that the address that was checked is the
//! address that is connected to. The only exception is plain HTTP to this very machine, for
//! development. Deliberately absent: configuration that weakens this.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use url::{Host, Url};

/// How long a name may take to resolve.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// What can be said about a URL without asking DNS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may be called.
    Accept,
    /// It may not.
    Reject(Rejection),
    /// That depends on what the host's name means.
    NeedsDns,
}

/// Why a URL is rejected. Its `Display` continues "`webhook.url` ...".
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Rejection {
    /// Not an absolute URL with a host.
    #[error("is not a URL with a host")]
    Malformed,
    /// Neither https nor the development exception.
    #[error("must use https; http is only for localhost, 127.0.0.0/8 and [::1]")]
    NotHttps,
    /// `user:password@`.
    #[error("must not contain a user name or a password")]
    UserInfo,
    /// An address that is not on the public internet.
    #[error("must not target a private, local or reserved address")]
    ForbiddenAddress,
}

/// Judges a URL as a client wrote it.
#[must_use]
pub fn check_text(text: &str) -> Verdict {
    Url::parse(text).map_or(Verdict::Reject(Rejection::Malformed), |url| check_literal(&url))
}

/// Judges a parsed URL. The parser has already undone decimal, octal, hexadecimal and shortened
/// spellings of IPv4 addresses.
#[must_use]
pub fn check_literal(url: &Url) -> Verdict {
    match judge(url) {
        Ok(verdict) => verdict,
        Err(rejection) => Verdict::Reject(rejection),
    }
}

/// Judges a URL with every address its host resolves to. A name that does not resolve now is
/// accepted: each delivery looks again.
pub(super) async fn check_resolved(text: &str) -> Result<(), Rejection> {
    let url = Url::parse(text).map_err(|_| Rejection::Malformed)?;
    if judge(&url)? == Verdict::Accept {
        return Ok(());
    }
    let host = url.host_str().ok_or(Rejection::Malformed)?;
    let addresses = resolve(host).await.unwrap_or_default();
    let all_public = addresses.iter().all(|address| is_public(address.ip()));
    if all_public { Ok(()) } else { Err(Rejection::ForbiddenAddress) }
}

/// A resolver that never returns an address the server may not call.
#[derive(Clone, Copy, Debug)]
pub(super) struct GuardedResolver;

impl reqwest::dns::Resolve for GuardedResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async move {
            let allowed = allowed_addresses(name.as_str()).await?;
            Ok(Box::new(allowed.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

/// No address of this name may be called.
#[derive(Debug, thiserror::Error)]
#[error("every address of {0:?} is private, local or reserved")]
struct AllForbidden(Box<str>);

type ResolveError = Box<dyn std::error::Error + Send + Sync>;

async fn allowed_addresses(host: &str) -> Result<Vec<SocketAddr>, ResolveError> {
    if host.eq_ignore_ascii_case("localhost") {
        // The development exception, without asking anybody what it means. `judge` has seen to it
        // that this is plain HTTP.
        return Ok(vec![(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()]);
    }
    let mut addresses = resolve(host).await?;
    addresses.retain(|address| is_public(address.ip()));
    if addresses.is_empty() { Err(AllForbidden(host.into()).into()) } else { Ok(addresses) }
}

async fn resolve(host: &str) -> Result<Vec<SocketAddr>, ResolveError> {
    let lookup = tokio::net::lookup_host((host, 0));
    Ok(tokio::time::timeout(RESOLVE_TIMEOUT, lookup).await??.collect())
}

fn judge(url: &Url) -> Result<Verdict, Rejection> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Rejection::UserInfo);
    }
    let host = match url.scheme() {
        "http" | "https" => url.host().ok_or(Rejection::Malformed)?,
        _ => return Err(Rejection::NotHttps),
    };
    if url.scheme() == "http" {
        return if is_development(&host) { Ok(Verdict::Accept) } else { Err(Rejection::NotHttps) };
    }
    let address = match host {
        Host::Ipv4(address) => IpAddr::V4(address),
        Host::Ipv6(address) => IpAddr::V6(address),
        Host::Domain(name) if is_local_name(name) => return Err(Rejection::ForbiddenAddress),
        Host::Domain(_) => return Ok(Verdict::NeedsDns),
    };
    if is_public(address) { Ok(Verdict::Accept) } else { Err(Rejection::ForbiddenAddress) }
}

fn is_development(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.is_empty() || name == "localhost" || name.ends_with(".localhost")
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The special-purpose registry of IANA, rounded outwards.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        // 169.254/16: where clouds keep their metadata services.
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18)
        // Multicast, reserved, broadcast.
        || a >= 224;
    !special
}

/// Global unicast (2000::/3) without its special parts; what embeds an IPv4 address is judged by
/// that address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded =
        |high: u16, low: u16| is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match (a, b) {
        // ::ffff:a.b.c.d
        (0, 0) => (c, d, e, f) == (0, 0, 0, 0xffff) && embedded(g, h),
        // NAT64
        (0x64, 0xff9b) => (c, d, e, f) == (0, 0, 0, 0) && embedded(g, h),
        // 6to4
        (0x2002, high) => embedded(high, c),
        // Teredo, ORCHID and the other protocol assignments of 2001::/23; documentation.
        (0x2001, 0..=0x01ff | 0xdb8) => false,
        (0x3fff, 0..=0x0fff) => false,
        _ => a & 0xe000 == 0x2000,
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Accept => f.write_str("accepted"),
            Verdict::Reject(rejection) => write!(f, "rejected: it {rejection}"),
            Verdict::NeedsDns => f.write_str("depends on DNS"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |url: &str, want: Verdict| assert_eq!(check_text(url), want, "{url}");
        for accepted in [
            "http://localhost/h",
            "http://LOCALHOST:8080/h",
            "http://127.0.0.1:3000/h",
            "http://127.1.2.3/h",
            "http://127.1/h",
            "http://2130706433/h",
            "http://[::1]:9/h",
            "https://1.1.1.1/h",
            "https://[2606:4700::1111]/h",
            "https://[::ffff:1.1.1.1]/h",
        ] {
            check(accepted, Verdict::Accept);
        }
        for asks in ["https://worker.example/h", "https://worker.example:8443/", "https://x."] {
            check(asks, Verdict::NeedsDns);
        }
        for not_https in [
            "http://worker.example/h",
            "http://10.0.0.1/hook",
            "http://1.1.1.1/",
            "http://localhost.example/",
            "http://a.localhost/",
            "http://localhost./",
            "http://[::ffff:127.0.0.1]/",
            "ftp://worker.example/",
            "file:///etc/passwd",
            "unix:/run/x.sock",
            "javascript:alert(1)",
        ] {
            check(not_https, Verdict::Reject(Rejection::NotHttps));
        }
        for forbidden in [
            "https://localhost/",
            "https://localhost./",
            "https://a.localhost/",
            "https://127.0.0.1/",
            "https://10.0.0.1/",
            "https://0x0a000001/",
            "https://012.0.0.1/",
            "https://167772161/",
            "https://10.1/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[fe80::1]/",
            "https://[::ffff:10.0.0.1]/",
        ] {
            check(forbidden, Verdict::Reject(Rejection::ForbiddenAddress));
        }
        check("https://user@worker.example/", Verdict::Reject(Rejection::UserInfo));
        check("https://:secret@worker.example/", Verdict::Reject(Rejection::UserInfo));
        check("http://user@localhost/", Verdict::Reject(Rejection::UserInfo));
        for malformed in ["", "worker.example", "https://", "https://[::1", "https://a b/"] {
            check(malformed, Verdict::Reject(Rejection::Malformed));
        }
    }

    #[test]
    fn addresses() {
        let check = |address: &str, want: bool| {
            assert_eq!(is_public(address.parse().unwrap()), want, "{address}");
        };
        for public in [
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2002:0808:0808::1",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
        ] {
            check(public, true);
        }
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.255.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::10.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:0a00:0001::1",
            "3fff::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ] {
            check(special, false);
        }
    }

    #[tokio::test]
    async fn localhost_is_this_machine_and_nothing_else_is() {
        let addresses = allowed_addresses("localhost").await.unwrap();
        assert!(addresses.iter().all(|address| address.ip().is_loopback()));
        // Resolvers answer literals without asking the network.
        assert!(allowed_addresses("127.0.0.1").await.is_err());
        assert!(allowed_addresses("10.0.0.1").await.is_err());
        assert_eq!(allowed_addresses("1.1.1.1").await.unwrap().len(), 1);
        assert_eq!(check_resolved("https://10.0.0.1/").await, Err(Rejection::ForbiddenAddress));
        assert_eq!(check_resolved("http://127.0.0.1/").await, Ok(()));
    }
}
