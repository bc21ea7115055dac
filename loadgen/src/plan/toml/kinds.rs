//! The kinds of values, each with its parser, its name and its schema.
//!
//! Invariant: a parser takes the text of a TOML value of the right type too, so that a number and
//! a property with the same digits are the same.
//!
//! Deliberately absent: bounds, which depend on the field.

use std::marker::PhantomData;
use std::time::Duration;

use serde_json::{Value, json};

use super::leaf::{Kind, Leaf};
use crate::plan::{Arrivals, OnError, Operator, condition, units};

/// `"30s"`
pub(super) type Time = Leaf<TimeKind>;
/// `"4KiB"`
pub(super) type Bytes = Leaf<BytesKind>;
/// `50`, `"600/min"`
pub(super) type Rate = Leaf<RateKind>;
/// `"10%"`, more than 0 and less than 1
pub(super) type Part = Leaf<PartKind>;
/// A whole number.
pub(super) type Count = Leaf<CountKind>;
/// A number greater than zero.
pub(super) type Positive = Leaf<PositiveKind>;
/// `true` or `false`
pub(super) type Flag = Leaf<FlagKind>;
/// Text that is known before the run.
pub(super) type Text = Leaf<TextKind>;
/// `"<= 4KiB"`
pub(super) type SizeComparison = Leaf<SizeComparisonKind>;
/// `200`, `"2xx"`, `"200-204"`
pub(super) type Status = Leaf<StatusKind>;
/// One of the words of `W`.
pub(super) type OneOf<W> = Leaf<WordKind<W>>;

macro_rules! kinds {
    ($($kind:ident $name:literal $out:ty, $parse:expr, $expected:expr, $schema:tt;)+) => {$(
        #[derive(Debug)]
        pub(super) struct $kind;

        impl Kind for $kind {
            type Out = $out;
            const NAME: &'static str = $name;

            fn expected() -> String {
                $expected.to_owned()
            }

            fn parse(text: &str) -> Option<$out> {
                let parse: fn(&str) -> Option<$out> = $parse;
                parse(text)
            }

            fn schema() -> Value {
                json!($schema)
            }
        }
    )+};
}

kinds! {
    TimeKind "Duration" Duration, units::duration, units::DURATION, {
        "type": "string",
        "pattern": r"^([0-9]+(\.[0-9]+)?\s*[a-zµ]+\s*)+$",
    };
    BytesKind "Bytes" u64, units::bytes, units::BYTES, {
        "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": r"^[0-9.]+\s*(B|KiB|MiB|GiB)?$" },
        ],
    };
    RateKind "Rate" f64, units::rate, units::RATE, {
        "anyOf": [
            { "type": "number", "minimum": 0 },
            { "type": "string", "pattern": r"^[0-9.]+(\s*/\s*(s|sec|m|min|h))?$" },
        ],
    };
    PartKind "Part" f64, |text| units::fraction(text).filter(|part| *part > 0.0 && *part < 1.0),
        units::FRACTION, {
        "anyOf": [
            { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 },
            { "type": "string", "pattern": r"^[0-9.]+\s*%?$" },
        ],
    };
    CountKind "Count" u64, |text| digits(text)?.parse().ok(), "a whole number", {
        "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": "^[0-9]+$" },
        ],
    };
    PositiveKind "Positive" f64, |text| units::decimal(text).filter(|number| *number > 0.0),
        "a number greater than zero", {
        "anyOf": [
            { "type": "number", "exclusiveMinimum": 0 },
            { "type": "string", "pattern": r"^[0-9.]+$" },
        ],
    };
    FlagKind "Flag" bool, |text| text.parse().ok(), "true or false", {
        "enum": [true, false, "true", "false"],
    };
    TextKind "Text" String, |text| Some(text.to_owned()), "text", {
        "anyOf": [{ "type": ["string", "number", "boolean"] }],
    };
    SizeComparisonKind "SizeComparison" (Operator, u64), size_comparison,
        r#"bytes such as 100, or a comparison such as "<= 4KiB""#, {
        "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": r"^\s*(==|!=|<=?|>=?)?\s*[0-9.]+\s*(B|KiB|MiB|GiB)?$" },
        ],
    };
    StatusKind "Status" (u16, u16), status,
        r#"a status such as 200, "2xx" or "200-204", from 100 to 599"#, {
        "anyOf": [
            { "type": "integer", "minimum": 100, "maximum": 599 },
            { "type": "string", "pattern": "^[1-5]([0-9]{2}(-[1-5][0-9]{2})?|xx)$" },
        ],
    };
}

/// Without a sign, which `parse` takes too.
fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

fn size_comparison(text: &str) -> Option<(Operator, u64)> {
    match condition::split(text) {
        None => Some((Operator::Equal, units::bytes(text.trim())?)),
        Some(("", operator, bytes)) => Some((operator, units::bytes(bytes)?)),
        Some(_) => None,
    }
}

/// First and last.
fn status(text: &str) -> Option<(u16, u16)> {
    let code = |text: &str| digits(text)?.parse().ok().filter(|code| (100..600).contains(code));
    if let Some(class) = text.strip_suffix("xx") {
        let first = code(&format!("{class}00"))?;
        return Some((first, first + 99));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (code(first.trim())?, code(last.trim())?);
    (first <= last).then_some((first, last))
}

/// A closed set of words.
pub(super) trait Words: Copy + 'static {
    /// In the schema.
    const NAME: &'static str;
    /// Each with its meaning.
    const WORDS: &'static [(&'static str, Self)];
}

/// One word of a closed set.
#[derive(Debug)]
pub(super) struct WordKind<W>(PhantomData<W>);

impl<W: Words> Kind for WordKind<W> {
    type Out = W;
    const NAME: &'static str = W::NAME;

    fn expected() -> String {
        let words: Vec<String> = W::WORDS.iter().map(|(word, _)| format!("{word:?}")).collect();
        format!("one of {}", words.join(", "))
    }

    fn parse(text: &str) -> Option<W> {
        W::WORDS.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning)
    }

    fn schema() -> Value {
        let words: Vec<&str> = W::WORDS.iter().map(|(word, _)| *word).collect();
        json!({ "enum": words })
    }
}

/// How a live reader reads, before its pause is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    Sse,
    Events,
    LongPoll,
    CatchUp,
}

/// A choice that needs no number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SimpleChoice {
    Uniform,
    RoundRobin,
    PerUser,
}

impl Words for Mode {
    const NAME: &'static str = "Mode";
    const WORDS: &'static [(&'static str, Mode)] = &[
        ("sse", Mode::Sse),
        ("events", Mode::Events),
        ("long-poll", Mode::LongPoll),
        ("catch-up", Mode::CatchUp),
    ];
}

impl Words for SimpleChoice {
    const NAME: &'static str = "Choice";
    const WORDS: &'static [(&'static str, SimpleChoice)] = &[
        ("uniform", SimpleChoice::Uniform),
        ("round-robin", SimpleChoice::RoundRobin),
        ("per-user", SimpleChoice::PerUser),
    ];
}

impl Words for Arrivals {
    const NAME: &'static str = "Arrivals";
    const WORDS: &'static [(&'static str, Arrivals)] =
        &[("constant", Arrivals::Constant), ("poisson", Arrivals::Poisson)];
}

impl Words for OnError {
    const NAME: &'static str = "OnError";
    const WORDS: &'static [(&'static str, OnError)] = &[
        ("continue", OnError::Continue),
        ("next-iteration", OnError::NextIteration),
        ("stop-user", OnError::StopUser),
        ("stop-run", OnError::StopRun),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_comparisons() {
        let check = |text: &str, want: Option<(u16, u16)>| assert_eq!(status(text), want, "{text}");
        check("200", Some((200, 200)));
        check("2xx", Some((200, 299)));
        check("200-204", Some((200, 204)));
        for text in ["", "99", "600", "6xx", "20x", "204-200", "-200", "2000", "xx", "+200"] {
            check(text, None);
        }
        let check = |text: &str, want| assert_eq!(size_comparison(text), want, "{text}");
        check("100", Some((Operator::Equal, 100)));
        check("<= 4KiB", Some((Operator::LessOrEqual, 4096)));
        check(">1", Some((Operator::Greater, 1)));
        check("1 < 2", None);
        check("<", None);
    }

    #[test]
    fn words() {
        assert_eq!(WordKind::<Mode>::parse("long-poll"), Some(Mode::LongPoll));
        assert_eq!(WordKind::<Mode>::parse("Sse"), None);
        let want = r#"one of "sse", "events", "long-poll", "catch-up""#;
        assert_eq!(WordKind::<Mode>::expected(), want);
    }
}
