//! The sample log of a process that is killed at full speed has whole rows only.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use thalweg_loadgen::output::jtl::{DataType, HEADER, JtlBuffer, JtlRow, JtlWriter, ResponseCode};

#[test]
fn a_killed_process_leaves_whole_rows() {
    let dir = tempfile::tempdir().unwrap();
    // At different sizes of the file, so at different places within a write.
    for round in 0..40 {
        let path = dir.path().join(format!("{round}.jtl"));
        let mut child = start(&path);
        let least = 200_000 + round * 123_457;
        wait_for(&path, least, &mut child);
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        check(&path);
        std::fs::remove_file(&path).unwrap();
    }
}

/// This test again, as the process that writes.
fn start(path: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "jtl_kill::writes_until_it_is_killed", "--ignored"])
        .env(PATH, path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started")
}

fn wait_for(path: &Path, bytes: u64, child: &mut Child) {
    let begin = Instant::now();
    while path.metadata().map_or(0, |file| file.len()) < bytes {
        assert!(begin.elapsed() < Duration::from_secs(60), "it does not write");
        assert_eq!(child.try_wait().expect("a child"), None, "it ended by itself");
        std::thread::yield_now();
    }
}

fn check(path: &Path) {
    let text = std::fs::read(path).expect("readable");
    assert_eq!(text.last(), Some(&b'\n'), "the last row was cut");
    assert!(text.starts_with(HEADER.as_bytes()));
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let columns = reader.headers().expect("a header").len();
    let mut rows = 0;
    for row in reader.records() {
        let row = row.expect("a row");
        assert_eq!(row.len(), columns);
        assert!(row[0].parse::<u64>().is_ok() && row[17].parse::<u64>().is_ok(), "{row:?}");
        rows += 1;
    }
    assert!(rows > 30, "{rows} rows");
}

#[test]
#[ignore = "started by the test above"]
fn writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(PATH) else { return };
    let (_writer, sink) = JtlWriter::create(Path::new(&path)).unwrap();
    let mut buffer = JtlBuffer::new(sink.clone());
    // Long rows, so that most of the time goes into writing.
    let url = "http://127.0.0.1:4437/v1/stream/some/longer/path".repeat(50);
    for number in 0_u64.. {
        let fails = number % 1000 == 999;
        buffer.push(&JtlRow {
            time_stamp_ms: 1_760_000_000_000 + number,
            elapsed_ns: number * 1000,
            label: "publish",
            response_code: ResponseCode::Status(204),
            response_message: "No Content",
            group: "publishers",
            group_number: 1,
            user: 17,
            data_type: DataType::None,
            success: !fails,
            failure_message: if fails { "wanted \"a\",\nnot b" } else { "" },
            bytes: 180,
            sent_bytes: 340,
            group_threads: 20,
            all_threads: 30,
            url: &url[..url.len() - (number * 7 % 1500) as usize],
            latency_ns: number * 900,
            idle_ns: 0,
            connect_ns: 0,
        });
        // As fast as the disk, without filling the memory.
        while sink.queued_bytes() > 8 << 20 {
            std::thread::yield_now();
        }
    }
}

const PATH: &str = "THALWEG_TEST_JTL";
