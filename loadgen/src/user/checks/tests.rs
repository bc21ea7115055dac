use std::time::Duration;

use regex::Regex;

use super::*;
use crate::plan::Operator;
use crate::plan::{Pattern, TextCheck, TextMatch};
use crate::user::fixture::{User, head, template};

const FIELDS: &str = "Content-Type: application/json\r\nx: 1\r\nx: 2\r\n";

/// What is wrong with an answer, as its kind and message.
fn judged(assertions: &[Assertion], status: u16, body: &[u8]) -> Result<(), String> {
    let head = head(status, FIELDS);
    let answer = Answer::new(status, &head.fields, body, 2_500_000);
    let mut user = User::new(&[("name", "value"), ("number", "5")]);
    let checks = Checks::new(assertions, &mut user.names);
    let result = checks.check(&answer, &mut user.context());
    result.map_err(|failure| {
        assert!(!failure.message.contains('\n'), "{}", failure.message);
        format!("{}: {}", failure.kind, failure.message)
    })
}

#[track_caller]
fn check(assertion: Assertion, body: &str, want: Result<(), &str>) {
    let got = judged(&[assertion], 200, body.as_bytes());
    assert_eq!(got.as_ref().map_err(String::as_str), want.as_ref().map_err(|text| *text));
}

#[test]
fn statuses() {
    let check = |assertions: &[Assertion], status: u16, want: Result<(), &str>| {
        let got = judged(assertions, status, b"why");
        assert_eq!(got.as_ref().map_err(String::as_str), want.as_ref().map_err(|text| *text));
    };
    for status in [200, 204, 299, 304] {
        check(&[], status, Ok(()));
    }
    check(&[], 503, Err(r#"status 503: the status is 503, not 2xx or 304: "why""#));
    check(&[], 301, Err(r#"status 301: the status is 301, not 2xx or 304: "why""#));
    let conflict = [Assertion::Status(vec![200..=200, 409..=412])];
    check(&conflict, 200, Ok(()));
    check(&conflict, 410, Ok(()));
    let want = r#"status 201: the status is 201, not 200 or 409 to 412: "why""#;
    check(&conflict, 201, Err(want));
    // With another assertion, the status still has to be right, and comes first.
    let size = Assertion::Size(SizeCheck { operator: Operator::Equal, bytes: 0 });
    check(&[size], 500, Err(r#"status 500: the status is 500, not 2xx or 304: "why""#));
}

fn text(how: TextMatch, any_of: &[&str], not: bool) -> TextCheck {
    let pattern = |text: &&str| match how {
        TextMatch::Equals | TextMatch::Contains => Pattern::Text(template(text)),
        TextMatch::Find | TextMatch::Matches => Pattern::Regex(Regex::new(text).unwrap()),
    };
    TextCheck { how, any_of: any_of.iter().map(pattern).collect(), not }
}

#[test]
fn bodies() {
    use TextMatch::{Contains, Equals, Find, Matches};
    let body = |how, any_of: &[&str], not| Assertion::Body(text(how, any_of, not));
    check(body(Equals, &["abc"], false), "abc", Ok(()));
    check(
        body(Equals, &["abc"], false),
        "abcd",
        Err(r#"assertion: the body is not "abc": "abcd""#),
    );
    check(body(Equals, &["abc"], true), "abc", Err(r#"assertion: the body is "abc": "abc""#));
    check(body(Equals, &["${name}"], false), "value", Ok(()));
    check(body(Equals, &["${no}"], false), "${no}", Ok(()));
    check(body(Contains, &["x", "b"], false), "abc", Ok(()));
    check(body(Contains, &["<${name}>"], false), "a<value>b", Ok(()));
    check(body(Contains, &[""], false), "", Ok(()));
    let want = r#"assertion: the body does not contain "x" or "y": "a\nb""#;
    check(body(Contains, &["x", "y"], false), "a\nb", Err(want));
    let want = r#"assertion: the body contains "x" or "b": "abc""#;
    check(body(Contains, &["x", "b"], true), "abc", Err(want));
    check(body(Contains, &["x", "y"], true), "abc", Ok(()));
    check(body(Find, &["b.d", "b"], false), "abc", Ok(()));
    check(
        body(Find, &["b.d"], false),
        "abc",
        Err(r#"assertion: the body does not match /b.d/: "abc""#),
    );
    // The whole text, whichever branch would match first.
    check(body(Matches, &["a|ab"], false), "ab", Ok(()));
    check(body(Matches, &["(?i)A.C"], false), "abc", Ok(()));
    let want = r#"assertion: the body does not match /b/ as a whole: "abc""#;
    check(body(Matches, &["b"], false), "abc", Err(want));
    check(body(Matches, &["a"], true), "abc", Ok(()));
    // A comment up to the end of the expression hides what is put after it.
    check(body(Matches, &["(?x) a # c"], false), "a", Ok(()));
    check(body(Matches, &["(?x) a # c"], true), "ab", Ok(()));
    // No pattern: nothing is any one of them.
    check(body(Contains, &[], true), "abc", Ok(()));
}

#[test]
fn bodies_that_are_not_text() {
    let check = |how, pattern: &str, holds: bool| {
        let assertion = Assertion::Body(text(how, &[pattern], false));
        let got = judged(&[assertion], 200, b"a\xffbc");
        assert_eq!(got.is_ok(), holds, "{pattern}: {got:?}");
    };
    check(TextMatch::Contains, "bc", true);
    check(TextMatch::Find, "a.b", true);
    check(TextMatch::Matches, "a\u{fffd}bc", true);
    check(TextMatch::Equals, "abc", false);
}

#[test]
fn long_bodies_are_cut() {
    let assertion = Assertion::Body(text(TextMatch::Equals, &["b"], false));
    let message = judged(&[assertion], 200, "é".repeat(1000).as_bytes()).unwrap_err();
    let want = format!("assertion: the body is not \"b\": \"{}\"…", "é".repeat(100));
    assert_eq!(message, want);
}

#[test]
fn headers() {
    use TextMatch::{Contains, Equals, Find};
    let header = |name: &str, how, pattern: &str, not| Assertion::Header {
        name: name.to_owned(),
        text: text(how, &[pattern], not),
    };
    check(header("content-type", Equals, "application/json", false), "", Ok(()));
    check(header("CONTENT-TYPE", Find, "^application/", false), "", Ok(()));
    check(header("x", Equals, "2", false), "", Ok(()));
    let want = r#"assertion: x is not "3": "1""#;
    check(header("x", Equals, "3", false), "", Err(want));
    let want = r#"assertion: content-type contains "json": "application/json""#;
    check(header("content-type", Contains, "json", true), "", Err(want));
    let want = r#"assertion: y is not "3": there is no such field"#;
    check(header("y", Equals, "3", false), "", Err(want));
    check(header("y", Equals, "3", true), "", Ok(()));
}

#[test]
fn json() {
    let path = |path: &str, equals: Option<&str>, not| Assertion::JsonPath {
        path: Box::new(JsonPath::parse(path).unwrap()),
        equals: equals.map(template),
        members: false,
        not,
    };
    let body = r#"{"a": "value", "n": 5, "l": [1, 2.0], "o": {"x": 1, "y": 2}, "z": null}"#;
    check(path("$.a", None, false), body, Ok(()));
    check(path("$.b", None, false), body, Err("assertion: $.b is not in the body"));
    check(path("$.b", None, true), body, Ok(()));
    check(path("$.a", None, true), body, Err("assertion: $.a is in the body"));
    check(path("$.a", Some("value"), false), body, Ok(()));
    check(path("$.a", Some("\"${name}\""), false), body, Ok(()));
    check(path("$.n", Some("${number}"), false), body, Ok(()));
    check(path("$.n", Some("5.0"), false), body, Ok(()));
    check(path("$.n", Some("\"5\""), false), body, Err(r#"assertion: $.n is "5", not "\"5\"""#));
    check(path("$.l[*]", Some("2"), false), body, Ok(()));
    check(path("$.l", Some("[1, 2.0]"), false), body, Ok(()));
    check(path("$.o", Some(r#"{"y":2,"x":1}"#), false), body, Ok(()));
    check(path("$.z", Some("null"), false), body, Ok(()));
    let want = r#"assertion: $.b is not in the body; it should be "1""#;
    check(path("$.b", Some("1"), false), body, Err(want));
    check(path("$.b", Some("1"), true), body, Ok(()));
    check(path("$.n", Some("5"), true), body, Err(r#"assertion: $.n is "5""#));
    check(path("$.a", None, true), "{", Ok(()));
    let mut member = path("$.l", Some("2"), false);
    check(member.clone(), body, Err(r#"assertion: $.l is "[1,2.0]", not "2""#));
    if let Assertion::JsonPath { members, .. } = &mut member {
        *members = true;
    }
    check(member, body, Ok(()));
    let got = judged(&[path("$.a", None, false)], 200, b"{").unwrap_err();
    assert!(got.starts_with("assertion: the body is not JSON (EOF"), "{got}");
    let deep = "[".repeat(100_000);
    assert!(judged(&[path("$..a", None, false)], 200, deep.as_bytes()).is_err());
}

#[test]
fn durations_and_sizes() {
    let micros = |micros| Assertion::Duration(Duration::from_micros(micros));
    check(micros(2500), "", Ok(()));
    check(micros(2499), "", Err("assertion: it took 2.5 ms, not at most 2.499 ms"));
    let size = |operator, bytes| Assertion::Size(SizeCheck { operator, bytes });
    check(size(Operator::Equal, 3), "abc", Ok(()));
    check(size(Operator::GreaterOrEqual, 3), "abc", Ok(()));
    let want = "assertion: the body has 3 bytes, not less than 3";
    check(size(Operator::Less, 3), "abc", Err(want));
    let want = "assertion: the body has 3 bytes, not other than 3";
    check(size(Operator::NotEqual, 3), "abc", Err(want));
}

#[test]
fn the_first_failure_is_told() {
    let size = |bytes| Assertion::Size(SizeCheck { operator: Operator::Equal, bytes });
    let got = judged(&[size(3), size(4), size(5)], 200, b"abc").unwrap_err();
    assert_eq!(got, "assertion: the body has 3 bytes, not exactly 4");
}
