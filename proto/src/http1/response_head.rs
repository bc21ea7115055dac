//! Response heads, for the client side: the load generator and the tests.
//!
//! As strict as for requests. A status of 1xx is a head of its own: the caller takes it and asks
//! for the next one.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{Method, StatusCode};

use super::body::{BodyDecoder, BodyLength};
use super::error::{BodyError, CodecError};
use super::fields::Fields;
use super::framing;
use super::head::Version;
use super::scan;
use crate::limits::MAX_HEADER_FIELDS;

/// What the beginning of a buffer is.
#[derive(Clone, PartialEq, Debug)]
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once, never kept")]
pub enum ResponseHeadStatus {
    /// The beginning of a head: ask again with more bytes.
    Incomplete,
    /// A head, and the bytes it takes from the front of the buffer.
    Complete(ResponseHead, usize),
}

/// A response head.
#[derive(Clone, PartialEq, Debug)]
pub struct ResponseHead {
    /// The status.
    pub status: StatusCode,
    /// The version.
    pub version: Version,
    /// The fields.
    pub fields: Fields,
    /// How the body ends.
    pub body: ResponseBody,
    /// Whether another request may be sent on the connection after the body.
    pub keep_alive: bool,
}

/// How a response's body ends (RFC 9112 section 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResponseBody {
    /// As the head says.
    Framed(BodyLength),
    /// With the connection.
    UntilClose,
}

impl ResponseBody {
    /// A decoder for a body of at most `limit` bytes.
    pub fn decoder(self, limit: u64) -> Result<BodyDecoder, BodyError> {
        match self {
            ResponseBody::Framed(length) => BodyDecoder::new(length, limit),
            ResponseBody::UntilClose => Ok(BodyDecoder::until_close(limit)),
        }
    }
}

/// Parses the head at the front of `buf`: the answer to a request with `method`.
pub fn parse_response_head(buf: &[u8], method: &Method) -> Result<ResponseHeadStatus, CodecError> {
    match scan::head_end(buf)? {
        None => Ok(ResponseHeadStatus::Incomplete),
        Some(end) => Ok(ResponseHeadStatus::Complete(parse_complete(&buf[..end], method)?, end)),
    }
}

fn parse_complete(head: &[u8], method: &Method) -> Result<ResponseHead, CodecError> {
    let malformed = || CodecError::bad("malformed-response-head", "not the head of a response");
    let mut slots = [const { MaybeUninit::uninit() }; MAX_HEADER_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, head, &mut slots)
        .map_err(|_| malformed())?;
    let (Some(code), Some(minor)) = (parsed.code, parsed.version) else { return Err(malformed()) };
    let status = StatusCode::from_u16(code).map_err(|_| malformed())?;
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let fields = Fields::new(head, Bytes::copy_from_slice(head), parsed.headers)?;
    let body = response_body(status, method, framing::body_length(&fields, version)?);
    let keep_alive = body != ResponseBody::UntilClose && framing::keep_alive(&fields, version);
    Ok(ResponseHead { status, version, fields, body, keep_alive })
}

fn response_body(status: StatusCode, method: &Method, announced: BodyLength) -> ResponseBody {
    let bodiless = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    match announced {
        _ if bodiless || *method == Method::HEAD => ResponseBody::Framed(BodyLength::None),
        BodyLength::None => ResponseBody::UntilClose,
        framed => ResponseBody::Framed(framed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cors::AllowOrigin;
    use crate::http1::encode::{Framing, HeadOptions, write_head};
    use crate::response::Response;
    use proptest::prelude::*;

    fn parsed(text: &str, method: &Method) -> Result<ResponseHead, &'static str> {
        match parse_response_head(text.as_bytes(), method) {
            Ok(ResponseHeadStatus::Complete(head, consumed)) => {
                assert_eq!(consumed, text.len());
                Ok(head)
            }
            Ok(ResponseHeadStatus::Incomplete) => Err("incomplete"),
            Err(error) => Err(error.code),
        }
    }

    #[test]
    fn bodies_and_connections() {
        use ResponseBody::{Framed, UntilClose};
        let check = |method: Method, start: &str, fields: &str, body, keep_alive| {
            let head = parsed(&format!("{start}\r\n{fields}\r\n"), &method).unwrap();
            assert_eq!((head.body, head.keep_alive), (body, keep_alive), "{start} {fields}");
        };
        let none = Framed(BodyLength::None);
        let ok = "HTTP/1.1 200 OK";
        check(Method::GET, ok, "content-length: 3\r\n", Framed(BodyLength::Length(3)), true);
        check(Method::HEAD, ok, "content-length: 3\r\n", none, true);
        check(Method::GET, ok, "transfer-encoding: chunked\r\n", Framed(BodyLength::Chunked), true);
        check(Method::GET, ok, "", UntilClose, false);
        check(Method::GET, "HTTP/1.0 200 OK", "", UntilClose, false);
        check(Method::POST, "HTTP/1.1 204 No Content", "", none, true);
        check(Method::POST, "HTTP/1.1 204", "connection: close\r\n", none, false);
        check(Method::GET, "HTTP/1.1 304 Not Modified", "content-length: 3\r\n", none, true);
        check(Method::POST, "HTTP/1.1 100 Continue", "", none, true);
    }

    #[test]
    fn refusals() {
        let check = |text: &str, want: &str| {
            assert_eq!(parsed(text, &Method::GET).unwrap_err(), want, "{text:?}");
        };
        check("HTTP/1.1 200 OK\r\n", "incomplete");
        check(
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
            "duplicate-content-length",
        );
        check("HTTP/2.0 200 OK\r\n\r\n", "malformed-response-head");
        check("HTTP/1.1 20 OK\r\n\r\n", "malformed-response-head");
        check("GET / HTTP/1.1\r\n\r\n", "malformed-response-head");
        check("HTTP/1.1 200 OK\n\n", "bare-lf");
        check("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "folded-field");
    }

    #[test]
    fn what_the_server_writes_is_understood() {
        let check = |response: &Response, framing, body| {
            let mut out = Vec::new();
            let options = HeadOptions {
                version: Version::Http11,
                keep_alive: true,
                date: b"Sun, 06 Nov 1994 08:49:37 GMT",
                allow_origin: AllowOrigin::Any,
                framing,
            };
            write_head(&mut out, response, &options);
            let head = parsed(std::str::from_utf8(&out).unwrap(), &Method::GET).unwrap();
            assert_eq!((head.status, head.body), (response.status, body));
            assert_eq!(head.fields.get("X-Content-Type-Options"), Some("nosniff"));
        };
        let ok = Response::new(StatusCode::OK).with_body("text/plain", "abc");
        check(&ok, Framing::Sized, ResponseBody::Framed(BodyLength::Length(3)));
        check(&ok, Framing::Streamed, ResponseBody::Framed(BodyLength::Chunked));
        let none = Response::new(StatusCode::NO_CONTENT);
        check(&none, Framing::Sized, ResponseBody::Framed(BodyLength::None));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = parse_response_head(&bytes, &Method::GET);
            let line = [b"HTTP/1.1 200 ", bytes.as_slice(), b"\r\n\r\n"].concat();
            let _ = parse_response_head(&line, &Method::GET);
        }
    }
}
