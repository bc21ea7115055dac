//! `thalweg config`.

use std::fs;
use std::process::{Command, Output};

fn config(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.arg("config").args(arguments).output().expect("the binary")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn check_says_all_that_is_wrong_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("thalweg.toml");
    fs::write(&file, "lisen = 1\n[live]\nsse_lifetime = '1ms'\n").expect("written");
    let path = file.display().to_string();
    let output = config(&["check", &path, "--io=uring"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(lines[0].starts_with(&format!("{path}:1: unknown key `lisen`")), "{said}");
    assert!(lines[1].starts_with(&format!("{path}:3: live.sse_lifetime")), "{said}");
    assert!(lines[2].starts_with("flag: io"), "{said}");

    fs::write(&file, "io = 'epoll'\n").expect("written");
    assert_eq!(config(&["check", &path]).status.code(), Some(0));
    assert_eq!(config(&["check"]).status.code(), Some(0), "the defaults");
    let missing = config(&["check", "/nowhere/at/all.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("/nowhere/at/all.toml"));
}

#[test]
fn print_says_where_values_come_from() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("thalweg.toml");
    fs::write(&file, "\nio = 'epoll'\n").expect("written");
    let path = file.display().to_string();
    let output = config(&["print", &path, "--durability=async"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let check = |key: &str, want: &str| {
        let line = said.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        assert!(line.ends_with(want), "{key}: {line}");
    };
    check("io = ", &format!("# {path}:2"));
    check("durability = ", "# flag");
    check("listen = ", "# default");
    // It is a configuration again.
    fs::write(&file, &said).expect("written");
    assert_eq!(config(&["check", &path]).status.code(), Some(0));
}
