//! The PROXY protocol, versions 1 and 2: what a proxy says about its client before the client's own
//! bytes.
//!
//! Stateless, as the parser of heads is: the caller keeps the bytes and asks again when more have
//! come. What can no longer become a header is refused while it is still incomplete. Whether a
//! header may be believed is not decided here. Deliberately absent: what the additional fields of
//! version 2 mean; only their framing is checked.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::limits::MAX_PROXY_HEADER_BYTES;

/// What the beginning of a buffer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyStatus {
    /// The beginning of a header: ask again with more bytes.
    Incomplete,
    /// A header, and the bytes that it takes from the front of the buffer.
    Complete(ProxyHeader, usize),
}

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProxyHeader {
    /// Where the client is; `None`: the connection is the proxy's own, or the proxy does not say.
    pub source: Option<SocketAddr>,
}

/// Why bytes are no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProxyError(&'static str);

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Parses the header at the front of `buf`.
pub fn parse_proxy_header(buf: &[u8]) -> Result<ProxyStatus, ProxyError> {
    if begins(buf, &SIGNATURE) {
        return if buf.len() < FIXED_BYTES { Ok(ProxyStatus::Incomplete) } else { binary(buf) };
    }
    if begins(buf, WORD) {
        return text(buf);
    }
    Err(ProxyError("the first bytes are those of neither version"))
}

/// Whether these are the first bytes of `start`, or more.
fn begins(buf: &[u8], start: &[u8]) -> bool {
    let length = buf.len().min(start.len());
    buf[..length] == start[..length]
}

/// Version 2; the fixed part is there.
fn binary(buf: &[u8]) -> Result<ProxyStatus, ProxyError> {
    let (version, command) = (buf[12] >> 4, buf[12] & 0xf);
    if version != 2 {
        return Err(ProxyError("the version is not 2"));
    }
    let length = usize::from(u16::from_be_bytes([buf[14], buf[15]]));
    let whole = FIXED_BYTES + length;
    if whole > MAX_PROXY_HEADER_BYTES {
        return Err(ProxyError("the header is too long"));
    }
    let address_bytes = match (command, buf[13]) {
        (LOCAL, _) => 0,
        (PROXY, UNSPECIFIED) => 0,
        (PROXY, TCP_OVER_IPV4) => 12,
        (PROXY, TCP_OVER_IPV6) => 36,
        (PROXY, UNIX_STREAM) => 216,
        (PROXY, _) => return Err(ProxyError("the transport is none that is served")),
        _ => return Err(ProxyError("the command is not known")),
    };
    if length < address_bytes {
        return Err(ProxyError("the header is too short for its addresses"));
    }
    let Some(rest) = buf.get(FIXED_BYTES..whole) else { return Ok(ProxyStatus::Incomplete) };
    let (addresses, fields) = rest.split_at(address_bytes);
    // What follows LOCAL, or an address of an unknown kind, is to be skipped.
    if address_bytes > 0 {
        check_fields(fields)?;
    }
    let source = match address_bytes {
        12 => source::<4, Ipv4Addr>(addresses),
        36 => source::<16, Ipv6Addr>(addresses),
        _ => None,
    };
    Ok(ProxyStatus::Complete(ProxyHeader { source }, whole))
}

/// Source address, destination address, source port, destination port.
fn source<const LEN: usize, A: From<[u8; LEN]> + Into<IpAddr>>(
    addresses: &[u8],
) -> Option<SocketAddr> {
    let address: &[u8; LEN] = addresses.first_chunk()?;
    let port: &[u8; 2] = addresses.get(2 * LEN..)?.first_chunk()?;
    Some(SocketAddr::new(A::from(*address).into(), u16::from_be_bytes(*port)))
}

/// A type, a length, and as many bytes, again and again.
fn check_fields(mut fields: &[u8]) -> Result<(), ProxyError> {
    while let [_, high, low, rest @ ..] = fields {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        fields = rest.get(length..).ok_or(ProxyError("an additional field is too long"))?;
    }
    if fields.is_empty() { Ok(()) } else { Err(ProxyError("an additional field is cut off")) }
}

/// Version 1: one line.
fn text(buf: &[u8]) -> Result<ProxyStatus, ProxyError> {
    let window = &buf[..buf.len().min(MAX_LINE_BYTES)];
    let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
        return match window.len() {
            MAX_LINE_BYTES => Err(ProxyError("the line is too long")),
            _ => Ok(ProxyStatus::Incomplete),
        };
    };
    let malformed = ProxyError("the line is malformed");
    let line = window[..end].strip_suffix(b"\r").ok_or(malformed)?;
    if !line.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(malformed);
    }
    let line = std::str::from_utf8(line).map_err(|_| malformed)?;
    let mut words = line.split(' ').skip(1);
    let source = match words.next() {
        // Whatever follows is to be ignored.
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(line_source::<Ipv4Addr>(words).ok_or(malformed)?),
        Some("TCP6") => Some(line_source::<Ipv6Addr>(words).ok_or(malformed)?),
        _ => return Err(malformed),
    };
    Ok(ProxyStatus::Complete(ProxyHeader { source }, end + 1))
}

fn line_source<'a, A: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Option<SocketAddr> {
    let (source, _) = (address::<A>(words.next()?)?, address::<A>(words.next()?)?);
    let (port, _) = (port(words.next()?)?, port(words.next()?)?);
    words.next().is_none().then(|| SocketAddr::new(source, port))
}

fn address<A: FromStr + Into<IpAddr>>(word: &str) -> Option<IpAddr> {
    word.parse::<A>().ok().map(Into::into)
}

/// Digits without a zero before them.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit());
    let plain = plain && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| plain)
}

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length of the rest.
const FIXED_BYTES: usize = 16;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;
const UNSPECIFIED: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;

const WORD: &[u8] = b"PROXY ";
/// The longest line of version 1, as its text says.
const MAX_LINE_BYTES: usize = 107;

const _: () = assert!(MAX_LINE_BYTES <= MAX_PROXY_HEADER_BYTES);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x20 | command, family]);
        bytes.extend((rest.len() as u16).to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    fn ipv4() -> Vec<u8> {
        vec![192, 0, 2, 1, 198, 51, 100, 2, 0x12, 0x34, 0x01, 0xbb]
    }

    fn complete(bytes: &[u8], source: Option<&str>) {
        let source = source.map(|text| text.parse().unwrap());
        let want = ProxyStatus::Complete(ProxyHeader { source }, bytes.len());
        assert_eq!(parse_proxy_header(bytes), Ok(want), "{bytes:?}");
        for len in 0..bytes.len() {
            let status = parse_proxy_header(&bytes[..len]);
            assert_eq!(status, Ok(ProxyStatus::Incomplete), "{len} bytes of {bytes:?}");
        }
        let mut more = bytes.to_vec();
        more.extend_from_slice(b"GET / HTTP/1.1\r\n");
        assert_eq!(parse_proxy_header(&more), Ok(want), "with more behind it");
    }

    #[test]
    fn headers_of_version_2() {
        complete(&v2(PROXY, TCP_OVER_IPV4, &ipv4()), Some("192.0.2.1:4660"));
        let fields = [ipv4(), vec![4, 0, 1, 9, 0x20, 0, 0]].concat();
        complete(&v2(PROXY, TCP_OVER_IPV4, &fields), Some("192.0.2.1:4660"));
        let mut ipv6 = vec![0; 36];
        (ipv6[0], ipv6[1], ipv6[15], ipv6[33]) = (0x20, 0x01, 7, 80);
        complete(&v2(PROXY, TCP_OVER_IPV6, &ipv6), Some("[2001::7]:80"));
        complete(&v2(PROXY, UNIX_STREAM, &[b'x'; 216]), None);
        complete(&v2(PROXY, UNSPECIFIED, b"whatever"), None);
        complete(&v2(LOCAL, TCP_OVER_IPV4, &ipv4()), None);
        complete(&v2(LOCAL, 0xff, &[]), None);
    }

    #[test]
    fn headers_of_version_1() {
        complete(b"PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\n", Some("192.0.2.1:4660"));
        complete(b"PROXY TCP6 2001:db8::7 ::1 0 65535\r\n", Some("[2001:db8::7]:0"));
        complete(b"PROXY UNKNOWN\r\n", None);
        complete(b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None);
    }

    #[test]
    fn what_is_refused() {
        let refused = |bytes: &[u8]| {
            assert!(parse_proxy_header(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        };
        for line in [
            "TCP4 192.0.2.1 198.51.100.2 4660",
            "TCP4 192.0.2.1 198.51.100.2 4660 443 1",
            "TCP4 192.0.2.01 198.51.100.2 4660 443",
            "TCP4 192.0.2.1 198.51.100.2 04660 443",
            "TCP4 192.0.2.1 198.51.100.2 +4660 443",
            "TCP4 192.0.2.1 198.51.100.2 65536 443",
            "TCP4  192.0.2.1 198.51.100.2 4660 443",
            "TCP4 2001:db8::7 ::1 4660 443",
            "TCP6 192.0.2.1 198.51.100.2 4660 443",
            "UDP4 192.0.2.1 198.51.100.2 4660 443",
            "",
            "TCP4",
            "UNKNOWN\t",
        ] {
            refused(format!("PROXY {line}\r\n").as_bytes());
        }
        refused(b"PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\n");
        refused(format!("PROXY {}", "x".repeat(MAX_LINE_BYTES)).as_bytes());
        refused(b"GET / HTTP/1.1\r\n");
        refused(b"\r\n\r\n\0\r\nQUIX");
        refused(&v2(2, TCP_OVER_IPV4, &ipv4()));
        // Datagrams, an unknown family, addresses that are not all there.
        refused(&v2(PROXY, 0x12, &ipv4()));
        refused(&v2(PROXY, 0x41, &ipv4()));
        refused(&v2(PROXY, TCP_OVER_IPV4, &ipv4()[..11]));
        refused(&v2(PROXY, TCP_OVER_IPV6, &ipv4()));
        // An additional field that is longer than the header, or cut off.
        refused(&v2(PROXY, TCP_OVER_IPV4, &[ipv4(), vec![4, 0, 9, 1]].concat()));
        refused(&v2(PROXY, TCP_OVER_IPV4, &[ipv4(), vec![4, 0]].concat()));
        let mut version_1 = v2(PROXY, TCP_OVER_IPV4, &ipv4());
        version_1[12] = 0x11;
        refused(&version_1);
        // Too long, and said so before it has come.
        let mut long = v2(PROXY, TCP_OVER_IPV4, &[]);
        long[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
        refused(&long);
    }

    proptest! {
        #[test]
        fn any_bytes_have_one_meaning(
            start in 0..4usize,
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let starts: [&[u8]; 4] = [b"", b"PROXY TCP4 ", &SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"];
            let bytes = [starts[start], &rest].concat();
            if let Ok(ProxyStatus::Complete(header, taken)) = parse_proxy_header(&bytes) {
                prop_assert!(taken <= bytes.len().min(MAX_PROXY_HEADER_BYTES));
                let again = parse_proxy_header(&bytes[..taken]);
                prop_assert_eq!(again, Ok(ProxyStatus::Complete(header, taken)));
                for len in 0..taken {
                    prop_assert_eq!(parse_proxy_header(&bytes[..len]), Ok(ProxyStatus::Incomplete));
                }
            }
        }
    }
}
