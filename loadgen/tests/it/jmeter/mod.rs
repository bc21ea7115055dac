//! The real JMeter as the judge: it opens our logs, and it runs the plans that we run.
//!
//! It comes from PyPI (`tests/jmeter/setup.sh`). Where it cannot be had, the tests that need it say
//! why on stderr and pass with what they found out without it.

mod controllers;
mod example;
mod groups;
mod jmx;
mod judge;
mod killed;
mod log;
mod pace;
mod stub;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use judge::{Count, judge};
use stub::Stub;
use tempfile::TempDir;
use thalweg_loadgen::engine::{self, RunOptions};
use thalweg_loadgen::plan::{Plan, PlanSource};
use thalweg_loadgen::result::RunResult;

/// Samples and errors by label.
type Counts = BTreeMap<String, Count>;

/// A JMX plan as a file, with the files that it names beside it.
struct PlanFile {
    path: PathBuf,
    /// It is gone after this.
    _directory: TempDir,
}

impl PlanFile {
    fn new(jmx: &str, data: &[(&str, &str)]) -> PlanFile {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("plan.jmx");
        std::fs::write(&path, jmx).expect("written");
        for (name, text) in data {
            std::fs::write(directory.path().join(name), text).expect("written");
        }
        PlanFile { path, _directory: directory }
    }
}

/// A plan as we read it, and what was said about it.
fn read(file: &Path, properties: &[(&str, &str)]) -> (Plan, Vec<String>) {
    let properties = properties.iter().map(|&(name, value)| (name.into(), value.into())).collect();
    let source = PlanSource::read(file, properties, false).expect("readable");
    let resolved = source.resolve().unwrap_or_else(|error| panic!("{error}"));
    (resolved.plan, [resolved.skipped, resolved.notes].concat())
}

/// Runs a plan here.
fn run(file: &Path, properties: &[(&str, &str)]) -> RunResult {
    let (plan, _) = read(file, properties);
    engine::run(&plan, &RunOptions::default()).expect("a result")
}

/// Runs a plan in JMeter, if there is one.
fn run_in_jmeter(file: &Path, properties: &[(&str, &str)]) -> Option<Counts> {
    let pairs: Vec<String> =
        properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut arguments = vec!["run".as_ref(), file.as_os_str()];
    for pair in &pairs {
        arguments.extend(["-J".as_ref(), AsRef::<std::ffi::OsStr>::as_ref(pair)]);
    }
    judge(&arguments).map(|verdict| verdict.labels)
}

/// Runs a plan in both programs, each against a server of its own. Both count `want` and send the
/// same requests. The property `port` is set here.
fn check_both(file: &Path, properties: &[(&str, &str)], want: &Counts) {
    let stub = Stub::start();
    let port = stub.port().to_string();
    let with = |port| [&[("port", port)], properties].concat();
    let result = run(file, &with(&port));
    assert_same(&counts(&result), want, "counted here");
    let theirs = Stub::start();
    let port = theirs.port().to_string();
    if let Some(counted) = run_in_jmeter(file, &with(&port)) {
        assert_same(&counted, want, "counted by JMeter");
        assert_same(&theirs.requests(), &stub.requests(), "sent by JMeter");
    }
}

/// Shows only what differs: the tables are long.
#[track_caller]
fn assert_same<V: PartialEq + Debug>(
    got: &BTreeMap<String, V>,
    want: &BTreeMap<String, V>,
    what: &str,
) {
    let keys: BTreeSet<&String> = got.keys().chain(want.keys()).collect();
    let differ: Vec<String> = keys
        .into_iter()
        .map(|key| (key, got.get(key), want.get(key)))
        .filter(|(_, got, want)| got != want)
        .map(|(key, got, want)| format!("{key}: {got:?}, not {want:?}"))
        .collect();
    assert!(differ.is_empty(), "{what}:\n{}", differ.join("\n"));
}

/// What was counted, as JMeter would list it: without labels that nothing ran under.
fn counts(result: &RunResult) -> Counts {
    let all = result.operations.iter().map(|operation| {
        let samples = operation.succeeded + operation.failed;
        (operation.label.clone(), Count { samples, errors: operation.failed })
    });
    all.filter(|(_, count)| count.samples > 0).collect()
}

/// `label`, samples, errors.
fn table(rows: &[(&str, u64, u64)]) -> Counts {
    let count = |samples, errors| Count { samples, errors };
    rows.iter()
        .map(|&(label, samples, errors)| (label.to_owned(), count(samples, errors)))
        .collect()
}
