//! Who the client is and what it asked for, when proxies stand between: `Forwarded` (RFC 7239) and
//! `X-Forwarded-For` with its kin.
//!
//! Each proxy adds what it saw at the right end. So fields are read from the right, from one
//! address that is trusted to the next, up to the first one that is not: that is the client. What
//! stands left of it came from the client, who can write what it likes there; it is never looked
//! at, so that nothing in it (a quote that never closes, say) changes what is found. Whom to trust
//! is an argument.

use std::borrow::Cow;
use std::net::IpAddr;

use super::fields::Fields;
use super::head::RequestHead;
use super::host::is_host;
use crate::headers;
use crate::limits::MAX_FORWARDED_HOPS;

/// Which fields are believed. One kind only: a proxy that sets one of them lets the other one pass
/// as the client sent it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForwardedField {
    /// `Forwarded`.
    Forwarded,
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
    XForwarded,
}

/// Takes over into `head` what the proxies between say. `peer` is the last of them: the caller
/// trusts it.
pub fn believe(
    head: &mut RequestHead,
    field: ForwardedField,
    peer: IpAddr,
    trusted: impl Fn(IpAddr) -> bool,
) {
    let claims = match field {
        ForwardedField::Forwarded => of_forwarded(&head.fields, peer, trusted),
        ForwardedField::XForwarded => of_x_forwarded(&head.fields, peer, trusted),
    };
    head.client = Some(claims.client);
    if let Some(secure) = claims.secure {
        head.secure = secure;
    }
    head.forwarded_host = claims.host;
}

struct Claims {
    client: IpAddr,
    secure: Option<bool>,
    host: Option<Box<str>>,
}

fn of_forwarded(fields: &Fields, peer: IpAddr, trusted: impl Fn(IpAddr) -> bool) -> Claims {
    let mut claims = Claims { client: peer, secure: None, host: None };
    for element in from_the_right(fields, headers::FORWARDED) {
        let Some(element) = Element::parse(element) else { break };
        // What the client asked the proxy for that it reached.
        claims.secure = element.secure;
        claims.host = element.host;
        let Some(address) = element.node.as_deref().and_then(bracketed) else { break };
        claims.client = address;
        if !trusted(address) {
            break;
        }
    }
    claims
}

fn of_x_forwarded(fields: &Fields, peer: IpAddr, trusted: impl Fn(IpAddr) -> bool) -> Claims {
    let mut client = peer;
    for element in from_the_right(fields, headers::X_FORWARDED_FOR) {
        let Some(address) = address(element) else { break };
        client = address;
        if !trusted(address) {
            break;
        }
    }
    // These are single values that a proxy overwrites; if one adds to them, at the right.
    let last = |name| from_the_right(fields, name).next();
    let secure = last(headers::X_FORWARDED_PROTO).and_then(is_secure);
    let host = last(headers::X_FORWARDED_HOST).filter(|host| is_host(host)).map(Into::into);
    Claims { client, secure, host }
}

/// The elements of a list field, the last one first.
fn from_the_right<'a>(fields: &'a Fields, name: &'a str) -> impl Iterator<Item = &'a str> {
    let values: Vec<&str> = fields.get_all(name).collect();
    let elements = values.into_iter().rev().flat_map(|value| RightToLeft(Some(value)));
    elements.map(str::trim_ascii).filter(|element| !element.is_empty()).take(MAX_FORWARDED_HOPS)
}

/// Parts of a value between commas outside of quotes, the last one first.
struct RightToLeft<'a>(Option<&'a str>);

impl<'a> Iterator for RightToLeft<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let value = self.0?;
        let bytes = value.as_bytes();
        let mut quoted = false;
        for at in (0..bytes.len()).rev() {
            match bytes[at] {
                b'"' if !is_escaped(&bytes[..at]) => quoted = !quoted,
                b',' if !quoted => {
                    self.0 = Some(&value[..at]);
                    return Some(&value[at + 1..]);
                }
                _ => {}
            }
        }
        self.0.take()
    }
}

/// Whether a byte behind these has a backslash that is not one's own.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// What one proxy says.
#[derive(Default)]
struct Element<'a> {
    node: Option<Cow<'a, str>>,
    secure: Option<bool>,
    host: Option<Box<str>>,
}

impl<'a> Element<'a> {
    /// `None`: it is malformed.
    fn parse(text: &'a str) -> Option<Element<'a>> {
        let mut element = Element::default();
        let mut seen = [false; 3];
        let mut rest = text;
        while !rest.is_empty() {
            let (pair, after) = split_pair(rest)?;
            rest = after;
            let (name, value) = pair.split_once('=')?;
            let value = unquoted(value)?;
            let which =
                ["for", "proto", "host"].iter().position(|it| name.eq_ignore_ascii_case(it));
            if which.is_some_and(|which| std::mem::replace(&mut seen[which], true)) {
                return None;
            }
            match which {
                Some(0) => element.node = Some(value),
                Some(1) => element.secure = is_secure(&value),
                Some(2) => {
                    element.host = is_host(&value).then(|| value.into());
                }
                _ if is_token(name) => {}
                _ => return None,
            }
        }
        Some(element)
    }
}

/// Up to the next semicolon outside of quotes, and what follows it.
fn split_pair(text: &str) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => return Some((text[..at].trim_ascii(), text[at + 1..].trim_ascii())),
            _ => {}
        }
    }
    (!quoted).then(|| (text.trim_ascii(), ""))
}

/// A value as it is, or what a quoted string says.
fn unquoted(value: &str) -> Option<Cow<'_, str>> {
    let Some(inside) = value.strip_prefix('"') else {
        return is_plain(value).then_some(Cow::Borrowed(value));
    };
    let inside = inside.strip_suffix('"')?;
    if !inside.contains(['\\', '"']) {
        return Some(Cow::Borrowed(inside));
    }
    let mut text = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.push(characters.next()?),
            '"' => return None,
            other => text.push(other),
        }
    }
    Some(Cow::Owned(text))
}

/// A token; with what addresses and ports need quotes for, which some proxies forget.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.split([':', '[', ']']).all(|part| part.is_empty() || is_token(part))
}

fn is_token(text: &str) -> bool {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(of_token)
}

/// A node of `Forwarded`: an address with or without a port, IPv6 in brackets. `None`: unknown,
/// hidden, or malformed.
fn bracketed(node: &str) -> Option<IpAddr> {
    let is_bare_ipv6 = node.matches(':').count() > 1 && !node.starts_with('[');
    if is_bare_ipv6 { None } else { address(node) }
}

/// An address with or without a port, which may be hidden.
fn address(node: &str) -> Option<IpAddr> {
    let address = match node.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let address = address.parse().ok().map(IpAddr::V6);
            address.filter(|_| port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        }
        None => node.parse().ok().or_else(|| {
            let (address, port) = node.split_once(':')?;
            address.parse().ok().map(IpAddr::V4).filter(|_| is_port(port))
        }),
    };
    address.map(|address| address.to_canonical())
}

fn is_port(port: &str) -> bool {
    let digits = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    !port.is_empty() && (digits || port.starts_with('_') && is_token(port))
}

fn is_secure(scheme: &str) -> Option<bool> {
    let is = |name| scheme.eq_ignore_ascii_case(name);
    if is("https") { Some(true) } else { is("http").then_some(false) }
}

#[cfg(test)]
mod tests;
