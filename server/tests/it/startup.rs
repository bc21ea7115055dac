//! Starting, refusing to start, and stopping.

use std::fs;
use std::net::TcpListener;
use std::process::Output;
use std::time::{Duration, Instant};

use super::support::{Events, Request, Server, refused_start, wait_until};

#[track_caller]
fn check_refused(output: &Output, code: i32, parts: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    assert!(output.stdout.is_empty(), "no banner");
}

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let directory = tempfile::tempdir().expect("a directory");
    let listen = format!("--listen={address}");
    let output = refused_start(directory.path(), &[&listen, "--cores=1"]);
    check_refused(&output, 1, &[&address.to_string(), "taken by another process", "--listen"]);
    // Also by another server, although its listeners may share their port with each other.
    let server = Server::start(&[]);
    let listen = format!("--listen={}", server.address());
    let output = refused_start(directory.path(), &[&listen, "--cores=1"]);
    check_refused(&output, 1, &["taken by another process"]);
    server.put("a", "text/plain", "x").expect_status(201);
}

#[test]
fn a_data_directory_that_is_in_use() {
    let server = Server::start(&[]);
    server.put("a", "text/plain", "x").expect_status(201);
    let output = refused_start(&server.data_dir(), &["--listen=127.0.0.1:0", "--cores=1"]);
    let holder = format!("in use by process {}", server.pid());
    check_refused(&output, 1, &[&holder, "another data directory"]);
    assert_eq!(server.get("a").text(), "x");
}

#[test]
fn a_data_directory_that_is_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "mine").expect("written");
    for path in [file.clone(), file.join("below")] {
        let output = refused_start(&path, &["--listen=127.0.0.1:0", "--cores=1"]);
        check_refused(&output, 1, &["is not writable", "--data-dir"]);
    }
    assert_eq!(fs::read(&file).expect("still there"), b"mine");
}

#[test]
fn a_newer_format() {
    let mut server = Server::start(&[]);
    server.put("a", "text/plain", "x").expect_status(201);
    server.stop();
    let file = server.data_dir().join("FORMAT");
    let ours = fs::read(&file).expect("FORMAT");
    let newer = "format = 99\ncreated-by = thalweg 9.0\ncrc32c = 2f20c37b\n";
    fs::write(&file, newer).expect("written");
    let output = refused_start(&server.data_dir(), &["--listen=127.0.0.1:0", "--cores=1"]);
    check_refused(&output, 1, &["format 99", "created by thalweg 9.0"]);
    assert_eq!(fs::read_to_string(&file).expect("FORMAT"), newer);
    fs::write(&file, "junk").expect("written");
    let output = refused_start(&server.data_dir(), &["--listen=127.0.0.1:0", "--cores=1"]);
    check_refused(&output, 1, &["FORMAT is damaged", "junk", "`thalweg storage repair`"]);
    // Nothing else was touched.
    fs::write(&file, ours).expect("written");
    server.launch();
    assert_eq!(server.get("a").text(), "x");
}

#[test]
fn configurations() {
    let directory = tempfile::tempdir().expect("a directory");
    let check = |toml: &str, flags: &[&str], parts: &[&str]| {
        let file = directory.path().join("thalweg.toml");
        fs::write(&file, toml).expect("written");
        let config = format!("--config={}", file.display());
        let mut arguments = vec![config.as_str(), "--listen=127.0.0.1:0"];
        arguments.extend(flags);
        let data = directory.path().join("data");
        check_refused(&refused_start(&data, &arguments), 2, parts);
        assert!(!data.exists(), "nothing was made");
    };
    check("lisen = 1", &[], &["lisen", "did you mean `listen`"]);
    check("[limits]\nmax_conections = 5", &[], &["did you mean `max_connections`"]);
    check("sse_lifetime = \"5s\"", &[], &["did you mean `live.sse_lifetime`"]);
    check("durability = \"fast\"", &[], &["durability", "fast", "sync"]);
    check("[live]\nlong_poll_timeout = \"1ms\"", &[], &["long_poll_timeout"]);
    check("listen = ", &[], &["not valid TOML", "line 1"]);
    check("", &["--cores=4096"], &["cores", "4096"]);
    check("", &["--cores=0"], &["cores"]);
    check("", &["--max-body-bytes=1GiB"], &["max_body_bytes"]);
    check("", &["--segment-bytes=1MiB"], &["segment_bytes"]);
    check("", &["--frobnicate"], &["--frobnicate"]);
    let missing = refused_start(directory.path(), &["--config=/nowhere/at/all.toml"]);
    check_refused(&missing, 2, &["/nowhere/at/all.toml"]);
}

#[test]
fn sigterm_drains() {
    let mut server = Server::start(&["--cores=2"]);
    server.put("a", "text/plain", "data").expect_status(201);
    let mut events: Vec<Events> = (0..4)
        .map(|_| Events::open(server.connect(), &Request::get("a?offset=-1&live=sse")))
        .collect();
    for reader in &mut events {
        reader.next_of("control");
    }
    let mut polls: Vec<_> = (0..4)
        .map(|_| {
            let mut client = server.connect();
            client.send(Request::get("a?offset=now&live=long-poll").encode());
            client
        })
        .collect();
    let mut idle = server.connect();
    idle.ask(&Request::get("a")).expect_status(200);
    let append = "POST /v1/stream/a HTTP/1.1\r\nhost: t\r\ncontent-type: text/plain\r\n\
        content-length: 10\r\nexpect: 100-continue\r\n\r\n";
    let mut writer = server.connect();
    writer.send(append);
    assert_eq!(writer.answer().status, 100, "the server waits for the body");
    writer.send("half ");

    let began = Instant::now();
    server.terminate();
    for reader in &mut events {
        // The end is a proper one, or `next` panics.
        while reader.next().is_some() {}
    }
    idle.expect_end();
    for poll in &mut polls {
        let answer = poll.answer();
        assert!(matches!(answer.status, 204 | 503), "{answer:?}");
        poll.expect_end();
    }
    assert!(server.is_alive(), "it waits for the writer");
    writer.send("whole");
    let answer = writer.answer().expect_status(204);
    assert_eq!(answer.field("connection"), Some("close"));
    writer.finish();
    writer.expect_end();
    assert_eq!(server.exit().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());

    server.launch();
    assert_eq!(server.get("a").text(), "datahalf whole");
}

/// Whoever has read the banner may send a signal: it is caught by then.
#[test]
fn sigterm_right_after_the_start() {
    let mut server = Server::start(&[]);
    for _ in 0..30 {
        server.stop();
        server.launch();
    }
}

#[test]
fn draining_has_an_end() {
    let mut server = Server::start(&["--drain-timeout=500ms"]);
    server.put("a", "text/plain", "data").expect_status(201);
    let mut writer = server.connect();
    writer.send("POST /v1/stream/a HTTP/1.1\r\nhost: t\r\ncontent-length: 10\r\n\r\nhalf");
    wait_until("the server works", || server.get("a").status == 200);
    let began = Instant::now();
    server.stop();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(writer);
    server.launch();
    assert_eq!(server.get("a").text(), "data");
}

/// Without time for a last checkpoint the log says so, and the next start reads the log.
#[test]
fn a_last_checkpoint_that_is_given_up() {
    let mut server = Server::start(&["--drain-timeout=0ms"]);
    for n in 0..20 {
        server.put(&format!("s{n}"), "text/plain", "data").expect_status(201);
    }
    server.stop();
    let log = server.log();
    assert!(log.contains("the last checkpoint was not finished in time"), "{log}");
    server.launch();
    for n in 0..20 {
        assert_eq!(server.get(&format!("s{n}")).text(), "data");
    }
}

/// Everything a stream can be, so that a change of cores has something to lose.
fn fill(server: &Server, round: usize) {
    for n in 0..12 {
        let name = |what: &str| format!("r{round}/{n}/{what}");
        server.put(&name("text"), "text/plain", "text").expect_status(201);
        server.put(&name("json"), "application/json", "[1,2]").expect_status(201);
        let append = Request::post(&name("text")).with("content-type", "text/plain");
        server.ask(&append.clone().producer("p", 1, 0).body("+1")).expect_status(200);
        server.ask(&append.with("stream-seq", "m").body("+2")).expect_status(204);
        let source = format!("/v1/stream/{}", name("text"));
        let fork = Request::put(&name("fork")).with("stream-forked-from", source);
        server.ask(&fork).expect_status(201);
        server.post(&name("fork"), "text/plain", "+fork").expect_status(204);
        let closed = Request::put(&name("closed")).with("content-type", "text/plain");
        let closed = closed.with("stream-closed", "true").with("stream-ttl", 3600);
        server.ask(&closed.body("end")).expect_status(201);
        server.put(&name("deleted"), "text/plain", "x").expect_status(201);
        server.delete(&name("deleted")).expect_status(204);
        // Hidden, because its fork still reads it.
        server.put(&name("hidden"), "text/plain", "h").expect_status(201);
        let source = format!("/v1/stream/{}", name("hidden"));
        let fork = Request::put(&name("heir")).with("stream-forked-from", source);
        server.ask(&fork).expect_status(201);
        server.delete(&name("hidden")).expect_status(204);
    }
}

/// The listing but for the times of sliding expiry, which reads move.
fn listing(server: &Server) -> serde_json::Value {
    let mut listed = server.get("__ds/streams?limit=1000").json();
    for entry in listed["streams"].as_array_mut().expect("an array") {
        entry.as_object_mut().expect("an object").remove("expires_at");
    }
    listed
}

fn check_filled(server: &Server, round: usize) {
    for n in 0..12 {
        let name = |what: &str| format!("r{round}/{n}/{what}");
        assert_eq!(server.get(&name("text")).text(), "text+1+2");
        assert_eq!(server.get(&name("json")).text(), "[1,2]");
        assert_eq!(server.get(&name("fork")).text(), "text+1+2+fork");
        let closed = server.get(&name("closed"));
        assert!(closed.is_closed() && closed.text() == "end");
        assert_eq!(server.head(&name("closed")).field("stream-ttl"), Some("3600"));
        assert_eq!(server.head(&name("deleted")).status, 404);
        assert_eq!(server.head(&name("hidden")).status, 410);
        assert_eq!(server.get(&name("heir")).text(), "h");
        let append = Request::post(&name("text")).with("content-type", "text/plain").body("+1");
        server.ask(&append.clone().producer("p", 1, 0)).expect_status(204);
        let stale = server.ask(&append.clone().producer("p", 0, 0));
        stale.expect_problem(403, "stale-producer-epoch");
        let regression = server.ask(&append.with("stream-seq", "a"));
        regression.expect_problem(409, "sequence-regression");
        assert_eq!(server.get(&name("text")).text(), "text+1+2");
    }
}

#[test]
fn another_number_of_cores_loses_nothing() {
    let mut server = Server::start(&["--cores=1"]);
    fill(&server, 0);
    let listing = listing(&server);
    let cores = ["--cores=2", "--cores=1", "--cores=2", "--cores=2", "--cores=1"];
    for (round, cores) in cores.iter().enumerate() {
        if round % 2 == 0 {
            server.stop();
        } else {
            server.kill();
        }
        server.launch_with(&[cores]);
        for earlier in 0..=round {
            check_filled(&server, earlier);
        }
        if round == 0 {
            assert_eq!(self::listing(&server), listing);
        }
        fill(&server, round + 1);
    }
    // The last fork takes its hidden source with it, wherever both live by now.
    server.kill();
    server.launch_with(&["--cores=2"]);
    for n in 0..12 {
        server.delete(&format!("r0/{n}/heir")).expect_status(204);
        wait_until("the source goes too", || server.head(&format!("r0/{n}/hidden")).status == 404);
    }
}

#[test]
fn durability_async() {
    let mut server = Server::start(&["--durability=async", "--async-sync-interval=10ms"]);
    server.put("a", "text/plain", "one").expect_status(201);
    server.stop();
    server.launch();
    assert_eq!(server.get("a").text(), "one");
    // What was written is the kernel's: the end of the process takes nothing of it.
    server.post("a", "text/plain", " two").expect_status(204);
    server.crash();
    assert_eq!(server.get("a").text(), "one two");
}

#[test]
fn durability_memory() {
    let mut server = Server::start(&["--durability=memory", "--cores=2"]);
    server.put("a", "text/plain", "one").expect_status(201);
    server.post("a", "text/plain", " two").expect_status(204);
    assert_eq!(server.get("a").text(), "one two");
    assert!(!server.data_dir().exists(), "nothing is written");
    server.stop();
    server.launch();
    assert_eq!(server.head("a").status, 404);
}

#[test]
fn health() {
    let server = Server::start(&["--cores=2"]);
    for (path, state) in [("/healthz", "alive"), ("/readyz", "ready")] {
        let answer = server.get(path).expect_status(200);
        assert_eq!(answer.json()["state"], state);
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        let refused = server.ask(&Request::post(path).body("x")).status;
        assert!(matches!(refused, 404 | 405), "{refused}");
    }
}
