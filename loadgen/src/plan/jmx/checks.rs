//! Assertions of a sampler: those of its status and of the elements that apply to it.
//!
//! Deliberately absent: sizes of anything but the body, and JSON values compared by a regular
//! expression.

use std::time::Duration;

use serde_json_path::JsonPath;

use super::http::Request;
use super::reader::{Fault, Reader, unsupported};
use super::response::{self, check_scope};
use super::tree::Element;
use crate::plan::{Assertion, Operator, Piece, PlanError, SizeCheck, Template};

/// All assertions that apply to a sampler, that of the status first.
pub(super) fn read(
    reader: &mut Reader<'_>,
    request: Request<'_, '_>,
    status: Assertion,
) -> Result<Vec<Assertion>, PlanError> {
    let mut out = Vec::new();
    let mut ignores_status = false;
    for element in request.applying("ResponseAssertion") {
        let read = response::read(reader, element);
        if let Some(asked) = reader.accept(element, read)? {
            ignores_status |= asked.ignores_status;
            out.extend(asked.assertions);
        }
    }
    for element in request.applying("DurationAssertion") {
        let read = duration(reader, element);
        out.extend(reader.accept(element, read)?.flatten());
    }
    for element in request.applying("SizeAssertion") {
        let read = size(reader, element);
        out.extend(reader.accept(element, read)?);
    }
    for element in request.applying("JSONPathAssertion") {
        let read = json(reader, element);
        out.extend(reader.accept(element, read)?);
    }
    let any = Assertion::Status(vec![100..=599]);
    out.insert(0, if ignores_status { any } else { status });
    Ok(out)
}

/// JMeter takes 0 for no limit.
fn duration(reader: &Reader<'_>, element: &Element<'_>) -> Result<Option<Assertion>, Fault> {
    check_scope(reader, element)?;
    let ms: Option<u64> = reader.number(element, "DurationAssertion.duration", "milliseconds")?;
    // JMeter compares whole milliseconds, so 250.9 ms is not longer than 250 ms.
    let most = |ms| Duration::from_millis(ms) + Duration::from_nanos(999_999);
    Ok(ms.filter(|ms| *ms > 0).map(|ms| Assertion::Duration(most(ms.min(MAX_MILLIS)))))
}

fn size(reader: &Reader<'_>, element: &Element<'_>) -> Result<Assertion, Fault> {
    check_scope(reader, element)?;
    match reader.fixed(element, "Assertion.test_field")?.as_str() {
        "SizeAssertion.response_data" => {}
        _ => return unsupported("the size of anything but the response body"),
    }
    let expected = "bytes";
    let bytes: Option<u64> = reader.number(element, "SizeAssertion.size", expected)?;
    let bytes = bytes.ok_or_else(|| reader.wrong(element, "SizeAssertion.size", "", expected))?;
    let property = "SizeAssertion.operator";
    let operator = match reader.number::<u32>(element, property, "1 to 6")?.unwrap_or(1) {
        1 => Operator::Equal,
        2 => Operator::NotEqual,
        3 => Operator::Greater,
        4 => Operator::Less,
        5 => Operator::GreaterOrEqual,
        6 => Operator::LessOrEqual,
        other => return Err(reader.wrong(element, property, &other.to_string(), "1 to 6")),
    };
    Ok(Assertion::Size(SizeCheck { operator, bytes }))
}

fn json(reader: &Reader<'_>, element: &Element<'_>) -> Result<Assertion, Fault> {
    let path = json_path(reader, element, "JSON_PATH", &reader.fixed(element, "JSON_PATH")?)?;
    let not = element.flag("INVERT", false);
    let equals = if !element.flag("JSONVALIDATION", false) {
        None
    } else if element.flag("EXPECT_NULL", false) {
        Some(Template(vec![Piece::Text("null".to_owned())]))
    } else {
        let text = element.text("EXPECTED_VALUE").unwrap_or_default();
        let expected = reader.template(element, "EXPECTED_VALUE", &text)?;
        let expression = |piece: &Piece| !matches!(piece, Piece::Text(text) if is_literal(text));
        if element.flag("ISREGEX", true) && expected.0.iter().any(expression) {
            return unsupported("an expected value that is a regular expression");
        }
        Some(expected)
    };
    // JMeter compares a list with the value, and each of its members.
    Ok(Assertion::JsonPath { path: Box::new(path), equals, members: true, not })
}

/// A JSON path. JMeter's are of an older dialect; what both have is taken.
pub(super) fn json_path(
    reader: &Reader<'_>,
    element: &Element<'_>,
    property: &str,
    text: &str,
) -> Result<JsonPath, Fault> {
    let text = text.trim();
    // The older dialect takes `a.b` for `$.a.b`.
    let rooted = if text.starts_with('$') { text.to_owned() } else { format!("$.{text}") };
    JsonPath::parse(&rooted).map_err(|error| {
        let expected = format!("a JSON path as in RFC 9535: {error}");
        reader.wrong(element, property, text, expected)
    })
}

/// As a regular expression it stands for itself.
fn is_literal(text: &str) -> bool {
    !text.contains(|c| r"\.+*?()|[]{}^$".contains(c))
}

/// A day: longer than any answer takes.
const MAX_MILLIS: u64 = 86_400_000;
