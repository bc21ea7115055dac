use proptest::prelude::*;

use super::*;
use crate::limits::{MAX_HEAD_BYTES, MAX_URI_BYTES};

fn complete(bytes: &[u8]) -> (RequestHead, usize) {
    match parse_head(bytes) {
        Ok(HeadStatus::Complete(head, consumed)) => (head, consumed),
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(bytes)),
    }
}

/// Gives the bytes one at a time: what they come to, and after how many.
fn drip(bytes: &[u8]) -> (Result<HeadStatus, HeadError>, usize) {
    for end in 1..=bytes.len() {
        match parse_head(&bytes[..end]) {
            Ok(HeadStatus::Incomplete) => {}
            outcome => return (outcome, end),
        }
    }
    (Ok(HeadStatus::Incomplete), bytes.len())
}

#[test]
fn targets() {
    let check = |line: &str, path: &str, query: Option<&str>, host: &str| {
        let (head, _) = complete(format!("{line} HTTP/1.1\r\nHost: h:1\r\n\r\n").as_bytes());
        assert_eq!((head.path(), head.query(), head.host()), (path, query, Some(host)), "{line}");
    };
    check("GET /", "/", None, "h:1");
    check("GET /a%20b?offset=-1&live=sse", "/a%20b", Some("offset=-1&live=sse"), "h:1");
    check("GET /a?", "/a", Some(""), "h:1");
    check("GET /a?b?c", "/a", Some("b?c"), "h:1");
    check("GET //a", "//a", None, "h:1");
    check("GET http://other:8080/a?b", "/a", Some("b"), "other:8080");
    check("GET HTTPS://[::1]/a", "/a", None, "[::1]");
    check("GET http://other", "/", None, "other");
    check("GET http://other?q", "/", Some("q"), "other");
    check("OPTIONS *", "*", None, "h:1");
    check("BREW /pot", "/pot", None, "h:1");
}

#[test]
fn framing_of_the_body_and_the_connection() {
    let check = |version: &str, fields: &str, body: BodyLength, keep_alive: bool, waits: bool| {
        let head = format!("POST /a HTTP/{version}\r\nHost: h\r\n{fields}\r\n");
        let (head, _) = complete(head.as_bytes());
        assert_eq!(
            (head.body, head.keep_alive, head.expect_continue),
            (body, keep_alive, waits),
            "{version} {fields:?}"
        );
    };
    use BodyLength::{Chunked, Length, None};
    check("1.1", "", None, true, false);
    check("1.0", "", None, false, false);
    check("1.0", "Connection: Keep-Alive\r\n", None, true, false);
    check("1.1", "Connection: x, Close\r\n", None, false, false);
    check("1.1", "Connection: x\r\nconnection: close\r\n", None, false, false);
    check("1.1", "Content-Length: 0\r\nExpect: 100-continue\r\n", Length(0), true, false);
    check("1.1", "Content-Length:007\r\nExpect: 100-Continue\r\n", Length(7), true, true);
    check("1.0", "Content-Length: 7\r\nExpect: 100-continue\r\n", Length(7), false, false);
    check("1.1", "Transfer-Encoding: Chunked\r\n", Chunked, true, false);
    check("1.1", "Content-Encoding: identity\r\n", None, true, false);
}

#[test]
fn fields_are_found_by_any_case_and_trimmed() {
    let bytes = b"GET / HTTP/1.1\r\nHOST: h\r\nAccept:\r\nX-Two: a\r\nx-two: \t b c \t\r\n\r\nrest";
    let (head, consumed) = complete(bytes);
    assert_eq!(head.fields.len(), 4);
    assert_eq!(head.fields.get("host"), Some("h"));
    assert_eq!(head.fields.get("accept"), Some(""));
    assert_eq!(head.fields.get("x-none"), None);
    assert_eq!(head.fields.get_all("X-TWO").collect::<Vec<_>>(), ["a", "b c"]);
    assert_eq!(head.fields.iter().last(), Some(("x-two", "b c")));
    assert_eq!(&bytes[consumed..], b"rest");
}

#[test]
fn pipelined_requests_are_cut_exactly() {
    let one = b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n".as_slice();
    let two = b"\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n".as_slice();
    let both = [one, two].concat();
    let (head, consumed) = complete(&both);
    assert_eq!((head.path(), consumed), ("/1", one.len()));
    let (head, consumed) = complete(&both[consumed..]);
    assert_eq!((head.path(), consumed), ("/2", two.len()));
}

/// The same refusal at once and byte by byte.
fn refused(head: &[u8], status: u16, code: &str) {
    let shown = String::from_utf8_lossy(&head[..head.len().min(80)]).into_owned();
    let error = parse_head(head).expect_err(&shown);
    assert_eq!((error.status.as_u16(), error.code), (status, code), "{shown:?}");
    assert!(!error.detail.is_empty());
    assert_eq!(drip(head).0.expect_err(&shown), error, "{shown:?}");
}

#[test]
fn hostile_request_lines() {
    let check = |line: &str, status: u16, code: &str| {
        refused(format!("{line}\r\nHost: h\r\n\r\n").as_bytes(), status, code);
    };
    check("GET / HTTP/1.2", 505, "unsupported-version");
    check("GET / HTTP/0.9", 505, "unsupported-version");
    check("PRI * HTTP/2.0", 505, "unsupported-version");
    check("GET / HTTP/1", 400, "malformed-request-line");
    check("GET / http/1.1", 400, "malformed-request-line");
    check("GET / HTTQ/1.1", 400, "malformed-request-line");
    check("GET /", 400, "malformed-request-line");
    check("GET", 400, "malformed-request-line");
    check("GET  / HTTP/1.1", 400, "malformed-request-line");
    check("GET /  HTTP/1.1", 400, "malformed-request-line");
    check("GET / HTTP/1.1 ", 400, "malformed-request-line");
    check("GET /a b HTTP/1.1", 400, "malformed-request-line");
    check("GET\t/ HTTP/1.1", 400, "malformed-method");
    check(" GET / HTTP/1.1", 400, "malformed-method");
    check("G@T / HTTP/1.1", 400, "malformed-method");
    check("\u{16}\u{3}\u{1}", 400, "malformed-method");
    check("GET /\u{1} HTTP/1.1", 400, "malformed-request-line");
    check("GET /\u{7f} HTTP/1.1", 400, "malformed-request-line");
    check("GET /é HTTP/1.1", 400, "malformed-target");
    check("GET /a#b HTTP/1.1", 400, "malformed-target");
    check("GET * HTTP/1.1", 400, "malformed-target");
    check("GET a HTTP/1.1", 400, "malformed-target");
    check("GET ftp://h/a HTTP/1.1", 400, "malformed-target");
    check("CONNECT h:443 HTTP/1.1", 400, "malformed-target");
    check("GET http://user@h/ HTTP/1.1", 400, "invalid-host");
    check("GET http:///a HTTP/1.1", 400, "invalid-host");
    check("\r\n", 400, "malformed-request-line");
    check("\r\n\r\nGET / HTTP/1.1", 400, "malformed-request-line");
    check(&format!("GET /{} HTTP/1.1", "x".repeat(MAX_URI_BYTES)), 414, "uri-too-long");
}

#[test]
fn hostile_fields() {
    let check = |fields: &str, status: u16, code: &str| {
        let head = format!("POST /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
        refused(head.as_bytes(), status, code);
    };
    check("Host: h", 400, "duplicate-field");
    check("Stream-TTL: 1\r\nstream-ttl: 1", 400, "duplicate-field");
    check("Producer-Id: a\r\nA: b\r\nPRODUCER-ID: b", 400, "duplicate-field");
    check("Content-Type: a/b\r\nContent-Type: a/b", 400, "duplicate-field");
    check("Content-Length: 1\r\nTransfer-Encoding: chunked", 400, "ambiguous-length");
    check("Content-Length: 1\r\nContent-Length: 1", 400, "duplicate-content-length");
    check("Content-Length: 1\r\nContent-Length: 2", 400, "duplicate-content-length");
    for bad in ["1, 1", "+1", "-1", "1 2", "0x1", "", "1.0", "18446744073709551616", "1_0"] {
        check(&format!("Content-Length: {bad}"), 400, "malformed-content-length");
    }
    for bad in ["gzip", "gzip, chunked", "chunked, chunked", "identity", "", "xchunked"] {
        check(&format!("Transfer-Encoding: {bad}"), 501, "unsupported-transfer-encoding");
    }
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked";
    check(twice, 501, "unsupported-transfer-encoding");
    check("Expect: a-miracle", 417, "unknown-expectation");
    check("Content-Encoding: gzip", 415, "unsupported-content-encoding");
    check("Content-Encoding: identity, br", 415, "unsupported-content-encoding");
    check("A : b", 400, "malformed-field-name");
    check("A", 400, "malformed-field-name");
    check(": b", 400, "malformed-field-name");
    check("A@: b", 400, "malformed-field-name");
    check(" A: b", 400, "folded-field");
    check("A: b\r\n c", 400, "folded-field");
    check("A: b\r\n\tc", 400, "folded-field");
    check("A: b\rC: d", 400, "bare-cr");
    check("A: b\nC: d", 400, "bare-lf");
    check("A: b\n", 400, "bare-lf");
    check("A: \u{0}", 400, "malformed-field-value");
    check("A: b\u{7f}c", 400, "malformed-field-value");
    check("A: \u{1b}[0m", 400, "malformed-field-value");
    check("A: é", 400, "malformed-field-value");
    check(&format!("A: {}", "x".repeat(MAX_HEAD_BYTES)), 431, "head-too-large");
    check(&"A: b\r\n".repeat(MAX_HEADER_FIELDS), 431, "too-many-fields");
}

#[test]
fn hostile_heads() {
    refused(b"GET / HTTP/1.1\r\n\r\n", 400, "missing-host");
    refused(b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "invalid-host");
    refused(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "invalid-host");
    refused(b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "invalid-host");
    refused(b"GET / HTTP/1.1\nHost: h\n\n", 400, "bare-lf");
    refused(b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "bare-lf");
    refused(b"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "bare-cr");
    let chunked = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    refused(chunked, 400, "transfer-encoding-in-http10");
    complete(b"GET / HTTP/1.0\r\n\r\n");
}

#[test]
fn limits_are_exact() {
    let head = |target: usize, value: usize, fields: usize| {
        let mut head = format!("GET /{} HTTP/1.1\r\nHost: h\r\n", "x".repeat(target - 1));
        head += &"A: b\r\n".repeat(fields);
        head += &format!("V: {}\r\n\r\n", "x".repeat(value));
        head
    };
    complete(head(MAX_URI_BYTES, 1, 0).as_bytes());
    complete(head(1, 1, MAX_HEADER_FIELDS - 2).as_bytes());
    let largest = MAX_HEAD_BYTES - head(1, 0, 0).len();
    complete(head(1, largest, 0).as_bytes());
    refused(head(1, largest + 1, 0).as_bytes(), 431, "head-too-large");
    // An oversize head is refused without its end.
    let (outcome, after) = drip(&[b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'x'; 20_000]].concat());
    assert_eq!((outcome.unwrap_err().code, after), ("head-too-large", MAX_HEAD_BYTES + 1));
    let (outcome, after) = drip(&[b"GET /".as_slice(), &[b'x'; 20_000]].concat());
    assert_eq!((outcome.unwrap_err().code, after), ("uri-too-long", 4 + MAX_URI_BYTES + 1));
}

/// Bytes that look like a head often enough to come far.
fn headish() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&[u8]> = vec![
        b"GET ",
        b"POST ",
        b"/a?b",
        b" HTTP/1.1\r\n",
        b" HTTP/1.0\r\n",
        b"Host: h\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\r",
        b"\n",
        b" ",
        b"Content-Length: ",
        b"Transfer-Encoding: chunked\r\n",
        b"1",
        b":",
        b"A: b\r\n",
        b"#",
        b"\x00",
        b"\xff",
        b"Stream-Seq: x\r\n",
    ];
    prop::collection::vec(prop::sample::select(words), 0..24).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn bytes_one_at_a_time_come_to_the_same(bytes in headish(), valid: bool) {
        let start: &[u8] = if valid { b"POST /a HTTP/1.1\r\nHost: h\r\n" } else { b"" };
        let bytes = [start, &bytes].concat();
        let at_once = parse_head(&bytes);
        let (dripped, after) = drip(&bytes);
        prop_assert_eq!(&at_once, &dripped);
        if let Ok(HeadStatus::Complete(_, consumed)) = at_once {
            prop_assert_eq!(consumed, after);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = parse_head(&bytes);
        let line = [b"GET /", bytes.as_slice(), b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        let _ = parse_head(&line);
    }
}
