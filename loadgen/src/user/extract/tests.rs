use super::*;
use crate::user::fixture::{User, head};

/// The variable's value after an answer with this body.
fn check(from: ExtractFrom, body: &[u8], want: &str) {
    let message = format!("{from:?} of {}", String::from_utf8_lossy(body));
    let head = head(200, "Stream-Next-Offset: 17\r\nx: 1\r\nx: 2\r\n");
    let answer = Answer::new(200, &head.fields, body, 0);
    let mut user = User::new(&[("value", "before")]);
    let extraction = Extraction { variable: "value".to_owned(), from, default: "none".to_owned() };
    let compiled = CompiledExtractions::new(&[extraction], &mut user.names);
    extract(&compiled, &answer, &mut user.variables);
    assert_eq!(user.get("value").as_deref(), Some(want), "{message}");
}

#[test]
fn headers() {
    let header = |name: &str| ExtractFrom::Header(name.to_owned());
    check(header("stream-next-offset"), b"", "17");
    check(header("X"), b"", "1");
    check(header("y"), b"", "none");
}

#[test]
fn json() {
    let path = |text: &str| ExtractFrom::JsonPath(Box::new(JsonPath::parse(text).unwrap()));
    let body = br#"{"a": "text", "n": 5, "o": {"b": [1, true]}, "z": null, "e": ""}"#;
    check(path("$.a"), body, "text");
    check(path("$.n"), body, "5");
    check(path("$.o"), body, r#"{"b":[1,true]}"#);
    check(path("$.o.b[*]"), body, "1");
    check(path("$.z"), body, "null");
    check(path("$.e"), body, "");
    check(path("$.missing"), body, "none");
    check(path("$.a"), b"not JSON", "none");
    check(path("$.a"), b"", "none");
    check(path("$.a"), b"{\"a\":\"\xff\"}", "none");
    check(path("$..a"), "[".repeat(100_000).as_bytes(), "none");
}

#[test]
fn regular_expressions() {
    let regex = |text: &str| ExtractFrom::Regex(Regex::new(text).unwrap());
    check(regex("id=([0-9]+)"), b"id=x id=12 id=13", "12");
    check(regex("id=[0-9]+"), b"id=x id=12 id=13", "id=12");
    check(regex("id=(x)?"), b"id=", "none");
    check(regex("id=(.*)"), b"id=", "");
    check(regex("id=([0-9]+)"), b"", "none");
    check(regex("id=(..)"), b"\xfe id=\xff!", "\u{fffd}!");
}
