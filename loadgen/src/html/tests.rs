//! The page as a whole.

use super::render;
use crate::result::{ErrorCount, Interval, Note, RunResult, fixture};

fn data_of(page: &str) -> serde_json::Value {
    let begin = "<script id=\"data\" type=\"application/json\">";
    let (_, rest) = page.split_once(begin).unwrap();
    let (json, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_same_result_makes_the_same_page() {
    let result = fixture::example();
    let page = render(&result).unwrap();
    assert_eq!(page, render(&result).unwrap());
    assert!(page.len() < 1 << 20, "{} bytes", page.len());
    for label in result.deliveries.iter().map(|delivery| &delivery.label) {
        assert!(page.contains(label.as_str()));
    }
}

#[test]
fn nothing_is_fetched() {
    let page = render(&fixture::example()).unwrap();
    assert!(page.contains("default-src 'none'; script-src 'sha256-"));
    for fetching in [" src=", "@import", "url(", "<link", "<iframe", "fetch(", "XMLHttpRequest"] {
        assert!(!page.contains(fetching), "{fetching}");
    }
}

/// Puts `text` wherever a run can put text.
fn with_text(text: &str) -> RunResult {
    let mut result = fixture::example();
    let own = || text.to_owned();
    let meta = &mut result.meta;
    (meta.plan, meta.plan_text, meta.plan_hash, meta.target) = (own(), own(), own(), own());
    (meta.server, meta.version, meta.workers) = (Some(own()), own(), vec![own()]);
    (meta.machine.cpu, meta.machine.kernel) = (own(), own());
    meta.properties = vec![(own(), own())];
    result.operations[0].kind = own();
    result.operations[0].label = own();
    result.deliveries[0].label = own();
    result.deliveries[0].mode = own();
    result.deliveries[0].faults = vec![own()];
    result.groups[0].name = own();
    result.cores[0].name = own();
    result.intervals.iter_mut().for_each(|interval| interval.label = own());
    result.errors = vec![ErrorCount { label: own(), kind: own(), count: 1, example: own() }];
    let note = |warning| Note { warning, code: own(), text: own() };
    result.notes = vec![note(true), note(false)];
    result.verdicts.iter_mut().for_each(|verdict| {
        (verdict.threshold, verdict.observed) = (own(), own());
    });
    result
}

#[test]
fn text_from_a_run_is_only_text() {
    let plain = render(&with_text("plain")).unwrap();
    for hostile in ["</script><b>x", "<!--<script>", "\"><img onerror=x>", "{{ page }}", "]]>&amp;"]
    {
        let page = render(&with_text(hostile)).unwrap();
        // As many tags as without it: none was opened or closed.
        let tags = |page: &str| (page.matches('<').count(), page.matches("</script>").count());
        assert_eq!(tags(&page), tags(&plain), "{hostile}");
        let data = data_of(&page);
        let name = data["latency"]["curves"][0]["name"].as_str().unwrap();
        assert!(name.starts_with(hostile), "{name}");
    }
}

#[test]
fn a_long_run_with_many_labels_fits_into_a_megabyte() {
    let mut result = fixture::example();
    let (operation, pattern) = (result.operations[0].clone(), result.intervals.clone());
    for number in 0..12 {
        let mut operation = operation.clone();
        operation.label = format!("label {number}");
        result.operations.push(operation);
    }
    result.meta.duration_ms = 3_600_000;
    result.meta.plan_text = "x".repeat(1 << 20);
    result.intervals = (0..900u64)
        .flat_map(|second| (0..12).map(move |number| (second, number)))
        .map(|(second, number)| Interval {
            at_ms: second * 4000,
            length_ms: 4000,
            label: format!("label {number}"),
            deliveries: false,
            ..pattern[(second * 7 + number) as usize % pattern.len()].clone()
        })
        .collect();
    let page = render(&result).unwrap();
    assert!(page.len() < 1 << 20, "{} bytes", page.len());
    assert!(page.contains("Only its beginning is shown."));
    let at = data_of(&page)["over_time"]["at"].as_array().unwrap().len();
    assert_eq!(at, 600);
}

#[test]
fn a_result_of_nothing_has_a_page() {
    let mut result = fixture::example();
    result.groups.clear();
    result.operations.clear();
    result.deliveries.clear();
    result.cores.clear();
    result.intervals.clear();
    result.gauges.clear();
    result.errors.clear();
    result.notes.clear();
    result.verdicts.clear();
    result.lateness.clear();
    result.meta = crate::result::Meta::default();
    let page = render(&result).unwrap();
    assert!(page.contains("No thresholds were set"));
}

#[test]
fn the_verdict_is_the_thresholds() {
    let check = |passed: &[bool], state: &str, headline: &str| {
        let mut result = fixture::example();
        let one = result.verdicts[0].clone();
        let verdict = |passed: &bool| crate::result::Verdict { passed: *passed, ..one.clone() };
        result.verdicts = passed.iter().map(verdict).collect();
        let page = render(&result).unwrap();
        assert!(page.contains(&format!("<div class=\"verdict {state}\">")), "{state}");
        assert!(page.contains(headline), "{headline}");
    };
    check(&[], "none", "No thresholds were set");
    check(&[true], "passed", "Passed: the threshold holds");
    check(&[true, true], "passed", "Passed: all 2 thresholds hold");
    check(&[false], "failed", "Failed: the threshold does not hold");
    check(&[true, false, true], "failed", "Failed: 1 of 3 thresholds does not hold");
    check(&[false, false, true], "failed", "Failed: 2 of 3 thresholds do not hold");
}
