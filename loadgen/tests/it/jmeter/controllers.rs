//! One thread group with all that the JMX reader knows, each element under a label of its own:
//! controllers, assertions that hold and that fail, extractors, functions, requests of all kinds.

use super::jmx::{
    defaults, element, form, get, group, headers, json, plan, request, response, response_whatever,
    switched_off,
};
use super::{Counts, PlanFile, check_both, table};

#[test]
fn both_programs_run_it() {
    let file = PlanFile::new(&everything(), &[("rows.csv", ROWS)]);
    let properties = [("threads", "3"), ("loops", "4"), ("colour", "green")];
    check_both(&file.path, &properties, &want());
}

/// Twelve iterations.
fn want() -> Counts {
    let mut want = table(&[
        ("In a loop, \"zählt\"", 36, 0),
        ("Only zwei", 3, 0),
        ("Not zwei", 9, 0),
        ("Only drei", 3, 0),
        ("After drei", 3, 0),
        ("Good", 12, 0),
        ("Wrong status", 12, 12),
        ("Whole visit, with failures", 12, 12),
        ("No content", 12, 0),
        ("All well", 12, 0),
        ("Nothing in it", 12, 0),
        ("In a simple controller", 12, 0),
        ("Takes values", 12, 0),
        ("Uses them", 12, 0),
        ("Values of a kind", 12, 0),
        ("Values are other", 12, 12),
        ("Redirect", 12, 0),
        ("Not modified", 12, 0),
        ("Server error", 12, 12),
    ]);
    for name in ["Parameters", "Form", "Encoded form", "Text", "Deletes", "Relative", "Whole URL"] {
        want.extend(table(&[(name, 12, 0)]));
    }
    for (name, _) in holding() {
        want.extend(table(&[(name, 12, 0)]));
    }
    for (name, _) in failing() {
        want.extend(table(&[(name, 12, 12)]));
    }
    want
}

fn everything() -> String {
    let rows = element(
        "CSVDataSet",
        "Rows",
        &[
            ("filename", "rows.csv"),
            ("fileEncoding", "UTF-8"),
            ("variableNames", ""),
            ("ignoreFirstLine", "false"),
            ("delimiter", ","),
            ("quotedData", "true"),
            ("recycle", "true"),
            ("stopThread", "false"),
            ("shareMode", "shareMode.group"),
        ],
        &[],
    );
    let mut steps =
        vec![rows, element("ConstantTimer", "Always", &[("ConstantTimer.delay", "1")], &[])];
    steps.extend(controllers());
    steps.extend(requests());
    steps.extend(values());
    for (name, sampler) in holding().into_iter().chain(failing()) {
        assert!(sampler.contains(&format!("testname=\"{name}\"")), "{name}");
        steps.push(sampler);
    }
    plan(
        &[("greeting", "hällo, \"world\""), ("threads", "${__P(threads,1)}")],
        &[
            defaults("${__P(port,80)}", &[]),
            headers(&[("X-Colour", "${__P(colour,red)}"), ("X-Both", "plan")]),
            group("Users, mixed", "${threads}", "${__P(loops,1)}", &steps),
        ],
    )
}

fn controllers() -> Vec<String> {
    let when = |condition, is_expression, every, below: &[String]| {
        let properties = [
            ("IfController.condition", condition),
            ("IfController.useExpression", is_expression),
            ("IfController.evaluateAll", every),
        ];
        element("IfController", "If", &properties, below)
    };
    let transaction = |name, timers, below: &[String]| {
        let properties = [
            ("TransactionController.parent", "false"),
            ("TransactionController.includeTimers", timers),
        ];
        element("TransactionController", name, &properties, below)
    };
    let random = |class, offset, range| {
        let properties = [("ConstantTimer.delay", offset), ("RandomTimer.range", range)];
        element(class, "Pause", &properties, &[])
    };
    let never = "${__jexl3(${__threadNum} > 99)}";
    let in_loop = request(
        "In a loop, \"zählt\"",
        "POST",
        "/echo/loop",
        Some("${__counter(FALSE)}: ${greeting}"),
        &[
            headers(&[("X-Both", "sampler"), ("X-Text", "a, b")]),
            random("UniformRandomTimer", "0", "3"),
            response("response_data", SUBSTRING, &["\"x-both\":\"sampler\"", "hällo"]),
        ],
    );
    vec![
        element("LoopController", "Three", &[("LoopController.loops", "3")], &[in_loop]),
        element(
            "LoopController",
            "None",
            &[("LoopController.loops", "0")],
            &[get("No", "/echo", &[])],
        ),
        when(
            "${__jexl3(\"${word}\" == \"zwei\")}",
            "true",
            "false",
            &[random("GaussianRandomTimer", "1", "1"), get("Only zwei", "/echo/zwei/${text}", &[])],
        ),
        when(
            "${__groovy(vars.get(\"word\") != \"zwei\")}",
            "true",
            "false",
            &[get("Not zwei", "/echo/not", &[])],
        ),
        when(
            "\"${word}\" == \"drei\"",
            "false",
            "true",
            &[get("Only drei", "/echo/drei", &[]), get("After drei", "/echo/after", &[])],
        ),
        when(never, "true", "false", &[get("Never", "/echo", &[])]),
        when("false", "true", "false", &[get("Never at all", "/echo", &[])]),
        transaction(
            "Whole visit, with failures",
            "true",
            &[
                random("PoissonRandomTimer", "1", "2"),
                get("Good", "/echo", &[]),
                get("Wrong status", "/status/404", &[]),
            ],
        ),
        transaction("All well", "false", &[get("No content", "/status/204", &[])]),
        transaction(
            "Nothing in it",
            "true",
            &[when(never, "true", "false", &[get("Never", "/echo", &[])])],
        ),
        element("GenericController", "Simple", &[], &[get("In a simple controller", "/echo", &[])]),
        switched_off(&get("Switched off", "/status/500", &[])),
    ]
}

fn requests() -> Vec<String> {
    let odd = &[("q", "ä &="), ("r", "${greeting}"), ("word", "${word}")];
    vec![
        form("Parameters", "GET", "/echo/form?a=b", odd, true),
        form("Form", "POST", "/echo/form", odd, true),
        form("Encoded form", "POST", "/echo/form", &[("q", "a%20b+c"), ("p", "x%2Fy")], false),
        request("Text", "PUT", "/echo/text", Some("{\"ß\": \"${text}\"}"), &[]),
        request("Deletes", "DELETE", "/echo/delete", None, &[]),
        get("Relative", "echo/relative", &[]),
        get("Whole URL", "http://127.0.0.1:${__P(port,80)}/echo/whole?x=1", &[]),
        get("Redirect", "/status/302", &[]),
        get("Not modified", "/status/304", &[]),
        get("Server error", "/status/500", &[]),
    ]
}

/// What answers and functions give.
fn values() -> Vec<String> {
    let from_json = [
        ("JSONPostProcessor.referenceNames", "third;none"),
        ("JSONPostProcessor.jsonPathExprs", "$.list[2];$.absent"),
        ("JSONPostProcessor.match_numbers", "1;1"),
        ("JSONPostProcessor.defaultValues", "x;nichts"),
    ];
    let from_text = [
        ("RegexExtractor.useHeaders", "false"),
        ("RegexExtractor.refname", "how"),
        ("RegexExtractor.regex", "\"method\":\"(\\w+)\""),
        ("RegexExtractor.template", "$1$"),
        ("RegexExtractor.default", "x"),
        ("RegexExtractor.match_number", "1"),
    ];
    let takes = [
        element("JSONPostProcessor", "J", &from_json, &[]),
        element("RegexExtractor", "R", &from_text, &[]),
    ];
    let functions = "${__Random(1,9)} ${__time} ${__UUID} ${__time()}";
    let pattern = "\"body\":\"[1-9] \\d{13} [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} \\d{13}\"";
    let by_chance = |name, pattern| {
        let check = response("response_data", CONTAINS, &[pattern]);
        request(name, "POST", "/echo/by-chance", Some(functions), &[check])
    };
    vec![
        get("Takes values", "/echo/takes", &takes),
        get(
            "Uses them",
            "/echo/${third}/${how}/${none}",
            &[json("$.target", Some("/echo/drei/GET/nichts"), &[])],
        ),
        by_chance("Values of a kind", pattern),
        by_chance("Values are other", "\"body\":\"0 "),
    ]
}

/// Assertions that hold.
fn holding() -> Vec<(&'static str, String)> {
    let data = |name, how, patterns: &[&str]| {
        (name, get(name, "/echo", &[response("response_data", how, patterns)]))
    };
    let of_status = |name, check| (name, get(name, "/status/200", &[check]));
    let of_json = |name, path, expected, more: &[(&str, &str)]| {
        (name, get(name, "/echo", &[json(path, expected, more)]))
    };
    vec![
        (
            "A 404 is right",
            get(
                "A 404 is right",
                "/status/404",
                &[response_whatever("response_code", CONTAINS, &["40[34]"])],
            ),
        ),
        (
            "A 500 is no 404",
            get(
                "A 500 is no 404",
                "/status/500",
                &[response_whatever("response_code", NOT_EQUALS, &["404"])],
            ),
        ),
        data("Has both", SUBSTRING, &["\"method\":\"GET\"", "drei"]),
        data("Has one", SUBSTRING_OR, &["nope", "drei"]),
        data("Has not", NOT_SUBSTRING, &["nope"]),
        data("Is wholly", MATCHES, &["(?s).*\"list\":\\[1,2\\.5,\"drei\"\\].*"]),
        data("Finds", CONTAINS, &["\"x-both\":\"pl.n\"", "gr.+n\""]),
        of_status("Is", response("response_data", EQUALS, &["{\"status\":200}"])),
        of_status(
            "Has field",
            response("response_headers", CONTAINS, &["Content-Type: application/json"]),
        ),
        of_status("Has no field", response("response_headers", NOT_SUBSTRING, &["X-None: "])),
        of_status("Has bytes", size("14", "1")),
        of_status("Has more than", size("13", "3")),
        of_status("Has at most", size("14", "6")),
        ("In time", get("In time", "/slow/20", &[duration("20000")])),
        of_json("Exists", "$.method", None, &[]),
        of_json("Exists as null", "$.nothing", None, &[]),
        of_json("Is null", "$.nothing", Some(""), &[("EXPECT_NULL", "true")]),
        of_json("Is text", "$.method", Some("GET"), &[]),
        of_json("Is number", "$.list[1]", Some("2.5"), &[]),
        of_json("Is list", "$.list", Some("[1,2.5,\"drei\"]"), &[]),
        of_json("Is in list", "$.list", Some("drei"), &[]),
        of_json("Is found", "$..method", Some("GET"), &[]),
        of_json("Is variable", "$.target", Some("/${__P(where,echo)}"), &[]),
        of_json("Is plain expression", "$.method", Some("GET"), &[("ISREGEX", "true")]),
        of_json("Exists not", "$.absent", None, &[("INVERT", "true")]),
        of_json("Is not", "$.method", Some("PUT"), &[("INVERT", "true")]),
    ]
}

/// Assertions that fail.
fn failing() -> Vec<(&'static str, String)> {
    let data = |name, how, patterns: &[&str]| {
        (name, get(name, "/echo", &[response("response_data", how, patterns)]))
    };
    let of_status = |name, check| (name, get(name, "/status/200", &[check]));
    let of_json = |name, path, expected, more: &[(&str, &str)]| {
        (name, get(name, "/echo", &[json(path, expected, more)]))
    };
    vec![
        of_status("Other code", response("response_code", EQUALS, &["204"])),
        data("Lacks one", SUBSTRING, &["drei", "nope"]),
        data("Lacks all", SUBSTRING_OR, &["nope", "nay"]),
        data("Has", NOT_SUBSTRING, &["nope", "drei"]),
        data("Is not wholly", MATCHES, &["drei"]),
        data("Finds not", CONTAINS, &["\"x-both\":\"sam.*\""]),
        of_status("Is other", response("response_data", EQUALS, &["{\"status\":200} "])),
        of_status(
            "Other field",
            response("response_headers", CONTAINS, &["Content-Type: text/plain"]),
        ),
        of_status("Other bytes", size("15", "1")),
        of_status("Has not more", size("14", "3")),
        ("Too slow", get("Too slow", "/slow/60", &[duration("30")])),
        of_json("Lacks value", "$.absent", None, &[]),
        of_json("Is not null", "$.method", Some(""), &[("EXPECT_NULL", "true")]),
        of_json("Is other text", "$.method", Some("get"), &[]),
        of_json("Is in no list", "$.list", Some("vier"), &[]),
        of_json("Is found nowhere", "$..method", Some("PUT"), &[]),
        of_json("Exists after all", "$.method", None, &[("INVERT", "true")]),
        of_json("Is after all", "$.method", Some("GET"), &[("INVERT", "true")]),
    ]
}

fn duration(millis: &str) -> String {
    element("DurationAssertion", "Duration", &[("DurationAssertion.duration", millis)], &[])
}

fn size(bytes: &str, operator: &str) -> String {
    let properties = [
        ("Assertion.test_field", "SizeAssertion.response_data"),
        ("SizeAssertion.size", bytes),
        ("SizeAssertion.operator", operator),
    ];
    element("SizeAssertion", "Size", &properties, &[])
}

/// JMeter's numbers for types of test.
const MATCHES: &str = "1";
const CONTAINS: &str = "2";
const EQUALS: &str = "8";
const NOT_EQUALS: &str = "12";
const SUBSTRING: &str = "16";
const NOT_SUBSTRING: &str = "20";
const SUBSTRING_OR: &str = "48";

const ROWS: &str = "word,text\neins,\"Über, \"\"alles\"\"\"\nzwei,plain\ndrei,\"a \"\"quoted\"\" \
                    word\"\nvier,ß\n";
