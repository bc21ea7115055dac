//! References to variables: that something gives each a value before it can be needed.
//!
//! Deliberately absent: the order of steps. A value that a later step extracts is there in the
//! next round of a loop.

use std::collections::{BTreeMap, BTreeSet};

use super::kind_name;
use crate::plan::element::Element;
use crate::plan::{
    Assertion, From, Pattern, Payload, Piece, Plan, PlanError, Sampler, SamplerKind, Step,
    Template, TextCheck,
};

/// Looks at every reference of a plan.
pub(super) fn check(plan: &Plan) -> Result<(), PlanError> {
    let root = &Element::ROOT;
    let mut known: BTreeSet<&str> = plan.variables.keys().map(String::as_str).collect();
    let variables = root.key("variables");
    for (name, template) in &plan.variables {
        defined(&variables.key(name), template, &known)?;
    }
    circles(&variables, &plan.variables)?;
    known.extend(plan.data.iter().flat_map(|data| &data.variables).map(String::as_str));

    let mut everywhere = known.clone();
    let groups = root.key("groups");
    for (index, group) in plan.groups.iter().enumerate() {
        let mut known = known.clone();
        extracted(&group.steps, &mut known);
        steps(&groups.index(index), &group.steps, &known)?;
        everywhere.extend(known);
    }
    // The plan's own fields are those of all groups, and of requests before any answer.
    let headers = root.key("headers");
    for (name, value) in &plan.fields {
        defined(&headers.key(name), value, &everywhere)?;
    }
    match &plan.bearer {
        Some(token) => defined(&root.key("bearer"), token, &everywhere),
        None => Ok(()),
    }
}

fn defined(at: &Element<'_>, template: &Template, known: &BTreeSet<&str>) -> Result<(), PlanError> {
    for name in references(template) {
        if !known.contains(name) {
            return Err(at.undefined("variable", name, known.iter().copied()));
        }
    }
    Ok(())
}

fn references(template: &Template) -> impl Iterator<Item = &str> {
    template.0.iter().filter_map(|piece| match piece {
        Piece::Variable(name) => Some(name.as_str()),
        _ => None,
    })
}

/// Variables that refer to one another never get a value.
fn circles(at: &Element<'_>, all: &BTreeMap<String, Template>) -> Result<(), PlanError> {
    let mut waiting: BTreeSet<&str> = all.keys().map(String::as_str).collect();
    loop {
        let ready: Vec<&str> = waiting
            .iter()
            .copied()
            .filter(|name| !references(&all[*name]).any(|other| waiting.contains(other)))
            .collect();
        if ready.is_empty() {
            break;
        }
        ready.into_iter().for_each(|name| {
            waiting.remove(name);
        });
    }
    match waiting.first() {
        None => Ok(()),
        Some(name) => {
            let reason = "its value depends on itself, by way of the variables that it refers to";
            Err(at.key(name).contradiction(reason))
        }
    }
}

fn extracted<'a>(steps: &'a [Step], known: &mut BTreeSet<&'a str>) {
    for step in steps {
        match step {
            Step::Sample(sampler) => {
                known.extend(sampler.extractions.iter().map(|found| found.variable.as_str()));
            }
            Step::Pause(_) => {}
            Step::Loop { steps, .. } | Step::If { steps, .. } | Step::Transaction { steps, .. } => {
                extracted(steps, known);
            }
        }
    }
}

fn steps(at: &Element<'_>, all: &[Step], known: &BTreeSet<&str>) -> Result<(), PlanError> {
    let at = at.key("steps");
    for (index, step) in all.iter().enumerate() {
        let at = at.index(index);
        match step {
            Step::Sample(sampler) => self::sampler(&at, sampler, known)?,
            Step::Pause(_) => {}
            Step::Loop { steps: inner, .. } => steps(&at.key("loop"), inner, known)?,
            Step::Transaction { steps: inner, .. } => {
                steps(&at.key("transaction"), inner, known)?;
            }
            Step::If { condition, steps: inner } => {
                let at = at.key("if");
                defined(&at.key("condition"), &condition.left, known)?;
                defined(&at.key("condition"), &condition.right, known)?;
                steps(&at, inner, known)?;
            }
        }
    }
    Ok(())
}

fn sampler(at: &Element<'_>, sampler: &Sampler, known: &BTreeSet<&str>) -> Result<(), PlanError> {
    let headers = at.key("headers");
    for (name, value) in &sampler.fields {
        defined(&headers.key(name), value, known)?;
    }
    let here = at.key(kind_name(&sampler.kind));
    for (name, template) in templates(&sampler.kind) {
        defined(&here.key(name), template, known)?;
    }
    let asserts = at.key("assert");
    for (index, assertion) in sampler.assertions.iter().enumerate() {
        let at = asserts.index(index);
        for template in of_assertion(assertion) {
            defined(&at, template, known)?;
        }
    }
    Ok(())
}

/// The templates of an operation, by the names of their fields.
fn templates(kind: &SamplerKind) -> Vec<(&'static str, &Template)> {
    match kind {
        SamplerKind::Append { payload: Payload::Template(body), .. }
        | SamplerKind::AppendBatch { payload: Payload::Template(body), .. }
        | SamplerKind::ProducerAppend { payload: Payload::Template(body), .. }
        | SamplerKind::Create { body: Some(Payload::Template(body)), .. } => vec![("body", body)],
        SamplerKind::Read { from: From::Offset(from), .. } => vec![("from", from)],
        SamplerKind::Tail(tail) => match &tail.from {
            From::Offset(from) => vec![("from", from)],
            From::Beginning | From::Now => Vec::new(),
        },
        SamplerKind::Http { path, body, .. } => vec![("path", path), ("body", body)],
        _ => Vec::new(),
    }
}

fn of_assertion(assertion: &Assertion) -> Vec<&Template> {
    match assertion {
        Assertion::Header { text: TextCheck { any_of, .. }, .. }
        | Assertion::Body(TextCheck { any_of, .. }) => any_of
            .iter()
            .filter_map(|pattern| match pattern {
                Pattern::Text(text) => Some(text),
                Pattern::Regex(_) => None,
            })
            .collect(),
        Assertion::JsonPath { equals, .. } => equals.iter().collect(),
        Assertion::Status(_) | Assertion::Duration(_) | Assertion::Size(_) => Vec::new(),
    }
}
