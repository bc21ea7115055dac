//! Where in a plan something stands, as a path that grows with the reading:
//! `groups[1].steps[0].append.size`.
//!
//! Invariant: costs nothing while all is well; the path becomes text when an error does.
//!
//! Deliberately absent: files and lines, which whoever knows them adds to the error
//! ([`PlanError::place_mut`]).

use std::fmt;

use super::{Place, PlanError, TemplateError};

/// A place in a plan, known by the way to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    parent: Option<&'a Element<'a>>,
    name: Name<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Name<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> Element<'a> {
    /// The whole plan.
    pub(crate) const ROOT: Element<'static> = Element { parent: None, name: Name::Root };

    /// A part of it by name.
    pub(crate) fn key(&'a self, name: &'a str) -> Element<'a> {
        Element { parent: Some(self), name: Name::Key(name) }
    }

    /// A part of it by number, from 0.
    pub(crate) fn index(&'a self, index: usize) -> Element<'a> {
        Element { parent: Some(self), name: Name::Index(index) }
    }

    /// For an error, without a file.
    pub(crate) fn place(&self) -> Place {
        Place::new("", None, self.to_string())
    }

    /// `value` should have been something else.
    pub(crate) fn value(&self, value: impl fmt::Display, expected: impl Into<String>) -> PlanError {
        let (place, value) = (self.place(), value.to_string());
        PlanError::Value { place, value, expected: expected.into() }
    }

    /// It should be there.
    pub(crate) fn missing(&self, expected: impl Into<String>) -> PlanError {
        PlanError::Missing { place: self.place(), expected: expected.into() }
    }

    /// It cannot be there, or not together with something else.
    pub(crate) fn contradiction(&self, reason: impl Into<String>) -> PlanError {
        PlanError::Contradiction { place: self.place(), reason: reason.into() }
    }

    /// It names what is not there.
    pub(crate) fn undefined<'k>(
        &self,
        what: &'static str,
        name: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) -> PlanError {
        let known = known.into_iter().map(str::to_owned).collect();
        PlanError::Undefined { place: self.place(), what, name: name.to_owned(), known }
    }

    /// It is text with references, and they are wrong.
    pub(crate) fn template(&self, source: TemplateError) -> PlanError {
        PlanError::Template { place: self.place(), source }
    }

    /// No more than `limit` of something.
    pub(crate) fn at_most(
        &self,
        what: &'static str,
        value: impl TryInto<u64>,
        limit: impl TryInto<u64>,
    ) -> Result<(), PlanError> {
        let value = value.try_into().unwrap_or(u64::MAX);
        let limit = limit.try_into().unwrap_or(u64::MAX);
        if value <= limit {
            return Ok(());
        }
        Err(PlanError::Limit { place: self.place(), what, value, limit })
    }
}

impl fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}")?;
        }
        match self.name {
            Name::Root => Ok(()),
            Name::Index(index) => write!(f, "[{index}]"),
            Name::Key(key) => {
                let first = matches!(self.parent, None | Some(Element { name: Name::Root, .. }));
                let dot = if first { "" } else { "." };
                if is_bare(key) { write!(f, "{dot}{key}") } else { write!(f, "{dot}{key:?}") }
            }
        }
    }
}

/// Whether TOML takes it as a key without quotes.
fn is_bare(key: &str) -> bool {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !key.is_empty() && key.chars().all(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let root = Element::ROOT;
        assert_eq!(root.to_string(), "");
        let groups = root.key("groups");
        let group = groups.index(1);
        let headers = group.key("headers");
        assert_eq!(headers.key("X.Y").to_string(), r#"groups[1].headers."X.Y""#);
        assert!(group.at_most("users", 5u32, 5u32).is_ok());
        assert!(group.at_most("users", 6u32, 5u32).is_err());
        assert!(group.at_most("users", -1i32, 5u32).is_err());
    }
}
