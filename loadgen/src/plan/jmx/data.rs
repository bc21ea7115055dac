//! CSV Data Set Config.
//!
//! Deliberately absent: data sets that only some groups or controllers take rows from, and one copy
//! of the rows per thread: a plan's data sets are shared by all its users.

use csv::ReaderBuilder;

use super::reader::{Fault, Reader, unsupported};
use super::tree::Element;
use crate::plan::template::is_name;
use crate::plan::{DataSet, PlanError};

/// All data sets of a plan, with their rows.
pub(super) fn sets(
    reader: &mut Reader<'_>,
    tree: &Element<'_>,
    groups: usize,
) -> Result<Vec<DataSet>, PlanError> {
    let mut out = Vec::new();
    for_each(tree, &mut |parent, element| {
        let read = check_parent(parent, groups).and_then(|()| set(reader, element));
        out.extend(reader.accept(element, read)?);
        Ok(())
    })?;
    Ok(out)
}

/// The files of all data sets.
pub(super) fn files(reader: &Reader<'_>, tree: &Element<'_>) -> Result<Vec<String>, PlanError> {
    let mut out = Vec::new();
    for_each(tree, &mut |_, element| {
        match reader.fixed(element, "filename") {
            Ok(name) if name.is_empty() || out.contains(&name) => {}
            Ok(name) => out.push(name),
            Err(Fault::Wrong(error)) => return Err(*error),
            // Said when the plan is read.
            Err(Fault::Unsupported(_)) => {}
        }
        Ok(())
    })?;
    Ok(out)
}

/// The variables that a data set names itself; none if the file's first line does.
pub(super) fn names(reader: &Reader<'_>, element: &Element<'_>) -> Result<Vec<String>, Fault> {
    let text = reader.fixed(element, "variableNames")?;
    let names = text.split(',').map(|name| name.trim().to_owned());
    Ok(names.filter(|_| !text.trim().is_empty()).collect())
}

fn for_each<'e>(
    element: &'e Element<'_>,
    visit: &mut impl FnMut(&'e Element<'_>, &'e Element<'_>) -> Result<(), PlanError>,
) -> Result<(), PlanError> {
    for child in element.applies.iter().filter(|child| child.class == "CSVDataSet") {
        visit(element, child)?;
    }
    element.runs.iter().try_for_each(|child| for_each(child, visit))
}

/// JMeter reads a row whenever the controller above it begins again.
fn check_parent(parent: &Element<'_>, groups: usize) -> Result<(), Fault> {
    match parent.class {
        "TestPlan" => Ok(()),
        "ThreadGroup" if groups <= 1 => Ok(()),
        "ThreadGroup" => unsupported(
            "rows for one of several thread groups; put it below the test plan, where all take \
             from it",
        ),
        class => unsupported(format!("rows for a {class}; put it below its thread group")),
    }
}

fn set(reader: &mut Reader<'_>, element: &Element<'_>) -> Result<DataSet, Fault> {
    let file = reader.fixed(element, "filename")?;
    check_modes(reader, element)?;
    let Some(text) = reader.data(&file) else {
        return Err(reader.wrong(element, "filename", &file, "a file that was read with the plan"));
    };
    let quoted = element.flag("quotedData", false);
    let mut rows = records(reader, element, text, quoted)?.into_iter();
    let mut variables = names(reader, element)?;
    if variables.is_empty() {
        variables = rows.next().unwrap_or_default();
    } else if element.flag("ignoreFirstLine", false) {
        rows.next();
    }
    if variables.iter().all(String::is_empty) {
        let expected = "names of variables, here or in the file's first line";
        return Err(reader.wrong(element, "variableNames", "", expected));
    }
    if let Some(name) = variables.iter().find(|name| !is_name(name)) {
        let expected = "the name of a variable for each column";
        return Err(reader.wrong(element, "variableNames", name, expected));
    }
    variables.iter().for_each(|name| reader.variables.will_be_set(name));
    let rows: Vec<Vec<String>> = rows
        .map(|mut row| {
            row.resize(variables.len(), String::new());
            row
        })
        .collect();
    if rows.is_empty() {
        return Err(reader.wrong(element, "filename", &file, "a file with at least one row"));
    }
    let recycle = element.flag("recycle", true);
    Ok(DataSet { variables, rows, file: file.into(), recycle })
}

fn check_modes(reader: &Reader<'_>, element: &Element<'_>) -> Result<(), Fault> {
    if !element.flag("recycle", true) && !element.flag("stopThread", false) {
        return unsupported(
            "values <EOF> after the last row; either recycle or stop the thread there",
        );
    }
    match reader.fixed(element, "shareMode")?.as_str() {
        "" | "shareMode.all" | "shareMode.group" => {}
        _ => return unsupported("a sharing mode other than all threads or the current group"),
    }
    match reader.fixed(element, "fileEncoding")?.to_ascii_lowercase().as_str() {
        "" | "utf-8" | "utf8" | "us-ascii" => Ok(()),
        other => unsupported(format!("the encoding {other}; save the file as UTF-8")),
    }
}

fn records(
    reader: &Reader<'_>,
    element: &Element<'_>,
    text: &str,
    quoted: bool,
) -> Result<Vec<Vec<String>>, Fault> {
    let delimiter = reader.fixed(element, "delimiter")?;
    let byte = match delimiter.as_bytes() {
        [] => b',',
        b"\\t" => b'\t',
        [byte] => *byte,
        _ => {
            let expected = "one character, or \\t";
            return Err(reader.wrong(element, "delimiter", &delimiter, expected));
        }
    };
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).quoting(quoted).delimiter(byte);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rows: Result<_, csv::Error> = builder
        .from_reader(text.as_bytes())
        .into_records()
        .map(|row| Ok(row?.iter().map(str::to_owned).collect()))
        .collect();
    rows.map_err(|error| reader.wrong(element, "filename", &error.to_string(), "a CSV file"))
}
