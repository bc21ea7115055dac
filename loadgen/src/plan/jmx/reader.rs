//! What reading one plan knows: its properties and variables, and what was refused so far.
//!
//! Invariants: an element is refused once, however many samplers it applies to; a refusal is a
//! [`Fault`] where it is found and becomes an error or a note in one place, [`Reader::accept`] and
//! [`Reader::finish`].

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use super::LEFT_OUT;
use super::classes::Known;
use super::text::{TextError, Variables, fixed_text, label};
use super::tree::Element;
use crate::plan::properties::Properties;
use crate::plan::template::TemplateError;
use crate::plan::{Place, Plan, PlanError, PlanSource, Template};

/// See the module.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    source: &'a PlanSource,
    properties: Properties<'a>,
    pub(super) variables: Variables,
    refused: Vec<String>,
    notes: Vec<String>,
    target: Option<String>,
    timeout: Option<Duration>,
}

/// Why an element cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// It means something that is not supported: in words, without its path.
    Unsupported(String),
    /// It is not right in itself.
    Wrong(Box<PlanError>),
}

impl From<PlanError> for Fault {
    fn from(error: PlanError) -> Fault {
        Fault::Wrong(Box::new(error))
    }
}

/// Shorthand for a refusal.
pub(super) fn unsupported<T>(reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Unsupported(reason.into()))
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        source: &'a PlanSource,
        properties: Properties<'a>,
        classes: Known,
    ) -> Reader<'a> {
        let Known { unknown, notes } = classes;
        let variables = Variables::default();
        Reader {
            source,
            properties,
            variables,
            refused: unknown,
            notes,
            target: None,
            timeout: None,
        }
    }

    /// Turns a refusal into an entry of the list.
    pub(super) fn accept<T>(
        &mut self,
        element: &Element<'_>,
        result: Result<T, Fault>,
    ) -> Result<Option<T>, PlanError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Fault::Wrong(error)) => Err(*error),
            Err(Fault::Unsupported(reason)) => {
                self.refuse(format!("{}: {reason}", element.path()));
                Ok(None)
            }
        }
    }

    /// Puts something on the list of what is not supported.
    pub(super) fn refuse(&mut self, what: String) {
        if !self.refused.contains(&what) {
            self.refused.push(what);
        }
    }

    /// Whether anything is on that list.
    pub(super) fn refuses_anything(&self) -> bool {
        !self.refused.is_empty() && !self.source.skip_unknown
    }

    /// Says something about an element that is read.
    pub(super) fn note(&mut self, element: &Element<'_>, note: &str) {
        self.note_text(format!("{}: {note}", element.path()));
    }

    /// Says something.
    pub(super) fn note_text(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// A place in the plan, for errors.
    pub(super) fn place(&self, element: &Element<'_>, property: Option<&str>) -> Place {
        let path = element.path();
        let name = property.map_or_else(|| path.clone(), |property| format!("{path}: {property}"));
        Place::new(&self.source.file, Some(element.line), name)
    }

    /// A property's value cannot be.
    pub(super) fn wrong(
        &self,
        element: &Element<'_>,
        property: &str,
        value: &str,
        expected: impl Into<String>,
    ) -> Fault {
        let place = self.place(element, Some(property));
        let value = format!("{value:?}");
        Fault::from(PlanError::Value { place, value, expected: expected.into() })
    }

    /// A text with references.
    pub(super) fn template(
        &self,
        element: &Element<'_>,
        property: &str,
        text: &str,
    ) -> Result<Template, Fault> {
        let lenient = self.source.skip_unknown;
        let place = || self.place(element, Some(property));
        self.variables.template(text, &self.properties, lenient).map_err(|error| match error {
            TextError::Template(
                error @ (TemplateError::Function { .. } | TemplateError::Arguments { .. }),
            ) => Fault::Unsupported(error.to_string()),
            TextError::Template(error) => {
                PlanError::Template { place: place(), source: error }.into()
            }
            TextError::Undefined(name) => {
                let (what, known) = ("variable", self.variables.known());
                PlanError::Undefined { place: place(), what, name, known }.into()
            }
        })
    }

    /// A text that must be known before the run. Empty if there is no such property.
    pub(super) fn fixed(&self, element: &Element<'_>, property: &str) -> Result<String, Fault> {
        let text = element.text(property).unwrap_or_default();
        self.fixed_of(element, property, &text)
    }

    /// The same of a text that is in a collection.
    pub(super) fn fixed_of(
        &self,
        element: &Element<'_>,
        property: &str,
        text: &str,
    ) -> Result<String, Fault> {
        let template = self.template(element, property, text)?;
        fixed_text(&template).ok_or_else(|| {
            let expected = "a value that is known before the run: text, user defined variables and \
                            ${__P(name,default)}";
            self.wrong(element, property, text, expected)
        })
    }

    /// A number that must be known before the run; `None` if nothing stands there.
    pub(super) fn number<T: FromStr>(
        &self,
        element: &Element<'_>,
        property: &str,
        expected: &str,
    ) -> Result<Option<T>, Fault> {
        let text = self.fixed(element, property)?;
        self.parsed(element, property, &text, expected)
    }

    /// The same of a text that was read already.
    pub(super) fn parsed<T: FromStr>(
        &self,
        element: &Element<'_>,
        property: &str,
        text: &str,
        expected: &str,
    ) -> Result<Option<T>, Fault> {
        match text.trim() {
            "" => Ok(None),
            number => match number.parse() {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(self.wrong(element, property, text, expected)),
            },
        }
    }

    /// An element's name for reports.
    pub(super) fn label(&self, element: &Element<'_>) -> Result<String, Fault> {
        let template = self.template(element, "testname", element.name)?;
        Ok(label(&template).unwrap_or_else(|| element.name.to_owned()))
    }

    /// Contents of a data file.
    pub(super) fn data(&self, name: &str) -> Option<&'a str> {
        self.source.data.get(name).map(String::as_str)
    }

    /// Where a request goes: all go to one server, which is the plan's target.
    pub(super) fn uses_origin(&mut self, origin: &str) -> Result<(), Fault> {
        let target = self.target.get_or_insert_with(|| origin.to_owned());
        if target == origin {
            return Ok(());
        }
        unsupported(format!("a second server, {origin}; earlier requests go to {target}"))
    }

    /// What a request asks for as its limit; the plan has one, so it is the longest.
    pub(super) fn uses_timeout(&mut self, timeout: Duration) {
        self.timeout = self.timeout.max(Some(timeout));
    }

    pub(super) fn target(&self) -> String {
        self.target.clone().unwrap_or_default()
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }

    pub(super) fn take_initial_variables(&mut self) -> BTreeMap<String, Template> {
        std::mem::take(&mut self.variables).into_initial()
    }

    /// All elements that are refused are one error; otherwise they are notes.
    pub(super) fn finish(mut self, plan: Plan) -> Result<(Plan, Vec<String>), PlanError> {
        if self.refuses_anything() {
            let (file, elements) = (self.source.file.clone(), self.refused);
            return Err(PlanError::Unsupported { file, elements });
        }
        let asked_for = self.properties.asked_for();
        for name in self.source.properties.keys().filter(|name| !asked_for.contains(*name)) {
            // JMeter's own settings have dots in their names.
            if !name.contains('.') {
                let (file, known) = (self.source.file.clone(), asked_for.into_iter().collect());
                return Err(PlanError::UnusedProperty { file, name: name.clone(), known });
            }
            self.notes.push(format!("-J {name}: the plan does not use this property"));
        }
        let left_out = self.refused.into_iter().map(|what| format!("{LEFT_OUT}{what}"));
        Ok((plan, left_out.chain(self.notes).collect()))
    }
}

/// JMeter waits for ever by default.
const TIMEOUT: Duration = Duration::from_secs(60);
