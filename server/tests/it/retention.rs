//! Retention over HTTP: what goes, what stays, what is told about it, and that the space comes
//! back.

use std::path::Path;
use std::{fs, thread};

use super::support::{Events, Request, Response, Server, wait_for, wait_until};

fn create(stream: &str, limits: &[(&str, &str)]) -> Request {
    let plain = Request::put(stream).with("content-type", "text/plain");
    limits.iter().fold(plain, |request, (name, value)| request.with(name, value))
}

fn earliest(server: &Server, stream: &str) -> String {
    let head = server.head(stream).expect_status(200);
    head.field("stream-earliest-offset").expect("Stream-Earliest-Offset").to_owned()
}

fn position(offset: &str) -> u64 {
    offset.split_once('_').and_then(|(_, position)| position.parse().ok()).expect("an offset")
}

#[track_caller]
fn expect_trimmed(response: Response, earliest: &str) {
    let refusal = response.expect_problem(410, "offset-trimmed");
    assert_eq!(refusal.field("stream-earliest-offset"), Some(earliest));
    assert_eq!(refusal.json()["earliest_offset"], earliest);
}

#[test]
fn limits_are_configuration() {
    let server = Server::start(&["--retention-bytes=1GiB"]);
    let both = [("stream-retention-bytes", "1000"), ("stream-retention-seconds", "3600")];
    let shown = |response: &Response| {
        let field = |name| response.field(name).map(str::to_owned);
        (field("stream-retention-bytes"), field("stream-retention-seconds"))
    };
    let want = (Some("1000".to_owned()), Some("3600".to_owned()));
    assert_eq!(shown(&server.ask(&create("a", &both)).expect_status(201)), want);
    assert_eq!(shown(&server.ask(&create("a", &both)).expect_status(200)), want);
    assert_eq!(shown(&server.head("a")), want);
    for (limits, named) in [
        (&[][..], "Stream-Retention-Bytes"),
        (&[("stream-retention-bytes", "1000")], "Stream-Retention-Seconds"),
        (&[("stream-retention-seconds", "3600")], "Stream-Retention-Bytes"),
        (&[both[0], ("stream-retention-seconds", "0")], "Stream-Retention-Seconds"),
    ] {
        let refusal = server.ask(&create("a", limits)).expect_problem(409, "stream-exists");
        assert!(refusal.text().contains(named), "{}", refusal.text());
    }
    // The server's own limit holds where none was asked for, and where 0 was asked for none does.
    let by_server = (Some("1073741824".to_owned()), None);
    assert_eq!(shown(&server.ask(&create("b", &[])).expect_status(201)), by_server);
    let none = [("stream-retention-bytes", "0")];
    let own = (Some("0".to_owned()), None);
    assert_eq!(shown(&server.ask(&create("c", &none)).expect_status(201)), own);
    for bad in ["-1", "1.5", "01", "x", "1125899906842625"] {
        let refusal = server.ask(&create("d", &[("stream-retention-bytes", bad)]));
        let refusal = refusal.expect_problem(400, "invalid-request");
        assert!(refusal.text().contains("Stream-Retention-Bytes"), "{}", refusal.text());
    }
}

#[test]
fn a_long_stream_loses_its_beginning_for_every_reader() {
    let mut server = Server::start(&[]);
    let limits = [("stream-retention-bytes", "100")];
    let start = server.ask(&create("a", &limits)).expect_status(201).next_offset().to_owned();
    assert_eq!(earliest(&server, "a"), start);
    let words: Vec<String> = (0..50).map(|n| format!("word{n:02} ")).collect();
    for word in &words {
        server.post("a", "text/plain", word).expect_status(204);
    }
    // 100 bytes and no less, and at most 1/16 more once it has come to rest.
    wait_until("the beginning is gone", || position(&earliest(&server, "a")) >= 350 - 106);
    let first = earliest(&server, "a");
    assert!(position(&first) <= 250 && position(&first).is_multiple_of(7), "{first}");
    let kept: String = words[(position(&first) / 7) as usize..].concat();
    let reads = |server: &Server| {
        for at in ["a?offset=-1", "a", &format!("a?offset={first}")] {
            assert_eq!(server.get(at).expect_status(200).text(), kept, "{at}");
        }
        let live = format!("a?offset={start}&live=");
        for target in [format!("a?offset={start}"), live.clone() + "long-poll", live + "sse"] {
            expect_trimmed(server.get(&target), &first);
        }
        let mut events = Events::open(server.connect(), &Request::get("a?offset=-1&live=sse"));
        assert_eq!(events.next_of("data").data, kept);
    };
    reads(&server);
    // What a crash leaves begins where it began.
    server.crash();
    assert_eq!(earliest(&server, "a"), first);
    reads(&server);
    server.stop();
    server.launch();
    assert_eq!(earliest(&server, "a"), first);
    reads(&server);
    server.post("a", "text/plain", "more").expect_status(204);
    assert_eq!(server.get("a").text(), kept + "more");
}

#[test]
fn old_messages_go_and_a_json_stream_begins_with_one() {
    let server = Server::start(&["--retention=1s"]);
    server.put("a", "application/json", "[1,2]").expect_status(201);
    server.put("kept", "application/json", "[1]").expect_status(201);
    let never = [("stream-retention-seconds", "0")];
    server.ask(&create("for-ever", &never).body("x")).expect_status(201);
    // Until the first ones are old enough to go, and not everything.
    let page = wait_for("the first messages to go", || {
        server.post("a", "application/json", "[3,[4]]").expect_status(204);
        let page = server.get("a").expect_status(200);
        assert!(!page.text().is_empty());
        thread::sleep(std::time::Duration::from_millis(50));
        (position(&earliest(&server, "a")) > 0).then_some(server.get("a").text())
    });
    let messages: Vec<serde_json::Value> = serde_json::from_str(&page).expect("JSON");
    assert!(messages.len() >= 2 && messages[0] == 3, "{page}");
    wait_until("all is gone", || server.get("kept").text() == "[]");
    let tail = server.tail("kept").expect("it is there");
    assert_eq!(earliest(&server, "kept"), tail);
    server.post("kept", "application/json", "[2]").expect_status(204);
    assert_eq!(server.get("kept").text(), "[2]");
    assert_eq!(server.get("for-ever").text(), "x");
}

#[test]
fn forks_keep_what_they_inherit() {
    let mut server = Server::start(&["--cores=2"]);
    let fork = |source: &str, path: &str| {
        create(path, &[]).with("stream-forked-from", format!("/v1/stream/{source}"))
    };
    // On one core and on two.
    let pairs: Vec<[String; 3]> =
        (0..6).map(|n| ["source", "fork", "late"].map(|name| format!("{n}/{name}"))).collect();
    let limits = [("stream-retention-bytes", "10")];
    let mut starts = Vec::new();
    for [source, early, late] in &pairs {
        let request = create(source, &limits);
        let start = server.ask(&request).expect_status(201).next_offset().to_owned();
        server.post(source, "text/plain", "inherited ").expect_status(204);
        server.ask(&fork(source, early)).expect_status(201);
        server.post(source, "text/plain", "0123456789").expect_status(204);
        wait_until("the source is trimmed", || position(&earliest(&server, source)) == 10);
        // A fork begins where its source began at the time.
        server.ask(&fork(source, late)).expect_status(201);
        let refused = server.ask(&fork(source, "x").with("stream-fork-offset", &start));
        let refused = refused.expect_problem(400, "offset-trimmed");
        assert_eq!(refused.field("stream-earliest-offset"), Some(&*earliest(&server, source)));
        starts.push(start);
    }
    for round in 0..3 {
        for ([source, early, late], start) in pairs.iter().zip(&starts) {
            let text = |stream: &str| server.get(stream).expect_status(200).text();
            assert_eq!(text(source), "0123456789", "round {round}");
            assert_eq!(text(early), "inherited ", "round {round}");
            let head = server.head(early).expect_status(200);
            assert_eq!(head.field("stream-earliest-offset"), None, "it has everything");
            assert_eq!(text(late), "0123456789", "round {round}");
            assert_eq!(earliest(&server, late), earliest(&server, source));
            expect_trimmed(server.get(&format!("{late}?offset={start}")), &earliest(&server, late));
        }
        if round == 0 {
            server.crash();
        } else {
            server.stop();
            server.launch();
        }
    }
    // A limit of a fork holds for what it inherits, run by run.
    let [source, ..] = &pairs[0];
    let limited = fork(source, "limited").with("stream-retention-bytes", "5");
    server.ask(&limited).expect_status(201);
    server.post("limited", "text/plain", "own bytes").expect_status(204);
    wait_until("what it inherited is gone", || server.get("limited").text() == "own bytes");
    server.delete("limited").expect_status(204);
    for [source, early, late] in &pairs {
        server.delete(early).expect_status(204);
        server.delete(source).expect_status(204);
        assert_eq!(server.get(late).expect_status(200).text(), "0123456789");
    }
}

fn log_bytes(data_dir: &Path) -> u64 {
    let logs = fs::read_dir(data_dir).expect("the directory").flatten();
    let logs = logs.filter(|entry| entry.file_name().to_string_lossy().starts_with("log-"));
    let files = logs.flat_map(|log| fs::read_dir(log.path()).expect("a log").flatten());
    // One may be removed meanwhile.
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

#[test]
fn the_space_comes_back() {
    const MIB: u64 = 1024 * 1024;
    let arguments = ["--segment-bytes=1MiB", "--max-body-bytes=256KiB"];
    let mut server = Server::start(&arguments);
    server.ask(&create("a", &[("stream-retention-bytes", "300000")])).expect_status(201);
    let write = |server: &Server, megabytes: usize| {
        let mut client = server.connect();
        let request = Request::post("a").with("content-type", "text/plain");
        let request = request.body(vec![b'x'; 128 * 1024]);
        (0..8 * megabytes).for_each(|_| drop(client.ask(&request).expect_status(204)));
    };
    write(&server, 20);
    let tail = position(&server.tail("a").expect("the stream"));
    wait_until("all but the end is gone", || position(&earliest(&server, "a")) > tail - MIB);
    // Without any more appends: the segment written, the next, two spares, the log of two
    // checkpoints.
    wait_until("the space is back", || log_bytes(&server.data_dir()) < 12 * MIB);
    server.crash();
    let page = server.get("a").expect_status(200);
    assert!(page.body.len() >= 300_000 && page.body.iter().all(|byte| *byte == b'x'));
}

#[test]
fn nothing_is_kept_in_memory_only_either() {
    let server = Server::start(&["--durability=memory"]);
    server.ask(&create("a", &[("stream-retention-bytes", "10")])).expect_status(201);
    for _ in 0..20 {
        server.post("a", "text/plain", "0123456").expect_status(204);
    }
    wait_until("the beginning is gone", || server.get("a").text() == "01234560123456");
}
