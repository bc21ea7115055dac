//! Checks of texts, with their patterns prepared.

use std::borrow::Cow;

use memchr::memmem::Finder;
use regex::{Regex, RegexBuilder};

use super::answer::Answer;
use super::names::Names;
use super::template::{Compiled, Context, compile, render};
use crate::plan::{Pattern, TextCheck, TextMatch};

/// A check of a text.
#[derive(Clone, Debug)]
pub(super) struct CompiledText {
    any_of: Vec<Matcher>,
    not: bool,
}

/// What a text is compared with.
#[derive(Clone, Debug)]
enum Matcher {
    Is(Compiled),
    /// The same text every time, its search prepared.
    HasConstant(Box<Finder<'static>>),
    Has(Compiled),
    Finds(Regex),
    /// The whole text: what was written, and what is run.
    Matches {
        written: Regex,
        whole: Option<Regex>,
    },
}

/// A text that is checked.
#[derive(Clone, Copy)]
pub(super) enum Checked<'a, 'b> {
    /// A field's value.
    Value(&'a str),
    /// A body, taken as UTF-8 only if a regular expression asks.
    Body(&'a Answer<'b>),
}

impl<'a> Checked<'a, '_> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Checked::Value(text) => text.as_bytes(),
            Checked::Body(answer) => answer.body(),
        }
    }

    fn text(self) -> &'a str {
        match self {
            Checked::Value(text) => text,
            Checked::Body(answer) => answer.text(),
        }
    }
}

impl CompiledText {
    pub(super) fn new(check: &TextCheck, names: &mut Names) -> CompiledText {
        let matcher = |pattern: &Pattern| match (pattern, check.how) {
            (Pattern::Text(text), TextMatch::Equals | TextMatch::Matches) => {
                Matcher::Is(compile(text, names))
            }
            (Pattern::Text(text), TextMatch::Contains | TextMatch::Find) => {
                let text = compile(text, names);
                match text.constant() {
                    Some(text) => Matcher::HasConstant(Box::new(Finder::new(text).into_owned())),
                    None => Matcher::Has(text),
                }
            }
            (Pattern::Regex(regex), TextMatch::Contains | TextMatch::Find) => {
                Matcher::Finds(regex.clone())
            }
            (Pattern::Regex(regex), TextMatch::Equals | TextMatch::Matches) => {
                Matcher::Matches { written: regex.clone(), whole: anchored(regex) }
            }
        };
        CompiledText { any_of: check.any_of.iter().map(matcher).collect(), not: check.not }
    }

    /// Whether one of `texts` is as it should be; without a text, only the opposite can hold.
    pub(super) fn holds<'a, 'b: 'a>(
        &self,
        texts: impl IntoIterator<Item = Checked<'a, 'b>>,
        context: &mut Context<'_>,
    ) -> bool {
        let mut texts = texts.into_iter();
        let one = texts.any(|text| self.any_of.iter().any(|matcher| matcher.holds(text, context)));
        one != self.not
    }

    /// What was asked for, for a message: `does not contain "a" or "b"`.
    pub(super) fn unmet(&self, context: &mut Context<'_>) -> String {
        let mut patterns = self.any_of.iter().map(|matcher| matcher.describe(context));
        let first = patterns.next().unwrap_or_default();
        let all = patterns.fold(first, |all, next| all + " or " + &next);
        let verb = match (self.any_of.first(), self.not) {
            (Some(Matcher::Is(_)), false) => "is not",
            (Some(Matcher::Is(_)), true) => "is",
            (Some(Matcher::HasConstant(_) | Matcher::Has(_)), false) => "does not contain",
            (Some(Matcher::HasConstant(_) | Matcher::Has(_)), true) => "contains",
            (_, false) => "does not match",
            (_, true) => "matches",
        };
        format!("{verb} {all}")
    }
}

impl Matcher {
    fn holds(&self, checked: Checked<'_, '_>, context: &mut Context<'_>) -> bool {
        match self {
            Matcher::Is(wanted) => *rendered(wanted, context) == *checked.bytes(),
            Matcher::HasConstant(finder) => finder.find(checked.bytes()).is_some(),
            Matcher::Has(wanted) => {
                memchr::memmem::find(checked.bytes(), &rendered(wanted, context)).is_some()
            }
            Matcher::Finds(regex) => regex.is_match(checked.text()),
            Matcher::Matches { whole: Some(regex), .. } => regex.is_match(checked.text()),
            Matcher::Matches { written, whole: None } => {
                let text = checked.text();
                written.find(text).is_some_and(|found| found.as_str() == text)
            }
        }
    }

    fn describe(&self, context: &mut Context<'_>) -> String {
        match self {
            Matcher::Is(wanted) | Matcher::Has(wanted) => quoted(&rendered(wanted, context)),
            Matcher::HasConstant(finder) => quoted(finder.needle()),
            Matcher::Finds(regex) => format!("/{}/", regex.as_str()),
            Matcher::Matches { written, .. } => format!("/{}/ as a whole", written.as_str()),
        }
    }
}

/// The text of a template, without a copy where it lies somewhere already.
pub(super) fn rendered<'a>(wanted: &'a Compiled, context: &'a mut Context<'_>) -> Cow<'a, [u8]> {
    if wanted.borrowed(context.variables).is_none() {
        let mut out = Vec::new();
        render(wanted, context, &mut out);
        return Cow::Owned(out);
    }
    Cow::Borrowed(wanted.borrowed(context.variables).unwrap_or_default())
}

/// The beginning of a text as a message shows it, on one line.
pub(super) fn quoted(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(4 * SHOWN_CHARS)]);
    let cut = text.chars().nth(SHOWN_CHARS).is_some();
    let shown: String = text.chars().take(SHOWN_CHARS).collect();
    format!("{shown:?}{}", if cut { "…" } else { "" })
}

/// The expression for the whole text. Flags must be inside the expression, since those of a
/// builder cannot be asked for. `None`: what it takes to say so is too large.
fn anchored(regex: &Regex) -> Option<Regex> {
    let whole = format!(r"\A(?:{})\z", regex.as_str());
    RegexBuilder::new(&whole).size_limit(REGEX_BYTES).build().ok()
}

/// Characters of a text in a message.
const SHOWN_CHARS: usize = 100;
/// Of a compiled expression.
const REGEX_BYTES: usize = 10 << 20;
