//! Single elements: requests, assertions, extractors, timers.

use super::*;
use crate::plan::SamplerKind;

/// `METHOD path`, fields, body.
fn sent(sampler: &Sampler) -> String {
    let SamplerKind::Http { method, path, body } = &sampler.kind else { panic!("{sampler:?}") };
    let fields: String =
        sampler.fields.iter().map(|(name, value)| format!("{name}: {}|", written(value))).collect();
    format!("{method} {}|{fields}{}", written(path), written(body))
}

#[test]
fn requests() {
    let check = |method, path, more: &str, below: &str, want: &str| {
        let properties = properties(&[("HTTPSampler.method", method)]);
        let csv = variables(&[("v", "x y"), ("late", "${__time}")]);
        let request = sampler(path, &format!("{properties}{more}"), below);
        assert_eq!(sent(&only(&format!("{csv}{request}"))), want);
    };
    let two = &arguments(&[("a", "x y&amp;z", true), ("b", "x,%20", false), ("", "skip", true)]);
    let raw = &format!(
        "{}<boolProp name=\"HTTPSampler.postBodyRaw\">true</boolProp>",
        arguments(&[("", "{\"a\":\"${v}${late}\"}\n", false)])
    );
    let utf8 = &format!("{raw}{}", properties(&[("HTTPSampler.contentEncoding", "utf-8")]));
    let nameless = &arguments(&[("", "a b", true), ("", "a b", false)]);
    let json = header("content-type", " application/json ");
    let form = "Content-Type: application/x-www-form-urlencoded; charset=UTF-8|";
    check("", "", "", "", "GET /|");
    check("get", "a b/${v}/${late}#x", "", "", "GET /a%20b/x%20y/${late}|");
    check("GET", "/", two, "", "GET /?a=x+y%26z&b=x,%20|");
    check("OPTIONS", "/?c", two, "", "OPTIONS /?c&a=x+y%26z&b=x,%20|");
    check("HEAD", "/", two, "", "HEAD /|");
    check("GET", "http://h:1/x?y", two, "", "GET /x?y|");
    check("POST", "/", two, "", &format!("POST /|{form}a=x+y%26z&b=x%2C+"));
    check("DELETE", "/", two, "", &format!("DELETE /?a=x+y%26z&b=x,%20|{form}a=x+y%26z&b=x%2C+"));
    check("PUT", "/", "", "", &format!("PUT /|{form}"));
    check("PUT", "/", "", &json, "PUT /|content-type: application/json|");
    check("POST", "/", nameless, "", "POST /|Content-Type: text/plain|a+ba b");
    check("POST", "/", raw, "", "POST /|Content-Type: text/plain|{\"a\":\"x y${late}\"}\n");
    check("GET", "/", raw, &json, "GET /|content-type: application/json|{\"a\":\"x y${late}\"}\n");
    let want = "POST /|Content-Type: text/plain; charset=UTF-8|{\"a\":\"x y${late}\"}\n";
    check("POST", "/", utf8, "", want);
}

#[test]
fn values_of_variables_are_not_encoded_and_that_is_said() {
    let request = sampler("/", &arguments(&[("a", "${late}", true)]), "");
    let (_, notes) = notes(&in_group(&[variables(&[("late", "${__UUID}")]), request].concat()));
    assert_eq!(
        notes,
        [
            "Test Plan > Users > S (HTTPSamplerProxy): what variables hold is put into parameters as \
          it is, not encoded"
        ]
    );
}

#[test]
fn timeouts_and_status() {
    let more = properties(&[("HTTPSampler.response_timeout", "1500")]);
    let quick = plan(&in_group(&[sampler("/", &more, ""), sampler("/", "", "")].concat()));
    assert_eq!(quick.timeout.as_millis(), 1500);
    let follow = properties(&[("HTTPSampler.follow_redirects", "true")]);
    let check = |more: &str, want: &str| {
        assert_eq!(format!("{:?}", only(&sampler("/", more, "")).assertions), want);
    };
    check("", "[Status([200..=399])]");
    check(&follow, "[Status([200..=300, 304..=306, 309..=399])]");
}

fn response(field: &str, kind: u32, more: &str, patterns: &[&str]) -> String {
    let texts: String =
        patterns.iter().map(|text| format!("<stringProp>{text}</stringProp>")).collect();
    let properties = format!(
        "<collectionProp name=\"Asserion.test_strings\">{texts}</collectionProp>\
         <stringProp name=\"Assertion.test_field\">Assertion.{field}</stringProp>\
         <intProp name=\"Assertion.test_type\">{kind}</intProp>{more}"
    );
    element("ResponseAssertion", "R", &properties, "")
}

/// Assertions of a sampler beside that of its status, shortened.
fn asserted(assertion: &str) -> String {
    let all = only(&sampler("/", "", assertion)).assertions;
    let text: Vec<String> = all.iter().skip(1).map(|one| format!("{one:?}")).collect();
    let text = text.join("; ");
    ["TextCheck ", "Template(", "Assertion "].iter().fold(text, |text, word| text.replace(word, ""))
}

#[test]
fn response_assertions() {
    let check = |field, kind, patterns: &[&str], want: &str| {
        assert_eq!(asserted(&response(field, kind, "", patterns)), want, "{field} {kind}");
    };
    let body = |how: &str, any_of: &str, not| {
        format!("Body({{ how: {how}, any_of: [{any_of}], not: {not} }})")
    };
    let a = "Text([Text(\"a\")]))";
    let b = "Text([Text(\"b\")]))";
    check("response_data", 16, &["a"], &body("Contains", a, false));
    let (first, second) = (body("Contains", a, true), body("Contains", b, true));
    check("response_data", 16 + 4, &["a", "b"], &format!("{first}; {second}"));
    check("response_data", 8 + 32, &["a", "b"], &body("Equals", &format!("{a}, {b}"), false));
    check("response_data", 2, &["a+"], &body("Find", "Regex(Regex(\"a+\"))", false));
    let whole = body("Matches", "Regex(Regex(\"\\\\A(?:a|b)\\\\z\"))", false);
    check("response_data", 1, &["a|b"], &whole);
    check("response_code", 8, &["404"], "Status([404..=404])");
    check(
        "response_code",
        2,
        &["^20|30$"],
        "Status([130..=130, 200..=209, 230..=230, 330..=330, 430..=430, 530..=530])",
    );
    check("response_code", 1 + 4, &["[1-4].."], "Status([500..=599])");
    check(
        "response_code",
        16 + 32,
        &["200", "40"],
        "Status([140..=140, 200..=200, 240..=240, 340..=340, 400..=409, 440..=440, 540..=540])",
    );
    let header = |regex: &str| {
        format!(
            "Header {{ name: \"X-Y\", text: {{ how: Find, any_of: [Regex(Regex({regex:?}))], not: false }} }}"
        )
    };
    check("response_headers", 16, &["X-Y: a.b"], &header("\\A(?:a\\.b)"));
    check("response_headers", 2, &["(?m)^X-Y: a.b$"], &header("\\A(?:a.b)"));
    check("response_data", 16, &[], "");
    let ignoring = response(
        "response_code",
        8,
        &properties(&[("Assertion.assume_success", "true")]),
        &["404"],
    );
    let all = only(&sampler("/", "", &ignoring)).assertions;
    assert_eq!(format!("{all:?}"), "[Status([100..=599]), Status([404..=404])]");
}

#[test]
fn other_assertions() {
    let check = |class: &str, more: &[(&str, &str)], want: &str| {
        assert_eq!(asserted(&element(class, "A", &properties(more), "")), want);
    };
    check("DurationAssertion", &[("DurationAssertion.duration", "250")], "Duration(250.999999ms)");
    check("DurationAssertion", &[("DurationAssertion.duration", "0")], "");
    let size = |operator| {
        [
            ("Assertion.test_field", "SizeAssertion.response_data"),
            ("SizeAssertion.size", "30"),
            ("SizeAssertion.operator", operator),
        ]
    };
    check("SizeAssertion", &size("4"), "Size(SizeCheck { operator: Less, bytes: 30 })");
    check("SizeAssertion", &size("5"), "Size(SizeCheck { operator: GreaterOrEqual, bytes: 30 })");
    let json = |path, value, check, null, invert| {
        let all = [
            ("JSON_PATH", path),
            ("EXPECTED_VALUE", value),
            ("JSONVALIDATION", check),
            ("EXPECT_NULL", null),
            ("INVERT", invert),
        ];
        let elements = element("JSONPathAssertion", "J", &properties(&all), "");
        let all = only(&sampler("/", "", &elements)).assertions;
        match &all[1] {
            crate::plan::Assertion::JsonPath { path, equals, members: true, not } => {
                format!("{path} {:?} {not}", equals.as_ref().map(written))
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(json("$[2].n", "3", "true", "false", "false"), "$[2].n Some(\"3\") false");
    assert_eq!(
        json("$..a[?(@.b==1)]", "3", "false", "false", "true"),
        "$...a[?(@['b']==1)] None true"
    );
    assert_eq!(json("a.b", "", "true", "true", "false"), "$.a.b Some(\"null\") false");
}

#[test]
fn extractors() {
    let check = |class: &str, more: &[(&str, &str)], want: &[&str]| {
        let elements = element(class, "E", &properties(more), "");
        let found = only(&sampler("/", "", &elements)).extractions;
        let found: Vec<String> = found
            .iter()
            .map(|one| match &one.from {
                crate::plan::ExtractFrom::Header(name) => {
                    format!("{} header {name} {}", one.variable, one.default)
                }
                crate::plan::ExtractFrom::JsonPath(path) => {
                    format!("{} {path} {}", one.variable, one.default)
                }
                crate::plan::ExtractFrom::Regex(regex) => {
                    format!("{} /{regex}/ {}", one.variable, one.default)
                }
            })
            .collect();
        assert_eq!(found, want);
    };
    let json = [
        ("JSONPostProcessor.referenceNames", "a;b"),
        ("JSONPostProcessor.jsonPathExprs", "$.x;$..y"),
        ("JSONPostProcessor.match_numbers", ";1"),
        ("JSONPostProcessor.defaultValues", "none"),
    ];
    check("JSONPostProcessor", &json, &["a $.x none", "b $...y "]);
    let regex = |headers, regex, template| {
        [
            ("RegexExtractor.useHeaders", headers),
            ("RegexExtractor.refname", "r"),
            ("RegexExtractor.regex", regex),
            ("RegexExtractor.template", template),
            ("RegexExtractor.match_number", "1"),
            ("RegexExtractor.default", "d"),
        ]
    };
    check("RegexExtractor", &regex("false", "x=(\\d+)", "$1$"), &["r /x=(\\d+)/ d"]);
    check("RegexExtractor", &regex("false", "\\d+", "$0$"), &["r /(\\d+)/ d"]);
    check("RegexExtractor", &regex("true", "Location: (.+)", "$1$"), &["r header Location d"]);
}

#[test]
fn timers() {
    let check = |class: &str, more: &[(&str, &str)], want: &str| {
        let elements = [element(class, "T", &properties(more), ""), sampler("/", "", "")].concat();
        assert_eq!(format!("{:?}", steps(&in_group(&elements))[0]), format!("Pause({want})"));
    };
    let random = [("ConstantTimer.delay", "300"), ("RandomTimer.range", "100.5")];
    check("ConstantTimer", &random[..1], "Constant(300ms)");
    check("UniformRandomTimer", &random, "Uniform { min: 300ms, max: 400.5ms }");
    check("GaussianRandomTimer", &random, "Gaussian { mean: 300ms, deviation: 100.5ms }");
    check("PoissonRandomTimer", &random, "Poisson { offset: 300ms, lambda: 100.5ms }");
    let constant = |mode| [("throughput", "60.0"), ("calcMode", mode)];
    let want = |shared| format!("ConstantThroughput {{ per_minute: 60.0, shared: {shared} }}");
    for (mode, shared) in [("0", false), ("1", true), ("2", true), ("3", true), ("4", true)] {
        check("ConstantThroughputTimer", &constant(mode), &want(shared));
    }
    let precise = [("throughput", "120"), ("throughputPeriod", "60"), ("batchSize", "1")];
    check("PreciseThroughputTimer", &precise, "PreciseThroughput { per_second: 2.0 }");
}

#[test]
fn older_forms_of_properties_and_classes() {
    let timer = "<ConstantThroughputTimer guiclass=\"TestBeanGUI\" testname=\"T\" enabled=\"true\">\
                 <doubleProp><name>throughput</name><value>90.0</value><savedValue>0.0</savedValue>\
                 </doubleProp><intProp name=\"calcMode\">0</intProp></ConstantThroughputTimer><hashTree/>";
    let old = sampler("/", "", "")
        .replace("<HTTPSamplerProxy", "<org.apache.jmeter.protocol.http.sampler.HTTPSampler2")
        .replace("</HTTPSamplerProxy", "</org.apache.jmeter.protocol.http.sampler.HTTPSampler2");
    let steps = steps(&in_group(&format!("{timer}{old}")));
    let want = "Pause(ConstantThroughput { per_minute: 90.0, shared: false })";
    assert_eq!(format!("{:?}", steps[0]), want);
    assert_eq!(samplers(&steps).len(), 1);
}
