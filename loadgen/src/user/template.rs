//! Templates, ready to be rendered.
//!
//! Invariant: a variable without a value renders as it was written, `${name}`, as in JMeter.

use rand::Rng as _;

use super::names::{Names, Slot, Variables};
use crate::message::push_decimal;
use crate::plan::{Piece, Template};
use crate::schedule::Rng;

/// What a template is rendered with.
#[derive(Debug)]
pub struct Context<'a> {
    /// Of the user.
    pub variables: &'a mut Variables,
    /// Of the user, or of its iteration.
    pub rng: &'a mut Rng,
    /// Within its group, from 1.
    pub user_number: u32,
    /// Of the thread.
    pub counter: &'a mut Counter,
    /// The time, for a template that wants it.
    pub now: &'a dyn Now,
}

/// What time it is.
pub trait Now: std::fmt::Debug {
    /// Milliseconds since 1970.
    fn now_unix_ms(&self) -> u64;
}

/// Always the same.
impl Now for u64 {
    fn now_unix_ms(&self) -> u64 {
        *self
    }
}

/// `${__counter(FALSE)}` on one thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counter {
    next: u64,
    stride: u64,
}

impl Counter {
    /// Counts `start`, `start + stride`, …: thread `c` of `n` starts at `c + 1` with a stride of
    /// `n`.
    #[must_use]
    pub fn new(start: u64, stride: u64) -> Counter {
        Counter { next: start, stride }
    }

    /// The next value.
    pub fn take(&mut self) -> u64 {
        let value = self.next;
        self.next = value.wrapping_add(self.stride);
        value
    }
}

/// A template whose names are slots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compiled(Vec<Part>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(Box<[u8]>),
    /// And what stands there while it has no value.
    Variable(Slot, Box<[u8]>),
    Random(i64, i64),
    TimeMillis,
    Uuid,
    UserNumber,
    Counter,
}

/// Prepares a template.
#[must_use]
pub fn compile(template: &Template, names: &mut Names) -> Compiled {
    let mut parts: Vec<Part> = Vec::with_capacity(template.0.len());
    for piece in &template.0 {
        let part = match piece {
            Piece::Text(text) if text.is_empty() => continue,
            Piece::Text(text) => match parts.last_mut() {
                Some(Part::Text(before)) => {
                    *before = [before, text.as_bytes()].concat().into();
                    continue;
                }
                _ => Part::Text(text.as_bytes().into()),
            },
            Piece::Variable(name) => {
                Part::Variable(names.slot(name), format!("${{{name}}}").into_bytes().into())
            }
            Piece::Random(a, b) => Part::Random(*a.min(b), *a.max(b)),
            Piece::TimeMillis => Part::TimeMillis,
            Piece::Uuid => Part::Uuid,
            Piece::UserNumber => Part::UserNumber,
            Piece::Counter => Part::Counter,
        };
        parts.push(part);
    }
    Compiled(parts)
}

/// Appends the text of a template.
pub fn render(compiled: &Compiled, context: &mut Context<'_>, out: &mut Vec<u8>) {
    for part in &compiled.0 {
        match part {
            Part::Text(text) => out.extend_from_slice(text),
            Part::Variable(slot, reference) => {
                out.extend_from_slice(context.variables.get(*slot).unwrap_or(reference));
            }
            Part::Random(least, most) => {
                push_signed(out, context.rng.random_range(*least..=*most));
            }
            Part::TimeMillis => push_decimal(out, context.now.now_unix_ms()),
            Part::Uuid => push_uuid(out, context.rng.random()),
            Part::UserNumber => push_decimal(out, u64::from(context.user_number)),
            Part::Counter => push_decimal(out, context.counter.take()),
        }
    }
}

impl Compiled {
    /// Its text, if that is always the same.
    #[must_use]
    pub fn constant(&self) -> Option<&[u8]> {
        match self.0.as_slice() {
            [] => Some(b""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Its text, if it lies somewhere as it is: a constant, or one variable.
    pub(super) fn borrowed<'a>(&'a self, variables: &'a Variables) -> Option<&'a [u8]> {
        match self.0.as_slice() {
            [Part::Variable(slot, reference)] => Some(variables.get(*slot).unwrap_or(reference)),
            _ => self.constant(),
        }
    }
}

fn push_signed(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    push_decimal(out, number.unsigned_abs());
}

/// RFC 9562, version 4.
fn push_uuid(out: &mut Vec<u8>, random: u128) {
    let bits = random & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    for digit in (0..32).rev() {
        if matches!(digit, 23 | 19 | 15 | 11) {
            out.push(b'-');
        }
        out.push(b"0123456789abcdef"[(bits >> (4 * digit)) as usize & 0xf]);
    }
}

#[cfg(test)]
mod tests;
