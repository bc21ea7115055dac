//! Requests and answers of HTTP/2 as the text that they are in HTTP/1.1: everything behind a
//! connection knows one kind of them.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};

use crate::engine::wire::WireError;

/// A request, and its body, out of the bytes that HTTP/1.1 would send.
pub(super) fn request(text: &[u8], scheme: &str) -> Result<(Request<()>, Bytes), WireError> {
    let refused = |what: &str| WireError::Unsendable(what.to_owned());
    let end = text.windows(4).position(|at| at == b"\r\n\r\n");
    let (head, body) = text.split_at(end.ok_or_else(|| refused("it has no end"))?);
    let mut lines = std::str::from_utf8(head).map_err(|_| refused("it is no text"))?.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_2;
    let method = Method::from_bytes(method.as_bytes());
    *request.method_mut() = method.map_err(|_| refused("its method is none"))?;
    let mut host = "";
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        if name == "host" {
            host = value;
            continue;
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused(name))?;
        let value = HeaderValue::from_str(value).map_err(|_| refused(line))?;
        request.headers_mut().append(name, value);
    }
    let uri = format!("{scheme}://{host}{path}").parse::<Uri>();
    *request.uri_mut() = uri.map_err(|error| refused(&format!("{path:?}: {error}")))?;
    Ok((request, Bytes::copy_from_slice(&body[4..])))
}

/// The head of an answer. Its body ends with the stream unless it says otherwise.
pub(super) fn head(status: StatusCode, fields: &http::HeaderMap, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b" \r\n");
    for (name, value) in fields {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let text =
            b"POST /a?b=c HTTP/1.1\r\nhost: h:1\r\nX-Y: z: 1\r\ncontent-length: 3\r\n\r\nabc";
        let (got, body) = request(text, "https").unwrap();
        assert_eq!(
            (got.method(), got.uri().to_string().as_str()),
            (&Method::POST, "https://h:1/a?b=c")
        );
        assert_eq!((got.headers()["x-y"].as_bytes(), &body[..]), (&b"z: 1"[..], &b"abc"[..]));
        let (got, body) = request(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n", "http").unwrap();
        assert!(got.headers().is_empty() && body.is_empty());
        for bad in ["", "GET / HTTP/1.1\r\n", "GET /a{ HTTP/1.1\r\nhost: h\r\n\r\n"] {
            // What a plan may say is checked before; the rest must not end the process.
            let _ = request(bad.as_bytes(), "http");
        }
    }

    #[test]
    fn heads() {
        let mut fields = http::HeaderMap::new();
        fields.insert("stream-next-offset", HeaderValue::from_static("7"));
        let mut out = Vec::new();
        head(StatusCode::NO_CONTENT, &fields, &mut out);
        assert_eq!(out, b"HTTP/1.1 204 \r\nstream-next-offset: 7\r\n\r\n");
    }
}
