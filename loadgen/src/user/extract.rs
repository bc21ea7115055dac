//! Values of an answer that later steps use.

use regex::Regex;
use serde_json::Value;
use serde_json_path::JsonPath;

use super::answer::Answer;
use super::names::{Names, Slot, Variables};
use crate::plan::{ExtractFrom, Extraction};

/// What to keep of the answers of one sampler.
#[derive(Clone, Debug)]
pub struct CompiledExtractions(Vec<Compiled>);

#[derive(Clone, Debug)]
struct Compiled {
    slot: Slot,
    from: ExtractFrom,
    default: Box<[u8]>,
}

impl CompiledExtractions {
    /// Prepares extractions.
    #[must_use]
    pub fn new(extractions: &[Extraction], names: &mut Names) -> CompiledExtractions {
        let one = |extraction: &Extraction| Compiled {
            slot: names.slot(&extraction.variable),
            from: extraction.from.clone(),
            default: extraction.default.as_bytes().into(),
        };
        CompiledExtractions(extractions.iter().map(one).collect())
    }
}

/// Sets the variables, each to its default where the answer has no such value.
pub fn extract(extractions: &CompiledExtractions, answer: &Answer<'_>, variables: &mut Variables) {
    for Compiled { slot, from, default } in &extractions.0 {
        match from {
            ExtractFrom::Header(name) => {
                let value = answer.fields().get(name).map_or(&**default, str::as_bytes);
                variables.set(*slot, value);
            }
            ExtractFrom::Regex(regex) => {
                variables.set(*slot, first_group(regex, answer).unwrap_or(default));
            }
            ExtractFrom::JsonPath(path) => match first_node(path, answer) {
                Some(Value::String(text)) => variables.set(*slot, text.as_bytes()),
                Some(value) => variables.set(*slot, value.to_string().as_bytes()),
                None => variables.set(*slot, default),
            },
        }
    }
}

/// The first group of the first match; the whole match if the expression has no group.
fn first_group<'a>(regex: &Regex, answer: &'a Answer<'_>) -> Option<&'a [u8]> {
    let found = match regex.captures_len() {
        1 => regex.find(answer.text()),
        _ => regex.captures(answer.text())?.get(1),
    };
    found.map(|found| found.as_str().as_bytes())
}

fn first_node<'a>(path: &JsonPath, answer: &'a Answer<'_>) -> Option<&'a Value> {
    path.query(answer.json().ok()?).first()
}

#[cfg(test)]
mod tests;
