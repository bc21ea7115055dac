//! The log of a run that is killed opens in JMeter.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use thalweg_loadgen::engine::{self, Cores, RunOptions};
use thalweg_loadgen::output::jtl::JtlWriter;

use super::judge::{Count, judge};
use super::{Counts, table};
use crate::runs;
use crate::stub::Stub;

#[test]
fn jmeter_opens_the_log_of_a_killed_run() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("results.jtl");
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "jmeter::killed::runs_until_it_is_killed", "--ignored"])
        .env(LOG, &file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let begin = Instant::now();
    while file.metadata().map_or(0, |file| file.len()) < 400_000 {
        assert!(begin.elapsed() < Duration::from_secs(60), "it does not write");
        assert_eq!(child.try_wait().expect("a child"), None, "it ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let counted = rows(&file);
    let labels: Vec<&str> = counted.keys().map(String::as_str).collect();
    assert_eq!(labels, ["append", "missing"]);
    let Some(verdict) = judge(&["dashboard".as_ref(), file.as_os_str()]) else { return };
    assert_eq!(verdict.labels, counted);
}

/// Whole rows by label.
fn rows(file: &Path) -> Counts {
    let mut counts = table(&[]);
    for row in csv::Reader::from_path(file).unwrap().records() {
        let row = row.expect("a whole row");
        let Count { samples, errors } = counts.entry(row[2].to_owned()).or_default();
        *samples += 1;
        *errors += u64::from(&row[7] == "false");
    }
    counts
}

/// As `thalweg load run -l FILE` does.
#[test]
#[ignore = "started by the test above"]
fn runs_until_it_is_killed() {
    let Some(file) = std::env::var_os(LOG) else { return };
    let (_writer, sink) = JtlWriter::create(Path::new(&file)).unwrap();
    let stub = Stub::start();
    let plan = runs::plan(&stub, PLAN);
    let cores = Cores::Count(2);
    let options = RunOptions { cores, jtl: Some(sink), ..RunOptions::default() };
    engine::run(&plan, &options).unwrap();
}

const PLAN: &str = r#"
[[streams]]
name = "s"

[[groups]]
users = 8
hold = "60s"
steps = [{ append = { size = 100 } }, { label = "missing", http = { path = "none" } }]
"#;

const LOG: &str = "THALWEG_TEST_KILLED_LOG";
