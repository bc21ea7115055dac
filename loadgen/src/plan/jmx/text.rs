//! Texts of a plan: references in them, and what is known of variables before the run.
//!
//! User defined variables are fixed unless something else sets them too, or a function in them
//! gives a new value each time; fixed ones are filled in here. That is what lets a thread group
//! have `${users}` threads, and values in a URL be encoded.
//!
//! Invariant: every variable that is left in a template is set by something in the plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::properties::Properties;
use crate::plan::template::{TemplateError, parse_with};
use crate::plan::{Piece, Template};

/// What is known of variables before the run.
#[derive(Debug, Default)]
pub(super) struct Variables {
    fixed: BTreeMap<String, String>,
    /// Of every user at the beginning: those that are not fixed.
    initial: BTreeMap<String, Template>,
    /// Set by data sets and extractors.
    set_later: BTreeSet<String>,
}

/// Why a text cannot be used.
#[derive(Debug)]
pub(super) enum TextError {
    /// Of the template itself.
    Template(TemplateError),
    /// Nothing sets this variable.
    Undefined(String),
}

impl Variables {
    /// Something sets it during the run.
    pub(super) fn will_be_set(&mut self, name: &str) {
        self.set_later.insert(name.to_owned());
        if let Some(text) = self.fixed.remove(name) {
            self.initial.insert(name.to_owned(), Template(texts(text)));
        }
    }

    /// A user defined variable; later ones replace earlier ones of the same name.
    pub(super) fn define(&mut self, name: &str, value: Template) {
        self.fixed.remove(name);
        self.initial.remove(name);
        match fixed_text(&value) {
            Some(text) if !self.set_later.contains(name) => {
                self.fixed.insert(name.to_owned(), text);
            }
            _ => {
                self.initial.insert(name.to_owned(), value);
            }
        }
    }

    /// Those that users begin with.
    pub(super) fn into_initial(self) -> BTreeMap<String, Template> {
        let fixed = self.fixed.into_iter().map(|(name, text)| (name, Template(texts(text))));
        self.initial.into_iter().chain(fixed).collect()
    }

    /// All names that may be used.
    pub(super) fn known(&self) -> Vec<String> {
        let all = self.fixed.keys().chain(self.initial.keys()).chain(&self.set_later);
        all.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Reads a text. With `lenient`, a reference to what nothing sets stays as it is written, as
    /// JMeter has it.
    pub(super) fn template(
        &self,
        text: &str,
        properties: &Properties<'_>,
        lenient: bool,
    ) -> Result<Template, TextError> {
        let mut out = Vec::new();
        for part in split(text).map_err(TextError::Template)? {
            let reference = match part {
                Part::Text(text) => {
                    out.push(Piece::Text(text));
                    continue;
                }
                Part::Reference(reference) => reference,
            };
            for piece in parse_with(reference, properties).map_err(TextError::Template)?.0 {
                out.push(self.resolve(piece, lenient)?);
            }
        }
        Ok(Template(joined(out)))
    }

    fn resolve(&self, piece: Piece, lenient: bool) -> Result<Piece, TextError> {
        let Piece::Variable(name) = &piece else { return Ok(piece) };
        if let Some(text) = self.fixed.get(name) {
            return Ok(Piece::Text(text.clone()));
        }
        if self.initial.contains_key(name) || self.set_later.contains(name) {
            return Ok(piece);
        }
        if lenient {
            return Ok(Piece::Text(format!("${{{name}}}")));
        }
        Err(TextError::Undefined(name.clone()))
    }
}

/// The text of a template that does not depend on the run.
pub(super) fn fixed_text(template: &Template) -> Option<String> {
    match template.0.as_slice() {
        [] => Some(String::new()),
        [Piece::Text(text)] => Some(text.clone()),
        _ => None,
    }
}

/// A label for reports: variables stay as they are written.
pub(super) fn label(template: &Template) -> Option<String> {
    let parts = template.0.iter().map(|piece| match piece {
        Piece::Text(text) => Some(text.clone()),
        Piece::Variable(name) => Some(format!("${{{name}}}")),
        _ => None,
    });
    parts.collect()
}

/// Neighbouring texts as one, empty ones gone.
pub(super) fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match (out.last_mut(), piece) {
            (_, Piece::Text(text)) if text.is_empty() => {}
            (Some(Piece::Text(last)), Piece::Text(text)) => last.push_str(&text),
            (_, piece) => out.push(piece),
        }
    }
    out
}

fn texts(text: String) -> Vec<Piece> {
    joined(vec![Piece::Text(text)])
}

#[derive(PartialEq, Eq, Debug)]
enum Part<'a> {
    Text(String),
    /// With its `${` and `}`.
    Reference(&'a str),
}

/// JMeter takes `\\`, `\$` and `\,` for the character after the backslash, but only in texts that
/// have a reference in them.
fn split(text: &str) -> Result<Vec<Part<'_>>, TemplateError> {
    let (mut out, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find(['\\', '$']) {
        literal.push_str(&rest[..at]);
        rest = &rest[at..];
        let mut chars = rest.chars();
        match (chars.next(), chars.next()) {
            (Some('\\'), Some(escaped @ ('\\' | '$' | ','))) => {
                literal.push(escaped);
                rest = &rest[2..];
            }
            (Some('$'), Some('{')) => {
                let Some(end) = closing(rest) else {
                    let reference = rest.chars().take(SHOWN_CHARS).collect();
                    return Err(TemplateError::Unterminated { reference });
                };
                out.push(Part::Text(std::mem::take(&mut literal)));
                out.push(Part::Reference(&rest[..=end]));
                rest = &rest[end + 1..];
            }
            (first, _) => {
                literal.extend(first);
                rest = &rest[1..];
            }
        }
    }
    literal.push_str(rest);
    if out.is_empty() {
        return Ok(vec![Part::Text(text.to_owned())]);
    }
    out.push(Part::Text(literal));
    Ok(out)
}

/// Where the reference that `text` begins with ends: the place of its brace.
pub(super) fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut dollar) = (0_usize, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if dollar => depth += 1,
            b'}' if depth == 1 => return Some(at),
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        dollar = byte == b'$';
    }
    None
}

const SHOWN_CHARS: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_escapes() {
        let mut variables = Variables::default();
        variables.will_be_set("later");
        variables.define("a", Template(texts("1".into())));
        variables.define("later", Template(texts("2".into())));
        let check = |from: &str, want: &[Piece]| {
            let got = variables.template(from, &Properties::none(), false);
            assert_eq!(got.expect(from).0, want, "{from}");
        };
        let text = |text: &str| Piece::Text(text.to_owned());
        let later = Piece::Variable("later".to_owned());
        check("", &[]);
        check(r"a\\b\,\$", &[text(r"a\\b\,\$")]);
        check(r"\${a}", &[text(r"\${a}")]);
        check(r"\${x}${a}\,\\\n", &[text(r"${x}1,\\n")]);
        check(r"\\${a}", &[text(r"\1")]);
        check("x${a}y${later}z", &[text("x1y"), later.clone(), text("z")]);
        check("${__P(p,${__P(q,é)})}${later}", &[text("é"), later]);
    }

    #[test]
    fn what_nothing_sets() {
        let variables = Variables::default();
        let none = Properties::none();
        let strict = variables.template("${x}", &none, false);
        assert!(matches!(strict, Err(TextError::Undefined(name)) if name == "x"));
        let lenient = variables.template("a${x}", &none, true).unwrap();
        assert_eq!(fixed_text(&lenient), Some("a${x}".to_owned()));
        assert!(matches!(variables.template("a${x", &none, true), Err(TextError::Template(_))));
    }
}
