//! Addresses and URLs of a configuration: `listen`, `base_path`, `public_url`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use thalweg_proto::path::RESERVED_SEGMENT;
use url::Url;

use super::limits;
use super::raw::RawValue;
use super::value::Expected;

/// The URL path under which streams live: starts with a slash, does not end with one, and has only
/// segments that need no encoding and that no proxy rewrites.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BasePath(String);

impl BasePath {
    /// Checks a path.
    #[must_use]
    pub fn parse(text: &str) -> Option<BasePath> {
        let segments = text.strip_prefix('/')?;
        segments.split('/').all(is_plain_segment).then(|| BasePath(text.to_owned()))
    }

    /// The path, such as `/v1/stream`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_plain_segment(segment: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !matches!(segment, "" | "." | "..")
        && segment != RESERVED_SEGMENT
        && segment.bytes().all(unreserved)
}

pub(super) fn base_path(raw: &RawValue) -> Result<BasePath, Expected> {
    let parsed = match raw {
        RawValue::Text(text) => BasePath::parse(text),
        _ => None,
    };
    parsed.ok_or_else(|| {
        "a path such as \"/v1/stream\": a leading slash, no trailing one, segments of letters, \
         digits and -._~, none of them `.`, `..` or `__ds`"
            .to_owned()
    })
}

pub(super) fn listen(raw: &RawValue) -> Result<Vec<SocketAddr>, Expected> {
    let one = |item: &RawValue| match item {
        RawValue::Text(text) => text.parse().ok(),
        _ => None,
    };
    let parsed: Option<Vec<SocketAddr>> = match raw {
        RawValue::List(items) => items.iter().map(one).collect(),
        item => one(item).map(|address| vec![address]),
    };
    let addresses = parsed.ok_or_else(|| {
        "IP addresses with ports, such as \"127.0.0.1:4437\" or \"[::]:4437\"".to_owned()
    })?;
    if addresses.is_empty() || addresses.len() > limits::MAX_LISTEN_ADDRESSES {
        return Err(format!("1 to {} addresses", limits::MAX_LISTEN_ADDRESSES));
    }
    let mut distinct = addresses.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < addresses.len() {
        return Err("each address once".to_owned());
    }
    Ok(addresses)
}

/// Where the admin listener is unless it is said otherwise.
pub const DEFAULT_ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9437);

/// `Some(None)` is "off".
pub(super) fn admin(raw: &RawValue) -> Result<Option<SocketAddr>, Expected> {
    let parsed = match raw {
        RawValue::Text(text) if text == "off" => Some(None),
        RawValue::Text(text) => text.parse().ok().map(Some),
        _ => None,
    };
    parsed.ok_or_else(|| {
        format!("an IP address with a port, such as \"{DEFAULT_ADMIN}\", or \"off\"")
    })
}

/// An http or https URL of something that answers.
pub(super) fn url(raw: &RawValue) -> Result<Url, Expected> {
    let parsed = match raw {
        RawValue::Text(text) => Url::parse(text.trim_end_matches('/')).ok(),
        _ => None,
    };
    parsed
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .filter(|url| url.query().is_none() && url.fragment().is_none())
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .ok_or_else(|| {
            "an http or https URL without query, fragment or user, such as \
             \"https://streams.example.com\""
                .to_owned()
        })
}
