//! What long-polls are answered: made once for all that wait at the same place. Only the cursor is
//! each one's own.

use std::rc::Rc;

use bytes::Bytes;
use thalweg_proto::offset::Offset;

/// A whole answer with room for a cursor.
pub struct Polled {
    /// Up to the cursor; everything if it has none.
    before: Bytes,
    /// What follows the cursor.
    after: Option<Bytes>,
    /// The token after the last byte that it carries.
    pub next: Offset,
    /// The status.
    pub status: u16,
    /// Bytes of the body.
    pub body_len: usize,
    /// The stream is closed.
    pub closed: bool,
}

impl Polled {
    /// An encoded answer. Its cursor is taken out of the head.
    #[must_use]
    pub fn new(head: &[u8], body: &[Bytes], status: u16, next: Offset, closed: bool) -> Polled {
        let body_len = body.iter().map(Bytes::len).sum();
        let found = head.windows(CURSOR.len()).position(|window| window == CURSOR);
        let name = found.map(|at| at + CURSOR.len());
        let cut = name.unwrap_or(head.len());
        let digits = head[cut..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let rest = [&[Bytes::copy_from_slice(&head[cut + digits..])], body].concat().concat();
        let (before, after) = match name {
            Some(_) => (Bytes::copy_from_slice(&head[..cut]), Some(Bytes::from(rest))),
            None => (Bytes::from([head, &rest].concat()), None),
        };
        Polled { before, after, next, status, body_len, closed }
    }

    /// The bytes for a client: those to be sent now, and those after them. A large body is not
    /// copied for each.
    #[must_use]
    pub fn bytes(&self, cursor: u64) -> (Bytes, Bytes) {
        let Some(after) = &self.after else { return (self.before.clone(), Bytes::new()) };
        let mut digits = [0; 20];
        let digits = decimal(cursor, &mut digits);
        let copied = if after.len() <= COPY_BYTES { &after[..] } else { &[] };
        let mut out = Vec::with_capacity(self.before.len() + digits.len() + copied.len());
        out.extend_from_slice(&self.before);
        out.extend_from_slice(digits);
        out.extend_from_slice(copied);
        let rest = if copied.is_empty() { after.clone() } else { Bytes::new() };
        (Bytes::from(out), rest)
    }
}

/// The answers made since the last news. Whoever comes after so many places has one made alone.
#[derive(Default)]
pub(super) struct Answers(Vec<(u64, u64, Rc<Polled>)>);

impl Answers {
    /// News: what was made does not end at the end any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The answer for those who wait at a position, in a second of the clock: it carries the date.
    pub(super) fn get(
        &mut self,
        position: u64,
        second: u64,
        make: impl FnOnce() -> Option<Polled>,
    ) -> Option<Rc<Polled>> {
        let found = self.0.iter().position(|(at, ..)| *at == position);
        if let Some(at) = found
            && self.0[at].1 == second
        {
            return Some(Rc::clone(&self.0[at].2));
        }
        let made = Rc::new(make()?);
        match found {
            Some(at) => self.0[at] = (position, second, Rc::clone(&made)),
            None if self.0.len() < PLACES => self.0.push((position, second, Rc::clone(&made))),
            None => {}
        }
        Some(made)
    }
}

fn decimal(mut number: u64, out: &mut [u8; 20]) -> &[u8] {
    let mut at = out.len();
    loop {
        at -= 1;
        out[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &out[at..];
        }
    }
}

const CURSOR: &[u8] = b"\r\nstream-cursor: ";
/// A body up to this size is copied behind the head: one send is cheaper than two.
const COPY_BYTES: usize = 4096;
/// Nearly all wait at the end.
const PLACES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_its_own_cursor() {
        let next = Offset { epoch: 1, position: 9 };
        let of = |head: &str, body: &str| {
            let body = [Bytes::copy_from_slice(body.as_bytes())];
            Polled::new(head.as_bytes(), &body, 200, next, false)
        };
        let check = |polled: &Polled, cursor, pieces: usize, want: &str| {
            let (now, then) = polled.bytes(cursor);
            assert_eq!(String::from_utf8([&now[..], &then].concat()).unwrap(), want);
            assert_eq!(1 + usize::from(!then.is_empty()), pieces);
        };
        let polled = of("HTTP/1.1 200 OK\r\nstream-cursor: 18446\r\nx: 1\r\n\r\n", "body");
        for (cursor, text) in [(0, "0"), (107, "107"), (u64::MAX, "18446744073709551615")] {
            let want = format!("HTTP/1.1 200 OK\r\nstream-cursor: {text}\r\nx: 1\r\n\r\nbody");
            check(&polled, cursor, 1, &want);
        }
        check(
            &of("HTTP/1.1 200 OK\r\nx: 1\r\n\r\n", "body"),
            7,
            1,
            "HTTP/1.1 200 OK\r\nx: 1\r\n\r\nbody",
        );
        let large = "x".repeat(COPY_BYTES + 1);
        let want = format!("HTTP/1.1 200 OK\r\nstream-cursor: 3\r\n\r\n{large}");
        check(&of("HTTP/1.1 200 OK\r\nstream-cursor: 1\r\n\r\n", &large), 3, 2, &want);
    }

    #[test]
    fn answers_are_made_once_a_second() {
        let mut answers = Answers::default();
        let next = Offset { epoch: 1, position: 9 };
        let mut get = |position, second| {
            let mut made = false;
            let make = || {
                made = true;
                Some(Polled::new(b"", &[], 200, next, false))
            };
            assert!(answers.get(position, second, make).is_some());
            made
        };
        let made: Vec<_> = [(1, 1), (1, 1), (2, 1), (2, 1), (1, 2), (1, 2), (2, 1)]
            .into_iter()
            .map(|(position, second)| get(position, second))
            .collect();
        assert_eq!(made, [true, false, true, false, true, false, false]);
    }
}
