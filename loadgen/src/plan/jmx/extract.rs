//! JSON Extractor and Regular Expression Extractor.
//!
//! Deliberately absent: random matches, all matches, and templates of several groups.

use super::checks::json_path;
use super::http::Request;
use super::reader::{Fault, Reader, unsupported};
use super::response::{check_scope, header, regex};
use super::tree::Element;
use crate::plan::template::is_name;
use crate::plan::{ExtractFrom, Extraction, PlanError};

/// All extractors that apply to a sampler.
pub(super) fn of_sampler(
    reader: &mut Reader<'_>,
    request: Request<'_, '_>,
) -> Result<Vec<Extraction>, PlanError> {
    let mut out = Vec::new();
    for class in ["JSONPostProcessor", "RegexExtractor"] {
        for element in request.applying(class) {
            let read = read(reader, element);
            out.extend(reader.accept(element, read)?.unwrap_or_default());
        }
    }
    Ok(out)
}

/// Reads one extractor.
pub(super) fn read(reader: &Reader<'_>, element: &Element<'_>) -> Result<Vec<Extraction>, Fault> {
    check_scope(reader, element)?;
    match element.class {
        "JSONPostProcessor" => json(reader, element),
        _ => expression(reader, element).map(|one| vec![one]),
    }
}

fn json(reader: &Reader<'_>, element: &Element<'_>) -> Result<Vec<Extraction>, Fault> {
    if element.flag("JSONPostProcessor.compute_concat", false) {
        return unsupported("all matches as one variable");
    }
    let list = |property| Ok::<_, Fault>(listed(&reader.fixed(element, property)?));
    let names = list("JSONPostProcessor.referenceNames")?;
    let paths = list("JSONPostProcessor.jsonPathExprs")?;
    let matches = list("JSONPostProcessor.match_numbers")?;
    let defaults = list("JSONPostProcessor.defaultValues")?;
    if names.len() != paths.len() || !names.iter().all(|name| is_name(name)) {
        let property = "JSONPostProcessor.referenceNames";
        let expected = "as many names of variables as there are JSON paths, with ; between them";
        return Err(reader.wrong(element, property, &names.join(";"), expected));
    }
    let all = names.into_iter().zip(paths).enumerate().map(|(index, (variable, path))| {
        let number = matches.get(index).map_or("", String::as_str);
        let single = !path.contains("..") && !path.contains(['*', '?', ',']);
        check_match(number, single)?;
        let path = json_path(reader, element, "JSONPostProcessor.jsonPathExprs", &path)?;
        let default = defaults.get(index).cloned().unwrap_or_default();
        Ok(Extraction { variable, from: ExtractFrom::JsonPath(Box::new(path)), default })
    });
    all.collect()
}

fn expression(reader: &Reader<'_>, element: &Element<'_>) -> Result<Extraction, Fault> {
    let variable = reader.fixed(element, "RegexExtractor.refname")?.trim().to_owned();
    if !is_name(&variable) {
        let property = "RegexExtractor.refname";
        return Err(reader.wrong(element, property, &variable, "the name of a variable"));
    }
    let text = reader.fixed(element, "RegexExtractor.regex")?;
    let field = reader.fixed(element, "RegexExtractor.useHeaders")?;
    check_match(reader.fixed(element, "RegexExtractor.match_number")?.trim(), false)?;
    let template = reader.fixed(element, "RegexExtractor.template")?;
    let default = reader.fixed(element, "RegexExtractor.default")?;
    let from = match (field.as_str(), template.as_str()) {
        ("true", "$1$") => match header(&text) {
            Some((name, rest)) if WHOLE_VALUE.contains(&rest) => {
                ExtractFrom::Header(name.to_owned())
            }
            _ => return unsupported("an expression on headers that is not like `Name: (.+)`"),
        },
        ("false" | "", "$0$") => {
            ExtractFrom::Regex(regex(reader, element, EXPRESSION, &format!("({text})"))?)
        }
        ("false" | "", "$1$") => {
            let found = regex(reader, element, EXPRESSION, &text)?;
            if found.captures_len() < 2 {
                let expected = "an expression with a group in parentheses, as the template asks";
                return Err(reader.wrong(element, EXPRESSION, &text, expected));
            }
            ExtractFrom::Regex(found)
        }
        ("true" | "false" | "", _) => return unsupported("a template other than $0$ or $1$"),
        (other, _) => return unsupported(format!("the field {other}")),
    };
    Ok(Extraction { variable, from, default })
}

/// JMeter counts matches from 1; 0 or nothing is one by chance, a negative number is all of them.
fn check_match(number: &str, single: bool) -> Result<(), Fault> {
    match number.trim() {
        "1" => Ok(()),
        "" | "0" if single => Ok(()),
        "" | "0" => unsupported("a match by chance (0 or nothing); write 1 for the first"),
        _ => unsupported("a match other than the first"),
    }
}

fn listed(text: &str) -> Vec<String> {
    text.split(';').map(|part| part.trim().to_owned()).collect()
}

const EXPRESSION: &str = "RegexExtractor.regex";
const WHOLE_VALUE: [&str; 6] = ["(.*)", "(.+)", "(.*)$", "(.+)$", "([^\\r\\n]+)", "(\\S+)"];
