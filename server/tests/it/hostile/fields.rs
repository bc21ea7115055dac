//! Request lines and fields.

use super::super::support::Request;
use super::{Target, post_with};

#[test]
fn oversize_head() {
    let target = Target::start(&[]);
    let field = format!("x: {}\r\n", "y".repeat(17 * 1024));
    target.check_refused(post_with(&field), 431, "head-too-large");
    let unfinished = format!("GET /v1/stream/kept HTTP/1.1\r\nx: {}", "y".repeat(40 * 1024));
    target.check_refused(unfinished, 431, "head-too-large");
    let many = "a-field-of-some-length: and a value\r\n".repeat(99);
    let fits = format!("GET /v1/stream/kept HTTP/1.1\r\nhost: t\r\n{many}\r\n");
    let mut client = target.server.connect();
    client.send(fits);
    client.answer().expect_status(200);
}

#[test]
fn field_count() {
    let target = Target::start(&[]);
    let head = |fields: usize| {
        let more = "x: y\r\n".repeat(fields - 1);
        format!("GET /v1/stream/kept HTTP/1.1\r\nhost: t\r\n{more}\r\n")
    };
    target.check_refused(head(101), 431, "too-many-fields");
    target.check_refused(head(1000), 431, "too-many-fields");
    let mut client = target.server.connect();
    client.send(head(100));
    client.answer().expect_status(200);
}

#[test]
fn oversize_uri() {
    let target = Target::start(&[]);
    let get = |length: usize| {
        let start = "/v1/stream/kept?x=";
        let target = format!("{start}{}", "y".repeat(length - start.len()));
        format!("GET {target} HTTP/1.1\r\nhost: t\r\n\r\n")
    };
    target.check_refused(get(8 * 1024 + 1), 414, "uri-too-long");
    target.check_refused(get(15 * 1024), 414, "uri-too-long");
    let unfinished = format!("GET /{}", "y".repeat(9000));
    target.check_refused(unfinished, 414, "uri-too-long");
    let mut client = target.server.connect();
    client.send(get(8 * 1024));
    client.answer().expect_status(200);
}

#[test]
fn oversize_path() {
    let target = Target::start(&[]);
    let path = "p".repeat(1025);
    target.check_problem(&Request::get(&path), 414, "path-too-long");
    target.check_problem(&Request::put(&path), 414, "path-too-long");
    let with_body = Request::put(&path).with("content-type", "text/plain").body("x");
    target.check_refused(with_body.encode(), 414, "path-too-long");
    let encoded = "%41".repeat(1025);
    target.check_problem(&Request::get(&encoded), 414, "path-too-long");
    // The longest path there may be is one.
    let longest = "%41".repeat(1024);
    target.server.put(&longest, "text/plain", "x").expect_status(201);
    assert_eq!(target.server.get(&longest).text(), "x");
    assert_eq!(target.server.get(&"A".repeat(1024)).text(), "x");
}

#[test]
fn bare_cr_and_bare_lf() {
    let target = Target::start(&[]);
    let check = |bytes: &str, code| target.check_refused(bytes, 400, code);
    check("GET /v1/stream/kept HTTP/1.1\nhost: t\n\n", "bare-lf");
    check("GET /v1/stream/kept HTTP/1.1\r\nhost: t\nx: y\r\n\r\n", "bare-lf");
    check("GET /v1/stream/kept HTTP/1.1\r\nhost: t\r\n\n", "bare-lf");
    check("GET /v1/stream/kept HTTP/1.1\r\nhost: t\rx: y\r\n\r\n", "bare-cr");
    check("GET /v1/stream/kept HTTP/1.1\r\nhost: t\r\nx: \ry\r\n\r\n", "bare-cr");
    check("GET /v1/stream/kept HTTP/1.1\rhost: t\r\r", "bare-cr");
    check("\nGET /v1/stream/kept HTTP/1.1\r\nhost: t\r\n\r\n", "bare-lf");
}

#[test]
fn space_before_the_colon() {
    let target = Target::start(&[]);
    let check = |lines: &str, code| target.check_refused(post_with(lines), 400, code);
    check("content-length : 1\r\n", "malformed-field-name");
    check("content-length\t: 1\r\n", "malformed-field-name");
    check("transfer-encoding : chunked\r\n", "malformed-field-name");
    check(" content-length: 1\r\n", "folded-field");
    check("\tfolded\r\n", "folded-field");
    check("x: y\r\n more\r\n", "folded-field");
    check(": nameless\r\n", "malformed-field-name");
    check("no colon\r\n", "malformed-field-name");
    check("x(y): z\r\n", "malformed-field-name");
    check("x\u{e9}: z\r\n", "malformed-field-name");
    check("x: \0\r\n", "malformed-field-value");
    check("x: \u{7f}\r\n", "malformed-field-value");
}

#[test]
fn duplicate_and_missing_fields() {
    let target = Target::start(&[]);
    let check = |lines: &str| target.check_refused(post_with(lines), 400, "duplicate-field");
    check("content-length: 1\r\nhost: u\r\n");
    check("content-length: 1\r\ncontent-type: text/plain\r\n");
    check("content-length: 1\r\nStream-Closed: false\r\nstream-closed: true\r\n");
    check("content-length: 1\r\nproducer-seq: 0\r\nproducer-seq: 1\r\n");
    check("content-length: 1\r\nstream-seq: a\r\nstream-seq: b\r\n");
    let get = |lines: &str| format!("GET /v1/stream/kept HTTP/1.1\r\n{lines}\r\n");
    target.check_refused(get(""), 400, "missing-host");
    for host in ["", "a b", "user@host", "a/b", "[::1", "a:b"] {
        target.check_refused(get(&format!("host: {host}\r\n")), 400, "invalid-host");
    }
}

#[test]
fn request_lines() {
    let target = Target::start(&[]);
    let check = |line: &str, status, code: &str| {
        target.check_refused(format!("{line}\r\nhost: t\r\n\r\n"), status, code);
    };
    check("GET  /v1/stream/kept HTTP/1.1", 400, "malformed-request-line");
    check("GET /v1/stream/kept  HTTP/1.1", 400, "malformed-request-line");
    check("GET /v1/stream/kept HTTP/1.1 ", 400, "malformed-request-line");
    check("GET /v1/stream/kept", 400, "malformed-request-line");
    check("GET /v1/stream/kept http/1.1", 400, "malformed-request-line");
    check("GET /v1/stream/kept HTTP/1", 400, "malformed-request-line");
    check("GET /v1/stream/ke\0pt HTTP/1.1", 400, "malformed-request-line");
    check("GET /v1/stream/k\u{e9}pt HTTP/1.1", 400, "malformed-target");
    check("GET /v1/stream/kept#x HTTP/1.1", 400, "malformed-target");
    check("GET v1/stream/kept HTTP/1.1", 400, "malformed-target");
    check("GET * HTTP/1.1", 400, "malformed-target");
    check("GET ftp://t/v1/stream/kept HTTP/1.1", 400, "malformed-target");
    check("GET http://user@t/v1/stream/kept HTTP/1.1", 400, "invalid-host");
    check("CONNECT t:80 HTTP/1.1", 400, "malformed-target");
    check("G(T /v1/stream/kept HTTP/1.1", 400, "malformed-method");
    check(" GET /v1/stream/kept HTTP/1.1", 400, "malformed-method");
    check("G\0T /v1/stream/kept HTTP/1.1", 400, "malformed-method");
}

#[test]
fn versions() {
    let target = Target::start(&[]);
    for version in ["2.0", "3.0", "1.2", "0.9", "9.9"] {
        let request = format!("GET /v1/stream/kept HTTP/{version}\r\nhost: t\r\n\r\n");
        target.check_refused(request, 505, "unsupported-version");
    }
    // Nearly the preface of HTTP/2.
    target.check_refused("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 505, "unsupported-version");
}

#[test]
fn unknown_methods() {
    let target = Target::start(&[]);
    let allow = "GET, HEAD, PUT, POST, DELETE, OPTIONS";
    for method in ["PATCH", "TRACE", "CONNECT", "get", "PROPFIND", "X"] {
        let request = Request::new(method, "kept");
        let refusal = target.check_problem(&request, 405, "method-not-allowed");
        assert_eq!(refusal.field("allow"), Some(allow));
    }
    let body = "PATCH /v1/stream/kept HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\n\r\nx";
    target.check_refused(body, 405, "method-not-allowed");
    let listing = Request::post("__ds/streams");
    let refusal = target.check_problem(&listing, 405, "method-not-allowed");
    assert_eq!(refusal.field("allow"), Some("GET, HEAD, OPTIONS"));
}

#[test]
fn encodings_and_expectations() {
    let target = Target::start(&[]);
    let check = |lines: &str, status, code| target.check_refused(post_with(lines), status, code);
    for coding in ["gzip", "br", "identity, gzip", "x"] {
        let lines = format!("content-length: 1\r\ncontent-encoding: {coding}\r\n");
        check(&lines, 415, "unsupported-content-encoding");
    }
    check("content-length: 1\r\nexpect: 200-ok\r\n", 417, "unknown-expectation");
    let identity = Request::put("kept").with("content-encoding", "identity");
    target.check_problem(&identity, 409, "stream-exists");
}

#[test]
fn paths() {
    let target = Target::start(&[]);
    let check = |path: &str, status, code: &str| {
        target.check_problem(&Request::get(path), status, code);
        target.check_problem(&Request::put(path), status, code);
        target.check_problem(&Request::delete(path), status, code);
        let append = Request::post(path).with("content-type", "text/plain").body("x");
        target.check_refused(append.encode(), status, code);
    };
    for path in
        ["a%00b", "%00", "a%0db", "a%7Fb", "..", "../x", "a/../kept", "a/%2e%2e/kept", "a/.%2E"]
    {
        check(path, 400, "malformed-path");
    }
    for path in ["./kept", "a%2Fb", "a%2fb", "a%5Cb", "a\\b", "a//b", "a/", "a%", "a%4"] {
        check(path, 400, "malformed-path");
    }
    for path in ["a%zz", "%ff", "a%C3%28", "%c0%af", "%ed%a0%80"] {
        check(path, 400, "malformed-path");
    }
    for path in ["", "//", "__ds", "%5F%5Fds/streams", "/", "/v1", "/v1/stream", "/V1/stream/kept"]
    {
        check(path, 404, "no-route");
    }
    check("/v1/../v1/stream/kept", 404, "no-route");
    check("/v1//stream/kept", 404, "no-route");
    // Dots and the reserved word elsewhere are letters like any other.
    for path in ["...", "a..b", "x/__ds", "__dsx"] {
        target.server.put(path, "text/plain", "x").expect_status(201);
        target.server.delete(path).expect_status(204);
    }
}
