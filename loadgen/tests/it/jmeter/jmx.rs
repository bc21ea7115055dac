//! JMX plans from small pieces.

use std::fmt::Write as _;

/// Properties of an element: names and values. What looks like a truth value or a number is one in
/// the file, too.
pub(crate) type Properties<'a> = &'a [(&'a str, &'a str)];

/// A whole plan with user defined variables.
pub(crate) fn plan(variables: Properties<'_>, below: &[String]) -> String {
    let variables = format!(
        "<elementProp name=\"TestPlan.user_defined_variables\" elementType=\"Arguments\">{}\
         </elementProp>",
        entries("Arguments.arguments", "Argument", variables)
    );
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <jmeterTestPlan version=\"1.2\" properties=\"5.0\" jmeter=\"5.5\"><hashTree>\n{}\
         </hashTree></jmeterTestPlan>\n",
        raw("TestPlan", "TestPlanGui", "Plan", &variables, below)
    )
}

/// An element with what is below it.
pub(crate) fn element(
    class: &str,
    name: &str,
    properties: Properties<'_>,
    below: &[String],
) -> String {
    raw(class, &format!("{class}Gui"), name, &written(properties), below)
}

/// The server of all requests, and what else they share.
pub(crate) fn defaults(port: &str, parameters: Properties<'_>) -> String {
    let server = [
        ("HTTPSampler.domain", "127.0.0.1"),
        ("HTTPSampler.port", port),
        ("HTTPSampler.protocol", "http"),
        ("HTTPSampler.contentEncoding", "UTF-8"),
        ("HTTPSampler.response_timeout", "30000"),
    ];
    let properties = written(&server) + &arguments(parameters, true);
    raw("ConfigTestElement", "HttpDefaultsGui", "Defaults", &properties, &[])
}

/// A thread group without a scheduler.
pub(crate) fn group(name: &str, threads: &str, loops: &str, below: &[String]) -> String {
    group_with(name, threads, loops, &[], below)
}

/// The same with further properties, which go before the usual ones.
pub(crate) fn group_with(
    name: &str,
    threads: &str,
    loops: &str,
    more: Properties<'_>,
    below: &[String],
) -> String {
    let usual = [
        ("ThreadGroup.num_threads", threads),
        ("ThreadGroup.ramp_time", "0"),
        ("ThreadGroup.scheduler", "false"),
        ("ThreadGroup.on_sample_error", "continue"),
        ("ThreadGroup.same_user_on_next_iteration", "true"),
    ];
    let is_given = |name: &str| more.iter().any(|(given, _)| *given == name);
    let mut all = more.to_vec();
    all.extend(usual.iter().filter(|(name, _)| !is_given(name)));
    let properties = format!(
        "{}<elementProp name=\"ThreadGroup.main_controller\" elementType=\"LoopController\">{}\
         </elementProp>",
        written(&all),
        written(&[("LoopController.continue_forever", "false"), ("LoopController.loops", loops)])
    );
    raw("ThreadGroup", "ThreadGroupGui", name, &properties, below)
}

/// A request that sends a text, or nothing.
pub(crate) fn request(
    name: &str,
    method: &str,
    path: &str,
    body: Option<&str>,
    below: &[String],
) -> String {
    let body = body.map(|body| {
        written(&[("HTTPSampler.postBodyRaw", "true")]) + &arguments(&[("", body)], false)
    });
    sampler(name, method, path, &body.unwrap_or_else(|| arguments(&[], false)), below)
}

/// `GET path`.
pub(crate) fn get(name: &str, path: &str, below: &[String]) -> String {
    request(name, "GET", path, None, below)
}

/// A request with parameters, encoded or as they are.
pub(crate) fn form(
    name: &str,
    method: &str,
    path: &str,
    parameters: Properties<'_>,
    encode: bool,
) -> String {
    sampler(name, method, path, &arguments(parameters, encode), &[])
}

fn sampler(name: &str, method: &str, path: &str, more: &str, below: &[String]) -> String {
    let usual = written(&[
        ("HTTPSampler.path", path),
        ("HTTPSampler.method", method),
        ("HTTPSampler.follow_redirects", "false"),
        ("HTTPSampler.auto_redirects", "false"),
        ("HTTPSampler.use_keepalive", "true"),
    ]);
    raw("HTTPSamplerProxy", "HttpTestSampleGui", name, &(usual + more), below)
}

/// An element that is there and does nothing.
pub(crate) fn switched_off(element: &str) -> String {
    element.replacen("enabled=\"true\"", "enabled=\"false\"", 1)
}

/// Header fields.
pub(crate) fn headers(fields: Properties<'_>) -> String {
    let fields = entries("HeaderManager.headers", "Header", fields);
    raw("HeaderManager", "HeaderPanel", "Headers", &fields, &[])
}

/// A Response Assertion: `field` as JMeter calls it, `how` its number.
pub(crate) fn response(field: &str, how: &str, patterns: &[&str]) -> String {
    response_with(field, how, patterns, "false")
}

/// The same, and nothing else decides about the status.
pub(crate) fn response_whatever(field: &str, how: &str, patterns: &[&str]) -> String {
    response_with(field, how, patterns, "true")
}

fn response_with(field: &str, how: &str, patterns: &[&str], whatever: &str) -> String {
    let mut texts = String::new();
    for (number, pattern) in patterns.iter().enumerate() {
        let pattern = escaped(pattern);
        let _ = write!(texts, "<stringProp name=\"{number}\">{pattern}</stringProp>");
    }
    let properties = format!(
        "<collectionProp name=\"Asserion.test_strings\">{texts}</collectionProp>{}",
        written(&[
            ("Assertion.test_field", &format!("Assertion.{field}")),
            ("Assertion.assume_success", whatever),
            ("Assertion.test_type", how),
        ])
    );
    raw("ResponseAssertion", "AssertionGui", "Response", &properties, &[])
}

/// A JSON Assertion. `expected`: the value, if one is compared.
pub(crate) fn json(path: &str, expected: Option<&str>, more: Properties<'_>) -> String {
    let compares = if expected.is_some() { "true" } else { "false" };
    let is_given = |name: &str| more.iter().any(|(given, _)| *given == name);
    let usual = [
        ("JSON_PATH", path),
        ("EXPECTED_VALUE", expected.unwrap_or_default()),
        ("JSONVALIDATION", compares),
        ("EXPECT_NULL", "false"),
        ("INVERT", "false"),
        ("ISREGEX", "false"),
    ];
    let mut all = more.to_vec();
    all.extend(usual.iter().filter(|(name, _)| !is_given(name)));
    element("JSONPathAssertion", "JSON", &all, &[])
}

fn arguments(arguments: Properties<'_>, encode: bool) -> String {
    let mut texts = String::new();
    for (name, value) in arguments {
        let (name, value) = (escaped(name), escaped(value));
        let _ = write!(
            texts,
            "<elementProp name=\"{name}\" elementType=\"HTTPArgument\">\
             <boolProp name=\"HTTPArgument.always_encode\">{encode}</boolProp>\
             <stringProp name=\"Argument.name\">{name}</stringProp>\
             <stringProp name=\"Argument.value\">{value}</stringProp>\
             <stringProp name=\"Argument.metadata\">=</stringProp>\
             <boolProp name=\"HTTPArgument.use_equals\">true</boolProp></elementProp>"
        );
    }
    format!(
        "<elementProp name=\"HTTPsampler.Arguments\" elementType=\"Arguments\">\
         <collectionProp name=\"Arguments.arguments\">{texts}</collectionProp></elementProp>"
    )
}

/// A collection of names and values, of one kind.
fn entries(collection: &str, kind: &str, pairs: Properties<'_>) -> String {
    let mut texts = String::new();
    for (name, value) in pairs {
        let (name, value) = (escaped(name), escaped(value));
        let _ = write!(
            texts,
            "<elementProp name=\"{name}\" elementType=\"{kind}\">\
             <stringProp name=\"{kind}.name\">{name}</stringProp>\
             <stringProp name=\"{kind}.value\">{value}</stringProp></elementProp>"
        );
    }
    format!("<collectionProp name=\"{collection}\">{texts}</collectionProp>")
}

fn written(properties: Properties<'_>) -> String {
    let mut out = String::new();
    for (name, value) in properties {
        let kind = match *value {
            "true" | "false" => "boolProp",
            value if value.parse::<i32>().is_ok() => "intProp",
            _ => "stringProp",
        };
        let _ = write!(out, "<{kind} name=\"{name}\">{}</{kind}>", escaped(value));
    }
    out
}

fn raw(class: &str, gui: &str, name: &str, properties: &str, below: &[String]) -> String {
    let name = escaped(name);
    format!(
        "<{class} guiclass=\"{gui}\" testclass=\"{class}\" testname=\"{name}\" enabled=\"true\">\
         {properties}</{class}>\n<hashTree>{}</hashTree>\n",
        below.concat()
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
