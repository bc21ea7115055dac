//! What every part of a plan is read with: properties, data files and streams, and one way to
//! read a field.
//!
//! Invariant: a field is read at its element, so that every error names it.
//!
//! Deliberately absent: defaults, which stand where the field is used.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::kinds::{OneOf, Words};
use super::leaf::{Kind, Leaf, Scalar, TemplateText};
use crate::plan::element::Element;
use crate::plan::properties::Properties;
use crate::plan::{PlanError, Template, limits, template};

/// What every part of a plan is read with.
pub(super) struct Reader<'a> {
    pub(super) properties: &'a Properties<'a>,
    /// Contents of data files by the name that the plan uses.
    pub(super) data: &'a BTreeMap<String, String>,
    /// Names of the stream sets, in order.
    pub(super) streams: Vec<String>,
    /// Steps so far, over all groups.
    pub(super) steps: Cell<u64>,
}

impl Reader<'_> {
    /// A field that may be absent.
    pub(super) fn get<K: Kind>(
        &self,
        at: &Element<'_>,
        name: &str,
        field: &Option<Leaf<K>>,
    ) -> Result<Option<K::Out>, PlanError> {
        field.as_ref().map(|leaf| self.leaf(&at.key(name), leaf)).transpose()
    }

    /// A field that must be there.
    pub(super) fn need<K: Kind>(
        &self,
        at: &Element<'_>,
        name: &str,
        field: &Option<Leaf<K>>,
    ) -> Result<K::Out, PlanError> {
        self.get(at, name, field)?.ok_or_else(|| at.key(name).missing(K::expected()))
    }

    /// A value at its element.
    pub(super) fn leaf<K: Kind>(
        &self,
        at: &Element<'_>,
        leaf: &Leaf<K>,
    ) -> Result<K::Out, PlanError> {
        let text = self.fixed(at, &leaf.scalar)?;
        K::parse(&text).ok_or_else(|| match leaf.scalar {
            Scalar::Text(_) => at.value(format_args!("{text:?}"), K::expected()),
            _ => at.value(text, K::expected()),
        })
    }

    /// A word that may be absent.
    pub(super) fn word<W: Words>(
        &self,
        at: &Element<'_>,
        name: &str,
        field: &Option<OneOf<W>>,
        default: W,
    ) -> Result<W, PlanError> {
        Ok(self.get(at, name, field)?.unwrap_or(default))
    }

    /// A whole number of a narrower type, with bounds.
    pub(super) fn count(
        &self,
        at: &Element<'_>,
        name: &str,
        field: &Option<super::kinds::Count>,
        (what, limit): (&'static str, u32),
    ) -> Result<Option<u32>, PlanError> {
        let Some(count) = self.get(at, name, field)? else { return Ok(None) };
        let at = at.key(name);
        at.at_most(what, count, limit)?;
        match u32::try_from(count) {
            Ok(0) | Err(_) => Err(at.value(count, format!("1 to {limit}"))),
            Ok(count) => Ok(Some(count)),
        }
    }

    /// A duration, within bounds.
    pub(super) fn time(
        &self,
        at: &Element<'_>,
        name: &str,
        field: &Option<super::kinds::Time>,
    ) -> Result<Option<std::time::Duration>, PlanError> {
        let time = self.get(at, name, field)?;
        if let Some(time) = time.filter(|time| *time > limits::MAX_DURATION) {
            let days = limits::MAX_DURATION.as_secs() / 86_400;
            return Err(at.key(name).value(format!("{time:?}"), format!("at most {days} days")));
        }
        Ok(time)
    }

    /// A duration that is more than nothing.
    pub(super) fn some_time(
        &self,
        at: &Element<'_>,
        name: &str,
        field: &Option<super::kinds::Time>,
    ) -> Result<Option<std::time::Duration>, PlanError> {
        let time = self.time(at, name, field)?;
        if time.is_some_and(|time| time.is_zero()) {
            return Err(at.key(name).value("\"0s\"", "more than nothing"));
        }
        Ok(time)
    }

    /// A rate, within bounds.
    pub(super) fn rate(
        &self,
        at: &Element<'_>,
        name: &str,
        field: &Option<super::kinds::Rate>,
        zero: bool,
    ) -> Result<Option<f64>, PlanError> {
        let Some(rate) = self.get(at, name, field)? else { return Ok(None) };
        let within = (limits::MIN_RATE..=limits::MAX_RATE).contains(&rate);
        if within || (zero && rate == 0.0) {
            return Ok(Some(rate));
        }
        let (least, most) = (limits::MIN_RATE, limits::MAX_RATE);
        let or = if zero { "0, or " } else { "" };
        Err(at.key(name).value(rate, format!("{or}{least} to {most} per second")))
    }

    /// A name or a label: short, and on one line.
    pub(super) fn name(
        &self,
        at: &Element<'_>,
        name: &str,
        field: &Option<super::kinds::Text>,
    ) -> Result<Option<String>, PlanError> {
        let Some(text) = self.get(at, name, field)? else { return Ok(None) };
        let at = at.key(name);
        at.at_most("bytes", text.len(), limits::MAX_NAME_BYTES)?;
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(at.value(format_args!("{text:?}"), "a name on one line"));
        }
        Ok(Some(text))
    }

    /// Text with references.
    pub(super) fn template(
        &self,
        at: &Element<'_>,
        text: &TemplateText,
    ) -> Result<Template, PlanError> {
        template::parse_with(&text.0.to_string(), self.properties)
            .map_err(|error| at.template(error))
    }

    /// The index of the stream set that a step names, or of the only one.
    pub(super) fn stream(
        &self,
        at: &Element<'_>,
        field: &Option<super::kinds::Text>,
    ) -> Result<usize, PlanError> {
        let known = || self.streams.iter().map(String::as_str);
        let Some(name) = self.get(at, "stream", field)? else {
            return match self.streams.len() {
                1 => Ok(0),
                0 => Err(at.key("stream").contradiction("the plan has no [[streams]]")),
                _ => {
                    let names: Vec<&str> = known().collect();
                    Err(at.key("stream").missing(format!("one of {}", names.join(", "))))
                }
            };
        };
        let found = self.streams.iter().position(|stream| *stream == name);
        found.ok_or_else(|| at.key("stream").undefined("stream set", &name, known()))
    }

    fn fixed(&self, at: &Element<'_>, scalar: &Scalar) -> Result<String, PlanError> {
        match scalar {
            Scalar::Text(text) => {
                template::fixed(text, self.properties).map_err(|error| at.template(error))
            }
            scalar => Ok(scalar.to_string()),
        }
    }
}

/// A compiled regular expression.
pub(super) fn regex(at: &Element<'_>, text: &str) -> Result<regex::Regex, PlanError> {
    let compiled = regex::RegexBuilder::new(text).size_limit(limits::MAX_REGEX_BYTES).build();
    compiled.map_err(|error| {
        let reason = error.to_string();
        let last = reason.lines().last().unwrap_or_default().trim();
        at.value(format_args!("{text:?}"), format!("a regular expression ({last})"))
    })
}

/// A parsed JSON path.
pub(super) fn json_path(
    at: &Element<'_>,
    text: &str,
) -> Result<Box<serde_json_path::JsonPath>, PlanError> {
    serde_json_path::JsonPath::parse(text).map(Box::new).map_err(|error| {
        at.value(format_args!("{text:?}"), format!("a JSON path as in RFC 9535 ({error})"))
    })
}
