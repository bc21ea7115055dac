//! `thalweg stream` as a process, against scripted servers that answer in crumbs and break off.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::mpsc;
use std::thread;

/// One answer on a connection of its own; written a byte at a time.
struct Answer {
    status: u16,
    fields: &'static str,
    /// `None`: the connection ends before there is an answer.
    body: Option<&'static [u8]>,
    /// Bytes that the answer promises beyond those it sends.
    missing: usize,
}

const fn answer(status: u16, fields: &'static str, body: &'static [u8]) -> Answer {
    Answer { status, fields, body: Some(body), missing: 0 }
}

/// Plays `script` to one run of the command. Returns its output and the requests it made.
fn run(script: Vec<Answer>, words: &[&str], stdin: &str) -> (Output, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}/base", listener.local_addr().expect("an address"));
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for answer in script {
            let (mut connection, _) = listener.accept().expect("a connection");
            sender.send(read_request(&mut connection)).expect("the test waits");
            // The client may have seen enough and left.
            let _ = write_answer(&mut connection, &answer);
        }
    });
    let mut child = Command::new(env!("CARGO_BIN_EXE_thalweg"))
        .arg("stream")
        .args(words)
        .env("STREAM_URL", base)
        .env("STREAM_AUTH", "secret")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary");
    child.stdin.take().expect("piped").write_all(stdin.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("its end");
    (output, requests.try_iter().collect())
}

fn read_request(connection: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && connection.read(&mut byte).is_ok_and(|n| n > 0) {
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
    connection.read_exact(&mut body).expect("the body");
    request.extend(body);
    String::from_utf8(request).expect("text")
}

fn write_answer(connection: &mut TcpStream, answer: &Answer) -> std::io::Result<()> {
    let Some(body) = answer.body else { return Ok(()) };
    let length = match answer.status {
        204 => String::new(),
        _ => format!("content-length: {}\r\n", body.len() + answer.missing),
    };
    let Answer { status, fields, .. } = answer;
    let head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n{length}{fields}\r\n");
    connection.set_nodelay(true)?;
    connection.write_all(head.as_bytes())?;
    body.iter().try_for_each(|byte| connection.write_all(&[*byte]))
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn check_exit(output: &Output, want: i32) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(want), "{stderr}");
}

#[test]
fn exit_codes() {
    let check = |status: u16, want: i32| {
        let (output, requests) = run(vec![answer(status, "", b"why")], &["delete", "s"], "");
        check_exit(&output, want);
        assert!(requests[0].starts_with("DELETE /base/s HTTP/1.1"), "{}", requests[0]);
        assert!(requests[0].contains("authorization: Bearer secret"), "{}", requests[0]);
    };
    check(204, 0);
    check(400, 8);
    check(401, 6);
    check(403, 6);
    check(404, 3);
    check(409, 4);
    check(410, 5);
    check(413, 8);
    check(500, 1);
    let nobody = ["head", "http://127.0.0.1:1/x"];
    check_exit(&run(vec![], &nobody, "").0, 7);
    check_exit(&run(vec![], &["head", "a//b"], "").0, 2);
    check_exit(&run(vec![], &["frobnicate"], "").0, 2);
}

#[test]
fn a_page_that_breaks_off_is_continued() {
    const FIELDS: &str = "content-type: text/plain\r\nstream-next-offset: 5\r\n";
    const LAST: &str =
        "content-type: text/plain\r\nstream-next-offset: 9\r\nstream-closed: true\r\n";
    let script = vec![
        Answer { status: 200, fields: FIELDS, body: Some("gr\u{fc}".as_bytes()), missing: 3 },
        answer(200, FIELDS, "gr\u{fc}n ".as_bytes()),
        answer(200, LAST, b"rot\n"),
    ];
    let (output, requests) = run(script, &["read", "s", "--follow"], "");
    check_exit(&output, 0);
    assert_eq!(stdout(&output), "gr\u{fc}n rot\n");
    let offsets: Vec<_> = requests.iter().filter_map(|request| request.split(' ').nth(1)).collect();
    assert_eq!(offsets, ["/base/s?offset=-1", "/base/s?offset=-1", "/base/s?offset=5"]);
}

#[test]
fn sse_resumes_after_the_last_control_event() {
    const UP_TO_DATE: &str = "content-type: application/json\r\nstream-next-offset: 1\r\n\
        stream-up-to-date: true\r\nstream-cursor: c0\r\n";
    const EVENTS: &str = "content-type: text/event-stream\r\n";
    let script = vec![
        answer(200, UP_TO_DATE, br#"[{"a": "[,"}]"#),
        answer(
            200,
            EVENTS,
            "event: data\ndata: [\ndata: 1,\ndata: \"\u{20ac}\"\ndata: ]\n\nevent: control\n\
             data: {\"streamNextOffset\":\"2\",\"streamCursor\":\"c1\"}\n\nevent: data\ndata:[3]\n\n"
                .as_bytes(),
        ),
        Answer { status: 200, fields: EVENTS, body: None, missing: 0 },
        answer(503, "retry-after: 0\r\n", b""),
        answer(
            200,
            EVENTS,
            b"event: data\ndata:[3]\n\nevent: control\n\
              data: {\"streamNextOffset\":\"4\",\"streamClosed\":true}\n\n",
        ),
    ];
    let (output, requests) = run(script, &["read", "s", "--json", "--follow"], "");
    check_exit(&output, 0);
    assert_eq!(stdout(&output), "{\"a\":\"[,\"}\n1\n\"\u{20ac}\"\n3\n");
    let last = requests.last().expect("five requests");
    assert!(last.starts_with("GET /base/s?offset=2&live=sse&cursor=c1 "), "{last}");
    assert_eq!(requests.len(), 5);
}

#[test]
fn base64_events_become_bytes() {
    const TAIL: &str = "stream-next-offset: 1\r\nstream-up-to-date: true\r\n";
    const EVENTS: &str = "content-type: text/event-stream\r\nstream-sse-data-encoding: base64\r\n";
    let events = b"event: data\ndata: AP8K\ndata: DQ==\n\nevent: control\n\
        data: {\"streamNextOffset\":\"5\",\"streamClosed\":true}\n\n";
    let script = vec![answer(200, TAIL, b""), answer(200, EVENTS, events)];
    let (output, _) = run(script, &["tail", "s"], "");
    check_exit(&output, 0);
    assert_eq!(output.stdout, [0, 255, 10, 13]);
}

#[test]
fn long_polls_follow_the_cursor() {
    const PAGE: &str = "stream-next-offset: 1\r\nstream-up-to-date: true\r\n";
    let script = vec![
        answer(200, PAGE, b"a"),
        answer(204, "stream-next-offset: 1\r\nstream-cursor: 7\r\n", b""),
        answer(200, "stream-next-offset: 2\r\nstream-cursor: 8\r\n", b"b"),
        answer(204, "stream-next-offset: 2\r\nstream-closed: true\r\n", b""),
    ];
    let words = ["read", "s", "--follow", "--mode", "long-poll"];
    let (output, requests) = run(script, &words, "");
    check_exit(&output, 0);
    assert_eq!(stdout(&output), "ab");
    assert!(requests[2].starts_with("GET /base/s?offset=1&live=long-poll&cursor=7 "));
    assert!(requests[3].starts_with("GET /base/s?offset=2&live=long-poll&cursor=8 "));
}

#[test]
fn only_a_producer_is_retried() {
    const NONE: Answer = Answer { status: 200, fields: "", body: None, missing: 0 };
    let stored = || answer(200, "stream-next-offset: 3\r\n", b"");

    let (output, requests) = run(vec![NONE, stored()], &["append", "s", "--json"], "1\n2\n");
    check_exit(&output, 7);
    assert_eq!(requests.len(), 1);

    let words = ["append", "s", "--json", "--producer-id", "p", "--producer-epoch", "4"];
    let (output, requests) = run(vec![NONE, stored()], &words, "1\n2\n");
    check_exit(&output, 0);
    assert_eq!(stdout(&output), "3\n");
    assert_eq!(requests[0], requests[1]);
    assert!(requests[0].contains("producer-epoch: 4\r\nproducer-seq: 0"), "{}", requests[0]);
    assert!(requests[0].ends_with("\r\n\r\n[1,2]"), "{}", requests[0]);
}

#[test]
fn appends_in_order_then_closes() {
    let lines = "1\n".repeat(1500);
    let script = vec![
        answer(200, "stream-next-offset: 10\r\n", b""),
        answer(200, "stream-next-offset: 15\r\nstream-closed: true\r\n", b""),
    ];
    let words =
        ["append", "s", "--json", "--close", "--producer-id", "p", "--expected-offset", "7"];
    let (output, requests) = run(script, &words, &lines);
    check_exit(&output, 0);
    assert_eq!(stdout(&output), "10\n15\n");
    let has = |request: &str, field: &str| request.to_lowercase().contains(field);
    assert!(has(&requests[0], "producer-seq: 0") && has(&requests[1], "producer-seq: 1"));
    assert!(has(&requests[0], "expected-offset: 7") && has(&requests[1], "expected-offset: 10"));
    assert!(!has(&requests[0], "stream-closed") && has(&requests[1], "stream-closed: true"));

    let words = ["append", "s", "--json", "--seq", "a"];
    let (output, requests) = run(vec![], &words, &lines);
    check_exit(&output, 8);
    assert!(requests.is_empty(), "nothing of an input that does not fit is stored");
}

#[test]
fn listings_follow_cursors() {
    let script = || {
        vec![
            answer(200, "", br#"{"streams":[{"path":"a"},{"path":"b/c"}],"next_cursor":"b/c"}"#),
            answer(200, "", br#"{"streams":[{"path": "d","closed":true}],"next_cursor":null}"#),
        ]
    };
    let (output, requests) = run(script(), &["list", "--prefix", "a&b"], "");
    check_exit(&output, 0);
    assert_eq!(stdout(&output), "a\nb/c\nd\n");
    assert!(requests[0].starts_with("GET /base/__ds/streams?limit=1000&prefix=a%26b HTTP"));
    assert!(requests[1].contains("&cursor=b%2Fc "), "{}", requests[1]);

    let (output, _) = run(script(), &["list", "--json", "--limit", "3"], "");
    assert!(stdout(&output).ends_with("{\"path\":\"d\",\"closed\":true}\n"));
    let (output, requests) = run(script(), &["list", "--limit", "1"], "");
    assert_eq!((stdout(&output).as_str(), requests.len()), ("a\n", 1));
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    const PAGE: &str = "stream-next-offset: 1\r\nstream-closed: true\r\n";
    let (output, _) = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/s", listener.local_addr().expect("an address"));
        thread::spawn(move || {
            let (mut connection, _) = listener.accept().expect("a connection");
            read_request(&mut connection);
            let _ = write_answer(&mut connection, &answer(200, PAGE, &[b'x'; 4096]));
        });
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
        let child = command.args(["stream", "read", &url]).stdout(writer);
        (child.stderr(std::process::Stdio::piped()).spawn().expect("the binary"), ())
    };
    let output = output.wait_with_output().expect("its end");
    check_exit(&output, 0);
    assert!(output.stderr.is_empty());
}
