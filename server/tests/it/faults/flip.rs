//! One flipped bit in the middle of stored data: what it hit is refused by name, everything else
//! serves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::SMALL;
use crate::support::{Request, Server, wait_for};

/// Of each stream.
const APPENDS: usize = 60;
const BODY_BYTES: usize = 20_000;
/// The append that is hit.
const HIT: usize = APPENDS / 2;

/// Text that says where it belongs.
fn body(stream: &str, index: usize) -> String {
    let line = format!("{stream} {index:04}\n");
    line.repeat(BODY_BYTES / line.len())
}

fn bodies(stream: &str, range: std::ops::Range<usize>) -> String {
    range.map(|index| body(stream, index)).collect()
}

/// The offsets before each append, and the tail.
fn fill(server: &Server, stream: &str) -> Vec<String> {
    let mut client = server.connect();
    let created = client.ask(&Request::put(stream).with("content-type", "text/plain"));
    let mut offsets = vec![created.expect_status(201).next_offset().to_owned()];
    for index in 0..APPENDS {
        let request = Request::post(stream).with("content-type", "text/plain");
        let answer = client.ask(&request.body(body(stream, index))).expect_status(204);
        offsets.push(answer.next_offset().to_owned());
    }
    offsets
}

/// The files of the log that have this text, and where.
fn find(data_dir: &Path, text: &[u8]) -> Vec<(PathBuf, usize)> {
    let files = fs::read_dir(data_dir.join("log-0")).expect("a log");
    let place = |path: PathBuf| {
        // Files come and go while a server runs.
        let bytes = fs::read(&path).unwrap_or_default();
        let at = bytes.windows(text.len()).position(|window| window == text)?;
        Some((path, at))
    };
    files.flatten().filter_map(|entry| place(entry.path())).collect()
}

/// Flips a bit in the middle of a text.
fn flip(path: &Path, at: usize, text: &[u8]) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[at + text.len() / 2] ^= 0x10;
    fs::write(path, bytes).expect("written");
}

#[test]
fn a_flipped_bit_in_the_log_costs_its_record_alone() {
    check("[storage]\ncompaction = false\n", |server, text| {
        let found = find(&server.data_dir(), text);
        assert_eq!(found.len(), 1, "{found:?}");
        found
    });
}

#[test]
fn a_flipped_bit_in_a_sealed_segment_costs_its_record_alone() {
    check("", |server, text| {
        let is_sealed = |path: &Path| path.extension().is_some_and(|end| end == "seg");
        // A segment of the log is sealed when both checkpoints began after it. Each stop makes one.
        restart(server);
        let found = wait_for("the bytes to be sealed", || {
            let mut found = find(&server.data_dir(), text);
            found.retain(|(path, _)| is_sealed(path));
            (!found.is_empty()).then_some(found)
        });
        // What is in the log stays for a while, but the next checkpoint names the sealed segment.
        restart(server);
        found
    });
}

fn restart(server: &mut Server) {
    server.stop();
    server.launch();
}

/// `hit` says which files have the bytes of a record, and where.
fn check(configuration: &str, hit: impl Fn(&mut Server, &[u8]) -> Vec<(PathBuf, usize)>) {
    let mut server = Server::start_configured(configuration, &SMALL);
    let damaged = fill(&server, "damaged");
    let sound = fill(&server, "sound");
    let text = body("damaged", HIT).into_bytes();
    // With a checkpoint, so that the next start has no reason to read the record.
    restart(&mut server);
    let found = hit(&mut server, &text);
    server.stop();
    for (path, at) in &found {
        flip(path, *at, &text);
    }
    server.launch();

    let from = |index: usize| format!("damaged?offset={}", damaged[index]);
    let refused = server.get(&from(HIT)).expect_problem(500, "unreadable");
    assert!(refused.text().contains("damaged"), "{}", refused.text());
    let log = server.log();
    assert!(log.contains("damaged record") && log.contains("stream=damaged"), "{log}");
    // A reader gets everything before it, and may go on behind it.
    let before = server.get("damaged").expect_status(200);
    assert_eq!(before.text(), bodies("damaged", 0..HIT));
    assert_eq!(before.next_offset(), damaged[HIT]);
    assert_eq!(server.get(&from(HIT - 2)).text(), bodies("damaged", HIT - 2..HIT));
    assert_eq!(server.get(&from(HIT + 1)).text(), bodies("damaged", HIT + 1..APPENDS));
    assert_eq!(server.tail("damaged").as_ref(), damaged.last());

    let page = server.get(&format!("sound?offset={}", sound[0])).expect_status(200);
    assert_eq!(page.text(), bodies("sound", 0..APPENDS));
    server.post("damaged", "text/plain", "more").expect_status(204);
    assert_eq!(server.get(&from(APPENDS)).expect_status(200).text(), "more");
    assert!(server.is_alive());
    server.stop();
    check_reported(&server, &found);
    // The bit is back: nothing was made worse, nothing was forgotten.
    for (path, at) in &found {
        flip(path, *at, &text);
    }
    server.launch();
    let whole = bodies("damaged", 0..APPENDS) + "more";
    assert_eq!(server.get("damaged").expect_status(200).text(), whole);
    server.stop();
}

/// `thalweg storage verify` names the files.
fn check_reported(server: &Server, found: &[(PathBuf, usize)]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.args(["storage", "verify"]).arg(server.data_dir());
    let output = command.output().expect("the binary");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for (path, _) in found {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(said.contains(name), "{name} is not in {said}");
    }
}
