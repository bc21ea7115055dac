//! What steps say about requests and answers beside their operation: header fields, assertions
//! and extractions.
//!
//! Invariant: regular expressions and JSON paths are compiled here, so that a bad one stops the
//! plan and not the run.
//!
//! Deliberately absent: the default assertion on the status, which is the engine's.

use std::collections::BTreeMap;

use super::kinds::Text;
use super::leaf::{Either, OneOrMany, TemplateText};
use super::raw_steps::{RawAssertion, RawExtraction, RawJsonPath, RawTextCheck};
use super::read::{Reader, json_path, regex};
use super::steps::exactly_one;
use crate::plan::element::Element;
use crate::plan::template::is_name;
use crate::plan::{
    Assertion, ExtractFrom, Extraction, Pattern, PlanError, SizeCheck, Template, TextCheck,
    TextMatch, http_names, limits,
};

/// The table `headers` of a plan or a step.
pub(super) fn headers(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &BTreeMap<String, TemplateText>,
) -> Result<Vec<(String, Template)>, PlanError> {
    let at = at.key("headers");
    at.at_most("header fields", raw.len(), limits::MAX_HEADERS)?;
    let field = |(name, value): (&String, &TemplateText)| {
        let at = at.key(name);
        http_names::field_name(&at, name)?;
        let value = r.template(&at, value)?;
        http_names::field_value(&at, &value)?;
        Ok((name.clone(), value))
    };
    raw.iter().map(field).collect()
}

/// The list `assert` of a step.
pub(super) fn assertions(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &[RawAssertion],
) -> Result<Vec<Assertion>, PlanError> {
    let at = at.key("assert");
    at.at_most("assertions", raw.len(), limits::MAX_ASSERTIONS)?;
    raw.iter().enumerate().map(|(index, raw)| assertion(r, &at.index(index), raw)).collect()
}

fn assertion(r: &Reader<'_>, at: &Element<'_>, raw: &RawAssertion) -> Result<Assertion, PlanError> {
    let given = [
        ("status", raw.status.is_some()),
        ("header", raw.header.is_some()),
        ("body", raw.body.is_some()),
        ("json_path", raw.json_path.is_some()),
        ("duration", raw.duration.is_some()),
        ("size", raw.size.is_some()),
    ];
    let name = exactly_one(at, &given)?;
    let here = at.key(name);
    if let Some(OneOrMany(all)) = &raw.status {
        few(&here, all.len())?;
        let codes = all.iter().map(|status| r.leaf(&here, status).map(|(a, b)| a..=b));
        return codes.collect::<Result<_, _>>().map(Assertion::Status);
    }
    if let Some(raw) = &raw.header {
        let name = r.need(&here, "name", &raw.name)?;
        if name.parse::<http::HeaderName>().is_err() {
            return Err(here.key("name").value(format_args!("{name:?}"), HEADER));
        }
        return Ok(Assertion::Header { name, text: text_check(r, &here, raw)? });
    }
    if let Some(raw) = &raw.body {
        if raw.name.is_some() {
            return Err(here.key("name").contradiction("only a header field has a name"));
        }
        return Ok(Assertion::Body(text_check(r, &here, raw)?));
    }
    if let Some(raw) = &raw.json_path {
        return json_assertion(r, &here, raw);
    }
    if let Some(time) = r.some_time(at, "duration", &raw.duration)? {
        return Ok(Assertion::Duration(time));
    }
    let (operator, bytes) = r.need(at, "size", &raw.size)?;
    Ok(Assertion::Size(SizeCheck { operator, bytes }))
}

fn json_assertion(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &Either<Text, RawJsonPath>,
) -> Result<Assertion, PlanError> {
    let raw = match raw {
        Either::Leaf(text) => {
            let path = json_path(at, &r.leaf(at, text)?)?;
            return Ok(Assertion::JsonPath { path, equals: None, members: false, not: false });
        }
        Either::Table(raw) => raw,
    };
    let path = json_path(&at.key("path"), &r.need(at, "path", &raw.path)?)?;
    let equals = raw.equals.as_ref().map(|text| r.template(&at.key("equals"), text));
    let not = r.get(at, "not", &raw.not)?.unwrap_or(false);
    Ok(Assertion::JsonPath { path, equals: equals.transpose()?, members: false, not })
}

fn text_check(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &RawTextCheck,
) -> Result<TextCheck, PlanError> {
    let given = [
        ("equals", raw.equals.is_some()),
        ("contains", raw.contains.is_some()),
        ("find", raw.find.is_some()),
        ("matches", raw.matches.is_some()),
    ];
    let name = exactly_one(at, &given)?;
    let here = at.key(name);
    let (how, any_of) = match (&raw.equals, &raw.contains, &raw.find, &raw.matches) {
        (Some(texts), ..) => (TextMatch::Equals, plain(r, &here, texts)?),
        (_, Some(texts), ..) => (TextMatch::Contains, plain(r, &here, texts)?),
        (_, _, Some(texts), _) => (TextMatch::Find, patterns(r, &here, texts)?),
        (.., texts) => {
            let none = OneOrMany(Vec::new());
            (TextMatch::Matches, patterns(r, &here, texts.as_ref().unwrap_or(&none))?)
        }
    };
    Ok(TextCheck { how, any_of, not: r.get(at, "not", &raw.not)?.unwrap_or(false) })
}

fn plain(
    r: &Reader<'_>,
    at: &Element<'_>,
    OneOrMany(texts): &OneOrMany<TemplateText>,
) -> Result<Vec<Pattern>, PlanError> {
    few(at, texts.len())?;
    texts.iter().map(|text| r.template(at, text).map(Pattern::Text)).collect()
}

fn patterns(
    r: &Reader<'_>,
    at: &Element<'_>,
    OneOrMany(texts): &OneOrMany<Text>,
) -> Result<Vec<Pattern>, PlanError> {
    few(at, texts.len())?;
    texts.iter().map(|text| regex(at, &r.leaf(at, text)?).map(Pattern::Regex)).collect()
}

/// At least one, and not too many.
fn few(at: &Element<'_>, count: usize) -> Result<(), PlanError> {
    if count == 0 {
        return Err(at.value("[]", "at least one"));
    }
    at.at_most("alternatives", count, limits::MAX_PATTERNS)
}

/// The list `extract` of a step.
pub(super) fn extractions(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &[RawExtraction],
) -> Result<Vec<Extraction>, PlanError> {
    let at = at.key("extract");
    at.at_most("extractions", raw.len(), limits::MAX_EXTRACTIONS)?;
    raw.iter().enumerate().map(|(index, raw)| extraction(r, &at.index(index), raw)).collect()
}

fn extraction(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &RawExtraction,
) -> Result<Extraction, PlanError> {
    let variable = r.need(at, "variable", &raw.variable)?;
    variable_name(r, &at.key("variable"), &variable)?;
    let given = [
        ("header", raw.header.is_some()),
        ("json_path", raw.json_path.is_some()),
        ("regex", raw.regex.is_some()),
    ];
    let here = at.key(exactly_one(at, &given)?);
    let from = match (&raw.header, &raw.json_path, &raw.regex) {
        (Some(header), ..) => {
            let header = r.leaf(&here, header)?;
            if header.parse::<http::HeaderName>().is_err() {
                return Err(here.value(format_args!("{header:?}"), HEADER));
            }
            ExtractFrom::Header(header)
        }
        (_, Some(path), _) => ExtractFrom::JsonPath(json_path(&here, &r.leaf(&here, path)?)?),
        (.., raw) => {
            let text = r.need(at, "regex", raw)?;
            let compiled = regex(&here, &text)?;
            if compiled.captures_len() < 2 {
                let expected = "a regular expression with a group, such as id=([0-9]+)";
                return Err(here.value(format_args!("{text:?}"), expected));
            }
            ExtractFrom::Regex(compiled)
        }
    };
    let default = r.get(at, "default", &raw.default)?.unwrap_or_default();
    Ok(Extraction { variable, from, default })
}

/// What the run sets cannot be fixed by a property at the same time.
pub(super) fn variable_name(r: &Reader<'_>, at: &Element<'_>, name: &str) -> Result<(), PlanError> {
    if !is_name(name) {
        return Err(at.value(
            format_args!("{name:?}"),
            "the name of a variable, without any of $ { } ( ) , and not beginning with __",
        ));
    }
    if r.properties.is_given(name) {
        let reason = format!("-J {name} fixes what is set here while the plan runs");
        return Err(at.contradiction(reason));
    }
    Ok(())
}

const HEADER: &str = "the name of a header field";
