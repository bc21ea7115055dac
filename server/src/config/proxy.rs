//! `[proxy]`: whose word about a client is believed, and how it is given.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::error::ConfigError;
use super::limits::MAX_TRUSTED_NETWORKS;
use super::print::quoted;
use super::raw::{RawConfig, RawValue};
use super::resolve::{field, refuse};
use super::value::{self, Expected};

/// See the module. Off unless something is trusted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProxyConfig {
    /// Where trusted proxies connect from.
    pub trusted: Vec<Network>,
    /// Addresses, out of those that are listened on, where connections begin with a header of the
    /// PROXY protocol.
    pub protocol: Vec<SocketAddr>,
    /// Which fields of requests are believed.
    pub forwarded: Forwarded,
}

/// Fields that say who a client is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Forwarded {
    /// None.
    Off,
    /// `Forwarded`.
    Forwarded,
    /// `X-Forwarded-For`, `X-Forwarded-Proto`, `X-Forwarded-Host`.
    XForwarded,
}

/// A range of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

impl ProxyConfig {
    /// Whether a proxy at this address is believed.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

impl Network {
    /// Reads `10.0.0.0/8`, or an address alone.
    fn parse(text: &str) -> Option<Network> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(value::integer(&prefix.into())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits: u32 = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(bits), |prefix| u32::try_from(prefix).ok())?;
        let network = Network { address, prefix };
        (prefix <= bits && network.is_canonical()).then_some(network)
    }

    /// Whether an address is in it. Addresses of IPv4 that IPv6 carries are of IPv4 here.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                let differ = as_bits(self.address) ^ as_bits(address);
                differ.checked_shr(128 - self.prefix).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// Nothing behind the prefix is set, and it is no IPv4 in the clothes of IPv6.
    fn is_canonical(self) -> bool {
        let behind = as_bits(self.address).checked_shl(self.prefix).unwrap_or(0);
        behind == 0 && self.address.to_canonical() == self.address
    }
}

/// The address at the upper end.
fn as_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

pub(super) fn resolve(raw: &RawConfig) -> Result<ProxyConfig, ConfigError> {
    Ok(ProxyConfig {
        trusted: field("proxy.trusted", &raw.proxy_trusted, networks)?.unwrap_or_default(),
        protocol: field("proxy.protocol", &raw.proxy_protocol, addresses)?.unwrap_or_default(),
        forwarded: field("proxy.forwarded", &raw.proxy_forwarded, value::word)?
            .unwrap_or(Forwarded::Off),
    })
}

/// What the keys mean together.
pub(super) fn check(proxy: &ProxyConfig, listen: &[SocketAddr]) -> Result<(), ConfigError> {
    if let Some(address) = proxy.protocol.iter().find(|address| !listen.contains(address)) {
        let expected = "addresses that are in listen too".to_owned();
        return Err(refuse("proxy.protocol", address, expected));
    }
    let needs = "nothing without proxy.trusted, the networks of the proxies".to_owned();
    match (proxy.trusted.is_empty(), proxy.protocol.first(), proxy.forwarded) {
        (true, Some(address), _) => Err(refuse("proxy.protocol", address, needs)),
        (true, None, Forwarded::Forwarded | Forwarded::XForwarded) => {
            Err(refuse("proxy.forwarded", &quoted(proxy.forwarded), needs))
        }
        _ => Ok(()),
    }
}

fn networks(raw: &RawValue) -> Result<Vec<Network>, Expected> {
    each(raw, Network::parse).filter(|networks| networks.len() <= MAX_TRUSTED_NETWORKS).ok_or_else(
        || {
            format!(
                "at most {MAX_TRUSTED_NETWORKS} networks such as \"10.0.0.0/8\", \"fd00::/8\" or \
                 \"192.0.2.1\", with nothing set behind the prefix"
            )
        },
    )
}

fn addresses(raw: &RawValue) -> Result<Vec<SocketAddr>, Expected> {
    each(raw, |item| item.parse().ok())
        .ok_or_else(|| "addresses out of listen, such as \"0.0.0.0:4437\"".to_owned())
}

/// One item, or a list of them.
fn each<T>(raw: &RawValue, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let one = |raw: &RawValue| value::text(raw).ok().and_then(&parse);
    match raw {
        RawValue::List(items) => items.iter().map(one).collect(),
        item => one(item).map(|item| vec![item]),
    }
}

impl fmt::Display for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trusted: Vec<_> = self.trusted.iter().map(quoted).collect();
        let protocol: Vec<_> = self.protocol.iter().map(quoted).collect();
        writeln!(f, "[proxy]")?;
        writeln!(f, "trusted = [{}]", trusted.join(", "))?;
        writeln!(f, "protocol = [{}]", protocol.join(", "))?;
        writeln!(f, "forwarded = {}", quoted(self.forwarded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_what_is_in_them() {
        let check = |network: &str, address: &str, want: bool| {
            let parsed = Network::parse(network).expect(network);
            assert_eq!(parsed.contains(address.parse().unwrap()), want, "{address} in {network}");
            assert_eq!(Network::parse(&parsed.to_string()), Some(parsed));
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.0", false);
        check("192.0.2.128/25", "192.0.2.127", false);
        check("192.0.2.128/25", "192.0.2.128", true);
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "::1", false);
        check("::/0", "2001:db8::1", true);
        check("::/0", "192.0.2.1", false);
        check("2001:db8::/33", "2001:db8:7fff::1", true);
        check("2001:db8::/33", "2001:db8:8000::1", false);
        check("::1", "::1", true);
        for bad in ["", "10.0.0.0/33", "10.0.0.1/8", "fd00::1/8", "::/129", "a/8", "10.0.0.0/"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
        for bad in ["10.0.0.0/-1", "10.0.0/8", "10.0.0.0 /8", "::ffff:10.0.0.0/104", "localhost"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
