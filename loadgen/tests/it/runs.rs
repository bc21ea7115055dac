//! Plans as text against the stub, and what came of them.

use std::collections::BTreeMap;
use std::path::Path;

use thalweg_loadgen::engine::{self, Cores, RunOptions};
use thalweg_loadgen::plan::{Plan, PlanFormat, PlanSource};
use thalweg_loadgen::result::{DeliveryResult, OperationResult, RunResult, thresholds};

use crate::stub::Stub;

/// A plan of the text, with the stub as its target.
pub(crate) fn plan(stub: &Stub, text: &str) -> Plan {
    with_data(stub, text, &[])
}

/// The same, with data files.
pub(crate) fn with_data(stub: &Stub, text: &str, data: &[(&str, &str)]) -> Plan {
    let data = data.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect();
    let source = PlanSource {
        file: "plan.toml".into(),
        format: PlanFormat::Toml,
        text: format!("target = \"{}\"\n{text}", stub.target()),
        properties: BTreeMap::new(),
        data,
        skip_unknown: false,
    };
    source.resolve().unwrap_or_else(|error| panic!("{error}")).plan
}

/// A plan of `configs/load`.
pub(crate) fn example(stub: &Stub, name: &str, properties: &[(&str, &str)]) -> Plan {
    let target = stub.target();
    let properties = [("target", target.as_str())].into_iter().chain(properties.iter().copied());
    let properties = properties.map(|(name, value)| (name.into(), value.into())).collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/load").join(name);
    let source = PlanSource::read(&file, properties, false).expect("readable");
    source.resolve().unwrap_or_else(|error| panic!("{error}")).plan
}

/// Runs it on one core.
pub(crate) fn run(plan: &Plan) -> RunResult {
    run_on(plan, 1)
}

/// Runs it.
pub(crate) fn run_on(plan: &Plan, cores: usize) -> RunResult {
    let options = RunOptions { cores: Cores::Count(cores), ..RunOptions::default() };
    engine::run(plan, &options).expect("a result")
}

/// Checks all cases at the same time: runs mostly wait.
pub(crate) fn side_by_side<T: Send>(cases: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        for case in cases {
            let check = &check;
            scope.spawn(move || check(case));
        }
    });
}

/// Operations of a label.
#[track_caller]
pub(crate) fn operation<'a>(result: &'a RunResult, label: &str) -> &'a OperationResult {
    let found = result.operations.iter().find(|operation| operation.label == label);
    found.unwrap_or_else(|| panic!("no {label}"))
}

/// Deliveries of a label.
#[track_caller]
pub(crate) fn delivery<'a>(result: &'a RunResult, label: &str) -> &'a DeliveryResult {
    let found = result.deliveries.iter().find(|delivery| delivery.label == label);
    found.unwrap_or_else(|| panic!("no {label}"))
}

/// Lost, duplicated, reordered, damaged, readers that gave up.
pub(crate) fn faults(delivery: &DeliveryResult) -> [u64; 5] {
    let DeliveryResult { lost, duplicated, reordered, damaged, failed_readers, .. } = *delivery;
    [lost, duplicated, reordered, damaged, failed_readers]
}

/// Every reader of the label got every message, once and in order.
#[track_caller]
pub(crate) fn is_whole(result: &RunResult, label: &str) {
    let delivery = delivery(result, label);
    assert_eq!(faults(delivery), [0; 5], "{:?} {:?}", delivery.faults, result.errors);
    assert_eq!(delivery.delivered, delivery.expected);
    assert!(delivery.delivered > 0, "{label}");
}

/// Whether the run as a whole succeeded.
pub(crate) fn passed(result: &RunResult) -> bool {
    thresholds::passed(result)
}

/// Kinds of failure by label, with how often.
pub(crate) fn errors(result: &RunResult) -> Vec<(&str, &str, u64)> {
    let errors = result.errors.iter();
    errors.map(|error| (error.label.as_str(), error.kind.as_str(), error.count)).collect()
}

/// Milliseconds at a percentile.
pub(crate) fn ms(times: &thalweg_loadgen::result::Times, percentile: f64) -> f64 {
    times.percentile(percentile) as f64 / 1e6
}
