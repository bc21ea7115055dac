//! Plans as small pieces of XML, and what is read from them.

mod elements;
mod mistakes;
mod plans;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::read;
use crate::plan::{Load, Piece, Plan, PlanError, PlanFormat, PlanSource, Sampler, Step};

/// A plan with one thread group, and `elements` in it beside nothing else.
fn in_group(elements: &str) -> String {
    in_plan(&element("ThreadGroup", "Users", &group_properties("1", ""), elements))
}

fn in_plan(elements: &str) -> String {
    let plan = element("TestPlan", "Test Plan", "", elements);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <jmeterTestPlan version=\"1.2\" properties=\"5.0\" jmeter=\"5.5\"><hashTree>\n{plan}\
         </hashTree></jmeterTestPlan>"
    )
}

fn element(class: &str, name: &str, properties: &str, below: &str) -> String {
    format!(
        "<{class} guiclass=\"{class}Gui\" testclass=\"{class}\" testname=\"{name}\" \
         enabled=\"true\">{properties}</{class}>\n<hashTree>{below}</hashTree>\n"
    )
}

/// Pairs of names and values, the values as they stand in XML.
fn properties(pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(String::new(), |mut out, (name, value)| {
        let _ = write!(out, "<stringProp name=\"{name}\">{value}</stringProp>");
        out
    })
}

fn group_properties(threads: &str, more: &str) -> String {
    format!(
        "{}<elementProp name=\"ThreadGroup.main_controller\" elementType=\"LoopController\">\
         <boolProp name=\"LoopController.continue_forever\">false</boolProp>\
         <stringProp name=\"LoopController.loops\">3</stringProp></elementProp>{more}",
        properties(&[("ThreadGroup.num_threads", threads), ("ThreadGroup.ramp_time", "10")])
    )
}

/// A request for a path, with further properties and elements.
fn sampler(path: &str, more: &str, below: &str) -> String {
    let server =
        [("HTTPSampler.domain", "h"), ("HTTPSampler.port", "1"), ("HTTPSampler.path", path)];
    element("HTTPSamplerProxy", "S", &format!("{}{more}", properties(&server)), below)
}

/// `name`, `value`, encode.
fn arguments(arguments: &[(&str, &str, bool)]) -> String {
    let entries: String = arguments
        .iter()
        .map(|(name, value, encode)| {
            let texts = properties(&[("Argument.name", name), ("Argument.value", value)]);
            format!(
                "<elementProp name=\"{name}\" elementType=\"HTTPArgument\">{texts}\
                 <boolProp name=\"HTTPArgument.always_encode\">{encode}</boolProp></elementProp>"
            )
        })
        .collect();
    format!(
        "<elementProp name=\"HTTPsampler.Arguments\" elementType=\"Arguments\">\
         <collectionProp name=\"Arguments.arguments\">{entries}</collectionProp></elementProp>"
    )
}

fn variables(pairs: &[(&str, &str)]) -> String {
    let entries: String = pairs
        .iter()
        .map(|(name, value)| {
            let texts = properties(&[("Argument.name", name), ("Argument.value", value)]);
            format!("<elementProp name=\"{name}\" elementType=\"Argument\">{texts}</elementProp>")
        })
        .collect();
    let list = format!("<collectionProp name=\"Arguments.arguments\">{entries}</collectionProp>");
    element("Arguments", "Variables", &list, "")
}

fn header(name: &str, value: &str) -> String {
    let texts = properties(&[("Header.name", name), ("Header.value", value)]);
    let list = format!(
        "<collectionProp name=\"HeaderManager.headers\"><elementProp name=\"\" \
         elementType=\"Header\">{texts}</elementProp></collectionProp>"
    );
    element("HeaderManager", "Headers", &list, "")
}

fn source(text: &str) -> PlanSource {
    PlanSource {
        file: "p.jmx".into(),
        format: PlanFormat::Jmx,
        text: text.to_owned(),
        properties: BTreeMap::new(),
        data: BTreeMap::new(),
        skip_unknown: false,
    }
}

fn plan(text: &str) -> Plan {
    notes(text).0
}

fn notes(text: &str) -> (Plan, Vec<String>) {
    read(&source(text)).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn error(text: &str) -> PlanError {
    match read(&source(text)) {
        Err(error) => error,
        Ok((plan, notes)) => panic!("{plan:?}\n{notes:?}\n{text}"),
    }
}

/// The steps of the first group.
fn steps(text: &str) -> Vec<Step> {
    plan(text).groups.remove(0).steps
}

/// The only sampler of a group that has `elements`.
fn only(elements: &str) -> Sampler {
    let mut found = samplers(&steps(&in_group(elements)));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn samplers(steps: &[Step]) -> Vec<Sampler> {
    let below = |step: &Step| match step {
        Step::Sample(sampler) => vec![(**sampler).clone()],
        Step::Pause(_) => Vec::new(),
        Step::Loop { steps, .. } | Step::If { steps, .. } | Step::Transaction { steps, .. } => {
            samplers(steps)
        }
    };
    steps.iter().flat_map(below).collect()
}

/// A template as it would be written.
fn written(template: &crate::plan::Template) -> String {
    let parts = template.0.iter().map(|piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Variable(name) => format!("${{{name}}}"),
        piece => format!("${{{piece:?}}}"),
    });
    parts.collect()
}

/// Threads as `users@seconds` and loops.
fn load(plan: &Plan, group: usize) -> String {
    let Load::Closed { stages, iterations } = &plan.groups[group].load else {
        panic!("open: {plan:?}")
    };
    let stages = stages.iter().map(|stage| match stage.duration.as_secs() {
        604_800 => format!("{}@end ", stage.users),
        seconds => format!("{}@{seconds} ", stage.users),
    });
    format!("{}{iterations:?}", stages.collect::<String>())
}
