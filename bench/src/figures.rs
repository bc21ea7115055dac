//! Figures: what they are called, how several become one, how they are written.

/// One thing that is measured.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Metric {
    /// With its unit: `p99 ms`.
    pub(crate) name: String,
    /// Whether its ratio to the floor says something.
    pub(crate) by_floor: bool,
}

impl Metric {
    /// One whose ratio to the floor says something.
    pub(crate) fn new(name: impl Into<String>) -> Metric {
        Metric { name: name.into(), by_floor: true }
    }

    /// One that stands for itself.
    pub(crate) fn alone(name: impl Into<String>) -> Metric {
        Metric { name: name.into(), by_floor: false }
    }
}

/// The middle one of those that are numbers; NaN if there is none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// A figure by the mean of those of the two floors around it.
pub(crate) fn ratio(value: f64, floors: [f64; 2]) -> f64 {
    value / f64::midpoint(floors[0], floors[1])
}

/// By how much two figures differ, as a part of the smaller one.
pub(crate) fn difference(one: f64, other: f64) -> f64 {
    let (low, high) = (one.min(other), one.max(other));
    high / low - 1.0
}

/// Three significant digits, all digits before the point; a dash for what is not a number.
pub(crate) fn written(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 99.95 => grouped(value),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Without a fraction, in groups of three digits.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut out = String::from(if value < 0.0 { "-" } else { "" });
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
    fn medians() {
        assert!(median([]).is_nan());
        assert!(median([f64::NAN]).is_nan());
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, f64::NAN, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn ratios_and_differences() {
        assert_eq!(ratio(30.0, [10.0, 20.0]), 2.0);
        assert!(ratio(f64::NAN, [1.0, 1.0]).is_nan());
        assert_eq!(difference(10.0, 12.5), 0.25);
        assert_eq!(difference(12.5, 10.0), 0.25);
    }

    #[test]
    fn figures_are_written_with_three_digits() {
        let check = |value, want: &str| assert_eq!(written(value), want);
        check(0.0, "0");
        check(0.123, "0.12");
        check(9.99, "9.99");
        check(9.999, "10.0");
        check(99.94, "99.9");
        check(99.96, "100");
        check(1234.5, "1,234");
        check(-123_456.0, "-123,456");
        check(1_234_567.0, "1,234,567");
        check(f64::NAN, "-");
        check(f64::INFINITY, "-");
    }
}
