//! Numbers as people read them: three significant digits, as many as the histograms have.
//!
//! Deliberately absent: locales. Thousands are grouped by commas, the decimal mark is a point.

/// With thousands grouped: `12,345`.
pub(crate) fn count(number: u64) -> String {
    group(&number.to_string())
}

/// Three significant digits, thousands grouped: `0.123`, `1.23`, `12.3`, `1,230`.
pub(crate) fn figure(number: f64) -> String {
    let size = number.abs();
    if !number.is_finite() {
        "-".to_owned()
    } else if size == 0.0 {
        "0".to_owned()
    } else if size < 0.001 {
        "<0.001".to_owned()
    } else if size < 1.0 {
        format!("{number:.3}")
    } else if size < 10.0 {
        format!("{number:.2}")
    } else if size < 100.0 {
        format!("{number:.1}")
    } else {
        group(&format!("{number:.0}"))
    }
}

/// Nanoseconds as milliseconds, without the unit.
pub(crate) fn ms(ns: u64) -> String {
    figure(ns as f64 / 1e6)
}

/// Nanoseconds with the unit that fits: `45.0 µs`, `1.23 ms`, `2.00 s`.
pub(crate) fn time(ns: u64) -> String {
    let (divisor, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (1e3, "µs"),
        1_000_000..1_000_000_000 => (1e6, "ms"),
        1_000_000_000..100_000_000_000 => (1e9, "s"),
        _ => return clock(ns / 1_000_000),
    };
    format!("{} {unit}", figure(ns as f64 / divisor))
}

/// Milliseconds as hours, minutes and seconds: `1 h 02 min`, `2 min 05 s`, `7.5 s`.
pub(crate) fn clock(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..60 if ms.is_multiple_of(1000) => format!("{seconds} s"),
        0..60 => format!("{} s", ms as f64 / 1e3),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Bytes in binary units: `512 B`, `1.50 KiB`.
pub(crate) fn bytes(number: f64) -> String {
    let mut number = number;
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    while number >= 1024.0 && unit + 1 < units.len() {
        number /= 1024.0;
        unit += 1;
    }
    format!("{} {}", figure(number), units[unit])
}

/// A fraction as percent: `0.012 %`.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{} %", figure(fraction * 100.0))
}

/// A part of a whole; none of nothing.
pub(crate) fn part(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn group(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut out = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_short() {
        let check = |got: String, wanted: &str| assert_eq!(got, wanted);
        check(count(0), "0");
        check(count(999), "999");
        check(count(1_234_567), "1,234,567");
        check(count(u64::MAX), "18,446,744,073,709,551,615");
        check(figure(0.0), "0");
        check(figure(0.000_1), "<0.001");
        check(figure(0.1234), "0.123");
        check(figure(1.234), "1.23");
        check(figure(-12_345.6), "-12,346");
        check(figure(f64::NAN), "-");
        check(ms(1_234_000), "1.23");
        check(percent(0.000_12), "0.012 %");
        check(percent(part(1, 0)), "0 %");
    }

    #[test]
    fn units_fit() {
        let check = |got: String, wanted: &str| assert_eq!(got, wanted);
        check(time(0), "0 ns");
        check(time(45_000), "45.0 µs");
        check(time(1_234_000), "1.23 ms");
        check(time(2_000_000_000), "2.00 s");
        check(time(125_000_000_000), "2 min 05 s");
        check(time(u64::MAX), "5124095 h 34 min");
        check(clock(7_500), "7.5 s");
        check(clock(60_000), "1 min 00 s");
        check(clock(3_725_000), "1 h 02 min");
        check(bytes(512.0), "512 B");
        check(bytes(1536.0), "1.50 KiB");
        check(bytes(1e18), "909,495 TiB");
    }
}
