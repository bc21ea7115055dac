//! What is looked at when the whole plan is there: bounds, and labels that results would be mixed
//! under.
//!
//! Deliberately absent: bounds of single values, which are judged where they are read.

use std::collections::BTreeSet;
use std::path::Path;

use super::reader::Reader;
use crate::plan::limits::{
    MAX_ASSERTIONS, MAX_COLUMNS, MAX_DATA_SETS, MAX_EXTRACTIONS, MAX_GROUPS, MAX_HEADERS,
    MAX_NAME_BYTES, MAX_NESTING, MAX_ROWS, MAX_STEPS, MAX_VARIABLES,
};
use crate::plan::{Place, Plan, PlanError, Step};

/// Whether a plan is within the bounds of plans.
pub(super) fn check(plan: &Plan, file: &Path) -> Result<(), PlanError> {
    let at_most = |element: &str, what, value: usize, limit| match value as u64 {
        value if value > limit => {
            Err(PlanError::Limit { place: Place::new(file, None, element), what, value, limit })
        }
        _ => Ok(()),
    };
    at_most(&plan.name, "thread groups", plan.groups.len(), MAX_GROUPS)?;
    at_most(&plan.name, "variables", plan.variables.len(), MAX_VARIABLES)?;
    at_most(&plan.name, "data sets", plan.data.len(), MAX_DATA_SETS)?;
    for data in &plan.data {
        let name = data.file.to_string_lossy();
        at_most(&name, "columns", data.variables.len(), MAX_COLUMNS)?;
        at_most(&name, "rows", data.rows.len(), MAX_ROWS)?;
    }
    let mut steps = 0;
    for group in &plan.groups {
        at_most(&group.name, "bytes of a name", group.name.len(), MAX_NAME_BYTES)?;
        walk(&group.steps, 0, &mut |step, depth| {
            steps += 1;
            at_most(&group.name, "controllers in each other", depth, MAX_NESTING)?;
            match step {
                Step::Transaction { label, .. } => {
                    at_most(label, "bytes of a name", label.len(), MAX_NAME_BYTES)
                }
                Step::Sample(sampler) => {
                    let label = &sampler.label;
                    at_most(label, "bytes of a name", label.len(), MAX_NAME_BYTES)?;
                    at_most(label, "header fields", sampler.fields.len(), MAX_HEADERS)?;
                    at_most(label, "assertions", sampler.assertions.len(), MAX_ASSERTIONS)?;
                    at_most(label, "extractors", sampler.extractions.len(), MAX_EXTRACTIONS)
                }
                Step::Pause(_) | Step::Loop { .. } | Step::If { .. } => Ok(()),
            }
        })?;
    }
    at_most(&plan.name, "steps", steps, MAX_STEPS)
}

/// Gives transactions that are called like a sampler another label: results are kept by label.
pub(super) fn part_labels(reader: &mut Reader<'_>, plan: &mut Plan) {
    let mut samplers = BTreeSet::new();
    for group in &plan.groups {
        let seen: Result<(), ()> = walk(&group.steps, 0, &mut |step, _| {
            if let Step::Sample(sampler) = step {
                samplers.insert(sampler.label.clone());
            }
            Ok(())
        });
        debug_assert!(seen.is_ok(), "nothing in it fails");
    }
    for group in &mut plan.groups {
        rename(reader, &mut group.steps, &samplers);
    }
}

fn rename(reader: &mut Reader<'_>, steps: &mut [Step], samplers: &BTreeSet<String>) {
    for step in steps {
        match step {
            Step::Transaction { label, steps, .. } => {
                if samplers.contains(label) {
                    let other = format!("{label} (transaction)");
                    reader.note_text(format!(
                        "the transaction {label:?} is reported as {other:?}, because a sampler has \
                         its name"
                    ));
                    *label = other;
                }
                rename(reader, steps, samplers);
            }
            Step::Loop { steps, .. } | Step::If { steps, .. } => rename(reader, steps, samplers),
            Step::Sample(_) | Step::Pause(_) => {}
        }
    }
}

/// Visits all steps, each with how many are around it.
fn walk<E>(
    steps: &[Step],
    depth: usize,
    visit: &mut impl FnMut(&Step, usize) -> Result<(), E>,
) -> Result<(), E> {
    for step in steps {
        visit(step, depth)?;
        if let Step::Loop { steps, .. } | Step::If { steps, .. } | Step::Transaction { steps, .. } =
            step
        {
            walk(steps, depth + 1, visit)?;
        }
    }
    Ok(())
}
