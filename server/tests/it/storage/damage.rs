//! Damage on the real disk: found, repaired, and the server starts again.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::support::{Server, refused_start};
use super::{SMALL, storage, tree};

/// Where some bytes are in a directory.
fn find(dir: &Path, what: &[u8]) -> (PathBuf, usize) {
    let place = |(path, bytes): (PathBuf, Vec<u8>)| {
        let at = bytes.windows(what.len()).position(|window| window == what)?;
        Some((path, at))
    };
    tree(dir).into_iter().find_map(place).expect("the bytes")
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("readable");
    bytes[at] ^= 4;
    fs::write(path, bytes).expect("written");
}

/// Streams on both cores, most of them in the checkpoints.
fn fill(server: &mut Server) {
    for n in 0..8 {
        server.put(&format!("s/{n}"), "text/plain", format!("content of {n} ")).expect_status(201);
    }
    server.stop();
    server.launch();
    for n in 0..8 {
        server.post(&format!("s/{n}"), "text/plain", format!("more of {n} ")).expect_status(204);
    }
    for n in 0..8 {
        server.post(&format!("s/{n}"), "text/plain", "end").expect_status(204);
    }
}

fn whole(n: usize) -> String {
    format!("content of {n} more of {n} end")
}

#[test]
fn a_flipped_bit_in_a_record() {
    let mut server = Server::start(&SMALL);
    fill(&mut server);
    server.stop();
    let dir = server.data_dir();
    storage([&"verify", &dir]).expect(0, &["8 streams", "sound"]);
    let (path, at) = find(&dir, b"content of 3 ");
    flip(&path, at);
    let name = path.strip_prefix(&dir).expect("inside").display().to_string();
    let range = "stream `s/3`, bytes 0 to 13";
    storage([&"verify", &dir]).expect(1, &[&name, "CRC32C of the record", range]);
    let found = storage([&"verify", &dir, &"--json"]).expect(1, &[]).json();
    let findings = found["findings"].as_array().expect("an array");
    let of_stream = |finding: &&serde_json::Value| finding["affected"][0]["path"] == "s/3";
    let hit = findings.iter().find(of_stream).expect("the stream's finding");
    assert_eq!((&hit["affected"][0]["from"], &hit["affected"][0]["to"]), (&0.into(), &13.into()));

    let before = tree(&dir);
    storage([&"repair", &dir]).expect(1, &[range, "Nothing was changed", "--yes"]);
    storage([&"repair", &dir, &"--dry-run"]).expect(1, &["Nothing was changed"]);
    assert_eq!(tree(&dir), before);
    let done = storage([&"repair", &dir, &"--yes"]).expect(0, &[range, "quarantine"]);
    assert!(done.stdout.contains("1 stream of 8 lose 13 bytes"), "{}", done.stdout);
    storage([&"verify", &dir]).expect(0, &["note", "lost before", "sound"]);
    storage([&"repair", &dir]).expect(0, &["nothing to repair"]);
    let kept = tree(&dir.join("quarantine"));
    let is_kept = |end: &str| kept.keys().any(|path| path.to_string_lossy().ends_with(end));
    assert!(is_kept(&name) && is_kept("report.txt") && is_kept("LAYOUT"), "{:?}", kept.keys());

    server.launch();
    for n in (0..8).filter(|n| *n != 3) {
        assert_eq!(server.get(&format!("s/{n}")).text(), whole(n));
    }
    server.get("s/3").expect_problem(500, "unreadable");
    let tail = server.tail("s/3").expect("a tail");
    let after = format!("s/3?offset={}_0000000000000013", tail.split_once('_').expect("two").0);
    assert_eq!(server.get(&after).expect_status(200).text(), "more of 3 end");
    server.post("s/3", "text/plain", "!").expect_status(204);
    server.crash();
    assert_eq!(server.get(&after).expect_status(200).text(), "more of 3 end!");
}

#[test]
fn damage_that_a_start_refuses() {
    let mut server = Server::start(&["--cores=1"]);
    fill(&mut server);
    server.kill();
    let dir = server.data_dir();
    let (path, at) = find(&dir, b"more of 5 ");
    flip(&path, at);
    let refused = refused_start(&dir, &["--listen=127.0.0.1:0", "--cores=1"]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("thalweg storage verify"), "{message}");
    let range = "stream `s/5`, bytes 13 to 23";
    storage([&"verify", &dir]).expect(1, &["CRC32C of the group", range]);
    storage([&"backup", &dir, &"--to", &dir.with_extension("backup")]).expect(1, &["is damaged"]);
    storage([&"repair", &dir, &"--yes"]).expect(0, &[range]);
    server.launch();
    for n in (0..8).filter(|n| *n != 5) {
        assert_eq!(server.get(&format!("s/{n}")).text(), whole(n));
    }
    assert_eq!(server.tail("s/5").expect("a tail").split_once('_').expect("two").1.len(), 16);
    server.stop();
    storage([&"verify", &dir]).expect(0, &["sound"]);
}

#[test]
fn every_file_can_be_missed() {
    let mut server = Server::start(&SMALL);
    fill(&mut server);
    server.stop();
    let dir = server.data_dir();
    let sound = tree(&dir);
    let structures: Vec<&PathBuf> =
        sound.keys().filter(|path| !path.to_string_lossy().contains("keys")).collect();
    for path in structures {
        fs::remove_file(path).expect("removed");
        // Segments that were made ahead are nobody's loss.
        let verified = storage([&"verify", &dir]);
        if verified.code == Some(1) {
            storage([&"repair", &dir, &"--yes"]).expect(0, &[]);
        }
        storage([&"verify", &dir]).expect(0, &["sound"]);
        server.launch();
        assert_eq!(server.streams().len(), 8, "without {}", path.display());
        server.stop();
        fs::remove_dir_all(&dir).expect("removed");
        for (path, bytes) in &sound {
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, bytes).expect("written");
        }
    }
}
