//! Long-polls and events.

use std::thread;
use std::time::{Duration, Instant};

use super::super::support::{Event, Events, Request, Server, wait_until};

fn sse(server: &Server, stream: &str, offset: &str) -> Events {
    let request = Request::get(&format!("{stream}?offset={offset}&live=sse"));
    Events::open(server.connect(), &request)
}

#[test]
fn long_polls_time_out() {
    let server = Server::start(&["--long-poll-timeout=300ms"]);
    server.put("a", "text/plain", "data").expect_status(201);
    let tail = server.tail("a").expect("a tail");
    let began = Instant::now();
    let answer = server.get(&format!("a?offset={tail}&live=long-poll")).expect_status(204);
    assert!(began.elapsed() >= Duration::from_millis(290), "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(answer.next_offset(), tail);
    assert_eq!(answer.field("stream-up-to-date"), Some("true"));
    assert!(answer.field("stream-cursor").is_some());
}

#[test]
fn long_polls_end_with_news() {
    let server = Server::start(&["--cores=2"]);
    for (stream, wake) in [
        ("data", Request::post("data").with("content-type", "text/plain").body("news")),
        ("end", Request::post("end").with("stream-closed", "true")),
        ("gone", Request::delete("gone")),
    ] {
        server.put(stream, "text/plain", "old").expect_status(201);
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let mut client = server.connect();
                client.send(Request::get(&format!("{stream}?offset=now&live=long-poll")).encode());
                client
            })
            .collect();
        // Whoever comes first waits, whoever comes late finds the news: both must be answered
        // before the twenty seconds are over.
        thread::sleep(Duration::from_millis(100));
        let began = Instant::now();
        server.ask(&wake);
        for mut client in waiting {
            let answer = client.answer();
            match stream {
                "data" => assert_eq!((answer.status, answer.text().as_str()), (200, "news")),
                "end" => assert!(answer.status == 204 && answer.is_closed(), "{answer:?}"),
                _ => drop(answer.expect_problem(404, "stream-not-found")),
            }
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{stream}: {:?}", began.elapsed());
    }
}

#[test]
fn a_request_behind_a_long_poll_waits_for_its_turn() {
    let server = Server::start(&["--long-poll-timeout=300ms"]);
    server.put("a", "text/plain", "data").expect_status(201);
    let mut client = server.connect();
    client.send(Request::get("a?offset=now&live=long-poll").encode());
    client.send(Request::get("a").encode());
    client.answer().expect_status(204);
    assert_eq!(client.answer().expect_status(200).text(), "data");
}

#[test]
fn events_carry_data_and_control() {
    let server = Server::start(&[]);
    server.put("text", "text/plain", "one\ntwo\r\n three").expect_status(201);
    server.put("json", "application/json", "[1,{\"a\":\"b\\n\"}]").expect_status(201);
    server.put("bytes", "application/x-custom", [0, 255, 10]).expect_status(201);
    let check = |stream: &str, encoding: Option<&str>, check: &dyn Fn(&Event)| {
        let mut events = sse(&server, stream, "-1");
        assert_eq!(events.head.field("stream-sse-data-encoding"), encoding);
        let data = events.next().expect("data");
        assert_eq!(data.kind, "data");
        check(&data);
        let control = events.next().expect("control");
        assert_eq!(control.kind, "control");
        let control = control.json();
        assert_eq!(control["streamNextOffset"].as_str(), server.tail(stream).as_deref());
        assert_eq!(control["upToDate"], true);
        assert!(control["streamCursor"].is_string());
    };
    check("text", None, &|data| assert_eq!(data.data, "one\ntwo\n three"));
    check("json", None, &|data| assert_eq!(data.json()[1]["a"], "b\n"));
    check("bytes", Some("base64"), &|data| assert_eq!(data.data, "AP8K"));
}

#[test]
fn events_follow_appends_across_cores() {
    let server = Server::start(&["--cores=2"]);
    server.put("a", "application/json", "").expect_status(201);
    let mut readers: Vec<Events> = (0..6).map(|_| sse(&server, "a", "-1")).collect();
    let mut writer = server.connect();
    for number in 0..100 {
        let append = Request::post("a").with("content-type", "application/json");
        writer.ask(&append.body(number.to_string())).expect_status(204);
    }
    writer.ask(&Request::post("a").with("stream-closed", "true")).expect_status(204);
    for reader in &mut readers {
        let mut got = Vec::new();
        let mut closed = false;
        while let Some(event) = reader.next() {
            match event.kind.as_str() {
                "data" => got.extend(event.json().as_array().expect("an array").clone()),
                _ => closed = event.json()["streamClosed"] == true,
            }
        }
        let want: Vec<serde_json::Value> = (0..100).map(serde_json::Value::from).collect();
        assert_eq!(got, want);
        assert!(closed, "the last control event says so");
    }
}

#[test]
fn a_response_of_events_has_its_lifetime() {
    let server = Server::start(&["--sse-lifetime=1s"]);
    server.put("a", "text/plain", "data").expect_status(201);
    let began = Instant::now();
    let mut events = sse(&server, "a", "-1");
    let mut last = String::new();
    while let Some(event) = events.next() {
        if event.kind == "control" {
            last = event.json()["streamNextOffset"].as_str().expect("an offset").to_owned();
        }
    }
    let lived = began.elapsed();
    assert!(lived >= Duration::from_millis(850) && lived < Duration::from_secs(6), "{lived:?}");
    // The reader goes on where it was.
    server.post("a", "text/plain", " more").expect_status(204);
    assert_eq!(sse(&server, "a", &last).next_of("data").data, " more");
}

#[test]
fn events_end_when_their_stream_does() {
    let server = Server::start(&[]);
    server.put("a", "text/plain", "data").expect_status(201);
    let mut events = sse(&server, "a", "-1");
    events.next_of("control");
    server.delete("a").expect_status(204);
    while events.next().is_some() {}
    server.get("a?offset=-1&live=sse").expect_problem(404, "stream-not-found");
    server.put("b", "text/plain", "data").expect_status(201);
    server.ask(&Request::post("b").with("stream-closed", "true")).expect_status(204);
    let mut closed = sse(&server, "b", "-1");
    assert_eq!(closed.next_of("data").data, "data");
    assert_eq!(closed.next_of("control").json()["streamClosed"], true);
    assert_eq!(closed.next(), None);
}

#[test]
fn cursors_of_events_never_go_backwards() {
    let server = Server::start(&[]);
    server.put("a", "text/plain", "data").expect_status(201);
    let far = 1u64 << 40;
    let request = Request::get(&format!("a?offset=-1&live=sse&cursor={far}"));
    let mut events = Events::open(server.connect(), &request);
    let mut last = far;
    for _ in 0..3 {
        let control = events.next_of("control").json();
        let cursor: u64 =
            control["streamCursor"].as_str().expect("text").parse().expect("a number");
        assert!(cursor > far && cursor >= last, "{cursor} after {last}");
        last = cursor;
        server.post("a", "text/plain", "more").expect_status(204);
    }
}

#[test]
fn readers_that_leave_are_forgotten() {
    let server = Server::start(&["--max-connections=64"]);
    server.put("a", "text/plain", "data").expect_status(201);
    for _ in 0..5 {
        let mut readers: Vec<Events> = (0..40).map(|_| sse(&server, "a", "-1")).collect();
        for reader in &mut readers {
            reader.next_of("control");
        }
        drop(readers);
        // If they kept their places, the next forty would find none.
        wait_until("their places are free", || {
            let mut clients: Vec<_> = (0..40).map(|_| server.connect()).collect();
            clients.iter_mut().all(|client| client.ask(&Request::get("a")).status == 200)
        });
    }
}

/// Both ways of writing to live readers.
const DRIVERS: [&str; 2] = ["--io=io_uring", "--io=epoll"];

#[test]
fn a_reader_that_falls_far_behind_gets_everything() {
    const APPENDS: usize = 48;
    const APPEND_BYTES: usize = 128 * 1024;
    for driver in DRIVERS {
        let server = Server::start(&["--cores=1", driver]);
        server.put("a", "text/plain", "").expect_status(201);
        // It takes nothing until everything is there: much more than its window and its socket.
        let mut slow = sse(&server, "a", "now");
        let letters = b'a'..=b'z';
        let bodies: Vec<String> = letters
            .cycle()
            .take(APPENDS)
            .map(|letter| char::from(letter).to_string().repeat(APPEND_BYTES))
            .collect();
        for body in &bodies {
            server.post("a", "text/plain", body).expect_status(204);
        }
        server.ask(&Request::post("a").with("stream-closed", "true")).expect_status(204);
        let mut got = String::new();
        while let Some(event) = slow.next() {
            if event.kind == "data" {
                got.push_str(&event.data);
            }
        }
        assert!(
            got == bodies.concat(),
            "{driver}: {} bytes of {}",
            got.len(),
            APPENDS * APPEND_BYTES
        );
    }
}

/// More than any socket takes, so that what follows has to wait.
fn block(server: &Server, stream: &str) -> usize {
    let body = "b".repeat(6 * 1024 * 1024);
    server.post(stream, "text/plain", &body).expect_status(204);
    body.len()
}

#[test]
fn all_news_that_came_during_a_write_follow_it() {
    for driver in DRIVERS {
        let server = Server::start(&["--cores=1", driver]);
        server.put("a", "text/plain", "").expect_status(201);
        let mut slow = sse(&server, "a", "now");
        let mut want = block(&server, "a");
        // More than one write carries, and less than the window keeps.
        for _ in 0..5 {
            let body = "n".repeat(64 * 1024);
            server.post("a", "text/plain", &body).expect_status(204);
            want += body.len();
        }
        let mut got = 0;
        while got < want {
            got += slow.next_of("data").data.len();
        }
        assert_eq!(got, want, "{driver}");
    }
}

#[test]
fn a_blocked_reader_with_news_ends_when_the_server_drains() {
    for driver in DRIVERS {
        let mut server = Server::start(&["--cores=1", driver]);
        server.put("a", "text/plain", "").expect_status(201);
        let mut slow = sse(&server, "a", "now");
        block(&server, "a");
        server.post("a", "text/plain", "news").expect_status(204);
        let began = Instant::now();
        server.terminate();
        while slow.next().is_some() {}
        assert!(server.exit().success(), "{driver}");
        assert!(began.elapsed() < Duration::from_secs(15), "{driver}: {:?}", began.elapsed());
    }
}

#[test]
fn connections_that_wait_and_leave_are_closed() {
    for driver in DRIVERS {
        let server = Server::start(&["--cores=1", "--long-poll-timeout=10s", driver]);
        server.put("a", "text/plain", "old").expect_status(201);
        let descriptors = || {
            let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid()));
            open.expect("its descriptors").count()
        };
        let before = descriptors();
        let long_poll = Request::get("a?offset=now&live=long-poll").encode();
        let mut waiting: Vec<_> = (0..20).map(|_| server.connect()).collect();
        for client in &mut waiting {
            client.send(&long_poll);
        }
        wait_until("their connections", || descriptors() >= before + 10);
        server.post("a", "text/plain", "new").expect_status(204);
        // The connections go on: half of them with another long-poll, half with events.
        let mut events = Vec::new();
        for (at, mut client) in waiting.into_iter().enumerate() {
            let answer = client.answer();
            assert!(answer.status == 200 || answer.status == 204, "{driver}: {answer:?}");
            if at % 2 == 0 {
                client.send(&long_poll);
                events.push(Err(client));
            } else {
                let request = Request::get("a?offset=-1&live=sse");
                events.push(Ok(Events::open(client, &request)));
            }
        }
        for reader in events.iter_mut().filter_map(|reader| reader.as_mut().ok()) {
            assert_eq!(reader.next_of("data").data, "oldnew", "{driver}");
        }
        drop(events);
        // The server may have opened or closed a file of its own meanwhile.
        wait_until("all connections to be closed", || descriptors() < before + 10);
    }
}
