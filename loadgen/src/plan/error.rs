//! Why a plan cannot be run, in words for whoever wrote it.
//!
//! Invariant: each names the file, the element, the value that stands there and what would be
//! right, as far as there is one.
//!
//! Deliberately absent: what goes wrong within a run.

use std::fmt;
use std::io;
use std::path::PathBuf;

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
    /// A name that nothing in the plan defines.
    #[error("{place} = {name:?}: there is no such {what}{}", suggestion(.known, .name))]
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

/// A place in a plan.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// The file; empty for text that is from none, such as an option.
    pub file: PathBuf,
    /// From 1, if it is known.
    pub line: Option<usize>,
    /// The element: `groups[1].steps[0].append.payload.size`; empty for the whole.
    pub element: String,
}

impl Place {
    /// An element of a file.
    pub fn new(file: impl Into<PathBuf>, line: Option<usize>, element: impl Into<String>) -> Place {
        Place { file: file.into(), line, element: element.into() }
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
        .map(|other| (distance(other, name), other))
        .filter(|(distance, other)| *distance <= 1 + other.chars().count() / 4)
        .min();
    match near {
        Some((_, near)) => format!("; did you mean {near:?}?"),
        None if known.is_empty() => String::new(),
        None => format!("; expected one of {}", known.join(", ")),
    }
}

/// Edits that make one name of the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, c) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (at, other) in right.iter().enumerate() {
            let changed = diagonal + usize::from(c != *other);
            diagonal = row[at + 1];
            row[at + 1] = changed.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[right.len()]
}

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

    #[test]
    fn distances() {
        let check = |left: &str, right: &str, want: usize| {
            assert_eq!((distance(left, right), distance(right, left)), (want, want));
        };
        check("", "", 0);
        check("", "abc", 3);
        check("rate", "raet", 2);
        check("kitten", "sitting", 3);
    }
}
