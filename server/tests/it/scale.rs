//! Where numbers get large, or coincide: many records in a page, many streams in a millisecond,
//! segments smaller than a group, readers that come before the stream.

use std::thread;

use super::support::{Request, Server, wait_for};

#[test]
fn a_page_of_more_records_than_one_write_takes() {
    let mut server = Server::start(&[]);
    server.put("many", "text/plain", "").expect_status(201);
    let mut client = server.connect();
    let mut want = String::new();
    for index in 0..1500 {
        let line = format!("{index:09}\n");
        let request = Request::post("many").with("content-type", "text/plain");
        client.ask(&request.body(&line)).expect_status(204);
        want.push_str(&line);
    }
    assert_eq!(server.get("many").expect_status(200).text(), want, "from memory");
    server.crash();
    assert_eq!(server.get("many").expect_status(200).text(), want, "from the log");
    server.stop();
}

#[test]
fn streams_made_in_the_same_instant_on_different_cores_stay_apart() {
    let mut server = Server::start(&["--cores", "2"]);
    if server.log().contains("this process may use") {
        eprintln!("skipped: one CPU");
        return;
    }
    let address = server.address();
    let make = |part: usize| {
        move || {
            let mut client = super::support::Client::connect(address);
            for index in (part..1000).step_by(4) {
                let request = Request::put(&format!("s{index}")).with("content-type", "text/plain");
                client.ask(&request.body(format!("data {index}"))).expect_status(201);
            }
        }
    };
    let makers: Vec<_> = (0..4).map(|part| thread::spawn(make(part))).collect();
    makers.into_iter().for_each(|maker| maker.join().expect("all created"));
    server.kill();
    server.launch_with(&["--cores", "1"]);
    for index in 0..1000 {
        let text = server.get(&format!("s{index}")).expect_status(200).text();
        assert_eq!(text, format!("data {index}"));
    }
    server.stop();
}

#[test]
fn groups_larger_than_the_segments_made_ahead() {
    let arguments = ["--segment-bytes", "1MiB", "--max-body-bytes", "256KiB"];
    let mut server = Server::start(&arguments);
    let address = server.address();
    let write = |index: usize| {
        move || {
            let mut client = super::support::Client::connect(address);
            let stream = format!("w{index}");
            client
                .ask(&Request::put(&stream).with("content-type", "text/plain"))
                .expect_status(201);
            for _ in 0..20 {
                let request = Request::post(&stream).with("content-type", "text/plain");
                client.ask(&request.body(vec![b'x'; 200_000])).expect_status(204);
            }
        }
    };
    let writers: Vec<_> = (0..24).map(|index| thread::spawn(write(index))).collect();
    writers.into_iter().for_each(|writer| writer.join().expect("all acknowledged"));
    server.crash();
    for index in 0..24 {
        let tail = server.tail(&format!("w{index}")).expect("the stream");
        assert!(tail.ends_with("0000000004000000"), "w{index}: {tail}");
    }
    server.stop();
}

#[test]
fn readers_that_poll_before_the_stream_exists_hear_of_its_appends() {
    let mut server = Server::start(&["--long-poll-timeout", "20s"]);
    for round in 0..20 {
        let stream = format!("r{round}");
        let address = server.address();
        let poll = |stream: String| {
            move || {
                let mut client = super::support::Client::connect(address);
                let target = format!("{stream}?offset=now&live=long-poll");
                let answer = wait_for("the stream to exist", || {
                    let answer = client.ask(&Request::get(&target));
                    (answer.status != 404).then_some(answer)
                });
                (answer.status, answer.text())
            }
        };
        let readers: Vec<_> = (0..8).map(|_| thread::spawn(poll(stream.clone()))).collect();
        server.put(&stream, "text/plain", "").expect_status(201);
        // Until every reader waits or has its answer, keep giving them something to hear.
        let done = || readers.iter().all(thread::JoinHandle::is_finished);
        wait_for("every reader to hear of an append", || {
            server.post(&stream, "text/plain", "news").expect_status(204);
            done().then_some(())
        });
        for reader in readers {
            let (status, text) = reader.join().expect("an answer");
            assert_eq!(status, 200, "round {round}");
            assert!(text.starts_with("news"), "round {round}: {text}");
        }
    }
    server.stop();
}
