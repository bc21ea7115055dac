//! Our own format of plans.
//!
//! Text becomes plain types (`raw`, `raw_steps`), which know names and shapes; these become a
//! [`Plan`] (`plan`, `groups`, `steps`, `samplers`, `checks`), with properties filled in and every
//! value in range; then what must not be together is looked for (`plan::validate`).
//!
//! Invariant: any text gives a plan or an error that names the element and its line.
//!
//! Deliberately absent: reading files, which is `plan::source`'s.

mod checks;
mod document;
mod groups;
mod kinds;
mod leaf;
mod plan;
mod raw;
mod raw_steps;
mod read;
mod samplers;
mod schema;
mod sizes;
mod steps;
#[cfg(test)]
mod tests;

use std::path::Path;

use self::raw::RawPlan;
pub use self::schema::schema;
use super::element::Element;
use super::properties::Properties;
use super::{Plan, PlanError, PlanSource, limits, template, validate};

/// Reads a plan and makes sure that it can run.
///
/// # Errors
/// Names the first element that is wrong, its value, and what would be right.
pub fn read(source: &PlanSource) -> Result<Plan, PlanError> {
    let raw = parse(&source.file, &source.text)?;
    let properties = Properties::of_plan(&source.properties);
    let stem = source.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let plan = plan::plan(&raw, &properties, &source.data, &stem.unwrap_or_default())
        .and_then(|plan| validate::check(&plan).map(|()| plan))
        .map_err(|error| document::locate(error, &source.file, &source.text))?;
    match properties.unused() {
        None => Ok(plan),
        Some(name) => Err(PlanError::UnusedProperty {
            file: source.file.clone(),
            name: name.to_owned(),
            known: properties.asked_for().into_iter().collect(),
        }),
    }
}

/// The data files that a plan names, in order, with properties filled in.
pub(crate) fn data_files(
    file: &Path,
    text: &str,
    properties: &Properties<'_>,
) -> Result<Vec<String>, PlanError> {
    let raw = parse(file, text)?;
    let at = Element::ROOT.key("data");
    let located = |error| document::locate(error, file, text);
    at.at_most("data sets", raw.data.len(), limits::MAX_DATA_SETS).map_err(located)?;
    let mut names = Vec::new();
    for (index, data) in raw.data.iter().enumerate() {
        let at = at.index(index);
        let at = at.key("file");
        if let Some(name) = &data.file {
            let name = template::fixed(&name.scalar.to_string(), properties);
            names.push(name.map_err(|error| located(at.template(error)))?);
        }
    }
    Ok(names)
}

fn parse(file: &Path, text: &str) -> Result<RawPlan, PlanError> {
    ::toml::from_str(text).map_err(|error| document::syntax(file, text, &error))
}
