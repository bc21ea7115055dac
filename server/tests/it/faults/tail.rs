//! Logs that end too early, on the real server. Every single byte is tried in
//! `storage/tests/storage/tail.rs`; here a few of each kind, from the file to the answer.

use std::fs;
use std::path::PathBuf;

use super::SMALL;
use crate::support::{Request, Server, refused_start};

const RECORDS: usize = 6;
const BLOCK: usize = 4096;

/// A log with a group for each record: where each group begins, and where its padding does.
struct Log {
    server: Server,
    path: PathBuf,
    whole: Vec<u8>,
    groups: Vec<(usize, usize)>,
}

fn record(index: usize) -> String {
    format!("record {index} of the stream that is cut\n")
}

fn text(records: usize) -> String {
    (0..records).map(record).collect()
}

impl Log {
    fn write() -> Log {
        let mut server = Server::start(&SMALL);
        server.put("a", "text/plain", "").expect_status(201);
        for index in 0..RECORDS {
            server.post("a", "text/plain", record(index)).expect_status(204);
        }
        server.kill();
        let path = server.data_dir().join("log-0/segment-0000000000000001.log");
        let whole = fs::read(&path).expect("the log");
        let group = |at: usize| {
            let block = &whole[at..at + BLOCK];
            let content = block.iter().rposition(|byte| *byte != 0)? + 1;
            block.starts_with(b"GRP1").then_some((at, at + content))
        };
        let groups: Vec<_> = (0..whole.len()).step_by(BLOCK).filter_map(group).collect();
        assert_eq!(groups.len(), 1 + RECORDS, "one for the creation too");
        Log { server, path, whole, groups }
    }

    /// The bytes of the last three records, a few in each.
    fn cuts(&self) -> Vec<usize> {
        let last = &self.groups[self.groups.len() - 3..];
        let inside = [0, 1, 4, 39, 40, 60, 120, 170];
        last.iter().flat_map(|(group, _)| inside.map(|at| group + at)).collect()
    }
}

/// A file that is shorter than it was made is damage: the server says which, and changes nothing.
#[test]
fn a_shortened_log_is_refused_by_name() {
    let log = Log::write();
    for cut in log.cuts() {
        fs::write(&log.path, &log.whole[..cut]).expect("written");
        let data_dir = log.server.data_dir();
        let output = refused_start(&data_dir, &["--listen=127.0.0.1:0", "--cores=1"]);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "cut at {cut}: {message}");
        for part in ["segment-0000000000000001.log", "too short", "acknowledged data is damaged"] {
            assert!(message.contains(part), "cut at {cut}: {message}");
        }
        assert_eq!(fs::read(&log.path).expect("the log").len(), cut, "nothing was changed");
    }
}

/// A write that was cut off leaves what was there before, zeros: the log ends before it.
#[test]
fn a_torn_write_takes_only_its_own_record() {
    let mut log = Log::write();
    for cut in log.cuts() {
        let mut bytes = log.whole.clone();
        bytes[cut..].fill(0);
        fs::write(&log.path, &bytes).expect("written");
        log.server.launch();
        let kept = log.groups.iter().skip(1).take_while(|(_, end)| *end <= cut).count();
        let answer = log.server.get("a").expect_status(200).text();
        assert_eq!(answer, text(kept), "torn at {cut}");
        // And it goes on from there.
        let append = Request::post("a").with("content-type", "text/plain").body("new");
        log.server.ask(&append).expect_status(204);
        log.server.crash();
        assert_eq!(log.server.get("a").expect_status(200).text(), text(kept) + "new");
        log.server.kill();
    }
}
