//! Thresholds as they are written: `p99 < 250ms`, `errors < 0.1%`, `readers: lost == 0`.
//!
//! Invariant: a threshold has the unit of what it compares; a time without a unit is refused.
//!
//! Deliberately absent: whether a threshold holds.

use super::element::Element;
use super::{Metric, Plan, PlanError, Threshold, condition, units, validate};

/// Reads thresholds that are separated by commas: `p99<250ms,errors<0.1%`.
///
/// # Errors
/// Names the one that is not a threshold, and what would be right. A label is not looked up.
pub fn parse_thresholds(text: &str) -> Result<Vec<Threshold>, PlanError> {
    text.split(',').map(|part| threshold(&Element::ROOT.key("threshold"), part)).collect()
}

impl Plan {
    /// Adds thresholds to the plan's own, written as for [`parse_thresholds`].
    ///
    /// # Errors
    /// Names the one that is not a threshold, or whose label or metric the plan does not have.
    pub fn add_thresholds(&mut self, text: &str) -> Result<(), PlanError> {
        self.thresholds.extend(parse_thresholds(text)?);
        validate::structure(self)
    }
}

/// Reads one.
pub(crate) fn threshold(at: &Element<'_>, text: &str) -> Result<Threshold, PlanError> {
    let text = text.trim();
    let refused = |expected: String| at.value(format_args!("{text:?}"), expected);
    let (left, operator, right) = condition::split(text).ok_or_else(|| refused(FORM.into()))?;
    let (label, name) = match left.rsplit_once(':') {
        Some((label, name)) => (Some(label.trim().to_owned()), name.trim()),
        None => (None, left),
    };
    let metric =
        metric(name).ok_or_else(|| refused(format!("one of {METRICS} in place of {name:?}")))?;
    let unit = unit(metric);
    let value = unit
        .read(right)
        .ok_or_else(|| refused(format!("{} in place of {right:?}", unit.expected())))?;
    Ok(Threshold { label, metric, operator, value, text: text.to_owned() })
}

fn metric(name: &str) -> Option<Metric> {
    let percentile = |name: &str| {
        let of = units::decimal(name.strip_prefix('p')?)?;
        (of > 0.0 && of <= 100.0).then_some(of)
    };
    match name {
        "max" => Some(Metric::Max),
        "mean" => Some(Metric::Mean),
        "errors" => Some(Metric::Errors),
        "rate" => Some(Metric::Rate),
        "lost" => Some(Metric::Lost),
        "duplicated" => Some(Metric::Duplicated),
        "reordered" => Some(Metric::Reordered),
        "last_reader_max" => Some(Metric::LastReader(100.0)),
        "lateness_max" => Some(Metric::Lateness(100.0)),
        _ => None
            .or_else(|| Some(Metric::LastReader(percentile(name.strip_prefix("last_reader_")?)?)))
            .or_else(|| Some(Metric::Lateness(percentile(name.strip_prefix("lateness_")?)?)))
            .or_else(|| Some(Metric::Percentile(percentile(name)?))),
    }
}

fn unit(metric: Metric) -> Unit {
    match metric {
        Metric::Percentile(_)
        | Metric::Max
        | Metric::Mean
        | Metric::LastReader(_)
        | Metric::Lateness(_) => Unit::Time,
        Metric::Errors => Unit::Fraction,
        Metric::Rate => Unit::PerSecond,
        Metric::Lost | Metric::Duplicated | Metric::Reordered => Unit::Count,
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Time,
    Fraction,
    PerSecond,
    Count,
}

impl Unit {
    /// Nanoseconds, a fraction, per second, or a count.
    fn read(self, text: &str) -> Option<f64> {
        match self {
            Unit::Time => units::duration(text).map(|time| time.as_nanos() as f64),
            Unit::Fraction => units::fraction(text).filter(|fraction| *fraction <= 1.0),
            Unit::PerSecond => units::rate(text),
            Unit::Count => text.parse::<u32>().ok().map(f64::from),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Unit::Time => units::DURATION,
            Unit::Fraction => r#"a part such as "0.1%" or 0.001"#,
            Unit::PerSecond => units::RATE,
            Unit::Count => "a whole number",
        }
    }
}

const FORM: &str = r#"a comparison such as "p99 < 250ms" or "readers: lost == 0""#;
const METRICS: &str = "p50 to p99.99 and the like, max, mean, errors, rate, lost, duplicated, \
                       reordered, last_reader_p99, last_reader_max, lateness_p99, lateness_max";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(p[0-9.]{0,4}|[a-z_]{0,5}|[<>=!é'\"{} :,%]|[0-9]){0,12}") {
            let _ = parse_thresholds(&text);
        }
    }

    #[test]
    fn thresholds() {
        let check = |text: &str, label: Option<&str>, metric, operator, value| {
            let got = parse_thresholds(text).unwrap();
            let label = label.map(str::to_owned);
            let text = text.trim().to_owned();
            assert_eq!(got, [Threshold { label, metric, operator, value, text }]);
        };
        use crate::plan::Operator::*;
        check("p99 < 250ms", None, Metric::Percentile(99.0), Less, 250e6);
        check(" p99.99<=1.5s ", None, Metric::Percentile(99.99), LessOrEqual, 1.5e9);
        check("max < 1m", None, Metric::Max, Less, 60e9);
        check("mean < 300us", None, Metric::Mean, Less, 300e3);
        check("errors < 0.1%", None, Metric::Errors, Less, 0.001);
        check("errors == 0", None, Metric::Errors, Equal, 0.0);
        check("append: rate >= 6000/min", Some("append"), Metric::Rate, GreaterOrEqual, 100.0);
        check("a:b: lost == 0", Some("a:b"), Metric::Lost, Equal, 0.0);
        check("duplicated != 1", None, Metric::Duplicated, NotEqual, 1.0);
        check("reordered > 1", None, Metric::Reordered, Greater, 1.0);
        check("last_reader_p99 < 1s", None, Metric::LastReader(99.0), Less, 1e9);
        check("lateness_max < 200us", None, Metric::Lateness(100.0), Less, 200e3);
        assert_eq!(parse_thresholds("p99<250ms,errors<0.1%").unwrap().len(), 2);
    }

    #[test]
    fn mistakes() {
        let check = |text: &str, want: &str| {
            let got = parse_thresholds(text).expect_err(text).to_string();
            assert!(got.starts_with("threshold = ") && got.contains(want), "{got}");
        };
        check("", "expected a comparison such as");
        check("p99", "expected a comparison such as");
        check("p99 < 1s,", "expected a comparison such as");
        check("p99 < 250", r#"expected a duration such as "30s", "250ms" or "1m30s" in place"#);
        check("p101 < 1s", r#"in place of "p101""#);
        check("p0 < 1s", "expected one of p50 to p99.99");
        check("pNaN < 1s", "expected one of p50 to p99.99");
        check("p99,9 < 1s", r#""p99": expected a comparison"#);
        check("latency < 1s", r#"in place of "latency""#);
        check("errors < 200%", "expected a part such as");
        check("lost < 0.5", "expected a whole number");
        check("lost < -1", "expected a whole number");
        check("rate > fast", "expected a rate such as");
    }
}
