//! The common subset of JMeter's plans, versions 2.13 to 5.6.
//!
//! Invariants: what an element means here is what it means in JMeter, or the element is refused
//! by its path in the plan; with `skip_unknown` it is left out and named. All samplers become
//! [`SamplerKind::Http`](super::SamplerKind::Http), all thread groups closed groups. Every number is
//! in range and every variable that is left in a template is set somewhere.
//!
//! How the rooms connect: `tree` reads the XML, `reader` knows the properties and variables and
//! collects what is refused, `group` and `steps` follow the elements that run; what applies to a
//! sampler comes from `http`, `timers`, `response`, `checks` and `extract`, `condition` is that of an
//! If Controller, `data` are CSV files.
//!
//! Deliberately absent: script engines, cookies and caches, redirects, embedded resources.

mod bounds;
mod checks;
mod classes;
mod condition;
mod data;
mod define;
mod encode;
mod extract;
mod group;
mod headers;
mod http;
mod reader;
mod response;
mod steps;
#[cfg(test)]
mod tests;
mod text;
mod timers;
mod tree;
mod url;

use std::collections::BTreeMap;
use std::path::Path;

use roxmltree::Document;

use self::reader::Reader;
use self::tree::Element;
use super::properties::Properties;
use super::{Place, Plan, PlanError, PlanSource};

/// Reads a JMX plan. Beside the plan there are notes for its user: elements that were left out
/// (with [`PlanSource::skip_unknown`]), which begin with [`LEFT_OUT`], and those that have no effect
/// here, each by its path.
///
/// # Errors
///
/// All elements that are not supported, in one error; or the first property that cannot be.
pub fn read(source: &PlanSource) -> Result<(Plan, Vec<String>), PlanError> {
    let document = parse(&source.text, &source.file)?;
    let mut classes = classes::Known::default();
    let tree = tree(&document, &source.file, &mut classes)?;
    let mut reader = Reader::new(source, Properties::of_jmx(&source.properties), classes);
    let mut plan = whole(&mut reader, &tree)?;
    bounds::part_labels(&mut reader, &mut plan);
    bounds::check(&plan, &source.file)?;
    reader.finish(plan)
}

/// CSV files that a JMX plan names, as it names them; properties may be part of the names. `file` is
/// where the plan is from, for messages.
///
/// # Errors
///
/// The text is not a plan, or the name of a file depends on the run.
pub fn data_files(
    file: &Path,
    text: &str,
    properties: &BTreeMap<String, String>,
) -> Result<Vec<String>, PlanError> {
    let source = PlanSource {
        file: file.to_owned(),
        format: super::PlanFormat::Jmx,
        text: String::new(),
        properties: BTreeMap::new(),
        data: BTreeMap::new(),
        skip_unknown: true,
    };
    let document = parse(text, &source.file)?;
    let mut classes = classes::Known::default();
    let tree = tree(&document, &source.file, &mut classes)?;
    let mut reader = Reader::new(&source, Properties::of_jmx(properties), classes);
    define::variables(&mut reader, &tree)?;
    data::files(&reader, &tree)
}

fn whole(reader: &mut Reader<'_>, tree: &Element<'_>) -> Result<Plan, PlanError> {
    define::variables(reader, tree)?;
    let groups: Vec<&Element<'_>> =
        tree.runs.iter().filter(|element| element.class == "ThreadGroup").collect();
    let data = data::sets(reader, tree, groups.len())?;
    group::check_plan(reader, tree, groups.len());
    let mut plan_groups = Vec::with_capacity(groups.len());
    for element in &groups {
        plan_groups.extend(group::read(reader, tree, element, groups.len())?);
    }
    if plan_groups.is_empty() && !reader.refuses_anything() {
        return Err(PlanError::Missing {
            place: reader.place(tree, None),
            expected: "at least one ThreadGroup with an HTTP Request in it, both switched on"
                .to_owned(),
        });
    }
    Ok(Plan {
        name: tree.name.to_owned(),
        seed: SEED,
        target: reader.target(),
        transport: crate::plan::Transport::default(),
        warm_up: std::time::Duration::ZERO,
        drain: std::time::Duration::ZERO,
        connect_rate: CONNECT_RATE,
        timeout: reader.timeout(),
        fields: Vec::new(),
        bearer: None,
        variables: reader.take_initial_variables(),
        streams: Vec::new(),
        data,
        groups: plan_groups,
        thresholds: Vec::new(),
    })
}

fn parse<'a>(text: &'a str, file: &Path) -> Result<Document<'a>, PlanError> {
    // A byte order mark is not part of the document.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Document::parse(text).map_err(|error| PlanError::Syntax {
        place: Place::new(file, Some(error.pos().row as usize), ""),
        reason: error.to_string(),
    })
}

fn tree<'a>(
    document: &'a Document<'a>,
    file: &Path,
    classes: &mut classes::Known,
) -> Result<Element<'a>, PlanError> {
    tree::read(document, classes).map_err(|wrong| PlanError::Syntax {
        place: Place::new(file, wrong.line, ""),
        reason: wrong.reason,
    })
}

/// Begins a note about an element that was left out.
pub const LEFT_OUT: &str = "left out: ";

/// JMeter has no seed; the choices of a run are the same each time.
const SEED: u64 = 1;

/// New connections per second. JMeter opens one whenever a thread needs it; this only keeps a
/// thousand threads without a ramp from overflowing the server's queue.
const CONNECT_RATE: f64 = 2000.0;
