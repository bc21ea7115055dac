//! Offset tokens: `<epoch>_<position>`, both sixteen decimal digits, so that lexicographic order
//! is numeric order (section 8).
//!
//! The epoch names the incarnation of a stream, so that an offset of a deleted stream never
//! means something in its successor at the same path. A fork keeps its source's tokens up to the
//! fork point and continues under its own, larger epoch. Epoch 0 belongs to no stream: the token
//! of sixteen and sixteen zeros names the beginning of any stream, as `-1` does.

use std::fmt;

/// A position in one incarnation of a stream. `Ord` is the order of the tokens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset {
    /// The incarnation: the id of the stream that wrote the bytes before this position.
    pub epoch: u64,
    /// Bytes from the beginning of the stream.
    pub position: u64,
}

/// Digits of each half of a token.
const DIGITS: usize = 16;
/// Length of a token in bytes.
pub const TOKEN_LEN: usize = 2 * DIGITS + 1;
/// The largest epoch or position that a token can hold.
pub const MAX_TOKEN_VALUE: u64 = 10u64.pow(DIGITS as u32) - 1;

impl Offset {
    /// The beginning of any stream.
    pub const ZERO: Offset = Offset { epoch: 0, position: 0 };

    /// Parses a token. `None` for anything but the exact form.
    #[must_use]
    pub fn parse(token: &str) -> Option<Offset> {
        let bytes = token.as_bytes();
        if bytes.len() != TOKEN_LEN || bytes[DIGITS] != b'_' {
            return None;
        }
        let epoch = parse_digits(&bytes[..DIGITS])?;
        let position = parse_digits(&bytes[DIGITS + 1..])?;
        Some(Offset { epoch, position })
    }

    /// The token as bytes, without allocation.
    #[must_use]
    pub fn token(self) -> [u8; TOKEN_LEN] {
        let mut out = [b'_'; TOKEN_LEN];
        write_digits(&mut out[..DIGITS], self.epoch);
        write_digits(&mut out[DIGITS + 1..], self.position);
        out
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}_{:016}", self.epoch, self.position)
    }
}

impl fmt::Debug for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.epoch, self.position)
    }
}

/// Where a read begins: the `offset` query parameter (sections 5.6 and 8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadFrom {
    /// `-1`, the parameter's absence, or the token of zeros.
    Start,
    /// `now`: the tail at the time the request is handled.
    Now,
    /// A token that the server gave out earlier.
    At(Offset),
}

impl ReadFrom {
    /// Parses the value of the `offset` parameter.
    #[must_use]
    pub fn parse(value: &str) -> Option<ReadFrom> {
        match value {
            "-1" => Some(ReadFrom::Start),
            "now" => Some(ReadFrom::Now),
            token => Offset::parse(token).map(|offset| match offset {
                Offset::ZERO => ReadFrom::Start,
                offset => ReadFrom::At(offset),
            }),
        }
    }
}

fn parse_digits(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0'))
    })
}

fn write_digits(out: &mut [u8], mut value: u64) {
    debug_assert!(value <= MAX_TOKEN_VALUE);
    for slot in out.iter_mut().rev() {
        *slot = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_round_trip_and_sort_as_numbers(
            a in (0..=MAX_TOKEN_VALUE, 0..=MAX_TOKEN_VALUE),
            b in (0..=MAX_TOKEN_VALUE, 0..=MAX_TOKEN_VALUE),
        ) {
            let a = Offset { epoch: a.0, position: a.1 };
            let b = Offset { epoch: b.0, position: b.1 };
            prop_assert_eq!(Offset::parse(&a.to_string()), Some(a));
            let text = a.to_string();
            prop_assert_eq!(text.as_bytes(), a.token());
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = ReadFrom::parse(&text);
        }
    }

    #[test]
    fn sentinels_and_refusals() {
        let check = |text: &str, want: Option<ReadFrom>| {
            assert_eq!(ReadFrom::parse(text), want, "{text}");
        };
        check("-1", Some(ReadFrom::Start));
        check("now", Some(ReadFrom::Now));
        check("0000000000000000_0000000000000000", Some(ReadFrom::Start));
        check(
            "0000000000000001_0000000000000042",
            Some(ReadFrom::At(Offset { epoch: 1, position: 42 })),
        );
        for bad in ["", "0", "-2", "NOW", "0000000000000001-0000000000000042", "a,b", "1_2"] {
            check(bad, None);
        }
    }
}
