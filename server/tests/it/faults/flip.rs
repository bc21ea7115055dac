//! One flipped bit in the middle of stored data: what it hit is refused by name, everything else
//! serves.

use std::fs;
use std::path::{Path, PathBuf};

use super::SMALL;
use crate::support::{Request, Server};

/// Of each stream.
const APPENDS: usize = 60;
const BODY_BYTES: usize = 20_000;

/// Text that says where it belongs.
fn body(stream: &str, index: usize) -> String {
    let line = format!("{stream} {index:04}\n");
    line.repeat(BODY_BYTES / line.len())
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

/// Flips a bit in the one place where a segment has this text.
fn flip(data_dir: &Path, text: &str) -> PathBuf {
    for entry in fs::read_dir(data_dir.join("log-0")).expect("a log") {
        let path = entry.expect("an entry").path();
        let mut bytes = fs::read(&path).expect("a file");
        let found = bytes.windows(text.len()).position(|window| window == text.as_bytes());
        if let Some(at) = found {
            bytes[at + text.len() / 2] ^= 0x10;
            fs::write(&path, bytes).expect("written");
            return path;
        }
    }
    panic!("no segment has {text:?}");
}

#[test]
fn a_flipped_bit_costs_its_record_alone() {
    const HIT: usize = APPENDS / 2;
    let mut server = Server::start(&SMALL);
    let damaged = fill(&server, "damaged");
    let sound = fill(&server, "sound");
    let want: String = (0..APPENDS).map(|index| body("sound", index)).collect();
    // With a checkpoint, so that the next start has no reason to read the record.
    server.stop();
    let path = flip(&server.data_dir(), &body("damaged", HIT));
    server.launch();

    let from = |index: usize| format!("damaged?offset={}", damaged[index]);
    let refused = server.get(&from(HIT)).expect_problem(500, "unreadable");
    assert!(refused.text().contains("damaged"), "{}", refused.text());
    let log = server.log();
    assert!(log.contains("damaged record") && log.contains("stream=damaged"), "{log}");
    let rest: String = (HIT + 1..APPENDS).map(|index| body("damaged", index)).collect();
    assert_eq!(server.get(&from(HIT + 1)).expect_status(200).text(), rest);
    assert_eq!(server.tail("damaged").as_ref(), damaged.last());

    let page = server.get(&format!("sound?offset={}", sound[0])).expect_status(200);
    assert_eq!(page.text(), want);
    server.post("damaged", "text/plain", "more").expect_status(204);
    assert_eq!(server.get(&from(APPENDS)).expect_status(200).text(), "more");
    assert!(server.is_alive());
    // The bit is back: nothing was made worse, nothing was forgotten.
    server.stop();
    flip_back(&path, &body("damaged", HIT));
    server.launch();
    let whole: String = (0..APPENDS).map(|index| body("damaged", index)).collect();
    assert_eq!(server.get("damaged").expect_status(200).text(), format!("{whole}more"));
}

fn flip_back(path: &Path, text: &str) {
    let mut bytes = fs::read(path).expect("a file");
    let mut broken = text.as_bytes().to_vec();
    broken[text.len() / 2] ^= 0x10;
    let at = bytes.windows(broken.len()).position(|window| window == broken).expect("there");
    bytes[at + text.len() / 2] ^= 0x10;
    fs::write(path, bytes).expect("written");
}
