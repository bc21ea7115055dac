//! A full disk: writes are refused and say so, reads go on, and writes go on once there is space,
//! without a restart.

use std::fs::{self, File};
use std::path::Path;

use super::SMALL;
use super::machine::{Mount, alone, has, skipped};
use crate::support::{Client, Events, Request, Server, wait_for, wait_until};

const DISK_BYTES: u64 = 12 << 20;
/// Somebody else's file, that goes when space is needed.
const BALLAST_BYTES: usize = 4 << 20;
const BODY: [u8; 2048] = [b'x'; 2048];

#[test]
fn a_full_disk_refuses_writes_until_there_is_space() {
    let _alone = alone();
    if !has(&["mount", "umount"]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let disk = match Mount::memory(DISK_BYTES, directory.path().join("disk")) {
        Ok(disk) => disk,
        Err(error) => return skipped(&error),
    };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; BALLAST_BYTES]).expect("written");
    let data_dir = disk.path().join("data");
    let mut server = Server::start_in(&data_dir, &[], &SMALL);
    for stream in ["a", "b", "unwanted"] {
        server.put(stream, "text/plain", "").expect_status(201);
    }
    let live = Request::get("b?offset=now&live=sse");
    let mut reader = Events::open(server.connect(), &live);
    reader.next_of("control");

    let mut client = server.connect();
    let stored = fill(&mut client);
    check_refusals(&server, stored);
    // The same after a restart: the disk is still full.
    drop(client);
    server.stop();
    drop(reader);
    server.launch();
    wait_until("it notices", || server.post("a", "text/plain", BODY).status == 507);
    check_refusals(&server, stored);
    let mut reader = Events::open(server.connect(), &live);
    reader.next_of("control");

    fs::remove_file(&ballast).expect("removed");
    wait_until("appends go on", || server.post("b", "text/plain", "y").status == 204);
    assert_eq!(reader.next_of("data").data, "y", "the live reader is still there");
    server.get("/readyz").expect_status(200);
    server.delete("unwanted").expect_status(204);
    server.put("new", "text/plain", "").expect_status(201);
    let text = server.get("a").expect_status(200).text();
    assert!(text.len() >= stored * BODY.len() && text.bytes().all(|byte| byte == b'x'));
    server.crash();
    assert_eq!(server.get("a").expect_status(200).text(), text, "what was read is durable");
    server.stop();
}

/// Appends until the disk is full; how often that went well.
fn fill(client: &mut Client) -> usize {
    let request = Request::post("a").with("content-type", "text/plain").body(BODY);
    for stored in 0.. {
        let answer = client.ask(&request);
        if answer.status != 204 {
            let answer = answer.expect_problem(507, "disk-full");
            assert!(answer.field("retry-after").is_some());
            assert!(answer.text().contains("space"), "{}", answer.text());
            return stored;
        }
    }
    unreachable!("it ends when the disk is full")
}

/// What a full disk refuses, and what it does not.
fn check_refusals(server: &Server, stored: usize) {
    server.post("b", "text/plain", BODY).expect_problem(507, "disk-full");
    server.put("new", "text/plain", "").expect_problem(507, "disk-full");
    // A deletion is a record too.
    server.delete("unwanted").expect_problem(507, "disk-full");
    let text = server.get("a").expect_status(200).text();
    assert!(text.len() >= stored * BODY.len(), "{} bytes of {stored} appends", text.len());
    server.head("unwanted").expect_status(200);
    assert_eq!(server.head("new").status, 404);
    server.get("/healthz").expect_status(200);
    assert!(server.get("/readyz").expect_status(503).text().contains("disk-full"));
    assert!(server.log().contains("no segment could be made"), "{}", server.log());
}

/// A disk that is full to the last byte when the server starts.
#[test]
fn a_start_on_a_full_disk() {
    let _alone = alone();
    if !has(&["mount", "umount"]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let disk = match Mount::memory(DISK_BYTES, directory.path().join("disk")) {
        Ok(disk) => disk,
        Err(error) => return skipped(&error),
    };
    let data_dir = disk.path().join("data");
    let mut server = Server::start_in(&data_dir, &[], &SMALL);
    server.put("a", "text/plain", "stored").expect_status(201);
    server.stop();
    let ballast = disk.path().join("ballast");
    fill_up(&ballast);
    server.launch();
    assert_eq!(server.get("a").expect_status(200).text(), "stored");
    server.stop();
    fs::remove_file(&ballast).expect("removed");
    server.launch();
    let append = || server.post("a", "text/plain", " and more");
    wait_for("appends to go on", || (append().status == 204).then_some(()));
    server.stop();
}

/// Writes until nothing more goes in.
fn fill_up(path: &Path) {
    use std::io::Write;
    let mut file = File::create(path).expect("created");
    for size in [64 << 10, 4 << 10, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}
