//! `thalweg storage` as a process, on directories that servers made.

mod backup;
mod damage;
mod golden;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::support::{Request, Server};

/// What a command did.
pub(crate) struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    /// Checks the exit code and that each part is in what was printed.
    #[track_caller]
    fn expect(self, code: i32, parts: &[&str]) -> Outcome {
        let all = format!("{}{}", self.stdout, self.stderr);
        assert_eq!(self.code, Some(code), "{all}");
        for part in parts {
            assert!(all.contains(part), "{part:?} is not in {all}");
        }
        self
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).expect("JSON")
    }
}

/// Runs `thalweg storage`.
fn storage<const N: usize>(words: [&dyn AsRef<std::ffi::OsStr>; N]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.arg("storage");
    for word in words {
        command.arg(word.as_ref());
    }
    let Output { status, stdout, stderr } = command.output().expect("the binary");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Outcome { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// Small segments: these directories are copied often.
const SMALL: [&str; 3] = ["--cores=2", "--segment-bytes=1MiB", "--max-body-bytes=256KiB"];

/// Puts a directory in the place of a stopped server's.
fn replace(server: &Server, with: &Path) {
    let dir = server.data_dir();
    fs::remove_dir_all(&dir).expect("removed");
    fs::rename(with, &dir).expect("moved");
}

/// All files below a directory with their content, the lock and the socket left out.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.is_file() && !path.ends_with("LOCK") {
                files.insert(path.clone(), fs::read(&path).expect("readable"));
            }
        }
    }
    files
}

fn fork(source: &str, path: &str) -> Request {
    Request::put(path).with("stream-forked-from", format!("/v1/stream/{source}"))
}

#[test]
fn wrong_usage() {
    let directory = tempfile::tempdir().expect("a directory");
    let nowhere = directory.path().join("nowhere");
    storage([&"verify", &nowhere]).expect(2, &["not a data directory"]);
    storage([&"stats", &directory.path()]).expect(2, &["not a data directory"]);
    storage([&"backup", &nowhere, &"--to", &"x"]).expect(2, &["is not a directory"]);
    storage([&"repair", &nowhere]).expect(2, &["not a data directory"]);
    storage([&"verify"]).expect(2, &["DIR"]);
    assert!(!nowhere.exists(), "nothing was made");
    fs::write(
        directory.path().join("FORMAT"),
        "format = 99\ncreated-by = thalweg 9.0\ncrc32c = 2f20c37b\n",
    )
    .expect("written");
    storage([&"verify", &directory.path()]).expect(2, &["format 99", "created by thalweg 9.0"]);
}

#[test]
fn records_are_dumped() {
    let mut server = Server::start(&["--cores=1"]);
    server.put("a", "text/plain", "one ").expect_status(201);
    server.post("a", "text/plain", "two").expect_status(204);
    server.ask(&fork("a", "b")).expect_status(201);
    let dir = server.data_dir();
    storage([&"dump", &dir, &"--log", &"0"]).expect(0, &["uses", "its files change"]);
    server.stop();
    let log = storage([&"dump", &dir, &"--log", &"0", &"--payload"]);
    let log = log.expect(0, &["create stream", "`a`", "\"one \"", "fork of `a` up to 7"]);
    assert!(!log.stderr.contains("uses"), "it has stopped");
    let lines = storage([&"dump", &dir, &"--log", &"0", &"--payload", &"--json"]).expect(0, &[]);
    let records: Vec<serde_json::Value> =
        lines.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let appended = records.iter().find(|record| record["kind"] == "append").expect("an append");
    assert_eq!((&appended["data"], &appended["position"]), (&"two".into(), &4.into()));
    storage([&"dump", &dir, &"--stream", &"a"]).expect(0, &["bytes 4 to 7", "append"]);
    storage([&"dump", &dir, &"--stream", &"c"]).expect(2, &["no stream `c`"]);
    storage([&"dump", &dir, &"--checkpoint", &"0", &"--json"]).expect(0, &["\"path\":\"b\""]);
    storage([&"dump", &dir, &"--checkpoint", &"7"]).expect(2, &["no log 7"]);
    storage([&"dump", &dir, &"--log", &"7"]).expect(2, &["no log 7", "0"]);
    storage([&"dump", &dir]).expect(2, &["--stream"]);
    let stats = storage([&"stats", &dir, &"--json"]).expect(0, &[]).json();
    assert_eq!((&stats["streams"], &stats["forks"]), (&2.into(), &1.into()));
    assert_eq!((&stats["stream_bytes"], &stats["largest"][0]["path"]), (&7.into(), &"a".into()));
    assert_eq!(stats["written"]["amplification"], 1.0, "nothing was sealed: {stats}");
    storage([&"stats", &dir]).expect(0, &["largest streams", "checkpoints", "amplification 1.00"]);
}
