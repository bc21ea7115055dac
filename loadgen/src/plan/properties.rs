//! Values given with `-J name=value`, and which of them a plan asked for.
//!
//! Invariant: a property is used when its name was looked up, whether or not its value decided
//! anything.
//!
//! Deliberately absent: the text that they are filled into (`template`).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// The properties that a plan is read with.
#[derive(Debug)]
pub(crate) struct Properties<'a> {
    values: Option<&'a BTreeMap<String, String>>,
    /// Whether `${name}` finds them as well as `${__P(name)}`.
    as_variables: bool,
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Properties<'a> {
    /// None at all.
    #[allow(dead_code, reason = "for plans in other formats")]
    pub(crate) fn none() -> Properties<'a> {
        Properties { values: None, as_variables: false, used: RefCell::default() }
    }

    /// As our own plans use them: `${name}` finds a property too, and it goes before a variable.
    pub(crate) fn of_plan(values: &'a BTreeMap<String, String>) -> Properties<'a> {
        Properties { values: Some(values), as_variables: true, used: RefCell::default() }
    }

    /// As JMeter's plans use them: only `${__P(name)}` and `${__property(name)}` find them.
    #[allow(dead_code, reason = "for plans in other formats")]
    pub(crate) fn of_jmx(values: &'a BTreeMap<String, String>) -> Properties<'a> {
        Properties { as_variables: false, ..Properties::of_plan(values) }
    }

    /// The value for `${__P(name)}`.
    pub(crate) fn value(&self, name: &str) -> Option<&'a str> {
        self.used.borrow_mut().insert(name.to_owned());
        self.values?.get(name).map(String::as_str)
    }

    /// The value for `${name}`.
    pub(crate) fn variable(&self, name: &str) -> Option<&'a str> {
        if self.as_variables { self.value(name) } else { None }
    }

    /// Whether there is one of this name; that is not asking for it.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.values.is_some_and(|values| values.contains_key(name))
    }

    /// All names that were asked for.
    pub(crate) fn asked_for(&self) -> BTreeSet<String> {
        self.used.borrow().clone()
    }

    /// The first one that was given and that nothing asked for.
    pub(crate) fn unused(&self) -> Option<&'a str> {
        let used = self.used.borrow();
        self.values?.keys().map(String::as_str).find(|name| !used.contains(*name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_used_when_it_was_asked_for() {
        let given = BTreeMap::from([("a", "1"), ("b", "2")].map(|(k, v)| (k.into(), v.into())));
        let properties = Properties::of_plan(&given);
        assert_eq!(properties.unused(), Some("a"));
        assert_eq!(properties.value("a"), Some("1"));
        assert_eq!((properties.unused(), properties.variable("b")), (Some("b"), Some("2")));
        assert_eq!((properties.unused(), properties.value("c")), (None, None));
        assert_eq!(properties.asked_for().into_iter().collect::<String>(), "abc");
        assert_eq!(Properties::of_jmx(&given).variable("a"), None);
        assert_eq!(Properties::none().value("a"), None);
    }
}
