//! Response Assertion.
//!
//! Patterns on the response code become sets of codes, by trying all of them. Patterns on the
//! headers name one header each, `Name: rest`, because answers are not kept as one text here.
//!
//! Deliberately absent: response messages, request data, documents, sub-samples and variables.

use std::ops::RangeInclusive;

use regex::{Regex, RegexBuilder};

use super::reader::{Fault, Reader, unsupported};
use super::text::fixed_text;
use super::tree::Element;
use crate::plan::limits::MAX_REGEX_BYTES;
use crate::plan::{Assertion, Pattern, Template, TextCheck, TextMatch};

/// What one element asks for.
#[derive(Debug)]
pub(super) struct Asked {
    /// All must hold.
    pub(super) assertions: Vec<Assertion>,
    /// The status is only right or wrong by `assertions`.
    pub(super) ignores_status: bool,
}

/// Reads an assertion.
pub(super) fn read(reader: &Reader<'_>, element: &Element<'_>) -> Result<Asked, Fault> {
    check_scope(reader, element)?;
    let how = How::read(reader, element)?;
    let field = reader.fixed(element, "Assertion.test_field")?;
    let mut patterns = Vec::new();
    // The misspelling is JMeter's.
    for entry in element.entries(&[], "Asserion.test_strings") {
        patterns.push(reader.template(element, PATTERNS, &entry.plain())?);
    }
    if how.any && how.not && patterns.len() > 1 {
        return unsupported("Not together with Or over several patterns");
    }
    let assertions = match field.as_str() {
        _ if patterns.is_empty() => Vec::new(),
        "Assertion.response_data" | "" => {
            let checks = how.checks(reader, element, &patterns)?;
            checks.into_iter().map(Assertion::Body).collect()
        }
        "Assertion.response_code" => how.codes(reader, element, &patterns)?,
        "Assertion.response_headers" => how.headers(reader, element, &patterns)?,
        other => {
            let name = other.strip_prefix("Assertion.").unwrap_or(other);
            return unsupported(format!("the field {name}"));
        }
    };
    Ok(Asked { assertions, ignores_status: element.flag("Assertion.assume_success", false) })
}

/// Which samples an assertion or an extractor looks at: only the sample itself is known here.
pub(super) fn check_scope(reader: &Reader<'_>, element: &Element<'_>) -> Result<(), Fault> {
    for property in ["Assertion.scope", "Sample.scope", "Scope.variable"] {
        match reader.fixed(element, property)?.as_str() {
            // There are no sub-samples, so all are the main one.
            "" | "parent" | "all" => {}
            "variable" => return unsupported("a variable instead of the answer"),
            "children" => return unsupported("sub-samples only"),
            _ if property == "Scope.variable" => {}
            other => {
                let expected = "parent, all, children or variable";
                return Err(reader.wrong(element, property, other, expected));
            }
        }
    }
    Ok(())
}

/// The type of the test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct How {
    how: TextMatch,
    not: bool,
    /// One pattern is enough.
    any: bool,
}

impl How {
    fn read(reader: &Reader<'_>, element: &Element<'_>) -> Result<How, Fault> {
        let expected = "JMeter's number for a type of test";
        let bits: u32 = reader.number(element, "Assertion.test_type", expected)?.unwrap_or(2);
        let how = match bits & !(4 | 32) {
            1 => TextMatch::Matches,
            2 => TextMatch::Find,
            8 => TextMatch::Equals,
            16 => TextMatch::Contains,
            _ => {
                let bits = bits.to_string();
                return Err(reader.wrong(element, "Assertion.test_type", &bits, expected));
            }
        };
        Ok(How { how, not: bits & 4 != 0, any: bits & 32 != 0 })
    }

    fn is_regex(self) -> bool {
        matches!(self.how, TextMatch::Matches | TextMatch::Find)
    }

    /// One check per pattern, or one of them all.
    fn checks(
        self,
        reader: &Reader<'_>,
        element: &Element<'_>,
        patterns: &[Template],
    ) -> Result<Vec<TextCheck>, Fault> {
        let patterns = patterns.iter().map(|pattern| self.pattern(reader, element, pattern));
        let patterns: Vec<Pattern> = patterns.collect::<Result<_, _>>()?;
        let check = |any_of| TextCheck { how: self.how, any_of, not: self.not };
        Ok(match self.any {
            true => vec![check(patterns)],
            false => patterns.into_iter().map(|pattern| check(vec![pattern])).collect(),
        })
    }

    fn pattern(
        self,
        reader: &Reader<'_>,
        element: &Element<'_>,
        pattern: &Template,
    ) -> Result<Pattern, Fault> {
        if !self.is_regex() {
            return Ok(Pattern::Text(pattern.clone()));
        }
        let text = fixed(pattern)?;
        match self.how {
            TextMatch::Matches => regex(reader, element, PATTERNS, &format!("\\A(?:{text})\\z")),
            _ => regex(reader, element, PATTERNS, &text),
        }
        .map(Pattern::Regex)
    }

    fn codes(
        self,
        reader: &Reader<'_>,
        element: &Element<'_>,
        patterns: &[Template],
    ) -> Result<Vec<Assertion>, Fault> {
        let checks = self.checks(reader, element, patterns)?;
        checks.iter().map(|check| Ok(Assertion::Status(codes(check)?))).collect()
    }

    fn headers(
        self,
        reader: &Reader<'_>,
        element: &Element<'_>,
        patterns: &[Template],
    ) -> Result<Vec<Assertion>, Fault> {
        if self.any && patterns.len() > 1 {
            return unsupported("Or over several headers");
        }
        let patterns = patterns.iter().map(|pattern| {
            let text = fixed(pattern)?;
            let Some((name, rest)) = header(&text) else {
                return unsupported("a pattern on headers that is not like `Name: value`");
            };
            let rest = match self.how {
                TextMatch::Contains => regex::escape(rest),
                TextMatch::Find => rest.trim_end_matches('$').to_owned(),
                _ => return unsupported("a test of all headers together"),
            };
            let rest = regex(reader, element, PATTERNS, &format!("\\A(?:{rest})"))?;
            let text = TextCheck {
                how: TextMatch::Find,
                any_of: vec![Pattern::Regex(rest)],
                not: self.not,
            };
            Ok(Assertion::Header { name: name.to_owned(), text })
        });
        patterns.collect()
    }
}

/// Compiles a regular expression.
pub(super) fn regex(
    reader: &Reader<'_>,
    element: &Element<'_>,
    property: &str,
    text: &str,
) -> Result<Regex, Fault> {
    RegexBuilder::new(text).size_limit(MAX_REGEX_BYTES).build().map_err(|error| {
        // The last line of the message says what is wrong, the others point at it.
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim().to_owned();
        let expected = format!("a regular expression without look-around: {reason}");
        reader.wrong(element, property, text, expected)
    })
}

/// `Name: rest`, where the name is nothing that an expression could be.
pub(super) fn header(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix("(?m)").unwrap_or(text);
    let text = text.strip_prefix("(?i)").unwrap_or(text);
    let (name, rest) = text.strip_prefix('^').unwrap_or(text).split_once(':')?;
    let rest = rest.strip_prefix("\\s*").or_else(|| rest.strip_prefix("\\s")).unwrap_or(rest);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (!name.is_empty() && name.bytes().all(plain)).then(|| (name, rest.trim_start()))
}

fn fixed(pattern: &Template) -> Result<String, Fault> {
    match fixed_text(pattern) {
        Some(text) => Ok(text),
        None => {
            unsupported("variables in a regular expression, or in a pattern on codes or headers")
        }
    }
}

/// The codes that a check holds for.
fn codes(check: &TextCheck) -> Result<Vec<RangeInclusive<u16>>, Fault> {
    let mut out: Vec<RangeInclusive<u16>> = Vec::new();
    for code in CODES {
        if holds(check, &code.to_string())? == check.not {
            continue;
        }
        match out.last_mut() {
            Some(last) if *last.end() + 1 == code => *last = *last.start()..=code,
            _ => out.push(code..=code),
        }
    }
    Ok(out)
}

/// Whether any pattern fits, whatever `not` says.
fn holds(check: &TextCheck, text: &str) -> Result<bool, Fault> {
    for pattern in &check.any_of {
        let fits = match (pattern, check.how) {
            (Pattern::Regex(regex), _) => regex.is_match(text),
            (Pattern::Text(pattern), TextMatch::Contains) => text.contains(&fixed(pattern)?),
            (Pattern::Text(pattern), _) => text == fixed(pattern)?,
        };
        if fits {
            return Ok(true);
        }
    }
    Ok(false)
}

const CODES: RangeInclusive<u16> = 100..=599;
const PATTERNS: &str = "Asserion.test_strings";
