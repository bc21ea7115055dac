//! The types that configuration values parse into, and how each is written back.
//!
//! A parser returns what it expected as its error; the caller knows the field and the value.

use std::fmt;
use std::time::Duration;

use super::raw::RawValue;

/// What a parser expected instead.
pub(super) type Expected = String;

/// When an append is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// After fdatasync.
    Sync,
    /// After the write; a timer syncs.
    Async,
    /// At once; nothing is written to disk.
    Memory,
}

/// Which kernel interface carries I/O.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IoDriver {
    /// io_uring where the kernel allows it, otherwise epoll with a warning.
    Auto,
    /// io_uring or nothing.
    IoUring,
    /// epoll.
    Epoll,
}

/// Whether a client needs a certificate of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientAuth {
    /// It cannot connect without one.
    Required,
    /// One that it shows is checked.
    Optional,
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A part of a whole, in millionths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share(u32);

impl Share {
    /// The whole.
    pub const ALL: Share = Share(1_000_000);
    /// Nothing of it.
    pub const NONE: Share = Share(0);

    /// Whether a random number falls into it.
    #[must_use]
    pub fn takes(self, random: u64) -> bool {
        random % u64::from(Share::ALL.0) < u64::from(self.0)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{}.{:06}", self.0 / Share::ALL.0, self.0 % Share::ALL.0);
        let short = digits.trim_end_matches('0');
        f.write_str(short)?;
        // A float of TOML has a digit after its point.
        if short.ends_with('.') { f.write_str("0") } else { Ok(()) }
    }
}

/// A closed set of words.
pub(super) trait Word: Copy + PartialEq + 'static {
    /// Each value with its word.
    const WORDS: &'static [(&'static str, Self)];

    /// The word of this value.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

impl Word for Durability {
    const WORDS: &'static [(&'static str, Self)] =
        &[("sync", Durability::Sync), ("async", Durability::Async), ("memory", Durability::Memory)];
}

impl Word for IoDriver {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", IoDriver::Auto), ("io_uring", IoDriver::IoUring), ("epoll", IoDriver::Epoll)];
}

impl Word for ClientAuth {
    const WORDS: &'static [(&'static str, Self)] =
        &[("required", ClientAuth::Required), ("optional", ClientAuth::Optional)];
}

impl Word for LogFormat {
    const WORDS: &'static [(&'static str, Self)] =
        &[("text", LogFormat::Text), ("json", LogFormat::Json)];
}

macro_rules! display_word {
    ($($name:ident)+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    )+};
}
display_word! { ClientAuth Durability IoDriver LogFormat }

/// One of the words of `T`.
pub(super) fn word<T: Word>(raw: &RawValue) -> Result<T, Expected> {
    let found = match raw {
        RawValue::Text(text) => T::WORDS.iter().find(|(word, _)| word == text),
        _ => None,
    };
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<String> = T::WORDS.iter().map(|(word, _)| format!("{word:?}")).collect();
        format!("one of {}", words.join(", "))
    })
}

/// `true` or `false`, without quotes in a file.
pub(super) fn boolean(raw: &RawValue) -> Result<bool, Expected> {
    match raw {
        RawValue::Text(text) | RawValue::Other(text) => text.parse().ok(),
        _ => None,
    }
    .ok_or_else(|| "true or false".to_owned())
}

/// A string.
pub(super) fn text(raw: &RawValue) -> Result<&str, Expected> {
    match raw {
        RawValue::Text(text) if !text.is_empty() => Ok(text),
        _ => Err("a string that is not empty".to_owned()),
    }
}

/// An integer, or its digits in a flag.
pub(super) fn integer(raw: &RawValue) -> Option<u64> {
    match raw {
        RawValue::Integer(number) => u64::try_from(*number).ok(),
        RawValue::Text(text) => digits(text),
        _ => None,
    }
}

/// `"20s"`, `"500ms"`, `"5m"`, `"1h"`, `"7d"`.
pub(crate) fn duration(raw: &RawValue) -> Option<Duration> {
    let RawValue::Text(text) = raw else { return None };
    let (number, unit) = split_unit(text);
    let (_, unit_ms) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
    digits(number)?.checked_mul(*unit_ms).map(Duration::from_millis)
}

/// Bytes as an integer, or `"64MiB"`.
pub(crate) fn bytes(raw: &RawValue) -> Option<u64> {
    if let Some(number) = integer(raw) {
        return Some(number);
    }
    let RawValue::Text(text) = raw else { return None };
    let (number, unit) = split_unit(text);
    let (_, factor) = BYTE_UNITS.iter().find(|(name, _)| *name == unit)?;
    digits(number)?.checked_mul(*factor)
}

/// `0.01`, `1`.
pub(super) fn share(raw: &RawValue) -> Result<Share, Expected> {
    let number = match raw {
        RawValue::Text(text) | RawValue::Other(text) => text.parse::<f64>().ok(),
        RawValue::Integer(number) => Some(*number as f64),
        RawValue::List(_) | RawValue::Table(_) => None,
    };
    let number = number.filter(|number| (0.0..=1.0).contains(number));
    let millionths = number.map(|number| (number * f64::from(Share::ALL.0)).round() as u32);
    millionths.map(Share).ok_or_else(|| "a number from 0 to 1, such as 0.01".to_owned())
}

/// Writes a duration as [`duration`] reads it, in the largest unit that is exact.
pub(super) fn show_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    show(ms, DURATION_UNITS)
}

/// Writes a size as [`bytes`] reads it, in the largest unit that is exact.
pub(super) fn show_bytes(bytes: u64) -> String {
    show(bytes, BYTE_UNITS)
}

fn show(value: u64, units: &[(&str, u64)]) -> String {
    let exact = |(_, factor): &&(&str, u64)| value >= *factor && value.is_multiple_of(*factor);
    let (unit, factor) = units.iter().rev().find(exact).unwrap_or(&units[0]);
    format!("{}{unit}", value / factor)
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// Plain digits: no sign, no blanks.
fn digits(text: &str) -> Option<u64> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

/// Ascending; the first one is the unit of the number itself.
const DURATION_UNITS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const BYTE_UNITS: &[(&str, u64)] =
    &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_and_out() {
        let check = |text: &str, want: Option<&str>| {
            assert_eq!(duration(&text.into()).map(show_duration).as_deref(), want, "{text}");
        };
        check("20s", Some("20s"));
        check("500ms", Some("500ms"));
        check("60s", Some("1m"));
        check("90 s", Some("90s"));
        check("2h", Some("2h"));
        check("168h", Some("7d"));
        check("0s", Some("0ms"));
        for bad in ["", "20", "s", "1.5s", "-1s", "20 sec", "99999999999999999999s"] {
            check(bad, None);
        }
        assert_eq!(duration(&RawValue::Integer(20)), None, "a unit must be named");
    }

    #[test]
    fn shares_in_and_out() {
        let check = |text: &str, want: Option<&str>| {
            let raw = RawValue::Other(text.to_owned());
            assert_eq!(share(&raw).ok().map(|share| share.to_string()).as_deref(), want, "{text}");
        };
        check("0.01", Some("0.01"));
        check("1.0", Some("1.0"));
        check("0", Some("0.0"));
        check("0.000001", Some("0.000001"));
        for bad in ["1.01", "-0.1", "nan", "inf", "x", ""] {
            check(bad, None);
        }
        assert_eq!(share(&RawValue::Integer(1)), Ok(Share::ALL));
        assert!(Share::ALL.takes(u64::MAX) && !Share(0).takes(0));
    }

    #[test]
    fn sizes_in_and_out() {
        let check = |raw: RawValue, want: Option<&str>| {
            assert_eq!(bytes(&raw).map(show_bytes).as_deref(), want, "{raw}");
        };
        check("64MiB".into(), Some("64MiB"));
        check("1024".into(), Some("1KiB"));
        check(RawValue::Integer(1000), Some("1000B"));
        check("3 GiB".into(), Some("3GiB"));
        for bad in ["64MB", "64Mib", "MiB", "-1", "1.5GiB", "99999999TiB"] {
            check(bad.into(), None);
        }
        check(RawValue::Integer(-1), None);
    }
}
