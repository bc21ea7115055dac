//! Controllers and samplers: the steps of an iteration.

use super::checks;
use super::condition::{self, Parsed};
use super::extract;
use super::http::{self, Request};
use super::reader::{Fault, Reader};
use super::timers;
use super::tree::Element;
use crate::plan::{PlanError, Sampler, Step};

/// Steps below the last of `levels`, which are the elements from the plan down. `groups`: how many
/// thread groups the plan has.
pub(super) fn below<'e, 'a>(
    reader: &mut Reader<'_>,
    levels: &mut Vec<&'e Element<'a>>,
    groups: usize,
) -> Result<Vec<Step>, PlanError> {
    let mut out = Vec::new();
    let Some(parent) = levels.last().copied() else { return Ok(out) };
    for element in &parent.runs {
        match element.class {
            "HTTPSamplerProxy" => sampler(reader, levels, element, groups, &mut out)?,
            "ThreadGroup" | "TestPlan" => {
                reader.refuse(format!("{}: it is below a {}", element.path(), parent.class));
            }
            _ => {
                levels.push(element);
                let steps = below(reader, levels, groups)?;
                levels.pop();
                controller(reader, element, steps, &mut out)?;
            }
        }
    }
    Ok(out)
}

/// Its pauses, then the sampler itself.
fn sampler(
    reader: &mut Reader<'_>,
    above: &[&Element<'_>],
    element: &Element<'_>,
    groups: usize,
    out: &mut Vec<Step>,
) -> Result<(), PlanError> {
    let request = Request { sampler: element, above };
    let sent = http::read(reader, request);
    let Some(sent) = reader.accept(element, sent)? else { return Ok(()) };
    let label = reader.label(element);
    let Some(label) = reader.accept(element, label)? else { return Ok(()) };
    let pauses = timers::read(reader, request, groups)?;
    out.extend(pauses.into_iter().map(Step::Pause));
    out.push(Step::Sample(Box::new(Sampler {
        label,
        kind: sent.kind,
        fields: sent.fields,
        assertions: checks::read(reader, request, sent.status)?,
        extractions: extract::of_sampler(reader, request)?,
    })));
    Ok(())
}

/// What is around some steps. Without steps nothing is left of it.
fn controller(
    reader: &mut Reader<'_>,
    element: &Element<'_>,
    steps: Vec<Step>,
    out: &mut Vec<Step>,
) -> Result<(), PlanError> {
    if steps.is_empty() {
        return Ok(());
    }
    match element.class {
        "LoopController" => {
            let times = times(reader, element);
            if let Some(times) = reader.accept(element, times)? {
                out.push(Step::Loop { times, steps });
            }
        }
        "IfController" => {
            let parsed = condition(reader, element);
            match reader.accept(element, parsed)? {
                Some(Parsed::When(condition))
                    if element.flag("IfController.evaluateAll", false) =>
                {
                    // Asked again before each child.
                    out.extend(
                        split(steps).map(|steps| Step::If { condition: condition.clone(), steps }),
                    );
                }
                Some(Parsed::When(condition)) => out.push(Step::If { condition, steps }),
                Some(Parsed::Always) => out.extend(steps),
                Some(Parsed::Never) => reader.note(element, "its condition is never true"),
                None => {}
            }
        }
        "TransactionController" => {
            if element.flag("TransactionController.parent", false) {
                let note = "its samplers are reported beside the transaction, not below it";
                reader.note(element, note);
            }
            let include_pauses = element.flag("TransactionController.includeTimers", true);
            let label = reader.label(element);
            if let Some(label) = reader.accept(element, label)? {
                out.push(Step::Transaction { label, steps, include_pauses });
            }
        }
        _ => out.extend(steps),
    }
    Ok(())
}

/// A child of a controller: a step that is no pause, with the pauses before it.
fn split(steps: Vec<Step>) -> impl Iterator<Item = Vec<Step>> {
    let mut steps = steps.into_iter();
    std::iter::from_fn(move || {
        let mut child = Vec::new();
        for step in steps.by_ref() {
            let is_pause = matches!(step, Step::Pause(_));
            child.push(step);
            if !is_pause {
                return Some(child);
            }
        }
        (!child.is_empty()).then_some(child)
    })
}

/// `None`: as long as the user lives.
fn times(reader: &Reader<'_>, element: &Element<'_>) -> Result<Option<u32>, Fault> {
    let property = "LoopController.loops";
    let expected = "a number of loops, or -1 for no end";
    let loops: i64 = reader.number(element, property, expected)?.unwrap_or(0);
    match u32::try_from(loops) {
        Ok(times) => Ok(Some(times)),
        Err(_) if loops == -1 => Ok(None),
        Err(_) => Err(reader.wrong(element, property, &loops.to_string(), expected)),
    }
}

fn condition(reader: &Reader<'_>, element: &Element<'_>) -> Result<Parsed, Fault> {
    let property = "IfController.condition";
    let text = element.text(property).unwrap_or_default();
    let is_expression = element.flag("IfController.useExpression", false);
    condition::parse(&text, is_expression, |text| reader.template(element, property, text))
}
