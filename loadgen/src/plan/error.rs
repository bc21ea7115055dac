//! Why a plan cannot be run, in words for whoever wrote it.
//!
//! Invariant: each names the file, the element, the value that stands there and what would be
//! right, as far as there is one.
//!
//! Deliberately absent: what goes wrong within a run.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::TemplateError;

/// Why a plan cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The plan or one of its data files.
    #[error("{} cannot be read: {source}", .file.display())]
    Unreadable {
        /// Which one.
        file: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The name says neither.
    #[error("{}: expected a file whose name ends in .toml or .jmx", .file.display())]
    UnknownFormat {
        /// Which one.
        file: PathBuf,
    },
    /// Not TOML, not XML, or an element of the wrong type.
    #[error("{place}: {reason}")]
    Syntax {
        /// Where.
        place: Place,
        /// In the parser's words.
        reason: String,
    },
    /// A value that cannot be.
    #[error("{place} = {value}: expected {expected}")]
    Value {
        /// Where.
        place: Place,
        /// What stands there, as it would be written.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// Something must be there.
    #[error("{place} is missing: expected {expected}")]
    Missing {
        /// Where.
        place: Place,
        /// What would be right.
        expected: String,
    },
    /// Elements that cannot be together, or not here.
    #[error("{place}: {reason}")]
    Contradiction {
        /// Where.
        place: Place,
        /// Which, and what would be right.
        reason: String,
    },
    /// A text whose references are wrong.
    #[error("{place}: {source}")]
    Template {
        /// Where.
        place: Place,
        /// What is wrong with it.
        source: TemplateError,
    },
    /// A name that nothing in the plan defines.
    #[error("{place}: there is no {what} {name:?}{}", suggestion(.known, .name))]
    Undefined {
        /// Where it is used.
        place: Place,
        /// `stream set`, `variable`, …
        what: &'static str,
        /// The name.
        name: String,
        /// Those that are defined.
        known: Vec<String>,
    },
    /// More than the generator takes.
    #[error("{place}: {value} {what} are more than the {limit} that are allowed")]
    Limit {
        /// Where.
        place: Place,
        /// What is counted, in the plural.
        what: &'static str,
        /// How many there are.
        value: u64,
        /// How many there may be.
        limit: u64,
    },
    /// `-J` of a name that the plan does not mention.
    #[error(
        "-J {name}: the plan {} does not use a property of this name{}",
        .file.display(),
        suggestion(.known, .name)
    )]
    UnusedProperty {
        /// The plan.
        file: PathBuf,
        /// The name.
        name: String,
        /// Those that it uses.
        known: Vec<String>,
    },
    /// Elements of a JMX plan that have no meaning here.
    #[error(
        "{}: not supported: {}; --skip-unknown leaves out what is not supported",
        .file.display(),
        .elements.join("; ")
    )]
    Unsupported {
        /// The plan.
        file: PathBuf,
        /// Each with its path in the plan.
        elements: Vec<String>,
    },
}

impl PlanError {
    /// The element that it is about, for whoever knows its file and line.
    pub(crate) fn place_mut(&mut self) -> Option<&mut Place> {
        match self {
            PlanError::Syntax { place, .. }
            | PlanError::Value { place, .. }
            | PlanError::Missing { place, .. }
            | PlanError::Contradiction { place, .. }
            | PlanError::Template { place, .. }
            | PlanError::Undefined { place, .. }
            | PlanError::Limit { place, .. } => Some(place),
            PlanError::Unreadable { .. }
            | PlanError::UnknownFormat { .. }
            | PlanError::UnusedProperty { .. }
            | PlanError::Unsupported { .. } => None,
        }
    }
}

/// A place in a plan. Boxed, so that an error is not larger than what it takes the place of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The file; empty for text that is from none, such as an option.
    pub file: Box<Path>,
    /// From 1, if it is known.
    pub line: Option<usize>,
    /// The element: `groups[1].steps[0].append.payload.size`; empty for the whole.
    pub element: Box<str>,
}

impl Place {
    /// An element of a file.
    pub fn new(file: impl Into<PathBuf>, line: Option<usize>, element: impl Into<String>) -> Place {
        let file = file.into().into_boxed_path();
        Place { file, line, element: element.into().into_boxed_str() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        if !self.file.as_os_str().is_empty() {
            write!(f, "{}", self.file.display())?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            gap = ": ";
        }
        if self.element.is_empty() { Ok(()) } else { write!(f, "{gap}{}", self.element) }
    }
}

/// `; did you mean …?`, or what there is, or nothing.
fn suggestion(known: &[String], name: &str) -> String {
    let near = known
        .iter()
        .map(|other| (strsim::jaro_winkler(other, name), other))
        .filter(|(score, _)| *score >= NEAR_ENOUGH)
        .max_by(|(left, _), (right, _)| left.total_cmp(right));
    match near {
        Some((_, near)) => format!("; did you mean {near:?}?"),
        None if known.is_empty() => String::new(),
        None if known.len() > MAX_LISTED => "; nothing is called nearly so".to_owned(),
        None => format!("; expected one of {}", known.join(", ")),
    }
}

/// Jaro-Winkler similarity below which a suggestion confuses more than it helps.
const NEAR_ENOUGH: f64 = 0.8;

/// More names than this are no help.
const MAX_LISTED: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let check = |error: PlanError, want: &str| assert_eq!(error.to_string(), want);
        let place = Place::new("p.toml", Some(3), "groups[0].rate");
        check(
            PlanError::Value {
                place: place.clone(),
                value: "\"x\"".into(),
                expected: "a rate".into(),
            },
            "p.toml:3: groups[0].rate = \"x\": expected a rate",
        );
        check(
            PlanError::Limit { place, what: "users", value: 9, limit: 8 },
            "p.toml:3: groups[0].rate: 9 users are more than the 8 that are allowed",
        );
        let unused = |name: &str, known: &[&str]| PlanError::UnusedProperty {
            file: "p.toml".into(),
            name: name.into(),
            known: known.iter().map(|&name| name.into()).collect(),
        };
        let begin = "-J raet: the plan p.toml does not use a property of this name";
        check(unused("raet", &["readers", "rate"]), &format!("{begin}; did you mean \"rate\"?"));
        check(unused("raet", &["a", "b"]), &format!("{begin}; expected one of a, b"));
        check(unused("raet", &[]), begin);
    }
}
