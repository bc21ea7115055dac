//! JUnit XML, so that a CI shows a load run as it shows its tests.
//!
//! Three suites. `thresholds`: one case per threshold. `operations`: one case per label, failed
//! if operations failed, unless a threshold on errors covers the label: then that threshold alone
//! decides how many may fail. `deliveries`: one case per label and fault (lost, duplicated,
//! reordered, damaged, failed readers); here too a threshold on the same metric decides.

use quick_junit::{NonSuccessKind, Property, Report, SerializeError, TestCase, TestCaseStatus};
use quick_junit::{TestSuite, XmlString};

use crate::result::{DeliveryResult, OperationResult, RunResult, Verdict, units};

/// The document.
///
/// # Errors
///
/// If the XML writer refuses it; it removes what XML cannot hold, so this does not happen.
pub fn junit(result: &RunResult) -> Result<String, SerializeError> {
    let mut report = Report::new(result.meta.plan.as_str());
    report.set_time(std::time::Duration::from_millis(result.meta.duration_ms));
    let mut thresholds = suite("thresholds", result);
    thresholds.add_test_cases(result.verdicts.iter().map(threshold));
    let mut operations = suite("operations", result);
    operations.add_test_cases(result.operations.iter().map(|one| operation(one, result)));
    let mut deliveries = suite("deliveries", result);
    result.deliveries.iter().for_each(|one| {
        deliveries.add_test_cases(delivery(one, result));
    });
    report.add_test_suites([thresholds, operations, deliveries]);
    report.to_string()
}

fn suite(name: &str, result: &RunResult) -> TestSuite {
    let mut suite = TestSuite::new(name);
    let meta = &result.meta;
    for (name, value) in [
        ("target", meta.target.as_str()),
        ("plan_hash", meta.plan_hash.as_str()),
        ("kernel", meta.machine.kernel.as_str()),
        ("cpu", meta.machine.cpu.as_str()),
    ] {
        suite.add_property(Property::new(name, value));
    }
    suite
}

fn threshold(verdict: &Verdict) -> TestCase {
    let wrong = format!("{}, but wanted {}", verdict.observed, verdict.threshold);
    let mut case = case("threshold", &verdict.threshold, (!verdict.passed).then_some(wrong));
    case.set_system_out(verdict.observed.as_str());
    case
}

fn operation(of: &OperationResult, result: &RunResult) -> TestCase {
    let failed = of.failed > 0 && !is_judged("errors", &of.label, result);
    let wrong = failed.then(|| {
        let errors = result.errors.iter().filter(|error| error.label == of.label);
        let kinds: Vec<String> = errors
            .map(|error| format!("{} {}: {}", error.count, error.kind, error.example))
            .collect();
        let (failed, total) = (units::count(of.failed), units::count(of.total()));
        format!("{failed} of {total} operations failed\n{}", kinds.join("\n"))
    });
    let mut case = case("operation", &of.label, wrong);
    case.set_system_out(format!(
        "{} succeeded, {} failed, p50 {}, p99 {}, max {}",
        units::count(of.succeeded),
        units::count(of.failed),
        units::time(of.times.percentile(50.0) as f64),
        units::time(of.times.percentile(99.0) as f64),
        units::time(of.times.max() as f64),
    ));
    case
}

fn delivery(of: &DeliveryResult, result: &RunResult) -> Vec<TestCase> {
    let faults = [
        ("lost", of.lost),
        ("duplicated", of.duplicated),
        ("reordered", of.reordered),
        ("damaged", of.damaged),
        ("failed readers", of.failed_readers),
    ];
    let case = |(fault, count): (&str, u64)| {
        let wrong = (count > 0 && !is_judged(fault, &of.label, result)).then(|| {
            let (count, expected) = (units::count(count), units::count(of.expected));
            format!("{count} {fault}, {expected} deliveries expected\n{}", of.faults.join("\n"))
        });
        case("delivery", &format!("{}: none {fault}", of.label), wrong)
    };
    faults.map(case).into()
}

/// Whether a threshold says how much of it there may be.
fn is_judged(metric: &str, label: &str, result: &RunResult) -> bool {
    result.verdicts.iter().any(|verdict| {
        let label = verdict.label.as_deref().is_none_or(|of| of == label);
        verdict.metric == metric && label
    })
}

/// A case that failed if something is wrong with it: the first line is the message.
fn case(class: &str, name: &str, wrong: Option<String>) -> TestCase {
    let status = match wrong {
        None => TestCaseStatus::success(),
        Some(wrong) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let (message, all) = (wrong.lines().next().unwrap_or_default(), XmlString::new(&wrong));
            status.set_message(message).set_type(class).set_description(all);
            status
        }
    };
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::fixture::example;

    /// Names of the cases that failed.
    fn failures(result: &RunResult) -> Vec<String> {
        let text = junit(result).unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
        cases
            .filter(|case| case.children().any(|child| child.has_tag_name("failure")))
            .map(|case| case.attribute("name").unwrap().to_owned())
            .collect()
    }

    #[test]
    fn what_failed() {
        let mut result = example();
        assert_eq!(failures(&result), ["p99 < 250 ms"]);
        result.verdicts.clear();
        assert_eq!(failures(&result), ["read history"]);
        result.deliveries[0].duplicated = 1;
        result.deliveries[0].failed_readers = 1;
        result.operations.remove(1);
        assert_eq!(failures(&result), ["tail: none duplicated", "tail: none failed readers"]);
    }

    #[test]
    fn a_threshold_of_another_label_says_nothing() {
        let mut result = example();
        result.verdicts.retain(|verdict| verdict.metric == "errors");
        assert_eq!(failures(&result), [""; 0]);
        result.verdicts[0].label = Some("publish".to_owned());
        assert_eq!(failures(&result), ["read history"]);
    }

    #[test]
    fn any_text_can_be_written() {
        let mut result = example();
        result.operations[1].label = "a <b> & \"c\" \u{0} \u{1b}[31m".to_owned();
        result.verdicts.clear();
        assert_eq!(failures(&result), ["a <b> & \"c\"  "]);
    }
}
