//! The messages of a run: each says which run it belongs to, who sent it, its sequence number and
//! the time at which it was meant to be sent, so that whoever receives it can judge it alone.
//!
//! One JSON string in one field, so that a server which re-writes JSON cannot reorder its parts:
//! `{"m":"<run>.<source>.<sequence>.<intended ns>.<padding>"}`, all numbers decimal, padded with
//! `x`. In a stream that is not JSON the same text stands for itself.
//!
//! Invariant: a stamp has one spelling. What differs from it in a byte has been damaged.

use std::sync::LazyLock;

use memchr::{memchr, memmem};

/// What a message says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// The run; messages of other runs on the same stream are not ours to judge.
    pub run: u64,
    /// Who sent it, of those that share a stream: sequences are each source's own.
    pub source: u32,
    /// From 0, without gaps.
    pub sequence: u32,
    /// When it was meant to be sent, in nanoseconds of `CLOCK_MONOTONIC` of the publisher's machine.
    pub intended_ns: u64,
}

impl Stamp {
    /// The message, filled up to `size` bytes. Longer if the stamp does not fit.
    #[must_use]
    pub fn message(self, size: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(size.max(LONGEST_STAMP));
        self.append_to(&mut out, size);
        out
    }

    /// Appends the message to `out`, filled up to `size` bytes. Longer if the stamp does not fit.
    pub fn append_to(self, out: &mut Vec<u8>, size: usize) {
        let begin = out.len();
        out.extend_from_slice(b"{");
        out.extend_from_slice(BEGIN);
        let Stamp { run, source, sequence, intended_ns } = self;
        for number in [run, u64::from(source), u64::from(sequence), intended_ns] {
            push_decimal(out, number);
            out.push(b'.');
        }
        let padded = begin.saturating_add(size).saturating_sub(END.len());
        out.resize(padded.max(out.len()), b'x');
        out.extend_from_slice(END);
    }

    /// Everything between the quotes.
    fn parse(text: &[u8]) -> Option<Stamp> {
        let (run, text) = take_number(text)?;
        let (source, text) = take_number(text)?;
        let (sequence, text) = take_number(text)?;
        let (intended_ns, padding) = take_number(text)?;
        let (source, sequence) = (source.try_into().ok()?, sequence.try_into().ok()?);
        let sound = padding.chunks(PADDING.len()).all(|part| *part == PADDING[..part.len()]);
        sound.then_some(Stamp { run, source, sequence, intended_ns })
    }
}

/// Everything in `data` that begins like a message, in order. `None`: it is not a whole one.
pub fn stamps<D: AsRef<[u8]> + ?Sized>(data: &D) -> impl Iterator<Item = Option<Stamp>> {
    let data = data.as_ref();
    FINDER.find_iter(data).map(move |at| {
        let text = data.get(at + BEGIN.len()..)?;
        let (text, rest) = text.split_at(memchr(b'"', text)?);
        Stamp::parse(text).filter(|_| rest.starts_with(END))
    })
}

/// Appends a number in decimal.
pub(crate) fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A number as [`push_decimal`] writes it, and what follows its dot.
fn take_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let (mut number, mut rest) = (0_u64, text);
    while let Some((eight, after)) = rest.split_first_chunk()
        && let Some(eight) = eight_digits(*eight)
    {
        number = number.checked_mul(100_000_000)?.checked_add(eight)?;
        rest = after;
    }
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        rest = after;
    }
    let digits = text.len() - rest.len();
    if digits == 0 || digits > 1 && text[0] == b'0' {
        return None;
    }
    rest.strip_prefix(b".").map(|rest| (number, rest))
}

/// The number that eight digits are; `None` if one of them is none. All at once, because a reader
/// looks at dozens of them for each message.
fn eight_digits(digits: [u8; 8]) -> Option<u64> {
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const SIXES: u64 = 0x0606_0606_0606_0606;
    // The first digit is the lowest byte.
    let text = u64::from_le_bytes(digits);
    if text & HIGH != ZEROS || text.wrapping_add(SIXES) & HIGH != ZEROS {
        return None;
    }
    // Neighbours become pairs, pairs become fours, fours become the whole.
    let ones = text - ZEROS;
    let pairs = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

const BEGIN: &[u8] = b"\"m\":\"";
const END: &[u8] = b"\"}";
const PADDING: &[u8; 64] = &[b'x'; 64];
/// With the longest numbers and no padding.
const LONGEST_STAMP: usize = 1 + BEGIN.len() + 2 * 21 + 2 * 11 + END.len();

static FINDER: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(BEGIN));

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LONGEST: Stamp =
        Stamp { run: u64::MAX, source: u32::MAX, sequence: u32::MAX, intended_ns: u64::MAX };

    #[test]
    fn messages_have_the_size_asked_for() {
        let check = |stamp: Stamp, shortest: usize| {
            for size in [0, shortest - 1, shortest, shortest + 1, 100, 1000] {
                let message = stamp.message(size);
                assert_eq!(message.len(), size.max(shortest), "{stamp:?}, {size}");
                assert_eq!(stamps(&message).collect::<Vec<_>>(), [Some(stamp)]);
                assert!(serde_json::from_slice::<serde_json::Value>(&message).is_ok());
            }
        };
        check(LONGEST, LONGEST_STAMP);
        check(Stamp { run: 7, source: 0, sequence: 0, intended_ns: 10 }, 17);
    }

    #[test]
    fn messages_in_a_batch() {
        let check = |text: &str, want: &[Option<[u64; 4]>]| {
            let fields = |stamp: Stamp| {
                let Stamp { run, source, sequence, intended_ns } = stamp;
                [run, source.into(), sequence.into(), intended_ns]
            };
            let got: Vec<_> = stamps(text).map(|stamp| stamp.map(fields)).collect();
            assert_eq!(got, want, "{text}");
        };
        let two = [Some([1, 2, 0, 5]), Some([1, 0, 1, 6])];
        check(r#"[{"m":"1.2.0.5.xx"},{"m":"1.0.1.6."}]"#, &two);
        check("{\"m\":\"1.2.0.5.xx\"}\n{\"m\":\"1.0.1.6.\"}\n", &two);
        check(r#"[{"n":"1.0.0.5.xx"},3]"#, &[]);
        check("", &[]);
        let damaged = [
            r#"{"m":"1.0.5"}"#,
            r#"{"m":"1.0.0.5"}"#,
            r#"{"m":"1.0.0.5.xyx"}"#,
            r#"{"m":"1.0.0.5.xx"#,
            r#"{"m":"1.0.0.5.xx.x"}"#,
            r#"{"m":"1.0.0.5.xx"x"}"#,
            r#"{"m":"1.0.0.5.xx""#,
            r#"{"m":"1.0.-1.5.x"}"#,
            r#"{"m":"1.0.+1.5.x"}"#,
            r#"{"m":"1.0.01.5.x"}"#,
            r#"{"m":"1.0..5.x"}"#,
            r#"{"m":"1.0.4294967296.5.x"}"#,
            r#"{"m":"18446744073709551616.0.0.5.x"}"#,
            r#"{"m":""#,
        ];
        damaged.iter().for_each(|text| check(text, &[None]));
    }

    #[test]
    fn bytes_that_are_not_text() {
        let bytes = [&[0xff, 0xc3][..], &LONGEST.message(200), b"\"m\":\"\xff.\""].concat();
        assert_eq!(stamps(&bytes).collect::<Vec<_>>(), [Some(LONGEST), None]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(run: u64, source: u32, sequence: u32, intended_ns: u64,
                                   size in 0_usize..300, before: Vec<u8>) {
            let stamp = Stamp { run, source, sequence, intended_ns };
            let mut out = before.clone();
            stamp.append_to(&mut out, size);
            prop_assert_eq!(&out[..before.len()], before.as_slice());
            prop_assert_eq!(stamps(&out[before.len()..]).collect::<Vec<_>>(), [Some(stamp)]);
        }

        #[test]
        fn a_damaged_byte_is_seen(at in 6_usize..98, byte: u8) {
            let stamp = Stamp { run: 9, source: 3, sequence: 44, intended_ns: 123_456 };
            let mut message = stamp.message(100);
            let same = message[at] == byte;
            message[at] = byte;
            let read: Vec<_> = stamps(&message).collect();
            // A digit that became another one still reads, but not as the same stamp.
            prop_assert_eq!(read == [Some(stamp)], same, "{}", String::from_utf8_lossy(&message));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = stamps(&bytes).count();
            let _ = stamps(&[BEGIN, &bytes].concat()).count();
        }

        #[test]
        fn numbers_are_decimal(number: u64) {
            let mut out = Vec::new();
            push_decimal(&mut out, number);
            out.push(b'.');
            prop_assert_eq!(&out, &format!("{number}.").into_bytes());
            prop_assert_eq!(take_number(&out), Some((number, &b""[..])));
        }

        #[test]
        fn eight_at_once_are_as_one_by_one(digits in "[0-9]{8}", at in 0_usize..8, byte: u8) {
            let mut text: [u8; 8] = digits.as_bytes().try_into().unwrap();
            prop_assert_eq!(eight_digits(text), digits.parse().ok());
            text[at] = byte;
            let want = std::str::from_utf8(&text).ok().filter(|_| byte != b'+');
            prop_assert_eq!(eight_digits(text), want.and_then(|text| text.parse().ok()));
        }
    }
}
