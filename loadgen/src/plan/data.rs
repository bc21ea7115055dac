//! CSV data sets: rows of texts, each as long as there are variables.
//!
//! Deliberately absent: reading files, and which user takes which row.

use std::path::PathBuf;

use super::element::Element;
use super::template::is_name;
use super::{DataSet, PlanError, limits};

/// How a file is read.
#[derive(Clone, Debug)]
pub(crate) struct DataOptions {
    /// What the plan calls the file.
    pub(crate) file: String,
    /// Names of the variables; the first row otherwise.
    pub(crate) variables: Option<Vec<String>>,
    /// The first row is no data, although the names are given.
    pub(crate) skip_first_row: bool,
    /// What separates columns.
    pub(crate) delimiter: u8,
    /// Begin again after the last row.
    pub(crate) recycle: bool,
}

/// Reads a data set from its text.
pub(crate) fn data_set(
    at: &Element<'_>,
    options: DataOptions,
    text: &str,
) -> Result<DataSet, PlanError> {
    let DataOptions { file, variables, skip_first_row, delimiter, recycle } = options;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let mut records = reader.records();
    let bad = |error: csv::Error| at.contradiction(format!("{file}: {error}"));
    let mut first = None;
    if variables.is_none() || skip_first_row {
        first = records.next().transpose().map_err(bad)?;
    }
    let variables = variables
        .unwrap_or_else(|| first.iter().flatten().map(|name| name.trim().to_owned()).collect());
    check_names(at, &file, &variables)?;
    let mut rows = Vec::new();
    for record in records {
        let record = record.map_err(bad)?;
        if record.len() != variables.len() {
            let line = record.position().map_or(0, csv::Position::line);
            let (columns, wanted) = (record.len(), variables.len());
            return Err(at.contradiction(format!(
                "{file}:{line}: {columns} columns: expected {wanted}, one for each of {}",
                variables.join(", ")
            )));
        }
        at.at_most("rows", rows.len() as u64 + 1, limits::MAX_ROWS)?;
        rows.push(record.iter().map(str::to_owned).collect());
    }
    if rows.is_empty() {
        return Err(at.contradiction(format!("{file} has no rows: expected at least one")));
    }
    Ok(DataSet { variables, rows, file: PathBuf::from(file), recycle })
}

fn check_names(at: &Element<'_>, file: &str, variables: &[String]) -> Result<(), PlanError> {
    at.at_most("columns", variables.len(), limits::MAX_COLUMNS)?;
    if variables.is_empty() {
        return Err(at.contradiction(format!("{file} has no columns: expected at least one")));
    }
    for (index, name) in variables.iter().enumerate() {
        if !is_name(name) {
            return Err(at.value(format_args!("{name:?}"), "the name of a variable per column"));
        }
        if variables[..index].contains(name) {
            return Err(at.contradiction(format!("two columns of {file} are called {name:?}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, variables: Option<&[&str]>, skip: bool) -> Result<DataSet, String> {
        let variables = variables.map(|all| all.iter().map(|&name| name.to_owned()).collect());
        let options = DataOptions {
            file: "u.csv".into(),
            variables,
            skip_first_row: skip,
            delimiter: b',',
            recycle: true,
        };
        data_set(&Element::ROOT.key("data"), options, text).map_err(|error| error.to_string())
    }

    #[test]
    fn rows() {
        let check = |text: &str, variables, skip, names: &[&str], rows: &[&[&str]]| {
            let got = read(text, variables, skip).unwrap();
            assert_eq!(got.variables, names, "{text}");
            assert_eq!(got.rows, rows, "{text}");
        };
        check("a, b\n1,\"x,\ny\"\n", None, false, &["a", "b"], &[&["1", "x,\ny"]]);
        check("\u{feff}a\r\n1\r\n2\r\n", None, false, &["a"], &[&["1"], &["2"]]);
        check("1,2\n", Some(&["a", "b"]), false, &["a", "b"], &[&["1", "2"]]);
        check("x,y\n1,2\n", Some(&["a", "b"]), true, &["a", "b"], &[&["1", "2"]]);
    }

    #[test]
    fn mistakes() {
        let check = |text: &str, want: &str| {
            let got = read(text, None, false).expect_err(text);
            assert!(got.contains(want), "{got}");
        };
        check("", "u.csv has no columns");
        check("a,b\n", "u.csv has no rows");
        check("a,b\n1,2\n3\n", "u.csv:3: 1 columns: expected 2, one for each of a, b");
        check("a,a\n1,2\n", "two columns of u.csv are called \"a\"");
        check("a,${b}\n1,2\n", "expected the name of a variable per column");
    }
}
