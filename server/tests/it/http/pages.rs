//! Pages of 4 MiB at most, and going on where the last one ended.

use super::super::support::{Events, Request, Response, Server};

const PAGE: usize = 4 * 1024 * 1024;

/// Reads page by page to the tail.
fn pages(server: &Server, stream: &str) -> Vec<Response> {
    let mut pages: Vec<Response> = Vec::new();
    loop {
        let offset = pages.last().map_or("-1", Response::next_offset).to_owned();
        let page = server.get(&format!("{stream}?offset={offset}")).expect_status(200);
        assert!(page.next_offset() > offset.as_str() || offset == "-1", "no progress at {offset}");
        let done = page.field("stream-up-to-date") == Some("true");
        assert!(done || !page.is_closed(), "an end before the tail");
        pages.push(page);
        if done {
            return pages;
        }
    }
}

fn check_bytes(server: &Server, stream: &str, want: &[u8]) {
    let pages = pages(server, stream);
    assert!(pages.iter().all(|page| page.body.len() <= PAGE));
    assert!(pages.len() >= want.len().div_ceil(PAGE));
    let got: Vec<u8> = pages.iter().flat_map(|page| page.body.clone()).collect();
    assert!(got == want, "{} bytes of {}", got.len(), want.len());
    assert_eq!(server.tail(stream).as_deref(), Some(pages[pages.len() - 1].next_offset()));
}

#[test]
fn bytes() {
    let mut server = Server::start(&["--max-body-bytes=16MiB", "--hot-tail-bytes=1MiB"]);
    let data: Vec<u8> =
        (0..11 << 20).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    server.put("whole", "application/octet-stream", &data).expect_status(201);
    server.put("parts", "application/octet-stream", "").expect_status(201);
    for part in data.chunks(1_000_003) {
        server.post("parts", "application/octet-stream", part).expect_status(204);
    }
    let close = Request::post("parts").with("stream-closed", "true");
    server.ask(&close).expect_status(204);
    check_bytes(&server, "whole", &data);
    check_bytes(&server, "parts", &data);
    server.crash();
    check_bytes(&server, "whole", &data);
    check_bytes(&server, "parts", &data);
    assert!(pages(&server, "parts").last().is_some_and(Response::is_closed));
}

#[test]
fn a_json_batch_larger_than_a_page() {
    let mut server = Server::start(&["--max-body-bytes=32MiB", "--hot-tail-bytes=1MiB"]);
    let messages: Vec<String> = (0..10_000)
        .map(|n| format!("{{\"n\":{n},\"fill\":\"{}\"}}", "x".repeat(n % 2000)))
        .collect();
    let batch = format!("[{}]", messages.join(" , "));
    assert!(batch.len() > 2 * PAGE);
    server.put("batch", "application/json", "").expect_status(201);
    server.post("batch", "application/json", &batch).expect_status(204);
    server.post("batch", "application/json", "{\"n\":10000}").expect_status(204);
    let numbers = |server: &Server| {
        let pages = pages(server, "batch");
        assert!(pages.len() >= 3 && pages.iter().all(|page| page.body.len() <= PAGE + 2));
        let of_page = |page: &Response| {
            let array = page.json();
            let array = array.as_array().expect("an array").clone();
            array.into_iter().map(|message| message["n"].as_u64().expect("a number"))
        };
        pages.iter().flat_map(of_page).collect::<Vec<u64>>()
    };
    let want: Vec<u64> = (0..=10_000).collect();
    assert!(numbers(&server) == want);
    server.crash();
    assert!(numbers(&server) == want);
    // The same by events.
    let mut events = Events::open(server.connect(), &Request::get("batch?offset=-1&live=sse"));
    let mut got = 0;
    while got < want.len() {
        let array = events.next_of("data").json();
        got += array.as_array().expect("an array").len();
    }
    assert_eq!(got, want.len());
}

#[test]
fn a_json_message_longer_than_a_page_is_served_whole() {
    let server = Server::start(&["--hot-tail-bytes=1MiB"]);
    let long = format!("\"{}\"", "x".repeat(5 << 20));
    server.put("long", "application/json", format!("[1,{long},2]")).expect_status(201);
    server.post("long", "application/json", "3").expect_status(204);
    let bodies: Vec<String> = pages(&server, "long").iter().map(Response::text).collect();
    let all: Vec<serde_json::Value> = bodies
        .iter()
        .flat_map(|body| serde_json::from_str::<Vec<serde_json::Value>>(body).expect("an array"))
        .collect();
    assert_eq!(all.len(), 4);
    assert_eq!((all[0].as_u64(), all[2].as_u64(), all[3].as_u64()), (Some(1), Some(2), Some(3)));
    assert_eq!(all[1].as_str().map(str::len), Some(5 << 20));
}

#[test]
fn text_events_split_no_character() {
    let server = Server::start(&["--max-body-bytes=16MiB"]);
    // Shifted by one byte each, so that a page's end falls into every place of a character.
    for (stream, start, character) in [
        ("a", "", "\u{20ac}"),
        ("b", "x", "\u{20ac}"),
        ("c", "", "\u{1f600}"),
        ("d", "xyz", "\u{e9}"),
    ] {
        let text = start.to_owned() + &character.repeat(6_000_000 / character.len());
        server.put(stream, "text/plain", &text).expect_status(201);
        let request = Request::get(&format!("{stream}?offset=-1&live=sse"));
        let mut events = Events::open(server.connect(), &request);
        let mut got = String::new();
        let mut resume = String::new();
        while got.len() < text.len() {
            // `Events` refuses an event that is no UTF-8.
            got.push_str(&events.next_of("data").data);
            let control = events.next_of("control").json();
            let next = control["streamNextOffset"].as_str().expect("an offset").to_owned();
            if resume.is_empty() {
                resume = next;
            }
        }
        assert!(got == text, "{stream}");
        let position = resume.split_once('_').and_then(|(_, position)| position.parse().ok());
        let position: usize = position.expect("a position");
        assert!(text.is_char_boundary(position), "{stream}: {resume} is within a character");
        let rest = server.get(&format!("{stream}?offset={resume}")).expect_status(200);
        assert!(text.as_bytes()[position..].starts_with(&rest.body), "{stream}");
    }
}

#[test]
fn offsets_that_nobody_gave_out() {
    let mut server = Server::start(&[]);
    server.put("a", "application/json", "[{\"a\":1},{\"b\":2}]").expect_status(201);
    let middle = server.tail("a").expect("a tail");
    server.post("a", "application/json", "[3,4]").expect_status(204);
    let (epoch, position) = middle.split_once('_').expect("two parts");
    let position: u64 = position.parse().expect("a number");
    for _ in 0..2 {
        assert_eq!(server.get(&format!("a?offset={middle}")).text(), "[3,4]");
        for inside in [1, 5, position - 1, position + 1] {
            for live in ["", "&live=long-poll", "&live=sse"] {
                let query = format!("a?offset={epoch}_{inside:016}{live}");
                server.get(&query).expect_problem(400, "offset-inside-message");
            }
        }
        let beyond = format!("a?offset={epoch}_{:016}", position + 100);
        server.get(&beyond).expect_problem(400, "offset-beyond-tail");
        server.crash();
    }
}

#[test]
fn offsets_of_a_predecessor() {
    let mut server = Server::start(&[]);
    server.put("a", "text/plain", "old data").expect_status(201);
    let old = server.tail("a").expect("a tail");
    server.delete("a").expect_status(204);
    server.get(&format!("a?offset={old}")).expect_problem(404, "stream-not-found");
    server.put("a", "text/plain", "new data").expect_status(201);
    for _ in 0..2 {
        for live in ["", "&live=long-poll", "&live=sse"] {
            let query = format!("a?offset={old}{live}");
            server.get(&query).expect_problem(410, "offset-gone");
        }
        assert_eq!(server.get("a?offset=-1").text(), "new data");
        assert!(server.tail("a").expect("a tail") > old, "tokens grow");
        server.crash();
    }
    let append = Request::post("a").with("content-type", "text/plain").body("x");
    let append = append.with("stream-expected-offset", &old);
    server.ask(&append).expect_problem(409, "unexpected-tail");
    assert_eq!(server.get("a").text(), "new data");
}
