//! Numbers as people read them.

/// A time in nanoseconds: `0 us`, `870 us`, `12.3 ms`, `1.05 s`.
#[must_use]
pub fn time(ns: f64) -> String {
    if ns < 999.5e3 {
        significant(ns / 1e3, "us")
    } else if ns < 999.5e6 {
        significant(ns / 1e6, "ms")
    } else {
        significant(ns / 1e9, "s")
    }
}

/// A count with separated thousands: `3,000,000`.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A rate per second, without the unit: `5.00`, `99.8`, `50,000`.
#[must_use]
pub fn rate(per_second: f64) -> String {
    if per_second < 9.995 {
        format!("{per_second:.2}")
    } else if per_second < 99.95 {
        format!("{per_second:.1}")
    } else {
        count(per_second.round() as u64)
    }
}

/// A fraction: `0 %`, `0.0042 %`, `12.5 %`.
#[must_use]
pub fn percent(fraction: f64) -> String {
    let value = fraction * 100.0;
    if value == 0.0 || value >= 99.95 {
        format!("{value:.0} %")
    } else if value >= 1.0 {
        format!("{value:.1} %")
    } else {
        // Two digits that count, however small.
        let decimals = (1.0 - value.log10().floor()).clamp(2.0, 8.0) as usize;
        format!("{value:.decimals$} %")
    }
}

/// A time of milliseconds since 1970 as RFC 3339, UTC; a time that no calendar has is that of 1970.
#[must_use]
pub fn time_stamp(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or_default();
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}

fn significant(value: f64, unit: &str) -> String {
    let decimals = if value < 9.995 && value != 0.0 && value.fract() != 0.0 {
        2
    } else if value < 99.95 && value != 0.0 && value.fract() != 0.0 {
        1
    } else {
        0
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let check = |got: String, expected: &str| assert_eq!(got, expected);
        check(time(0.0), "0 us");
        check(time(1_234.0), "1.23 us");
        check(time(45_600.0), "45.6 us");
        check(time(999_600.0), "1.00 ms");
        check(time(250e6), "250 ms");
        check(time(1.05e9), "1.05 s");
        check(count(0), "0");
        check(count(3_000_000), "3,000,000");
        check(rate(5.0), "5.00");
        check(rate(99.84), "99.8");
        check(rate(50_000.4), "50,000");
        check(percent(0.0), "0 %");
        check(percent(0.000_042), "0.0042 %");
        check(percent(0.125), "12.5 %");
        check(percent(1.0), "100 %");
    }
}
