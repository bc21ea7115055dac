//! Response heads, chunk framing and dates as bytes.
//!
//! What every response says is one constant block, so that most of a head is one copy. Bodies
//! are not written here: their pieces go to the socket as they are.

use http::StatusCode;
use smallvec::SmallVec;

use super::head::Version;
use crate::cors::AllowOrigin;
use crate::headers;
use crate::response::{FieldValue, Response};
use crate::time::Timestamp;

/// How the body after a head is framed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// The response's pieces follow: `Content-Length` is their sum (nothing on 204 and 304).
    Sized,
    /// The answer to HEAD: no body follows, `Content-Length` only if the response carries one.
    HeadOnly,
    /// A live stream follows: chunked, or until the connection closes in HTTP/1.0.
    Streamed,
}

/// What a head says besides the response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeadOptions<'a> {
    /// The request's version.
    pub version: Version,
    /// Whether the connection stays open after the answer. A streamed answer to HTTP/1.0 closes
    /// it all the same.
    pub keep_alive: bool,
    /// [`imf_fixdate`] of now.
    pub date: &'a [u8; DATE_LEN],
    /// What CORS says to the request's origin.
    pub allow_origin: AllowOrigin<'a>,
    /// The body's framing.
    pub framing: Framing,
}

/// Length of a date.
pub const DATE_LEN: usize = 29;
/// `100 Continue`, sent before a body that waits for it.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Ends a chunk.
pub const CHUNK_SUFFIX: &[u8] = b"\r\n";
/// Ends a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The security fields of section 12.7, and the response fields that pages may read.
pub(crate) const ON_EVERY_RESPONSE: &str = "x-content-type-options: nosniff\r\n\
    cross-origin-resource-policy: cross-origin\r\n\
    access-control-expose-headers: stream-next-offset, stream-cursor, stream-up-to-date, \
    stream-closed, stream-ttl, stream-expires-at, stream-earliest-offset, \
    stream-retention-bytes, stream-retention-seconds, stream-sse-data-encoding, producer-epoch, \
    producer-seq, producer-expected-seq, producer-received-seq, etag, location, retry-after, ratelimit, \
    ratelimit-policy, \
    content-encoding, content-length, allow, date\r\n";

/// Appends the head of `response`.
pub fn write_head(out: &mut Vec<u8>, response: &Response, options: &HeadOptions<'_>) {
    write_status_line(out, response.status);
    out.extend_from_slice(ON_EVERY_RESPONSE.as_bytes());
    match options.allow_origin {
        AllowOrigin::Any => out.extend_from_slice(b"access-control-allow-origin: *\r\n"),
        AllowOrigin::Listed(origin) => {
            write_field(out, headers::ACCESS_CONTROL_ALLOW_ORIGIN, origin.as_bytes());
            out.extend_from_slice(b"vary: origin\r\n");
        }
        AllowOrigin::Unlisted => out.extend_from_slice(b"vary: origin\r\n"),
    }
    write_field(out, headers::DATE, options.date);
    write_framing(out, response, options);
    for (name, value) in &response.fields {
        match value {
            FieldValue::Static(text) => write_field(out, name, text.as_bytes()),
            FieldValue::Token(token) => write_field(out, name, token),
            FieldValue::Number(number) => {
                write_field(out, name, &decimal(*number));
            }
            FieldValue::Text(text) => write_field(out, name, text.as_bytes()),
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The line before a chunk of `len` bytes, which is not 0.
#[must_use]
pub fn chunk_prefix(len: usize) -> SmallVec<[u8; 18]> {
    debug_assert!(len > 0, "a chunk of 0 bytes would end the body");
    let mut line = SmallVec::new();
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        line.push(b"0123456789abcdef"[len >> (4 * digit) & 0xf]);
    }
    line.extend_from_slice(b"\r\n");
    line
}

/// A date as HTTP writes it (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
#[must_use]
pub fn imf_fixdate(at: Timestamp) -> [u8; DATE_LEN] {
    const DAYS: &[u8; 21] = b"MonTueWedThuFriSatSun";
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let seconds = i64::try_from(at.seconds()).unwrap_or(i64::MAX);
    // Beyond year 9999 the form has no room.
    let instant = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    let date = jiff::tz::Offset::UTC.to_datetime(instant);
    let mut out = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let day = date.weekday().to_monday_zero_offset() as usize;
    out[..3].copy_from_slice(&DAYS[3 * day..][..3]);
    write_digits(&mut out[5..7], date.day().into());
    let month = date.month() as usize - 1;
    out[8..11].copy_from_slice(&MONTHS[3 * month..][..3]);
    write_digits(&mut out[12..16], date.year());
    write_digits(&mut out[17..19], date.hour().into());
    write_digits(&mut out[20..22], date.minute().into());
    write_digits(&mut out[23..25], date.second().into());
    out
}

fn write_status_line(out: &mut Vec<u8>, status: StatusCode) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// How the body ends (RFC 9112 section 6) and what becomes of the connection.
fn write_framing(out: &mut Vec<u8>, response: &Response, options: &HeadOptions<'_>) {
    let mut keep_alive = options.keep_alive;
    match (options.framing, options.version) {
        (Framing::Sized, _) if may_have_body(response.status) => {
            debug_assert!(response.fields.iter().all(|(name, _)| *name != headers::CONTENT_LENGTH));
            write_field(out, headers::CONTENT_LENGTH, &decimal(response.body_len() as u64));
        }
        (Framing::Sized | Framing::HeadOnly, _) => {}
        (Framing::Streamed, Version::Http11) => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        (Framing::Streamed, Version::Http10) => keep_alive = false,
    }
    match (keep_alive, options.version) {
        (false, _) => out.extend_from_slice(b"connection: close\r\n"),
        (true, Version::Http10) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (true, Version::Http11) => {}
    }
}

pub(crate) fn may_have_body(status: StatusCode) -> bool {
    !status.is_informational()
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::NOT_MODIFIED
}

/// A value can never end its line: whatever else goes wrong, a response is not split.
fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    let start = out.len();
    out.extend_from_slice(value);
    while let Some(at) = memchr::memchr3(b'\r', b'\n', 0, &out[start..]) {
        out[start + at] = b' ';
    }
    out.extend_from_slice(b"\r\n");
}

fn decimal(mut number: u64) -> SmallVec<[u8; 20]> {
    let mut digits = SmallVec::new();
    loop {
        digits.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            digits.reverse();
            return digits;
        }
    }
}

fn write_digits(out: &mut [u8], mut value: i16) {
    for slot in out.iter_mut().rev() {
        *slot = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offset::Offset;
    use proptest::prelude::*;

    const DATE: [u8; DATE_LEN] = *b"Sun, 06 Nov 1994 08:49:37 GMT";

    fn options(framing: Framing) -> HeadOptions<'static> {
        HeadOptions {
            version: Version::Http11,
            keep_alive: true,
            date: &DATE,
            allow_origin: AllowOrigin::Any,
            framing,
        }
    }

    /// The head as text, without the block that every response has.
    fn head(response: &Response, options: HeadOptions<'_>) -> String {
        let mut out = Vec::new();
        write_head(&mut out, response, &options);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(ON_EVERY_RESPONSE));
        text.replace(ON_EVERY_RESPONSE, "").replace("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "")
    }

    #[test]
    fn heads() {
        let any = "access-control-allow-origin: *\r\n";
        let check = |response: &Response, options: HeadOptions<'_>, want: &str| {
            assert_eq!(head(response, options), want.replace('\n', "\r\n").replace("*", any));
        };
        let ok = Response::new(StatusCode::OK).with_body("text/plain", "abc");
        let sized = options(Framing::Sized);
        let want = "HTTP/1.1 200 OK\n*content-length: 3\ncontent-type: text/plain\n\n";
        check(&ok, sized, want);
        let want = "HTTP/1.1 200 OK\n*content-length: 3\nconnection: close\n\
            content-type: text/plain\n\n";
        check(&ok, HeadOptions { keep_alive: false, ..sized }, want);
        let want = "HTTP/1.1 200 OK\n*content-length: 3\nconnection: keep-alive\n\
            content-type: text/plain\n\n";
        check(&ok, HeadOptions { version: Version::Http10, ..sized }, want);
        let want = "HTTP/1.1 200 OK\n*content-type: text/plain\n\n";
        check(&ok, options(Framing::HeadOnly), want);

        let none = Response::new(StatusCode::NO_CONTENT).with("stream-next-offset", Offset::ZERO);
        let want = "HTTP/1.1 204 No Content\n*\
            stream-next-offset: 0000000000000000_0000000000000000\n\n";
        check(&none, sized, want);
        check(&Response::new(StatusCode::NOT_MODIFIED), sized, "HTTP/1.1 304 Not Modified\n*\n");
        let empty = Response::new(StatusCode::CREATED).with("stream-ttl", 0);
        check(&empty, sized, "HTTP/1.1 201 Created\n*content-length: 0\nstream-ttl: 0\n\n");

        let live = Response::new(StatusCode::OK);
        let streamed = options(Framing::Streamed);
        check(&live, streamed, "HTTP/1.1 200 OK\n*transfer-encoding: chunked\n\n");
        let old = HeadOptions { version: Version::Http10, ..streamed };
        check(&live, old, "HTTP/1.1 200 OK\n*connection: close\n\n");
    }

    #[test]
    fn origins() {
        let check = |allow_origin: AllowOrigin<'_>, want: &str| {
            let options = HeadOptions { allow_origin, ..options(Framing::HeadOnly) };
            let head = head(&Response::new(StatusCode::OK), options);
            assert_eq!(head, format!("HTTP/1.1 200 OK\r\n{want}\r\n"));
        };
        check(AllowOrigin::Any, "access-control-allow-origin: *\r\n");
        check(
            AllowOrigin::Listed("https://a.example"),
            "access-control-allow-origin: https://a.example\r\nvary: origin\r\n",
        );
        check(AllowOrigin::Unlisted, "vary: origin\r\n");
    }

    #[test]
    fn a_value_cannot_split_the_response() {
        let response = Response::new(StatusCode::OK).with("location", "/a\r\nX: y\0".to_owned());
        let head = head(&response, options(Framing::HeadOnly));
        assert!(head.ends_with("location: /a  X: y \r\n\r\n"), "{head}");
    }

    #[test]
    fn dates() {
        let check = |ms: u64, want: &str| {
            assert_eq!(std::str::from_utf8(&imf_fixdate(Timestamp(ms))), Ok(want));
        };
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(784_111_777_999, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(1_709_210_096_000, "Thu, 29 Feb 2024 12:34:56 GMT");
        check(u64::MAX, "Thu, 30 Dec 9999 22:00:00 GMT");
    }

    proptest! {
        #[test]
        fn chunk_prefixes_are_hex(len in 1..=usize::MAX) {
            let want = format!("{len:x}\r\n");
            prop_assert_eq!(&chunk_prefix(len)[..], want.as_bytes());
        }

        #[test]
        fn numbers_are_decimal(number: u64) {
            let want = number.to_string();
            prop_assert_eq!(&decimal(number)[..], want.as_bytes());
        }
    }
}
