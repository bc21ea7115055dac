//! What a plan wants of answers and of results: assertions, extractions and thresholds.

use std::time::Duration;

use super::model::Template;

/// A comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// What must hold of an answer.
#[derive(Clone, Debug)]
pub enum Assertion {
    /// One of these.
    Status(Vec<std::ops::RangeInclusive<u16>>),
    /// A field of the answer.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        text: TextCheck,
    },
    /// The body as text.
    Body(TextCheck),
    /// A value in a JSON body.
    JsonPath {
        /// RFC 9535, parsed.
        path: Box<serde_json_path::JsonPath>,
        /// Its text or JSON; existence is enough otherwise.
        equals: Option<Template>,
        /// Of a list, a member that is equal is enough.
        members: bool,
        /// The opposite must hold.
        not: bool,
    },
    /// No longer than this, from the intended start.
    Duration(Duration),
    /// Bytes of the body.
    Size(SizeCheck),
}

impl PartialEq for Assertion {
    fn eq(&self, other: &Assertion) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

/// A check of a text.
#[derive(Clone, Debug)]
pub struct TextCheck {
    /// How.
    pub how: TextMatch,
    /// Any one of these is enough.
    pub any_of: Vec<Pattern>,
    /// The opposite must hold.
    pub not: bool,
}

/// How a text is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextMatch {
    /// The whole text is the pattern's.
    Equals,
    /// The pattern's text is in it.
    Contains,
    /// A regular expression matches somewhere.
    Find,
    /// A regular expression matches the whole.
    Matches,
}

/// What a text is compared with.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// As it is, references filled in.
    Text(Template),
    /// Compiled once.
    Regex(regex::Regex),
}

/// A check of a size in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SizeCheck {
    /// The comparison.
    pub operator: Operator,
    /// With what.
    pub bytes: u64,
}

/// A value kept for later steps.
#[derive(Clone, Debug)]
pub struct Extraction {
    /// The variable that it sets.
    pub variable: String,
    /// Where from.
    pub from: ExtractFrom,
    /// If there is none.
    pub default: String,
}

impl PartialEq for Extraction {
    fn eq(&self, other: &Extraction) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

/// Where a value is taken from.
#[derive(Clone, Debug)]
pub enum ExtractFrom {
    /// A field of the answer.
    Header(String),
    /// A value in a JSON body.
    JsonPath(Box<serde_json_path::JsonPath>),
    /// The first group of a regular expression in the body.
    Regex(regex::Regex),
}

/// A condition on the results: `p99 < 250 ms`, `errors < 0.1 %`, optionally of one label.
#[derive(Clone, PartialEq, Debug)]
pub struct Threshold {
    /// Of this operation or these deliveries; without it, of the deliveries if there are any, of
    /// all operations otherwise.
    pub label: Option<String>,
    /// What is compared.
    pub metric: Metric,
    /// The comparison.
    pub operator: Operator,
    /// Nanoseconds for times, a fraction for `Errors`, a count per second for `Rate`, a count
    /// otherwise.
    pub value: f64,
    /// As it was written, for reports.
    pub text: String,
}

/// What a threshold compares.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Metric {
    /// A percentile of the times, 0 to 100.
    Percentile(f64),
    /// The longest time.
    Max,
    /// The mean time.
    Mean,
    /// Failed operations and lost deliveries as a fraction of all.
    Errors,
    /// Successful operations, or deliveries, per second.
    Rate,
    /// Messages that did not arrive.
    Lost,
    /// Messages that arrived twice.
    Duplicated,
    /// Messages that arrived late.
    Reordered,
    /// A percentile of the time until the last reader had a message.
    LastReader(f64),
    /// A percentile of the generator's own lateness.
    Lateness(f64),
}
