//! Which elements are known, and what is said of the others.

use super::tree::{Classes, Element, Role};

/// Sorts elements by their class and remembers those that it left out.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Paths of elements that mean something to JMeter and nothing here.
    pub(super) unknown: Vec<String>,
    /// Sentences about elements that change nothing.
    pub(super) notes: Vec<String>,
}

impl Classes for Known {
    fn role(&mut self, element: &Element<'_>) -> Role {
        match element.class {
            // Others that have this class configure other protocols.
            "ConfigTestElement" if !element.gui().ends_with("HttpDefaultsGui") => {}
            "TestPlan" => return Role::Runs,
            class if RUN.contains(&class) => return Role::Runs,
            class if APPLY.contains(&class) => return Role::Applies,
            "ResultCollector" => {
                self.notes.extend(collector_note(element));
                return Role::Out;
            }
            class if NO_PART_OF_A_RUN.contains(&class) => return Role::Out,
            _ => {}
        }
        self.unknown.push(element.path());
        Role::Out
    }
}

/// Listeners keep results in a file or only show them; the results of a run go elsewhere here.
fn collector_note(element: &Element<'_>) -> Option<String> {
    let file = element.text("filename").filter(|file| !file.trim().is_empty())?;
    let path = element.path();
    Some(format!("{path}: its file {file} is not written; -l FILE writes the same columns"))
}

const RUN: [&str; 7] = [
    "ThreadGroup",
    "HTTPSamplerProxy",
    "LoopController",
    "IfController",
    "TransactionController",
    "GenericController",
    "RecordingController",
];

const APPLY: [&str; 16] = [
    "Arguments",
    "ConfigTestElement",
    "HeaderManager",
    "CSVDataSet",
    "ConstantTimer",
    "UniformRandomTimer",
    "GaussianRandomTimer",
    "PoissonRandomTimer",
    "ConstantThroughputTimer",
    "PreciseThroughputTimer",
    "ResponseAssertion",
    "DurationAssertion",
    "SizeAssertion",
    "JSONPathAssertion",
    "JSONPostProcessor",
    "RegexExtractor",
];

/// What only JMeter's window uses, and the summary that it prints by itself.
const NO_PART_OF_A_RUN: [&str; 4] =
    ["WorkBench", "ProxyControl", "HttpMirrorControl", "Summariser"];
