//! Assertions, ready to be checked.

use std::cmp::Ordering;
use std::fmt;
use std::ops::RangeInclusive;

use serde_json::Value;
use serde_json_path::JsonPath;

use super::answer::Answer;
use super::condition::{numbers, satisfies};
use super::names::Names;
use super::template::{Compiled, Context, compile};
use super::text::{Checked, CompiledText, quoted, rendered};
use crate::plan::{Assertion, Operator, SizeCheck};
use crate::schedule::nanos;

/// What must hold of the answers of one sampler.
#[derive(Clone, Debug)]
pub struct Checks(Vec<Check>);

/// What was wrong with an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckFailure {
    /// For counting.
    pub kind: FailureKind,
    /// What was found and what would have been right, on one line.
    pub message: String,
}

/// What failures are counted by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FailureKind {
    /// The status was not one that is right.
    Status(u16),
    /// Something else than the status was not as it should be.
    Assertion,
}

#[derive(Clone, Debug)]
enum Check {
    /// Without an assertion on it: 2xx and 304.
    AnyGoodStatus,
    Status(Vec<RangeInclusive<u16>>),
    Header {
        name: String,
        text: CompiledText,
    },
    Body(CompiledText),
    JsonPath(JsonCheck),
    /// In nanoseconds.
    Duration(u64),
    Size(SizeCheck),
}

#[derive(Clone, Debug)]
struct JsonCheck {
    path: Box<JsonPath>,
    equals: Option<Compiled>,
    members: bool,
    not: bool,
}

impl Checks {
    /// Prepares assertions.
    #[must_use]
    pub fn new(assertions: &[Assertion], names: &mut Names) -> Checks {
        let on_status = assertions.iter().any(|one| matches!(one, Assertion::Status(_)));
        let mut checks = if on_status { Vec::new() } else { vec![Check::AnyGoodStatus] };
        checks.extend(assertions.iter().map(|assertion| match assertion {
            Assertion::Status(ranges) => Check::Status(ranges.clone()),
            Assertion::Header { name, text } => {
                Check::Header { name: name.clone(), text: CompiledText::new(text, names) }
            }
            Assertion::Body(text) => Check::Body(CompiledText::new(text, names)),
            Assertion::JsonPath { path, equals, members, not } => Check::JsonPath(JsonCheck {
                path: path.clone(),
                equals: equals.as_ref().map(|equals| compile(equals, names)),
                members: *members,
                not: *not,
            }),
            Assertion::Duration(most) => Check::Duration(nanos(*most)),
            Assertion::Size(size) => Check::Size(*size),
        }));
        Checks(checks)
    }

    /// The first assertion that does not hold, in the plan's order; the status first if no
    /// assertion names it.
    pub fn check(
        &self,
        answer: &Answer<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CheckFailure> {
        self.0.iter().try_for_each(|check| check.check(answer, context))
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FailureKind::Status(status) => write!(f, "status {status}"),
            FailureKind::Assertion => f.write_str("assertion"),
        }
    }
}

impl Check {
    fn check(&self, answer: &Answer<'_>, context: &mut Context<'_>) -> Result<(), CheckFailure> {
        let status = answer.status();
        match self {
            Check::AnyGoodStatus if matches!(status, 200..=299 | 304) => Ok(()),
            Check::AnyGoodStatus => Err(wrong_status(answer, "2xx or 304")),
            Check::Status(ranges) if ranges.iter().any(|range| range.contains(&status)) => Ok(()),
            Check::Status(ranges) => Err(wrong_status(answer, &listed(ranges))),
            Check::Header { name, text } => check_header(name, text, answer, context),
            Check::Body(text) => {
                if text.holds([Checked::Body(answer)], context) {
                    return Ok(());
                }
                let found = quoted(answer.body());
                Err(failure(format!("the body {}: {found}", text.unmet(context))))
            }
            Check::JsonPath(check) => check.check(answer, context),
            Check::Duration(most) if answer.elapsed_ns() <= *most => Ok(()),
            Check::Duration(most) => {
                let (took, most) = (millis(answer.elapsed_ns()), millis(*most));
                Err(failure(format!("it took {took} ms, not at most {most} ms")))
            }
            Check::Size(SizeCheck { operator, bytes }) => {
                let size = answer.body().len() as u64;
                if satisfies(size.cmp(bytes), *operator) {
                    return Ok(());
                }
                let sign = sign(*operator);
                Err(failure(format!("the body has {size} bytes, not {sign} {bytes}")))
            }
        }
    }
}

impl JsonCheck {
    fn check(&self, answer: &Answer<'_>, context: &mut Context<'_>) -> Result<(), CheckFailure> {
        let path = &self.path;
        let json = match answer.json() {
            Ok(json) => json,
            // Nothing is in it, then.
            Err(_) if self.not => return Ok(()),
            Err(error) => {
                return Err(failure(format!(
                    "the body is not JSON ({error}), {path} is not in it"
                )));
            }
        };
        let found = path.query(json);
        let Some(wanted) = &self.equals else {
            return match found.is_empty() == self.not {
                true => Ok(()),
                false if self.not => Err(failure(format!("{path} is in the body"))),
                false => Err(failure(format!("{path} is not in the body"))),
            };
        };
        let wanted = rendered(wanted, context);
        let has = |value: &Value| match value {
            Value::Array(members) if self.members => members.iter().any(|one| is(one, &wanted)),
            _ => false,
        };
        if found.iter().any(|value| is(value, &wanted) || has(value)) != self.not {
            return Ok(());
        }
        let wanted = quoted(&wanted);
        Err(failure(match found.first() {
            None => format!("{path} is not in the body; it should be {wanted}"),
            Some(_) if self.not => format!("{path} is {wanted}"),
            Some(first) => {
                format!("{path} is {}, not {wanted}", quoted(first.to_string().as_bytes()))
            }
        }))
    }
}

/// A header may come several times: one that is right is enough.
fn check_header(
    name: &str,
    text: &CompiledText,
    answer: &Answer<'_>,
    context: &mut Context<'_>,
) -> Result<(), CheckFailure> {
    if text.holds(answer.fields().get_all(name).map(Checked::Value), context) {
        return Ok(());
    }
    let unmet = text.unmet(context);
    Err(failure(match answer.fields().get(name) {
        Some(value) => format!("{name} {unmet}: {}", quoted(value.as_bytes())),
        None => format!("{name} {unmet}: there is no such field"),
    }))
}

/// Whether a value is the text, or JSON that says the same.
fn is(value: &Value, wanted: &[u8]) -> bool {
    match value {
        Value::String(text) if text.as_bytes() == wanted => true,
        Value::Number(number) => {
            numbers(number.to_string().as_bytes(), wanted) == Some(Ordering::Equal)
        }
        _ => serde_json::from_slice::<Value>(wanted).is_ok_and(|wanted| wanted == *value),
    }
}

fn wrong_status(answer: &Answer<'_>, right: &str) -> CheckFailure {
    let status = answer.status();
    let mut message = format!("the status is {status}, not {right}");
    if !answer.body().is_empty() {
        message = format!("{message}: {}", quoted(answer.body()));
    }
    CheckFailure { kind: FailureKind::Status(status), message }
}

fn failure(message: String) -> CheckFailure {
    CheckFailure { kind: FailureKind::Assertion, message }
}

fn listed(ranges: &[RangeInclusive<u16>]) -> String {
    let texts: Vec<_> = ranges
        .iter()
        .map(|range| match range.start() == range.end() {
            true => range.start().to_string(),
            false => format!("{} to {}", range.start(), range.end()),
        })
        .collect();
    texts.join(" or ")
}

fn millis(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Equal => "exactly",
        Operator::NotEqual => "other than",
        Operator::Less => "less than",
        Operator::LessOrEqual => "at most",
        Operator::Greater => "more than",
        Operator::GreaterOrEqual => "at least",
    }
}

#[cfg(test)]
mod tests;
