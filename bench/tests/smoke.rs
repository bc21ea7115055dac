//! One small suite from the command line to its files: a floor, our own server, and the generator.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn a_suite_from_end_to_end() {
    let bench = Path::new(env!("CARGO_BIN_EXE_bench"));
    let server = bench.with_file_name("thalweg");
    if !server.is_file() {
        println!("skipped: the benchmark, because {} is not built", server.display());
        return;
    }
    let out = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let mut command = Command::new(bench);
    command.args(["append-latency", "--quick", "--only", "thalweg", "--out"]).arg(out.path());
    let output = command.arg("--server").arg(&server).output().expect("it runs");
    let (shown, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}\n{errors}");
    let written = |ending: &str| {
        let mut files = std::fs::read_dir(out.path()).expect("a directory").flatten();
        let file = files.find(|file| file.path().extension().is_some_and(|found| found == ending));
        std::fs::read_to_string(file.expect("a file").path()).expect("readable")
    };
    let table = written("md");
    for part in ["QUICK", "| who", "| sync + http-static (the floor)", "| thalweg ", "fdatasync"] {
        assert!(table.contains(part) && shown.contains(part), "no {part:?} in {table}");
    }
    let lines = written("jsonl");
    let lines: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(
        (&line["suite"], &line["contestant"]),
        (&"append-latency".into(), &"thalweg".into())
    );
    assert!(line["values"]["p50 us"].as_f64() > Some(0.0), "{line}");
    assert!(line["floors"][1]["p50 us"].as_f64() > Some(0.0), "{line}");
    assert!(line["run"]["kernel"].as_str().is_some_and(|kernel| kernel.starts_with("Linux")));
    let left: Vec<_> = std::fs::read_dir(out.path()).expect("a directory").flatten().collect();
    assert_eq!(left.len(), 2, "data of contestants stayed: {left:?}");
}

#[test]
fn the_list_names_suites_and_servers() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench")).arg("--list").output();
    let output = output.expect("it runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("fanout-overload"), "{shown}");
    assert!(shown.contains("nginx") && shown.contains("official"), "{shown}");
}

#[test]
fn what_cannot_be_measured() {
    let check = |arguments: &[&str], want: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_bench")).args(arguments).output();
        let output = output.expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(want), "{arguments:?}: {errors}");
    };
    check(&[], "no suite");
    check(&["fan"], "expected all or one of fanout, fanout-overload");
    check(&["fanout", "--rounds", "0"], "expected at least 1");
    check(
        &["fanout-h2", "--part", "nothing"],
        "no part has that in its title; there are\nfanout-h2",
    );
    check(
        &["append", "--only", "nobody"],
        "--only nobody: nobody of that name takes part; there are",
    );
    check(&["program", "x", "--port", "1"], "expected one of");
    check(&["become", "--", "/nowhere/x"], "/nowhere/x: ");
}
