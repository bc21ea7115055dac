//! What is refused, and in which words.

use proptest::prelude::*;

use super::*;

/// The message, from the path on.
fn message(text: &str) -> String {
    error(text).to_string()
}

#[test]
fn files_that_are_no_plan() {
    let check = |text: &str, want: &str| {
        let got = message(text);
        assert!(got.contains(want), "{got}");
    };
    check("", "p.jmx");
    check("<a>\n</b>", "p.jmx:2: ");
    check("<a/>", "p.jmx:1: expected a JMeter test plan, whose root is <jmeterTestPlan>");
    check("<jmeterTestPlan/>", "expected a <hashTree>");
    check("<jmeterTestPlan>\n<hashTree/></jmeterTestPlan>", "p.jmx:2: expected a <TestPlan>");
    check("<!DOCTYPE a [<!ENTITY b \"c\">]><jmeterTestPlan/>", "p.jmx:1");
    check(&in_plan(""), "Test Plan (TestPlan) is missing: expected at least one ThreadGroup");
    check(&in_group(""), "expected at least one ThreadGroup with an HTTP Request");
    let deep =
        (0..100).fold(String::new(), |below, _| element("GenericController", "G", "", &below));
    check(&in_group(&deep), "elements are nested more than 64 deep");
}

#[test]
fn everything_that_is_not_known_is_named_at_once() {
    let ftp = element("ConfigTestElement", "FTP", "", "");
    let elements = [
        sampler("/", "", &element("JSR223PostProcessor", "Script", "", "")),
        element("JSR223Sampler", "My Sampler", "", &sampler("/never", "", "")),
        ftp,
        sampler(
            "/",
            "",
            &element(
                "RegexExtractor",
                "R",
                &properties(&[
                    ("RegexExtractor.refname", "r"),
                    ("RegexExtractor.regex", "(a)"),
                    ("RegexExtractor.template", "$1$"),
                ]),
                "",
            ),
        ),
    ];
    let text = in_group(&elements.concat());
    assert_eq!(
        message(&text),
        "p.jmx: not supported: \
         Test Plan > Users > S > Script (JSR223PostProcessor); \
         Test Plan > Users > My Sampler (JSR223Sampler); \
         Test Plan > Users > FTP (ConfigTestElement); \
         Test Plan > Users > S > R (RegexExtractor): a match by chance (0 or nothing); write 1 for \
         the first; --skip-unknown leaves out what is not supported"
    );
    let (plan, notes) = read(&PlanSource { skip_unknown: true, ..source(&text) }).expect("a plan");
    assert_eq!(samplers(&plan.groups[0].steps).len(), 2);
    assert_eq!(notes.len(), 4);
    assert_eq!(notes[1], "left out: Test Plan > Users > My Sampler (JSR223Sampler)");
}

#[test]
fn what_is_not_supported() {
    let check = |elements: &str, want: &str| {
        let text = in_group(&format!("{}{elements}", variables(&[("late", "${__UUID}")])));
        match error(&text) {
            PlanError::Unsupported { elements, .. } => {
                assert!(elements.iter().any(|one| one.ends_with(want)), "{elements:?}");
            }
            other => panic!("{other}"),
        }
    };
    let with = |pairs: &[(&str, &str)]| sampler("/", &properties(pairs), "");
    check(&with(&[("HTTPSampler.protocol", "https")]), "S (HTTPSamplerProxy): https");
    check(&sampler("HTTPS://h/", "", ""), ": https");
    let other = sampler("http://other/", "", "");
    check(&format!("{}{other}", sampler("/", "", "")), "earlier requests go to http://h:1");
    check(&with(&[("HTTPSampler.DO_MULTIPART_POST", "true")]), ": multipart bodies");
    check(&with(&[("HTTPSampler.image_parser", "true")]), ": embedded resources");
    check(&with(&[("HTTPSampler.contentEncoding", "latin1")]), "latin1; bodies are UTF-8");
    check(&sampler("/${__groovy(1)}", "", ""), "__threadNum or __counter");
    let on = |class: &str, pairs: &[(&str, &str)]| {
        sampler("/", "", &element(class, "E", &properties(pairs), ""))
    };
    check(&on("SizeAssertion", &[("SizeAssertion.size", "1")]), "anything but the response body");
    let field = |field| [("Assertion.test_field", field), ("Assertion.test_type", "16")];
    let pattern = "<collectionProp name=\"Asserion.test_strings\"><stringProp>a</stringProp></collectionProp>";
    let response = |field: &[(&str, &str)]| {
        let properties = format!("{}{pattern}", properties(field));
        sampler("/", "", &element("ResponseAssertion", "E", &properties, ""))
    };
    check(&response(&field("Assertion.response_message")), "the field response_message");
    check(&response(&field("Assertion.response_headers")), "not like `Name: value`");
    let children = [("Assertion.scope", "children"), ("Assertion.test_type", "16")];
    check(&response(&children), "sub-samples only");
    let json = [("JSON_PATH", "$.a"), ("EXPECTED_VALUE", "a.*"), ("JSONVALIDATION", "true")];
    check(&on("JSONPathAssertion", &json), "an expected value that is a regular expression");
    check(&sampler("/", "", &header("Host", "x")), "which belongs to the connection");
    let condition = [("IfController.condition", "a && b")];
    let escaped = condition.map(|(name, _)| (name, "a &amp;&amp; b"));
    let below = sampler("/", "", "");
    check(&element("IfController", "I", &properties(&escaped), &below), "== \"open\")}");
    let end = [("filename", "x"), ("recycle", "false"), ("stopThread", "false")];
    check(&element("CSVDataSet", "C", &properties(&end), ""), "recycle or stop the thread there");
    check(
        &element("LoopController", "L", "", &element("CSVDataSet", "C", "", "")),
        "below its thread group",
    );
}

#[test]
fn values_that_cannot_be() {
    let check = |elements: &str, want: &str| {
        let got = message(&in_group(elements));
        assert!(got.contains(want), "{got}");
    };
    let with = |pairs: &[(&str, &str)]| sampler("/", &properties(pairs), "");
    let beside = |element: String| format!("{element}{}", sampler("/", "", ""));
    let on = |class: &str, pairs: &[(&str, &str)]| {
        sampler("/", "", &element(class, "E", &properties(pairs), ""))
    };
    check(
        &on("DurationAssertion", &[("DurationAssertion.duration", "x")]),
        "Test Plan > Users > S > E (DurationAssertion): DurationAssertion.duration = \"x\": expected \
         milliseconds",
    );
    check(&with(&[("HTTPSampler.response_timeout", "-1")]), "= \"-1\": expected milliseconds");
    check(&sampler("/${x}", "", ""), "HTTPSampler.path: there is no variable \"x\"");
    check(&sampler("/${x", "", ""), "has no closing brace");
    check(&sampler("http://${__P(a,)}/", "", ""), "expected the name of a server");
    let nowhere = element("HTTPSamplerProxy", "S", &properties(&[("HTTPSampler.path", "/")]), "");
    check(&nowhere, "HTTPSampler.domain is missing: expected the server's name");
    check(&with(&[("HTTPSampler.method", "A B")]), "expected a method");
    check(&sampler("/", "", &header("a b", "c")), "expected the name of a header field");
    check(&sampler("/", "", &header("a", "b&#10;c")), "expected a value without line breaks");
    check(
        &beside(element("ConstantTimer", "T", &properties(&[("ConstantTimer.delay", "-1")]), "")),
        "milliseconds from 0",
    );
    check(
        &beside(element("ConstantThroughputTimer", "T", "", "")),
        "throughput = \"0\": expected a number greater than 0",
    );
    check(&on("JSONPathAssertion", &[("JSON_PATH", "$[")]), "expected a JSON path as in RFC 9535");
    let csv = properties(&[("filename", "x.csv")]);
    check(&beside(element("CSVDataSet", "C", &csv, "")), "filename = \"x.csv\": expected a file");
    let loops = properties(&[("LoopController.loops", "-2")]);
    check(&element("LoopController", "L", &loops, &sampler("/", "", "")), "or -1 for no end");
    let group = |threads, more: &[(&str, &str)]| {
        let properties = group_properties(threads, &properties(more));
        message(&in_plan(&element("ThreadGroup", "U", &properties, &sampler("/", "", ""))))
    };
    assert!(group("0", &[]).contains("expected 1 to 1000000 threads"));
    assert!(group("${__time}", &[]).contains("a value that is known before the run"));
    assert!(
        group("1", &[("ThreadGroup.scheduler", "true")]).contains("because the scheduler is on")
    );
    assert!(group("1", &[("ThreadGroup.on_sample_error", "x")]).contains("startnextloop"));
}

#[test]
fn more_than_a_plan_may_have() {
    let check = |elements: &str, want: &str| {
        let got = message(&in_group(elements));
        assert!(got.contains(want), "{got}");
    };
    let loops = |below: String| {
        element("LoopController", "L", &properties(&[("LoopController.loops", "2")]), &below)
    };
    let deep = (0..20).fold(sampler("/", "", ""), |below, _| loops(below));
    check(
        &deep,
        "p.jmx: Users: 17 controllers in each other are more than the 16 that are allowed",
    );
    let limit = properties(&[("DurationAssertion.duration", "1")]);
    let many = element("DurationAssertion", "D", &limit, "").repeat(100);
    check(&sampler("/", "", &many), "S: 101 assertions are more than the 100 that are allowed");
    let long = sampler("/", "", "").replace("\"S\"", &format!("\"{}\"", "x".repeat(300)));
    check(&long, "300 bytes of a name are more than");
}

#[test]
fn properties_that_the_plan_does_not_use() {
    let text = in_group(&sampler("/${__P(path,x)}", "", ""));
    let given = |name: &str| {
        let properties = BTreeMap::from([(name.to_owned(), "1".to_owned())]);
        read(&PlanSource { properties, ..source(&text) })
    };
    assert_eq!(given("path").expect("used").1, Vec::<String>::new());
    assert_eq!(given("jmeter.x").expect("JMeter's").1.len(), 1);
    let error = given("pth").expect_err("unused").to_string();
    assert!(error.ends_with("did you mean \"path\"?"), "{error}");
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "(<|>|/|\"|a|hashTree|jmeterTestPlan| |TestPlan){0,60}") {
        let _ = read(&source(&text));
    }

    /// Whatever one property says, the plan is read or refused.
    #[test]
    fn any_value_is_answered(
        index in 0..PROPERTIES.len(),
        value in "([$][{]|[}]|__P[(]|[)]|[0-9]{1,22}|-1|http|:|/|#|[?]|[.]|[$]|\\[|\\]|true|,|;|é|[(]|[*]){0,8}",
        skip_unknown: bool,
    ) {
        let (class, property) = PROPERTIES[index];
        let own = properties(&[(property, &value)]);
        let elements = match class {
            "HTTPSamplerProxy" => element(class, "E", &own, ""),
            "LoopController" | "IfController" => element(class, "E", &own, &sampler("/", "", "")),
            _ => sampler("/", "", &element(class, "E", &own, "")),
        };
        let _ = read(&PlanSource { skip_unknown, ..source(&in_group(&elements)) });
    }
}

const PROPERTIES: [(&str, &str); 17] = [
    ("HTTPSamplerProxy", "HTTPSampler.path"),
    ("HTTPSamplerProxy", "HTTPSampler.domain"),
    ("HTTPSamplerProxy", "HTTPSampler.port"),
    ("HTTPSamplerProxy", "HTTPSampler.method"),
    ("HTTPSamplerProxy", "HTTPSampler.response_timeout"),
    ("LoopController", "LoopController.loops"),
    ("IfController", "IfController.condition"),
    ("ConstantTimer", "ConstantTimer.delay"),
    ("UniformRandomTimer", "RandomTimer.range"),
    ("ConstantThroughputTimer", "throughput"),
    ("PreciseThroughputTimer", "throughputPeriod"),
    ("DurationAssertion", "DurationAssertion.duration"),
    ("JSONPathAssertion", "JSON_PATH"),
    ("JSONPostProcessor", "JSONPostProcessor.jsonPathExprs"),
    ("RegexExtractor", "RegexExtractor.regex"),
    ("CSVDataSet", "delimiter"),
    ("CSVDataSet", "filename"),
];
