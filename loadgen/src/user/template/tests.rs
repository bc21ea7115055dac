use proptest::prelude::*;

use super::*;
use crate::plan::Piece::{Random, Text, TimeMillis, UserNumber, Uuid, Variable};
use crate::user::fixture::{User, template};

fn text(text: &str) -> Piece {
    Text(text.to_owned())
}

fn rendered(pieces: Vec<Piece>, user: &mut User) -> String {
    let compiled = compile(&Template(pieces), &mut user.names);
    let mut out = b"before ".to_vec();
    render(&compiled, &mut user.context(), &mut out);
    String::from_utf8_lossy(&out).strip_prefix("before ").unwrap().to_owned()
}

#[test]
fn pieces() {
    let mut user = User::new(&[("name", "value"), ("empty", "")]);
    let mut check = |pieces: Vec<Piece>, want: &str| {
        assert_eq!(rendered(pieces.clone(), &mut user), want, "{pieces:?}");
    };
    let variable = |name: &str| Variable(name.to_owned());
    check(vec![], "");
    check(vec![text("a"), text(""), text("b")], "ab");
    check(vec![text("a"), variable("name"), text("b")], "avalueb");
    check(vec![variable("empty"), text("b")], "b");
    check(vec![text("a"), variable("no such")], "a${no such}");
    check(vec![TimeMillis, text(" "), UserNumber], "1700000000123 3");
    check(vec![Piece::Counter, text(" "), Piece::Counter], "1 2");
    check(vec![Piece::Counter], "3");
    check(vec![Random(-7, -7), Random(i64::MIN, i64::MIN)], "-7-9223372036854775808");
}

#[test]
fn bytes_that_are_not_text() {
    let mut user = User::new(&[]);
    user.set("bytes", b"\xff\0");
    let compiled = compile(&template("<${bytes}>"), &mut user.names);
    let mut out = Vec::new();
    render(&compiled, &mut user.context(), &mut out);
    assert_eq!(out, b"<\xff\0>");
}

#[test]
fn constants() {
    let mut names = Names::default();
    let mut check = |template: Template, want: Option<&[u8]>| {
        assert_eq!(compile(&template, &mut names).constant(), want, "{template:?}");
    };
    check(Template(vec![]), Some(b""));
    check(Template(vec![text("a"), text("b")]), Some(b"ab"));
    check(template("a${b}"), None);
    check(Template(vec![UserNumber]), None);
}

#[test]
fn random_numbers_reach_both_ends() {
    let mut user = User::new(&[]);
    let mut seen = [0; 3];
    for _ in 0..300 {
        let number: i64 = rendered(vec![Random(1, -1)], &mut user).parse().unwrap();
        seen[usize::try_from(number + 1).unwrap()] += 1;
    }
    assert!(seen.iter().all(|count| *count > 60), "{seen:?}");
    let number: i64 = rendered(vec![Random(i64::MIN, i64::MAX)], &mut user).parse().unwrap();
    assert!(number.unsigned_abs() > 1 << 32, "{number}");
}

#[test]
fn uuids() {
    let mut user = User::new(&[]);
    let check = |uuid: &str| {
        let parts: Vec<&str> = uuid.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(uuid.bytes().all(|byte| matches!(byte, b'-' | b'0'..=b'9' | b'a'..=b'f')));
        assert!(parts[2].starts_with('4'), "version 4: {uuid}");
        assert!(parts[3].starts_with(['8', '9', 'a', 'b']), "of the RFC: {uuid}");
    };
    let uuids: std::collections::HashSet<String> =
        (0..1000).map(|_| rendered(vec![Uuid], &mut user)).collect();
    assert_eq!(uuids.len(), 1000);
    uuids.iter().for_each(|uuid| check(uuid));
    let mut out = Vec::new();
    push_uuid(&mut out, u128::MAX);
    assert_eq!(out, b"ffffffff-ffff-4fff-bfff-ffffffffffff");
    out.clear();
    push_uuid(&mut out, 0);
    assert_eq!(out, b"00000000-0000-4000-8000-000000000000");
}

#[test]
fn threads_count_apart() {
    let mut threads = [Counter::new(1, 2), Counter::new(2, 2)];
    let got: Vec<u64> = threads.iter_mut().flat_map(|one| [one.take(), one.take()]).collect();
    assert_eq!(got, [1, 3, 2, 4]);
    assert_eq!(Counter::new(u64::MAX, 1).take(), u64::MAX);
}

proptest! {
    /// Text comes out as it went in, and the same template the same way from the same generator.
    #[test]
    fn text_is_kept(parts in prop::collection::vec("[a-z${}\\\\é]{0,5}", 0..6)) {
        let pieces: Vec<Piece> = parts.iter().map(|part| text(part)).collect();
        prop_assert_eq!(rendered(pieces, &mut User::new(&[])), parts.concat());
        let chance = || rendered(vec![Random(0, i64::MAX), Uuid], &mut User::new(&[]));
        prop_assert_eq!(chance(), chance());
    }
}
