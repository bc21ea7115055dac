//! Text with `${...}` in it, read once into a [`Template`]: variables and the functions of
//! [`Piece`], in JMeter's spelling. Properties are filled in here, because they are fixed before
//! the run.
//!
//! Invariant: any text gives a template or an error, and a value that was filled in is text, never
//! read again for references. `\${` is a `${` that stands for itself.
//!
//! Deliberately absent: values of variables, and all functions that need a script engine.

use super::properties::Properties;
use super::{Piece, Template};

/// Reads a text that may refer to variables; properties have their defaults.
#[allow(dead_code, reason = "for plans in other formats")]
pub(crate) fn parse(text: &str) -> Result<Template, TemplateError> {
    parse_with(text, &Properties::none())
}

/// The same, with properties.
pub(crate) fn parse_with(
    text: &str,
    properties: &Properties<'_>,
) -> Result<Template, TemplateError> {
    let mut out = Pieces::default();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, found) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('\\') {
            out.text(before);
            out.text("${");
            rest = &found[2..];
            continue;
        }
        out.text(before);
        let end = closing(found)
            .ok_or_else(|| TemplateError::Unterminated { reference: shorten(found) })?;
        out.push(reference(&found[2..end], properties, 0)?);
        rest = &found[end + 1..];
    }
    out.text(rest);
    Ok(Template(out.0))
}

/// The text of what does not depend on the run: only properties may be in it.
pub(crate) fn fixed(text: &str, properties: &Properties<'_>) -> Result<String, TemplateError> {
    let template = parse_with(text, properties)?;
    match template.0.as_slice() {
        [] => Ok(String::new()),
        [Piece::Text(text)] => Ok(text.clone()),
        _ => Err(TemplateError::NotFixed { text: shorten(text) }),
    }
}

/// Why a text is not a template.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TemplateError {
    /// No `}`.
    #[error("`{reference}` has no closing brace; write `\\${{` for a `${{` that is meant as text")]
    Unterminated {
        /// From the `${` on.
        reference: String,
    },
    /// Nothing, or something that is no name.
    #[error(
        "`${{{name}}}` is no reference: expected the name of a variable, without spaces at its ends \
         and without any of $ {{ }} ( ) ,"
    )]
    Name {
        /// What stands there.
        name: String,
    },
    /// None that is known.
    #[error(
        "the function `{name}` is not known: expected __P, __property, __Random, __time, __UUID, \
         __threadNum or __counter"
    )]
    Function {
        /// Its name.
        name: String,
    },
    /// The function does not take these.
    #[error("`${{{name}({arguments})}}`: expected {expected}")]
    Arguments {
        /// The function.
        name: String,
        /// What it was given.
        arguments: String,
        /// What would be right.
        expected: &'static str,
    },
    /// References within references within references.
    #[error("references are nested more than {limit} deep")]
    Nested {
        /// How deep they may be.
        limit: usize,
    },
    /// It depends on the run where it must not.
    #[error(
        "`{text}` must be known before the run: only properties, `${{__P(name,default)}}`, may be \
         in it"
    )]
    NotFixed {
        /// The text.
        text: String,
    },
}

/// Collects pieces, neighbouring texts as one.
#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn text(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.0.push(Piece::Text(text.to_owned())),
        }
    }

    fn push(&mut self, piece: Piece) {
        match piece {
            Piece::Text(text) => self.text(&text),
            piece => self.0.push(piece),
        }
    }
}

/// What stands between `${` and `}`.
fn reference(
    inner: &str,
    properties: &Properties<'_>,
    depth: usize,
) -> Result<Piece, TemplateError> {
    if depth > MAX_NESTING {
        return Err(TemplateError::Nested { limit: MAX_NESTING });
    }
    if !inner.starts_with("__") {
        return match properties.variable(inner) {
            _ if !is_name(inner) => Err(TemplateError::Name { name: shorten(inner) }),
            Some(value) => Ok(Piece::Text(value.to_owned())),
            None => Ok(Piece::Variable(inner.to_owned())),
        };
    }
    let (name, arguments) = match inner.split_once('(') {
        None => (inner, ""),
        Some((name, rest)) => match rest.strip_suffix(')') {
            Some(arguments) => (name, arguments),
            None => return Err(TemplateError::Name { name: shorten(inner) }),
        },
    };
    let values = split(arguments)
        .into_iter()
        .map(|argument| argument_text(argument, properties, depth + 1))
        .collect::<Result<Vec<_>, _>>()?;
    let values: Vec<&str> = values.iter().map(|value| value.trim()).collect();
    function(name, &values, properties).map_err(|expected| match expected {
        None => TemplateError::Function { name: shorten(name) },
        Some(expected) => TemplateError::Arguments {
            name: shorten(name),
            arguments: shorten(arguments),
            expected,
        },
    })
}

/// `Err(None)`: no such function; otherwise what its arguments should be.
fn function(
    name: &str,
    arguments: &[&str],
    properties: &Properties<'_>,
) -> Result<Piece, Option<&'static str>> {
    match (name, arguments) {
        ("__P", [name]) if is_name(name) => Ok(property(properties, name, "1")),
        ("__P", [name, default]) if is_name(name) => Ok(property(properties, name, default)),
        ("__P", _) => Err(Some("the name of a property and a default")),
        ("__property", [name] | [name, ""]) if is_name(name) => {
            // JMeter leaves the name where neither a value nor a default is.
            Ok(property(properties, name, name))
        }
        ("__property", [name, "", default]) if is_name(name) => {
            Ok(property(properties, name, default))
        }
        ("__property", _) => Err(Some("the name of a property, nothing, and a default")),
        ("__Random", [low, high] | [low, high, ""]) => match (low.parse(), high.parse()) {
            (Ok(low), Ok(high)) if low <= high => Ok(Piece::Random(low, high)),
            _ => Err(Some(RANDOM)),
        },
        ("__Random", _) => Err(Some(RANDOM)),
        ("__time", [""]) => Ok(Piece::TimeMillis),
        ("__time", _) => Err(Some("no format: it is milliseconds since 1970")),
        ("__UUID", [""]) => Ok(Piece::Uuid),
        ("__UUID", _) => Err(Some("no argument")),
        ("__threadNum", [""]) => Ok(Piece::UserNumber),
        ("__threadNum", _) => Err(Some("no argument")),
        ("__counter", [each] | [each, ""]) if each.eq_ignore_ascii_case("false") => {
            Ok(Piece::Counter)
        }
        ("__counter", _) => Err(Some("FALSE: one counter for the whole run")),
        _ => Err(None),
    }
}

fn property(properties: &Properties<'_>, name: &str, default: &str) -> Piece {
    Piece::Text(properties.value(name).unwrap_or(default).to_owned())
}

/// An argument, which may hold properties itself.
fn argument_text(
    argument: &str,
    properties: &Properties<'_>,
    depth: usize,
) -> Result<String, TemplateError> {
    let mut out = String::new();
    let mut rest = argument;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let found = &rest[at..];
        let end = closing(found)
            .ok_or_else(|| TemplateError::Unterminated { reference: shorten(found) })?;
        match reference(&found[2..end], properties, depth)? {
            Piece::Text(text) => out.push_str(&text),
            _ => return Err(TemplateError::NotFixed { text: shorten(argument) }),
        }
        rest = &found[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Where the reference that `text` begins with ends: the place of its `}`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut bytes = text.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'$' if matches!(bytes.peek(), Some((_, b'{'))) => {
                depth += 1;
                bytes.next();
            }
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// At the commas that are not within a nested reference. At least one, which may be empty.
fn split(arguments: &str) -> Vec<&str> {
    let (mut out, mut begin, mut depth) = (Vec::new(), 0, 0usize);
    for (at, byte) in arguments.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                out.push(&arguments[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    out.push(&arguments[begin..]);
    out
}

/// Whether a variable or a property may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && name.trim() == name
        && !name.starts_with("__")
        && !name.chars().any(|c| c.is_control() || "${}(),".contains(c))
}

/// For messages: the beginning of what may be a whole file.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

const MAX_NESTING: usize = 4;
const MAX_NAME_BYTES: usize = 128;
const SHOWN_CHARS: usize = 60;
const RANDOM: &str = "two whole numbers, the smaller one first";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn variable(name: &str) -> Piece {
        Piece::Variable(name.to_owned())
    }

    #[test]
    fn references() {
        let given = BTreeMap::from([("rate".to_owned(), "${x}".to_owned())]);
        let check = |from: &str, want: &[Piece]| {
            let got = parse_with(from, &Properties::of_plan(&given)).unwrap();
            assert_eq!(got.0, want, "{from}");
        };
        check("", &[]);
        check("plain } text { $ $$ \\", &[text("plain } text { $ $$ \\")]);
        check("${a}", &[variable("a")]);
        check("x${a}${b c}y", &[text("x"), variable("a"), variable("b c"), text("y")]);
        check(r#"{"id":"${id}"}"#, &[text(r#"{"id":""#), variable("id"), text(r#""}"#)]);
        check(r"a\${b}", &[text("a${b}")]);
        check("${__Random(-1, 6)}", &[Piece::Random(-1, 6)]);
        check("${__Random(1,${__P(most,9)},)}", &[Piece::Random(1, 9)]);
        check("${__time}${__time()}", &[Piece::TimeMillis, Piece::TimeMillis]);
        check("${__UUID}${__UUID()}", &[Piece::Uuid, Piece::Uuid]);
        check("${__threadNum}", &[Piece::UserNumber]);
        check("${__counter(FALSE,)}${__counter(false)}", &[Piece::Counter, Piece::Counter]);
        check("a${__P(x,b)}c${__P(y)}", &[text("abc1")]);
        check("${__property(x)}${__property(x,,z)}", &[text("xz")]);
        check("${__P(x,${__P(y,${__P(rate,5)})})}", &[text("${x}")]);
        check("é${rate}/${__P(rate)}", &[text("é${x}/${x}")]);
    }

    #[test]
    fn mistakes() {
        let check = |from: &str, want: &str| {
            let got = parse(from).expect_err(from).to_string();
            assert!(got.contains(want), "{from}: {got}");
        };
        check("a${b", "`${b` has no closing brace");
        check("${}", "`${}` is no reference");
        check("${ a}", "`${ a}` is no reference");
        check("${a${b}}", "is no reference");
        check("${__P}", "`${__P()}`: expected the name of a property and a default");
        check("${__Random(5,1)}", "expected two whole numbers, the smaller one first");
        check("${__Random(1,${a})}", "must be known before the run");
        check("${__Random(1,100,n)}", "expected two whole numbers");
        check("${__time(yyyy)}", "expected no format");
        check("${__counter(TRUE)}", "expected FALSE");
        check("${__groovy(1+1)}", "`__groovy` is not known: expected __P,");
        check("${__P(a,b}", "is no reference");
        check("${__P(a,${__P(b,${__P(c,${__P(d,${__P(e,${__P(f,1)})})})})})}", "more than 4 deep");
        let long = "é".repeat(1000);
        check(&format!("${{{long}"), "…` has no closing brace");
    }

    #[test]
    fn fixed_texts() {
        let none = Properties::none();
        assert_eq!(fixed("", &none).unwrap(), "");
        assert_eq!(fixed("${__P(a,5)}0", &none).unwrap(), "50");
        assert!(fixed("${a}", &none).is_err());
        assert!(fixed("${__time}", &none).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_answered(
            from in "([$][{]|[}]|[(),a\\\\é ]|__P|__Random|__counter|[0-9]){0,40}",
        ) {
            let _ = parse(&from);
        }

        #[test]
        fn text_without_references_stays(from in "[^$]*") {
            let want = if from.is_empty() { vec![] } else { vec![Piece::Text(from.clone())] };
            prop_assert_eq!(parse(&from).unwrap().0, want);
        }
    }
}
