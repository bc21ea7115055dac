//! Requests and answers of HTTP/2 (RFC 9113) as the types that HTTP/1.1 has, so that everything
//! behind a connection knows one kind of request.
//!
//! A request becomes the text of an HTTP/1.1 head and goes through the same parser: what is
//! refused there is refused here, with the same words, and a proxy that translates one version
//! into the other changes nothing. Deliberately absent: frames, streams and flow control, which
//! are the `h2` crate's.

use std::sync::LazyLock;

use http::Response as HttpResponse;
use http::header::{CONTENT_LENGTH, COOKIE, DATE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};

use crate::cors::AllowOrigin;
use crate::headers;
use crate::http1::encode::{DATE_LEN, Framing, ON_EVERY_RESPONSE, may_have_body};
use crate::http1::head::{HeadStatus, RequestHead, parse_head};
use crate::http1::{CodecError, HeadError};
use crate::response::{FieldValue, Response};

/// The head of a request. `ended`: no body follows.
pub fn request_head(parts: &Parts, ended: bool) -> Result<RequestHead, HeadError> {
    check_hosts(parts)?;
    let text = as_text(parts, ended);
    match parse_head(&text)? {
        HeadStatus::Complete(head, length) if length == text.len() => Ok(head),
        // A name or value that ends the head early: the frame layer lets none through.
        _ => Err(CodecError::bad("malformed-head", "the head is not one head")),
    }
}

/// `:authority` and `Host` must not differ (RFC 9113 section 8.3.1): whoever decides by the one
/// must not be got round with the other.
fn check_hosts(parts: &Parts) -> Result<(), HeadError> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(CodecError::bad("duplicate-field", "Host is there more than once"));
    }
    match (parts.uri.authority(), first) {
        (Some(authority), Some(host))
            if !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            Err(CodecError::bad("host-mismatch", ":authority and Host name different hosts"))
        }
        _ => Ok(()),
    }
}

fn as_text(parts: &Parts, ended: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    text.extend_from_slice(parts.method.as_str().as_bytes());
    text.push(b' ');
    // Only CONNECT has no path.
    let authority = parts.uri.authority().map(Authority::as_str);
    let target = parts.uri.path_and_query().map(PathAndQuery::as_str);
    text.extend_from_slice(target.or(authority).unwrap_or("/").as_bytes());
    text.extend_from_slice(b" HTTP/1.1\r\n");
    let host = parts.headers.get(HOST).map(HeaderValue::as_bytes);
    if let Some(host) = authority.map(str::as_bytes).or(host) {
        write_field(&mut text, HOST.as_str(), host);
    }
    for (name, value) in &parts.headers {
        // Hop-by-hop fields of HTTP/1.1 do not reach this place. Cookies may come in pieces and
        // mean nothing here.
        if name != HOST && name != COOKIE {
            write_field(&mut text, name.as_str(), value.as_bytes());
        }
    }
    if !ended && !parts.headers.contains_key(CONTENT_LENGTH) {
        // A body of unknown length is what chunks are in HTTP/1.1.
        write_field(&mut text, headers::TRANSFER_ENCODING, b"chunked");
    }
    text.extend_from_slice(b"\r\n");
    text
}

fn write_field(text: &mut Vec<u8>, name: &str, value: &[u8]) {
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

/// The head of an answer, with what every answer says.
#[must_use]
pub fn response_head(
    response: &Response,
    date: &[u8; DATE_LEN],
    allow_origin: AllowOrigin<'_>,
    framing: Framing,
) -> HttpResponse<()> {
    let mut head = HttpResponse::new(());
    *head.status_mut() = response.status;
    let fields = head.headers_mut();
    fields.clone_from(&COMMON);
    match allow_origin {
        AllowOrigin::Any => {
            fields.insert(ALLOW_ORIGIN.clone(), HeaderValue::from_static("*"));
        }
        AllowOrigin::Listed(origin) => {
            fields.insert(ALLOW_ORIGIN.clone(), text(origin.as_bytes()));
            fields.insert(http::header::VARY, HeaderValue::from_static("origin"));
        }
        AllowOrigin::Unlisted => {
            fields.insert(http::header::VARY, HeaderValue::from_static("origin"));
        }
    }
    fields.insert(DATE, text(date));
    if framing == Framing::Sized && may_have_body(response.status) {
        fields.insert(CONTENT_LENGTH, HeaderValue::from(response.body_len()));
    }
    for (name, value) in &response.fields {
        fields.append(HeaderName::from_static(name), field_value(value));
    }
    head
}

fn field_value(value: &FieldValue) -> HeaderValue {
    match value {
        FieldValue::Static(constant) => HeaderValue::from_static(constant),
        FieldValue::Token(token) => text(token),
        FieldValue::Number(number) => HeaderValue::from(*number),
        FieldValue::Text(value) => text(value.as_bytes()),
    }
}

/// A value can never end its field, as in HTTP/1.1: what is not text becomes a space.
fn text(value: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(value).unwrap_or_else(|_| {
        let plain: Vec<u8> =
            value.iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte }).collect();
        HeaderValue::from_bytes(&plain).unwrap_or(HeaderValue::from_static(""))
    })
}

static ALLOW_ORIGIN: HeaderName = HeaderName::from_static(headers::ACCESS_CONTROL_ALLOW_ORIGIN);

/// The same block of fields that every HTTP/1.1 answer has.
static COMMON: LazyLock<HeaderMap> = LazyLock::new(|| {
    let lines = ON_EVERY_RESPONSE.lines().filter_map(|line| line.split_once(": "));
    let mut fields = HeaderMap::with_capacity(16);
    for (name, value) in lines {
        fields.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    fields
});

#[cfg(test)]
mod tests {
    use http::{Request, StatusCode};

    use super::*;
    use crate::http1::BodyLength;

    fn parts(method: &str, uri: &str, fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn requests() {
        let fields = [("stream-seq", "7"), ("host", "H:1"), ("cookie", "a"), ("cookie", "b")];
        let head = request_head(&parts("GET", "http://h:1/a%20b?x=y", &fields), true).unwrap();
        assert_eq!((head.path(), head.query(), head.host()), ("/a%20b", Some("x=y"), Some("h:1")));
        assert_eq!(head.fields.get("stream-seq"), Some("7"));
        assert_eq!(head.body, BodyLength::None);
        let head = request_head(&parts("PUT", "https://h/a", &[]), false).unwrap();
        assert_eq!(head.body, BodyLength::Chunked, "a body of unknown length");
        let head =
            request_head(&parts("PUT", "/a", &[("content-length", "3"), ("host", "h")]), false);
        assert_eq!(head.unwrap().body, BodyLength::Length(3));
    }

    #[test]
    fn refusals() {
        let check = |parts: &Parts, status: u16, code: &str| {
            let error = request_head(parts, true).expect_err(code);
            assert_eq!((error.status.as_u16(), error.code), (status, code));
        };
        check(&parts("GET", "/a", &[]), 400, "missing-host");
        check(&parts("GET", "http://h/a", &[("host", "other")]), 400, "host-mismatch");
        let hosts = [("host", "h"), ("host", "h")];
        check(&parts("GET", "http://h/a", &hosts), 400, "duplicate-field");
        check(&parts("CONNECT", "h:80", &[]), 400, "malformed-target");
        let twice = [("stream-seq", "1"), ("stream-seq", "2")];
        check(&parts("GET", "http://h/a", &twice), 400, "duplicate-field");
        check(
            &parts("GET", "http://h/a", &[("content-encoding", "br")]),
            415,
            "unsupported-content-encoding",
        );
        check(&parts("GET", "http://h/a", &[("x", &"y".repeat(17_000))]), 431, "head-too-large");
        let long = format!("http://h/{}", "x".repeat(9000));
        check(&parts("GET", &long, &[]), 414, "uri-too-long");
    }

    #[test]
    fn answers_say_the_same_as_in_http1() {
        let date = *b"Sun, 06 Nov 1994 08:49:37 GMT";
        let response = Response::new(StatusCode::OK)
            .with("location", "/a\r\nX: y".to_owned())
            .with("stream-ttl", 7)
            .with_body("text/plain", "abc");
        let head = response_head(&response, &date, AllowOrigin::Any, Framing::Sized);
        let field = |name: &str| head.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(field("content-length"), "3");
        assert_eq!(field("location"), "/a  X: y");
        assert_eq!(field("stream-ttl"), "7");
        assert_eq!(field("date"), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(field("x-content-type-options"), "nosniff");
        assert_eq!(field("access-control-allow-origin"), "*");
        assert!(field("access-control-expose-headers").contains("stream-next-offset"));
        let none = Response::new(StatusCode::NO_CONTENT);
        let head = response_head(&none, &date, AllowOrigin::Unlisted, Framing::Sized);
        assert!(!head.headers().contains_key("content-length"));
        assert_eq!(head.headers()["vary"], "origin");
    }
}
