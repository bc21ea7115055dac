//! Values with units, as people write them: durations, sizes, rates, fractions.
//!
//! Invariant: what is read is finite, not negative, and within its type; anything else is `None`,
//! and the caller knows the place and what it expected.
//!
//! Deliberately absent: limits, which depend on what a value is for.

use std::time::Duration;

/// `30s`, `250ms`, `1m30s`, `1.5h`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    // Words such as `30 seconds ago` are the library's, not ours.
    let plain = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase() || ".µ ".contains(c);
    if !text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(plain) {
        return None;
    }
    let read: jiff::SignedDuration = text.parse().ok()?;
    Duration::try_from(read).ok()
}

/// Reads a duration as plans have it: `30s`, `250ms`, `1m30s`.
///
/// # Errors
/// Says what would be right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| format!("expected {DURATION}"))
}

/// What [`duration`] reads.
pub(crate) const DURATION: &str = r#"a duration such as "30s", "250ms" or "1m30s""#;

/// `100`, `4KiB`, `1.5MiB`, in whole bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim_start());
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let bytes = decimal(number)? * factor as f64;
    (bytes.fract() == 0.0 && bytes < (1u64 << 53) as f64).then_some(bytes as u64)
}

/// What [`bytes`] reads.
pub(crate) const BYTES: &str = r#"bytes such as 100, "4KiB" or "1MiB""#;

/// Per second: `50`, `0.5`, `50/s`, `600/min`, `36000/h`.
pub(crate) fn rate(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let seconds = match unit.trim() {
        "s" | "sec" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Some(decimal(number.trim_end())? / seconds)
}

/// What [`rate`] reads.
pub(crate) const RATE: &str = r#"a rate such as 50 (per second), "600/min" or "36000/h""#;

/// `0.1%` or `0.001`, both a thousandth.
pub(crate) fn fraction(text: &str) -> Option<f64> {
    match text.strip_suffix('%') {
        Some(percent) => Some(decimal(percent.trim())? / 100.0),
        None => decimal(text),
    }
}

/// What [`fraction`] reads, with the bounds that all of its uses have.
pub(crate) const FRACTION: &str =
    r#"a part such as "10%" or 0.1, more than none and less than all"#;

/// A number that is finite and not negative, in digits.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    if !text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(digits) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, want: Option<u64>| {
            assert_eq!(duration(text), want.map(Duration::from_micros), "{text}");
        };
        check("30s", Some(30_000_000));
        check("0s", Some(0));
        check("250ms", Some(250_000));
        check("200us", Some(200));
        check("200µs", Some(200));
        check("1m30s", Some(90_000_000));
        check("1m 30s", Some(90_000_000));
        check("1.5s", Some(1_500_000));
        check("2h", Some(7_200_000_000));
        for text in [
            "",
            "30",
            "-30s",
            "30s ago",
            "s",
            "30 parsecs",
            "P1D",
            "PT5S",
            "inf",
            "1e3s",
            "1H",
            "1:30",
        ] {
            check(text, None);
        }
        check("99999999999999999999h", None);
    }

    #[test]
    fn sizes() {
        let check = |text: &str, want: Option<u64>| assert_eq!(bytes(text), want, "{text}");
        check("0", Some(0));
        check("100", Some(100));
        check("100B", Some(100));
        check("4KiB", Some(4096));
        check("4 MiB", Some(4 << 20));
        check("1.5KiB", Some(1536));
        check("18446744073709551615", Some(u64::MAX));
        for text in ["", "KiB", "-1", "1.5", "0.3KiB", "1kb", "1e3", "18446744073709551615KiB"] {
            check(text, None);
        }
    }

    #[test]
    fn rates_and_fractions() {
        let check = |got: Option<f64>, want: Option<f64>| assert_eq!(got, want);
        check(rate("50"), Some(50.0));
        check(rate("0.5/s"), Some(0.5));
        check(rate("600/min"), Some(10.0));
        check(rate("600 / m"), Some(10.0));
        check(rate("36000/h"), Some(10.0));
        check(rate("5/day"), None);
        check(rate("-5"), None);
        check(rate("inf"), None);
        check(fraction("10%"), Some(0.1));
        check(fraction("0.25"), Some(0.25));
        check(fraction("%"), None);
        check(decimal(&"9".repeat(400)), None);
        check(decimal("1.2.3"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,20}") {
            let _ = (duration(&text), bytes(&text), rate(&text), fraction(&text));
        }
    }
}
