//! Bodies that are not what they are said to be.

use super::super::support::Request;
use super::Target;

#[test]
fn invalid_json() {
    let target = Target::start(&[]);
    let check = |body: &[u8]| {
        let append = Request::post("doc").with("content-type", "application/json").body(body);
        target.check_problem(&append, 400, "invalid-json");
        let create = Request::put("new").with("content-type", "application/json").body(body);
        target.check_problem(&create, 400, "invalid-json");
    };
    for body in ["{", "[1,", "nope", "1 2", "[1] [2]", "{\"a\":}", "[1,]", "01", "NaN", "'a'"] {
        check(body.as_bytes());
    }
    for body in ["\"\u{1}\"", "\"a", "[\"a\" \"b\"]", " ", "\r\n", "\u{feff}1", "1\0", "{1:2}", "]"]
    {
        check(body.as_bytes());
    }
    // The first message is good, and is not stored either.
    check(b"[{\"ok\":true},{\"ok\":]");
}

#[test]
fn invalid_utf8() {
    let target = Target::start(&[]);
    let bodies: [&[u8]; 5] =
        [b"\"\xff\"", b"[\"\xc3\x28\"]", b"\"\xed\xa0\x80\"", b"\"\xf8\"", b"\"\xe2\x82"];
    for body in bodies {
        let append = Request::post("doc").with("content-type", "application/json").body(body);
        target.check_problem(&append, 400, "invalid-json");
        let create = Request::put("new").with("content-type", "application/json").body(body);
        target.check_problem(&create, 400, "invalid-json");
    }
    for name in ["\u{e9}", "\u{1f600}"] {
        let append = Request::post("kept").with("content-type", "text/plain").body("x");
        let append = append.with("stream-seq", name);
        let refusal = target.server.ask(&append);
        // Bytes beyond ASCII are no field value; stored they must not be.
        assert_eq!(refusal.status, 400, "{refusal:?}");
        target.check_unchanged(name);
    }
}

#[test]
fn nothing_to_append() {
    let target = Target::start(&[]);
    let empty = Request::post("kept").with("content-type", "text/plain");
    target.check_problem(&empty, 400, "empty-body");
    let untyped = Request::post("kept").body("x");
    target.check_problem(&untyped, 400, "missing-content-type");
    let array = Request::post("doc").with("content-type", "application/json").body(" [ ] ");
    target.check_problem(&array, 400, "empty-array");
}

#[test]
fn content_types() {
    let target = Target::start(&[]);
    let longer = format!("text/{}", "x".repeat(256));
    for given in ["nonsense", "/", "text/", "te xt/plain", "", &longer] {
        let append = Request::post("kept").with("content-type", given).body("x");
        target.check_problem(&append, 400, "invalid-request");
        let create = Request::put("new").with("content-type", given).body("x");
        target.check_problem(&create, 400, "invalid-request");
    }
    let other = Request::post("kept").with("content-type", "application/json").body("1");
    target.check_problem(&other, 409, "content-type-mismatch");
    let other = Request::post("doc").with("content-type", "text/plain").body("1");
    target.check_problem(&other, 409, "content-type-mismatch");
    let other = Request::put("kept").with("content-type", "application/json").body("[2]");
    target.check_problem(&other, 409, "stream-exists");
}

/// A parser that recursed would end the process here.
#[test]
fn nesting_without_end() {
    let target = Target::start(&[]);
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    for body in [deep.clone(), deep[..1_000_000].to_owned(), "{\"a\":".repeat(500_000)] {
        let append = Request::put("deep").with("content-type", "application/json").body(body);
        let answer = target.server.ask(&append);
        assert!(matches!(answer.status, 201 | 400), "{answer:?}");
        target.server.delete("deep");
    }
    target.check_unchanged("deep nesting");
}
