//! User defined variables, wherever they stand, and what extractors set.

use super::reader::{Fault, Reader};
use super::tree::Element;
use super::{data, extract};
use crate::plan::PlanError;

/// Makes all variables of a plan known. Where they are used is read after this.
pub(super) fn variables(reader: &mut Reader<'_>, tree: &Element<'_>) -> Result<(), PlanError> {
    let mut elements = Vec::new();
    tree.walk(&mut |element| elements.push(element));
    for element in &elements {
        let defined = match element.class {
            "TestPlan" => user_defined(reader, element, &["TestPlan.user_defined_variables"]),
            "Arguments" => user_defined(reader, element, &[]),
            _ => Ok(()),
        };
        reader.accept(element, defined)?;
    }
    for element in &elements {
        // What is wrong with them is said where they are read.
        let names = match element.class {
            "CSVDataSet" => data::names(reader, element).unwrap_or_default(),
            "JSONPostProcessor" | "RegexExtractor" => {
                let read = extract::read(reader, element).unwrap_or_default();
                read.into_iter().map(|extraction| extraction.variable).collect()
            }
            _ => Vec::new(),
        };
        names.iter().for_each(|name| reader.variables.will_be_set(name));
    }
    Ok(())
}

fn user_defined(
    reader: &mut Reader<'_>,
    element: &Element<'_>,
    within: &[&str],
) -> Result<(), Fault> {
    for entry in element.entries(within, "Arguments.arguments") {
        let name = entry.text("Argument.name").unwrap_or_default();
        let name = name.trim();
        // An empty line of JMeter's table.
        if name.is_empty() {
            continue;
        }
        let value = entry.text("Argument.value").unwrap_or_default();
        let value = reader.template(element, name, &value)?;
        reader.variables.define(name, value);
    }
    Ok(())
}
