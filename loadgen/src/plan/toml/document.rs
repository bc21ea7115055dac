//! Where elements stand in the text of a plan.
//!
//! The plan is read into plain types, and only when something is wrong is the text looked at
//! again for the line: [`PlanError`]s carry the path of their element.
//!
//! Deliberately absent: what elements mean.

use std::ops::Range;
use std::path::Path;

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue, Error};

use crate::plan::{Place, PlanError};

/// An error of the parser, with the element and the line.
pub(super) fn syntax(file: &Path, text: &str, error: &Error) -> PlanError {
    let span = error.span();
    let element = span.as_ref().and_then(|span| innermost(text, span)).unwrap_or_default();
    let line = span.as_ref().map(|span| line_at(text, span.start));
    let mut reason = error.message().trim_end().replace('\n', "; ");
    // A text that is no document has no elements to name.
    let part = span.and_then(|span| text.get(span)).map(str::trim).unwrap_or_default();
    if element.is_empty() && !part.is_empty() && part.len() <= SHOWN_BYTES {
        reason = format!("{reason}: `{part}`");
    }
    PlanError::Syntax { place: Place::new(file, line, element), reason }
}

/// Adds the file and the line to an error that names an element.
pub(super) fn locate(mut error: PlanError, file: &Path, text: &str) -> PlanError {
    if let Some(place) = error.place_mut() {
        place.line = line_of(text, &place.element);
        place.file = file.into();
    }
    error
}

/// The line of an element, or of the innermost table around it that is there.
fn line_of(text: &str, element: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut found = None;
    let mut table = Some(document.get_ref());
    let mut rest = element;
    while let Some(here) = table {
        let (key, after) = first_key(rest)?;
        let Some((name, mut value)) = here.get_key_value(key) else { break };
        found = Some(name.span());
        rest = after;
        while let Some((index, after)) = first_index(rest) {
            let Some(item) = value.get_ref().get(index) else { break };
            (value, rest) = (item, after);
            found = Some(value.span());
        }
        table = value.get_ref().as_table();
        if rest.is_empty() {
            break;
        }
    }
    found.map(|span| line_at(text, span.start))
}

/// `a.b[0]` is `a` and `b[0]`; `a[0].b` is `a` and `[0].b`.
fn first_key(element: &str) -> Option<(&str, &str)> {
    let element = element.strip_prefix('.').unwrap_or(element);
    if let Some(quoted) = element.strip_prefix('"') {
        return quoted.split_once('"');
    }
    let end = element.find(['.', '[']).unwrap_or(element.len());
    (end > 0).then(|| element.split_at(end))
}

/// `[3].b` is 3 and `.b`.
fn first_index(element: &str) -> Option<(usize, &str)> {
    let (index, rest) = element.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest))
}

/// The path of the innermost element whose name or value takes up `span`.
fn innermost(text: &str, span: &Range<usize>) -> Option<String> {
    let document = DeTable::parse(text).ok()?;
    let mut best = None;
    search(document.get_ref(), "", span, &mut best);
    best.map(|(_, path)| path)
}

fn search(
    table: &DeTable<'_>,
    path: &str,
    span: &Range<usize>,
    best: &mut Option<(usize, String)>,
) {
    for (name, value) in table {
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{}", name.get_ref());
        offer(&name.span(), &path, span, best);
        search_value(value, &path, span, best);
    }
}

fn search_value(
    value: &Spanned<DeValue<'_>>,
    path: &str,
    span: &Range<usize>,
    best: &mut Option<(usize, String)>,
) {
    offer(&value.span(), path, span, best);
    match value.get_ref() {
        DeValue::Table(table) => search(table, path, span, best),
        DeValue::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| search_value(item, &format!("{path}[{index}]"), span, best)),
        _ => {}
    }
}

/// Keeps the smallest that holds the whole span.
fn offer(here: &Range<usize>, path: &str, span: &Range<usize>, best: &mut Option<(usize, String)>) {
    let holds = here.start <= span.start && span.end <= here.end;
    if holds && best.as_ref().is_none_or(|(length, _)| here.len() <= *length) {
        *best = Some((here.len(), path.to_owned()));
    }
}

/// From 1.
fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// A part of the text that is longer than this says less than its line.
const SHOWN_BYTES: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a = 1\n\n[b]\nc = [\n  { d = 1 },\n  { d = 2 },\n]\n[[e.f]]\n\
                        \"x.y\" = 3\n[[e.f]]\nz = { w = 4 }\n";

    #[test]
    fn lines() {
        let check = |element: &str, want: Option<usize>| {
            assert_eq!(line_of(TEXT, element), want, "{element}");
        };
        check("a", Some(1));
        check("b", Some(3));
        check("b.c[0]", Some(5));
        check("b.c[1].d", Some(6));
        check("b.c[1].missing", Some(6));
        check("b.c[7].d", Some(4));
        check("e.f[0].\"x.y\"", Some(9));
        check("e.f[1].z.w", Some(11));
        check("e.f[1].q", Some(10));
        check("missing", None);
        check("", None);
        assert_eq!(line_of("a = ", "a"), None);
    }

    #[test]
    fn elements() {
        let check = |part: &str, want: &str| {
            let at = TEXT.find(part).unwrap();
            let got = innermost(TEXT, &(at..at + part.len()));
            assert_eq!(got.as_deref(), Some(want), "{part}");
        };
        check("a", "a");
        check("d = 1", "b.c[0]");
        check("2", "b.c[1].d");
        check("w", "e.f[1].z.w");
    }
}
