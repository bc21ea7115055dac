//! Request heads (RFC 9112 sections 2 - 6): from bytes to a head with one reading, or a refusal.
//!
//! Stateless: the caller keeps the bytes and asks again when more have come. A head that can no
//! longer become legal is refused while it is still incomplete.

use std::mem::MaybeUninit;
use std::net::IpAddr;

use bytes::Bytes;
use http::{Method, StatusCode};

use super::body::BodyLength;
use super::error::HeadError;
use super::fields::{Fields, Span};
use super::framing;
use super::host::check_host;
use super::scan;
use crate::headers;
use crate::limits::MAX_HEADER_FIELDS;

/// What the beginning of a buffer is.
#[derive(Clone, PartialEq, Debug)]
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once, never kept")]
pub enum HeadStatus {
    /// The beginning of a head: ask again with more bytes.
    Incomplete,
    /// A head, and the bytes it takes from the front of the buffer.
    Complete(RequestHead, usize),
}

/// The versions that are served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// HTTP/1.0: no chunked answers, closed unless the client asks otherwise.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// A request head that passed every check. Cheap to clone.
#[derive(Clone, PartialEq, Debug)]
pub struct RequestHead {
    /// The method, any token.
    pub method: Method,
    /// The version.
    pub version: Version,
    /// The fields.
    pub fields: Fields,
    /// How the body is framed.
    pub body: BodyLength,
    /// Whether the client wants to send another request on the connection.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
    /// Whether it came through TLS, for URLs in answers. Whoever read it from the socket says so.
    pub secure: bool,
    /// Where the client is, if a proxy that is trusted says so; see [`super::forwarded`].
    pub client: Option<IpAddr>,
    /// Which host the client asked for, if such a proxy says so.
    pub forwarded_host: Option<Box<str>>,
    target: Target,
}

/// Where the parts of the request target lie in the head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Target {
    path: Span,
    query: Option<Span>,
    authority: Option<Span>,
}

/// Fields of which a second line would contradict the first. The framing fields are checked in
/// [`framing`].
const SINGLE_VALUED: [&str; 17] = [
    headers::HOST,
    headers::CONTENT_TYPE,
    headers::EXPECT,
    headers::AUTHORIZATION,
    headers::ORIGIN,
    headers::LAST_EVENT_ID,
    headers::STREAM_TTL,
    headers::STREAM_EXPIRES_AT,
    headers::STREAM_SEQ,
    headers::STREAM_CLOSED,
    headers::STREAM_FORKED_FROM,
    headers::STREAM_FORK_OFFSET,
    headers::STREAM_FORK_SUB_OFFSET,
    headers::STREAM_EXPECTED_OFFSET,
    headers::PRODUCER_ID,
    headers::PRODUCER_EPOCH,
    headers::PRODUCER_SEQ,
];

impl RequestHead {
    /// The path as sent, percent-encoded; `*` for a server-wide OPTIONS.
    #[must_use]
    pub fn path(&self) -> &str {
        match self.fields.text(self.target.path) {
            // `http://host` and `http://host?query` name the root.
            "" => "/",
            path => path,
        }
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// What follows the first `?`, as sent.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.query.map(|query| self.fields.text(query))
    }

    /// What a trusted proxy says; otherwise the authority of an absolute-form target, otherwise
    /// `Host` (RFC 9112 section 3.2.2). Absent only in HTTP/1.0.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        if let Some(host) = &self.forwarded_host {
            return Some(host);
        }
        match self.target.authority {
            Some(authority) => Some(self.fields.text(authority)),
            None => self.fields.get(headers::HOST),
        }
    }
}

/// Parses the head at the front of `buf`.
pub fn parse_head(buf: &[u8]) -> Result<HeadStatus, HeadError> {
    // One empty line before a request is tolerated (RFC 9112 section 2.2): old clients end bodies
    // with one.
    let skipped = match buf {
        [] | [b'\r'] => return Ok(HeadStatus::Incomplete),
        [b'\r', b'\n', ..] => 2,
        _ => 0,
    };
    let rest = &buf[skipped..];
    scan::check_request_line(rest)?;
    match scan::head_end(rest)? {
        None => Ok(HeadStatus::Incomplete),
        Some(end) => Ok(HeadStatus::Complete(parse_complete(&rest[..end])?, skipped + end)),
    }
}

fn parse_complete(head: &[u8]) -> Result<RequestHead, HeadError> {
    let mut slots = [const { MaybeUninit::uninit() }; MAX_HEADER_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let outcome = parsed.parse_with_uninit_headers(head, &mut slots);
    outcome.map_err(|error| describe(error, head))?;
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(malformed_request_line());
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| malformed_request_line())?;
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let target = parse_target(head, &method, target)?;
    let fields = Fields::new(head, Bytes::copy_from_slice(head), parsed.headers)?;
    refuse_duplicates(&fields)?;
    require_host(&fields, version)?;
    let body = framing::body_length(&fields, version)?;
    framing::check_content_encoding(&fields)?;
    let expect_continue = framing::expects_continue(&fields, version, body)?;
    let keep_alive = framing::keep_alive(&fields, version);
    Ok(RequestHead {
        method,
        version,
        fields,
        body,
        keep_alive,
        expect_continue,
        secure: false,
        client: None,
        forwarded_host: None,
        target,
    })
}

/// Origin-form, absolute-form, or `*` for OPTIONS (RFC 9112 section 3.2).
fn parse_target(head: &[u8], method: &Method, target: &str) -> Result<Target, HeadError> {
    let bad = |detail: &'static str| HeadError::bad("malformed-target", detail);
    if !target.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b'#') {
        return Err(bad(if target.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
            "the request target has a fragment"
        } else {
            "the request target has a byte that is not visible ASCII"
        }));
    }
    let span = |part: &str| Span::of(head, part.as_bytes());
    if target == "*" && *method == Method::OPTIONS {
        return Ok(Target { path: span(target), query: None, authority: None });
    }
    let (authority, rest) = match strip_scheme(target) {
        _ if target.starts_with('/') => (None, target),
        Some(after) => {
            let (authority, rest) = after.split_at(after.find(['/', '?']).unwrap_or(after.len()));
            check_host(authority)?;
            (Some(span(authority)), rest)
        }
        None => return Err(bad("the request target is neither a path nor an http URL")),
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(span(query))),
        None => (rest, None),
    };
    Ok(Target { path: span(path), query, authority })
}

/// What follows `http://` or `https://`.
fn strip_scheme(target: &str) -> Option<&str> {
    ["http://", "https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

fn refuse_duplicates(fields: &Fields) -> Result<(), HeadError> {
    let mut seen = 0u32;
    for name in fields.names() {
        let is_it = |one: &&str| one.as_bytes().eq_ignore_ascii_case(name);
        let Some(index) = SINGLE_VALUED.iter().position(is_it) else { continue };
        if seen & (1 << index) != 0 {
            let name = String::from_utf8_lossy(name);
            let detail = format!("{name} is there more than once");
            return Err(HeadError::bad("duplicate-field", detail));
        }
        seen |= 1 << index;
    }
    Ok(())
}

/// RFC 9112 section 3.2.
fn require_host(fields: &Fields, version: Version) -> Result<(), HeadError> {
    match (fields.get(headers::HOST), version) {
        (Some(host), _) => check_host(host),
        (None, Version::Http10) => Ok(()),
        (None, Version::Http11) => Err(HeadError::bad("missing-host", "Host is missing")),
    }
}

fn describe(error: httparse::Error, head: &[u8]) -> HeadError {
    match error {
        httparse::Error::Version => unknown_version(head),
        httparse::Error::HeaderName => HeadError::bad(
            "malformed-field-name",
            "a field name is not a token directly followed by a colon",
        ),
        httparse::Error::HeaderValue => {
            HeadError::bad("malformed-field-value", "a field value has a byte that is not visible")
        }
        _ => malformed_request_line(),
    }
}

/// 505 for a version of the right form, 400 for anything else in its place.
fn unknown_version(head: &[u8]) -> HeadError {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let word = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    match word {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit()
                && minor.is_ascii_digit()
                && !matches!((major, minor), (b'1', b'0' | b'1')) =>
        {
            HeadError::new(
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "unsupported-version",
                "the versions that are served are HTTP/1.0 and HTTP/1.1",
            )
        }
        _ => malformed_request_line(),
    }
}

fn malformed_request_line() -> HeadError {
    HeadError::bad(
        "malformed-request-line",
        "the request line is not a method, a target and a version with single spaces between",
    )
}

#[cfg(test)]
mod tests;
