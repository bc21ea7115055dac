use super::*;
use crate::message::stamps;
use crate::plan::Size;
use crate::user::fixture::{User, template};

const STAMP: Stamp = Stamp { run: 1, source: 2, sequence: 3, intended_ns: 4 };

fn written(payload: &Payload, user: &mut User) -> Vec<u8> {
    let mut messages = Messages::new(payload, &mut user.names);
    assert_eq!(messages.are_stamped(), matches!(payload, Payload::Stamped(_)));
    let mut out = b"[".to_vec();
    messages.write(STAMP, &mut user.context(), &mut out);
    assert_eq!(out.remove(0), b'[');
    out
}

#[test]
fn stamped() {
    let mut user = User::new(&[]);
    let mut check = |size: Size, lengths: std::ops::RangeInclusive<usize>| {
        let message = written(&Payload::Stamped(size), &mut user);
        assert!(lengths.contains(&message.len()), "{}", message.len());
        assert_eq!(stamps(&message).collect::<Vec<_>>(), [Some(STAMP)]);
    };
    check(Size::Constant(100), 100..=100);
    check(Size::Constant(0), 16..=16);
    check(Size::Uniform(200, 300), 200..=300);
    check(Size::Weighted(vec![(64, 1.0)]), 64..=64);
}

#[test]
fn templates() {
    let mut user = User::new(&[("name", "value")]);
    let payload = Payload::Template(template("{\"a\":\"${name}\"}"));
    assert_eq!(written(&payload, &mut user), b"{\"a\":\"value\"}");
}
