//! Where a body ends.

use super::super::support::Request;
use super::{Target, post_with};

#[test]
fn length_and_transfer_encoding() {
    let target = Target::start(&[]);
    let check = |lines: &str, body: &str, status, code| {
        target.check_refused(post_with(lines) + body, status, code);
    };
    let both = ["content-length: 3\r\ntransfer-encoding: chunked\r\n"];
    for lines in both.iter().chain(&["Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"]) {
        check(lines, "1\r\nx\r\n0\r\n\r\n", 400, "ambiguous-length");
    }
    for coding in ["gzip, chunked", "chunked, chunked", "chunked, identity", "xchunked", "", "\"\""]
    {
        let lines = format!("transfer-encoding: {coding}\r\n");
        check(&lines, "0\r\n\r\n", 501, "unsupported-transfer-encoding");
    }
    let twice = "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n";
    check(twice, "0\r\n\r\n", 501, "unsupported-transfer-encoding");
    let old = "POST /v1/stream/kept HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    target.check_refused(old, 400, "transfer-encoding-in-http10");
}

#[test]
fn duplicate_and_malformed_lengths() {
    let target = Target::start(&[]);
    let check = |lines: &str, code| target.check_refused(post_with(lines) + "x", 400, code);
    check("content-length: 1\r\ncontent-length: 1\r\n", "duplicate-content-length");
    check("content-length: 1\r\nContent-Length: 2\r\n", "duplicate-content-length");
    for length in ["1, 1", "+1", "-1", "0x1", "1 1", "", "1.0", "1e0", "18446744073709551616"] {
        check(&format!("content-length: {length}\r\n"), "malformed-content-length");
    }
}

#[test]
fn oversize_body_of_known_length() {
    let target = Target::start(&["--max-body-bytes=64KiB"]);
    let lines = format!("content-length: {}\r\n", 64 * 1024 + 1);
    // Refused by its head alone, and also when it is sent all the same.
    target.check_refused(post_with(&lines), 413, "body-too-large");
    target.check_refused(post_with(&lines) + &"x".repeat(64 * 1024 + 1), 413, "body-too-large");
    target.check_refused(
        post_with("content-length: 18446744073709551615\r\n"),
        413,
        "body-too-large",
    );
    let create = format!(
        "PUT /v1/stream/new HTTP/1.1\r\nhost: t\r\ncontent-type: text/plain\r\n{lines}\r\n"
    );
    target.check_refused(create, 413, "body-too-large");
    let waits = format!("{lines}expect: 100-continue\r\n");
    target.check_refused(post_with(&waits), 413, "body-too-large");
    target.server.put("whole", "text/plain", "x".repeat(64 * 1024)).expect_status(201);
    assert_eq!(target.server.get("whole").body.len(), 64 * 1024);
}

#[test]
fn oversize_chunked_body() {
    let target = Target::start(&["--max-body-bytes=64KiB"]);
    let chunked = post_with("transfer-encoding: chunked\r\n");
    target.check_refused(format!("{chunked}10001\r\n"), 413, "body-too-large");
    target.check_refused(format!("{chunked}ffffffffffffffff\r\n"), 413, "body-too-large");
    let small = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    target.check_refused(chunked.clone() + &small.repeat(17), 413, "body-too-large");
    let exact = chunked.replace("/kept ", "/exact ").replace("POST", "PUT");
    let mut client = target.server.connect();
    client.send(exact + &small.repeat(16) + "0\r\n\r\n");
    client.answer().expect_status(201);
    assert_eq!(target.server.get("exact").body.len(), 64 * 1024);
}

#[test]
fn default_body_limit() {
    let target = Target::start(&[]);
    let lines = format!("content-length: {}\r\n", 8 * 1024 * 1024 + 1);
    target.check_refused(post_with(&lines), 413, "body-too-large");
    let subscription = format!(
        "PUT /v1/stream/__ds/subscriptions/s HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n",
        256 * 1024 + 1
    );
    target.check_refused(subscription, 413, "body-too-large");
    target.server.get("__ds/subscriptions/s").expect_status(404);
}

#[test]
fn bad_chunks() {
    let target = Target::start(&[]);
    let check = |body: &str, status, code| {
        target.check_refused(post_with("transfer-encoding: chunked\r\n") + body, status, code);
    };
    for size in ["", "x", "-1", "+1", "0x1", "1 1", " 1", "g", "1,", "\u{661}", ";x", "\t1"] {
        check(&format!("{size}\r\nx\r\n0\r\n\r\n"), 400, "malformed-chunk-size");
    }
    check("10000000000000001\r\nx\r\n0\r\n\r\n", 400, "malformed-chunk-size");
    check("1;\0\r\nx\r\n0\r\n\r\n", 400, "malformed-chunk-size");
    check(&format!("1;{}\r\nx\r\n0\r\n\r\n", "y".repeat(300)), 400, "chunk-line-too-long");
    check(&format!("{}1\r\nx\r\n0\r\n\r\n", "0".repeat(300)), 400, "chunk-line-too-long");
    check("1\nx\r\n0\r\n\r\n", 400, "bare-lf");
    check("1\rx\r\n0\r\n\r\n", 400, "bare-cr");
    check("1\r\nxy\r\n0\r\n\r\n", 400, "malformed-chunk-end");
    check("2\r\nx\r\n0\r\n\r\n", 400, "malformed-chunk-end");
    check("1\r\nx\n0\r\n\r\n", 400, "malformed-chunk-end");
    check("1\r\nx\r\n0\r\nno colon\r\n\r\n", 400, "malformed-trailer");
    check("1\r\nx\r\n0\r\na : b\r\n\r\n", 400, "malformed-trailer");
    check("1\r\nx\r\n0\r\na: b\n\r\n", 400, "bare-lf");
    let trailers = "a: b\r\n".repeat(1000);
    check(&format!("1\r\nx\r\n0\r\n{trailers}\r\n"), 431, "trailers-too-large");
}

#[test]
fn chunks_as_they_may_be() {
    let target = Target::start(&[]);
    let check = |body: &str, want: &str| {
        let mut client = target.server.connect();
        client.send(post_with("transfer-encoding: Chunked\r\n").replace("/kept ", "/chunks "));
        client.send(body);
        client.answer().expect_status(204);
        // What follows is the next request, not more of this one.
        assert_eq!(client.ask(&Request::get("chunks")).expect_status(200).text(), want);
    };
    target.server.put("chunks", "text/plain", "").expect_status(201);
    check("1\r\na\r\n0\r\n\r\n", "a");
    check("0001;x=\"y\"\r\nb\r\n00\r\n\r\n", "ab");
    check("A\r\n0123456789\r\n1 ; x\r\nc\r\n0\r\ntrailer: dropped\r\n\r\n", "ab0123456789c");
}
