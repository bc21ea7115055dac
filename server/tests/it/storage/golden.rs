//! Directories that servers of every version of the format wrote: they are read for ever.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::super::support::{Response, Server};
use super::{SMALL, replace, storage};

const VERSIONS: [u32; 2] = [1, 2];

fn golden(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../storage/tests/golden/v{version}"))
}

/// Writes the files of a golden directory.
fn unpack(version: u32, to: &Path) {
    let text = fs::read_to_string(golden(version).join("data.hex")).expect("readable");
    let mut open: Option<fs::File> = None;
    for line in text.lines() {
        if let Some(file) = line.strip_prefix("file ") {
            let (name, bytes) = file.rsplit_once(' ').expect("a name and a size");
            let path = to.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            let file = fs::File::create(path).expect("made");
            file.set_len(bytes.parse().expect("a number")).expect("sized");
            open = Some(file);
            continue;
        }
        let (at, digits) = line.split_once(": ").expect("an offset");
        let at = u64::from_str_radix(at, 16).expect("hexadecimal");
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).expect("digits");
            u8::from_str_radix(pair, 16).expect("hexadecimal")
        };
        let bytes: Vec<u8> = digits.as_bytes().chunks(2).map(byte).collect();
        let file = open.as_mut().expect("a file");
        file.seek(SeekFrom::Start(at)).expect("found");
        file.write_all(&bytes).expect("written");
    }
}

fn expected(version: u32) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(golden(version).join("expected.json")).expect("readable");
    serde_json::from_str(&text).expect("JSON")
}

fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    let encode = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    path.bytes().map(encode).collect()
}

/// The bytes of a stream, or how many zeros they are.
fn check_content(found: &Response, entry: &serde_json::Value) {
    match entry["content"].as_str() {
        Some(content) => assert_eq!(found.text(), content, "{}", entry["path"]),
        None => {
            let is_zero = found.body.iter().all(|byte| *byte == 0);
            assert!(is_zero && entry["zeros"] == found.body.len(), "{}", entry["path"]);
        }
    }
}

/// Every stream as it was when the directory was made.
fn check(server: &Server, version: u32) {
    let expected = expected(version);
    let paths: Vec<&str> = expected.iter().filter_map(|entry| entry["path"].as_str()).collect();
    assert_eq!(server.streams(), paths, "version {version}");
    for entry in &expected {
        let path = entry["path"].as_str().expect("a path");
        let found = server.get(&encoded(path)).expect_status(200);
        check_content(&found, entry);
        assert_eq!(found.next_offset(), entry["next_offset"], "{version} {path}");
        assert_eq!(found.is_closed(), entry["closed"], "{version} {path}");
        assert_eq!(found.field("content-type"), entry["content_type"].as_str(), "{path}");
    }
    let producer =
        super::Request::post("producer").with("content-type", "text/plain").body("again");
    server.ask(&producer.producer("writer", 1, 3)).expect_status(204);
    server.head("deleted").expect_status(404);
    server.head("hidden").expect_status(410);
    server.get("__ds/subscriptions/watch0").expect_status(200);
}

#[test]
fn every_version_is_read() {
    for version in VERSIONS {
        let directory = tempfile::tempdir().expect("a directory");
        let dir = directory.path().join("golden");
        unpack(version, &dir);
        let found = storage([&"verify", &dir, &"--json"]).expect(0, &[]).json();
        assert_eq!((&found["sound"], &found["format"]), (&true.into(), &version.into()));
        assert_eq!(found["findings"], serde_json::json!([]), "version {version}");
        // `hidden` is kept for its fork.
        assert_eq!(found["streams"], expected(version).len() as u64 + 1);
        let backup = directory.path().join("backup");
        storage([&"backup", &dir, &"--to", &backup]).expect(0, &["of a stopped server", "sound"]);

        let mut server = Server::start(&SMALL);
        server.stop();
        replace(&server, &dir);
        server.launch();
        check(&server, version);
        server.stop();
        server.launch_with(&["--cores=1"]);
        check(&server, version);
        server.stop();
        storage([&"verify", &server.data_dir()]).expect(0, &["sound"]);

        let restored = directory.path().join("restored");
        storage([&"restore", &backup, &"--to", &restored]).expect(0, &[]);
        replace(&server, &restored);
        server.launch_with(&SMALL);
        check(&server, version);
    }
}

#[test]
fn the_newest_becomes_the_oldest() {
    let directory = tempfile::tempdir().expect("a directory");
    let (dir, to) = (directory.path().join("golden"), directory.path().join("plain"));
    unpack(2, &dir);
    let words: [&dyn AsRef<std::ffi::OsStr>; 6] =
        [&"downgrade", &dir, &"--to-version", &"1", &"--to", &to];
    let listed = ["`kept/bytes` keeps at most 20 bytes", "begins at 40", "`kept/seconds`"];
    storage(words).expect(2, &listed);
    assert!(!to.exists(), "nothing was made");
    storage([&"downgrade", &dir, &"--to-version", &"3", &"--to", &to]).expect(2, &["version 1"]);
    let [a, b, c, d, e, f] = words;
    storage([a, b, c, d, e, f, &"--drop"]).expect(0, &["format 1"]);
    let found = storage([&"verify", &to, &"--json"]).expect(0, &[]).json();
    assert_eq!(found["format"], 1);
    for (path, bytes) in super::tree(&to) {
        let versioned = bytes.starts_with(b"THALWEGS") || bytes.starts_with(b"THALWEGL");
        assert!(!versioned || bytes[8..12] == [1, 0, 0, 0], "{}", path.display());
    }
    storage([&"downgrade", &to, &"--to-version", &"1", &"--to", &"x"]).expect(2, &["already"]);

    let mut server = Server::start(&SMALL);
    server.stop();
    replace(&server, &to);
    server.launch();
    for entry in expected(2) {
        let path = entry["path"].as_str().expect("a path");
        let found = server.get(&encoded(path));
        if path == "kept/bytes" {
            found.expect_problem(500, "unreadable");
        } else {
            let found = found.expect_status(200);
            check_content(&found, &entry);
            assert_eq!(found.next_offset(), entry["next_offset"], "{path}");
        }
    }
}
