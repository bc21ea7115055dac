//! What makes a run fail.
//!
//! A plan's own thresholds, and those that go without saying: the checks of its live readers hold
//! (`lost == 0`, `duplicated == 0`, `reordered == 0`), and no operation fails (`errors == 0`). A
//! threshold of the plan on the same metric takes the place of one that goes without saying.
//!
//! Invariant: a threshold on what was not measured fails.

use super::totals::sum;
use super::{DeliveryResult, OperationResult, RunResult, Times, Verdict, units};
use crate::plan::{Metric, Operator, Plan, SamplerKind, Step, Tail, Threshold};

/// The plan's thresholds and those that go without saying, for [`evaluate`].
#[must_use]
pub fn of(plan: &Plan) -> Vec<Threshold> {
    let mut all = plan.thresholds.clone();
    let own = |metric: Metric, label: Option<&str>| {
        plan.thresholds.iter().any(|threshold| {
            threshold.metric == metric
                && (label.is_none()
                    || threshold.label.is_none()
                    || threshold.label.as_deref() == label)
        })
    };
    let (mut tails, mut others) = (Vec::new(), Vec::new());
    plan.groups.iter().for_each(|group| find(&group.steps, &mut tails, &mut others));
    // A lost delivery is an error too, but not one that such a reader minds.
    let may_lose = tails.iter().any(|(_, tail)| !tail.checks.gap_free);
    for (label, tail) in tails {
        let checks = [
            (tail.checks.gap_free, Metric::Lost),
            (tail.checks.once, Metric::Duplicated),
            (tail.checks.order, Metric::Reordered),
        ];
        for (wanted, metric) in checks {
            if wanted && !own(metric, Some(label)) {
                all.push(none(metric, Some(label.to_owned())));
            }
        }
    }
    if !own(Metric::Errors, None) {
        match may_lose {
            false => all.push(none(Metric::Errors, None)),
            true => {
                all.extend(others.into_iter().map(|label| none(Metric::Errors, Some(label))));
            }
        }
    }
    all
}

/// How each came out, in the same order.
#[must_use]
pub fn evaluate(thresholds: &[Threshold], result: &RunResult) -> Vec<Verdict> {
    thresholds.iter().map(|threshold| verdict(threshold, result)).collect()
}

/// Whether the run as a whole succeeded: all verdicts passed, no reader gave up, and nothing
/// arrived damaged.
#[must_use]
pub fn passed(result: &RunResult) -> bool {
    let whole = |delivery: &DeliveryResult| delivery.damaged == 0 && delivery.failed_readers == 0;
    result.verdicts.iter().all(|verdict| verdict.passed) && result.deliveries.iter().all(whole)
}

/// A metric's word, as thresholds are written: `p99.9`, `errors`, `lost`.
#[must_use]
pub fn name(metric: Metric) -> String {
    match metric {
        Metric::Percentile(percentile) => format!("p{percentile}"),
        Metric::Max => "max".to_owned(),
        Metric::Mean => "mean".to_owned(),
        Metric::Errors => "errors".to_owned(),
        Metric::Rate => "rate".to_owned(),
        Metric::Lost => "lost".to_owned(),
        Metric::Duplicated => "duplicated".to_owned(),
        Metric::Reordered => "reordered".to_owned(),
        Metric::LastReader(percentile) => format!("last_reader p{percentile}"),
        Metric::Lateness(percentile) => format!("lateness p{percentile}"),
    }
}

/// A threshold of zero.
fn none(metric: Metric, label: Option<String>) -> Threshold {
    let name = name(metric);
    let text = match &label {
        Some(label) => format!("{label}: {name} == 0"),
        None => format!("{name} == 0"),
    };
    Threshold { label, metric, operator: Operator::Equal, value: 0.0, text }
}

/// Live readers, and the labels of all other operations.
fn find<'a>(steps: &'a [Step], tails: &mut Vec<(&'a str, &'a Tail)>, others: &mut Vec<String>) {
    for step in steps {
        match step {
            Step::Sample(sampler) => match &sampler.kind {
                SamplerKind::Tail(tail) => tails.push((&sampler.label, tail)),
                _ if others.contains(&sampler.label) => {}
                _ => others.push(sampler.label.clone()),
            },
            Step::Pause(_) => {}
            Step::Loop { steps, .. } | Step::If { steps, .. } | Step::Transaction { steps, .. } => {
                find(steps, tails, others);
            }
        }
    }
}

fn verdict(threshold: &Threshold, result: &RunResult) -> Verdict {
    let metric = name(threshold.metric);
    let (observed, passed) = match observe(threshold, result) {
        Ok(value) => {
            let text = format!("{metric} = {}", in_words(threshold.metric, value));
            (text, holds(value, threshold.operator, threshold.value))
        }
        Err(why) => (why, false),
    };
    Verdict {
        threshold: threshold.text.clone(),
        label: threshold.label.clone(),
        metric,
        observed,
        passed,
    }
}

fn holds(value: f64, operator: Operator, limit: f64) -> bool {
    match operator {
        Operator::Equal => value == limit,
        Operator::NotEqual => value != limit,
        Operator::Less => value < limit,
        Operator::LessOrEqual => value <= limit,
        Operator::Greater => value > limit,
        Operator::GreaterOrEqual => value >= limit,
    }
}

fn in_words(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Errors => units::percent(value),
        Metric::Rate => format!("{}/s", units::rate(value)),
        Metric::Lost | Metric::Duplicated | Metric::Reordered => units::count(value as u64),
        Metric::Percentile(_)
        | Metric::Max
        | Metric::Mean
        | Metric::LastReader(_)
        | Metric::Lateness(_) => units::time(value),
    }
}

/// What a threshold is about.
struct Scope<'a> {
    operations: Vec<&'a OperationResult>,
    deliveries: Vec<&'a DeliveryResult>,
}

impl Scope<'_> {
    fn of<'a>(label: Option<&str>, result: &'a RunResult) -> Result<Scope<'a>, String> {
        let Some(label) = label else {
            let operations = result.plain_operations().collect();
            return Ok(Scope { operations, deliveries: result.deliveries.iter().collect() });
        };
        let operations: Vec<_> =
            result.operations.iter().filter(|operation| operation.label == label).collect();
        let deliveries: Vec<_> =
            result.deliveries.iter().filter(|delivery| delivery.label == label).collect();
        if operations.is_empty() && deliveries.is_empty() {
            return Err(format!("nothing with the label {label} was measured"));
        }
        Ok(Scope { operations, deliveries })
    }

    fn times(&self) -> Times {
        if self.deliveries.is_empty() {
            sum(self.operations.iter().map(|operation| &operation.times))
        } else {
            sum(self.deliveries.iter().map(|delivery| &delivery.times))
        }
    }

    fn rate(&self, seconds: f64) -> f64 {
        let operations = self.operations.iter().map(|operation| operation.succeeded);
        let deliveries = self.deliveries.iter().map(|delivery| delivery.delivered);
        let count: u64 =
            if self.deliveries.is_empty() { operations.sum() } else { deliveries.sum() };
        count as f64 / seconds
    }

    fn errors(&self) -> f64 {
        let failed: u64 = self.operations.iter().map(|operation| operation.failed).sum();
        let lost: u64 = self.deliveries.iter().map(|delivery| delivery.lost).sum();
        let all: u64 = self.operations.iter().map(|operation| operation.total()).sum();
        let expected: u64 = self.deliveries.iter().map(|delivery| delivery.expected).sum();
        (failed + lost) as f64 / (all + expected).max(1) as f64
    }

    fn deliveries(&self, count: impl Fn(&DeliveryResult) -> u64) -> Result<f64, String> {
        match self.deliveries.iter().find(|delivery| delivery.is_unjudged()) {
            Some(delivery) => Err(format!("deliveries of {} cannot be judged", delivery.label)),
            None => Ok(self.deliveries.iter().map(|delivery| count(delivery)).sum::<u64>() as f64),
        }
    }
}

fn observe(threshold: &Threshold, result: &RunResult) -> Result<f64, String> {
    let scope = Scope::of(threshold.label.as_deref(), result)?;
    let measured = |times: Times, what: &dyn Fn(&Times) -> f64| {
        if times.is_empty() { Err("nothing was measured".to_owned()) } else { Ok(what(&times)) }
    };
    match threshold.metric {
        Metric::Percentile(p) => measured(scope.times(), &|times| times.percentile(p) as f64),
        Metric::Max => measured(scope.times(), &|times| times.max() as f64),
        Metric::Mean => measured(scope.times(), &Times::mean),
        Metric::Errors => Ok(scope.errors()),
        Metric::Rate => Ok(scope.rate(result.seconds())),
        Metric::Lost => scope.deliveries(|delivery| delivery.lost),
        Metric::Duplicated => scope.deliveries(|delivery| delivery.duplicated),
        Metric::Reordered => scope.deliveries(|delivery| delivery.reordered),
        Metric::LastReader(p) => {
            let times = sum(scope.deliveries.iter().map(|delivery| &delivery.last_reader));
            measured(times, &|times| times.percentile(p) as f64)
        }
        Metric::Lateness(p) => {
            measured(result.lateness.clone(), &|times| times.percentile(p) as f64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Sampler;
    use crate::result::fixture::example;

    fn threshold(label: Option<&str>, metric: Metric, operator: Operator, value: f64) -> Threshold {
        let label = label.map(str::to_owned);
        Threshold { label, metric, operator, value, text: "as written".to_owned() }
    }

    #[test]
    fn deliveries_that_cannot_be_judged_fail() {
        let mut result = example();
        (result.deliveries[0].expected, result.deliveries[0].delivered) = (0, 0);
        let check = |result: &RunResult, passed: bool| {
            for metric in [Metric::Lost, Metric::Duplicated, Metric::Reordered] {
                let none = threshold(Some("tail"), metric, Operator::Equal, 0.0);
                assert_eq!(evaluate(&[none], result)[0].passed, passed, "{metric:?}");
            }
        };
        check(&result, true);
        result.deliveries[0].unjudged = 1;
        check(&result, false);
        result.deliveries[0].expected = 1;
        check(&result, true);
    }

    #[test]
    fn each_metric() {
        use Metric::*;
        use Operator::*;
        let mut result = example();
        result.deliveries[0].lost = 3;
        let check = |label, metric, operator, value, observed: &str, passed| {
            let got = &evaluate(&[threshold(label, metric, operator, value)], &result)[0];
            assert!(got.observed.starts_with(observed), "{} is not {observed}", got.observed);
            assert_eq!(got.passed, passed, "{}", got.observed);
        };
        check(None, Percentile(50.0), Less, 250e6, "p50 = ", true);
        check(None, Percentile(99.9), Less, 250e6, "p99.9 = ", false);
        check(Some("publish"), Max, Greater, 0.9e9, "max = 1.", true);
        check(Some("publish"), Mean, Less, 1e9, "mean = ", true);
        check(Some("read history"), Errors, Equal, 0.0, "errors = 0.01", false);
        check(None, Errors, Less, 0.001, "errors = 0.00020 %", true);
        check(None, Rate, GreaterOrEqual, 50_000.0, "rate = 50,000/s", true);
        check(Some("publish"), Rate, LessOrEqual, 5.0, "rate = 5.00/s", true);
        check(None, Lost, Equal, 0.0, "lost = 3", false);
        check(Some("tail"), Duplicated, Equal, 0.0, "duplicated = 0", true);
        check(None, Reordered, NotEqual, 0.0, "reordered = 0", false);
        check(None, LastReader(50.0), Less, 1e9, "last_reader p50 = ", true);
        check(None, Lateness(99.0), Less, 1e6, "lateness p99 = ", true);
        check(Some("no"), Rate, Greater, 0.0, "nothing with the label no was measured", false);
        result.lateness = Times::new();
        let check = threshold(None, Lateness(99.0), Less, 1e6);
        assert!(!evaluate(&[check], &result)[0].passed, "nothing was measured");
    }

    #[test]
    fn what_goes_without_saying() {
        let texts = |plan: &Plan| -> Vec<String> {
            of(plan).into_iter().map(|threshold| threshold.text).collect()
        };
        let mut plan = plan_with_a_tail();
        assert_eq!(texts(&plan), ["tail: lost == 0", "tail: reordered == 0", "errors == 0"]);
        let own = |label, metric| threshold(label, metric, Operator::Less, 5.0);
        plan.thresholds = vec![own(Some("tail"), Metric::Lost), own(Some("other"), Metric::Errors)];
        assert_eq!(texts(&plan), ["as written", "as written", "tail: reordered == 0"]);
        plan.thresholds = vec![own(None, Metric::Reordered), own(Some("x"), Metric::Lost)];
        let expected = ["as written", "as written", "tail: lost == 0", "errors == 0"];
        assert_eq!(texts(&plan), expected);
        // A reader that may lose something makes no errors by it.
        plan.thresholds.clear();
        let Step::Loop { steps, .. } = &mut plan.groups[0].steps[0] else { panic!("a loop") };
        let Step::Sample(sampler) = &mut steps[0] else { panic!("a step") };
        let SamplerKind::Tail(tail) = &mut sampler.kind else { panic!("a tail") };
        tail.checks.gap_free = false;
        let head = SamplerKind::Head { streams: 0 };
        let head = Sampler { label: "head".to_owned(), kind: head, ..(**sampler).clone() };
        steps.extend(vec![Step::Sample(Box::new(head)); 2]);
        assert_eq!(texts(&plan), ["tail: reordered == 0", "head: errors == 0"]);
    }

    fn plan_with_a_tail() -> Plan {
        use crate::plan::{Behaviour, DeliveryChecks, From, Group, Load, OnError, TailMode};
        use std::time::Duration;
        let tail = Tail {
            streams: 0,
            mode: TailMode::Sse,
            from: From::Now,
            behaviour: Behaviour::default(),
            checks: DeliveryChecks { once: false, ..DeliveryChecks::default() },
        };
        let sampler = Sampler {
            label: "tail".to_owned(),
            kind: SamplerKind::Tail(tail),
            fields: Vec::new(),
            assertions: Vec::new(),
            extractions: Vec::new(),
        };
        let group = Group {
            name: "readers".to_owned(),
            load: Load::Closed { stages: Vec::new(), iterations: None },
            delay: Duration::ZERO,
            steps: vec![Step::Loop { times: None, steps: vec![Step::Sample(Box::new(sampler))] }],
            on_error: OnError::Continue,
        };
        Plan {
            name: String::new(),
            seed: 1,
            target: String::new(),
            transport: crate::plan::Transport::default(),
            warm_up: Duration::ZERO,
            drain: Duration::ZERO,
            connect_rate: 1.0,
            timeout: Duration::ZERO,
            fields: Vec::new(),
            bearer: None,
            variables: std::collections::BTreeMap::new(),
            streams: Vec::new(),
            data: Vec::new(),
            groups: vec![group],
            thresholds: Vec::new(),
        }
    }

    #[test]
    fn a_run_fails_by_its_verdicts_and_its_readers() {
        let mut result = example();
        result.verdicts.clear();
        assert!(passed(&result));
        result.deliveries[0].failed_readers = 1;
        assert!(!passed(&result));
        result.deliveries[0].failed_readers = 0;
        result.verdicts =
            evaluate(&[threshold(None, Metric::Rate, Operator::Greater, 1e9)], &result);
        assert!(!passed(&result));
    }
}
