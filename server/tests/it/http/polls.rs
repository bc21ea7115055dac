//! Long-polls one after the other over one connection, as clients make them.

use super::super::support::{Client, Request, Response, Server, wait_until};

fn server(arguments: &[&str]) -> Server {
    Server::start(&[&["--cores=1", "--admin=127.0.0.1:0"], arguments].concat())
}

const DRIVERS: [&str; 2] = ["--io=io_uring", "--io=epoll"];

fn poll(stream: &str, offset: &str, cursor: Option<&str>) -> Request {
    let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    Request::get(&format!("{stream}?offset={offset}&live=long-poll{cursor}"))
}

/// Follows a stream over one connection.
struct Follower {
    client: Client,
    stream: &'static str,
    offset: String,
    cursor: Option<String>,
}

impl Follower {
    fn new(server: &Server, stream: &'static str) -> Follower {
        Follower { client: server.connect(), stream, offset: "now".to_owned(), cursor: None }
    }

    fn ask(&mut self) {
        let request = poll(self.stream, &self.offset, self.cursor.as_deref());
        self.client.send(request.encode());
    }

    fn answer(&mut self) -> Response {
        let answer = self.client.answer();
        let number = |text: &str| text.parse::<u64>().expect("a number");
        let cursor = answer.field("stream-cursor").map(str::to_owned);
        if let (Some(before), Some(after)) = (&self.cursor, &cursor) {
            assert!(number(after) > number(before), "{answer:?}");
        }
        self.cursor = cursor;
        self.offset = answer.next_offset().to_owned();
        answer
    }
}

/// Waits until so many connections are with the server for long-polls.
fn wait_for_readers(server: &Server, want: usize) {
    let wanted = format!(" {want}.0");
    wait_until("readers", || {
        let text = Client::connect(server.admin()).ask(&Request::get("/metrics")).text();
        let mut lines = text.lines().filter(|line| line.starts_with("thalweg_readers{"));
        lines.any(|line| line.contains("kind=\"long_poll\"") && line.ends_with(&wanted))
    });
}

#[test]
fn one_after_the_other() {
    for driver in DRIVERS {
        let server = server(&[driver]);
        server.put("a", "application/json", "").expect_status(201);
        let mut followers: Vec<_> = (0..3).map(|_| Follower::new(&server, "a")).collect();
        for round in 0..6 {
            followers.iter_mut().for_each(Follower::ask);
            // The first waits, or comes late: the same must come of both.
            if round % 2 == 0 {
                wait_for_readers(&server, 3);
            }
            // One frame of several appends, and one that is not copied for each reader.
            let size = if round == 4 { 100_000 } else { 10 };
            let message = format!("\"{}{round}\"", "x".repeat(size));
            server.post("a", "application/json", &message).expect_status(204);
            let mut tags = Vec::new();
            for follower in &mut followers {
                let answer = follower.answer().expect_status(200);
                assert_eq!(answer.text(), format!("[{message}]"), "{driver}, round {round}");
                assert_eq!(answer.field("stream-up-to-date"), Some("true"));
                assert_eq!(answer.field("content-type"), Some("application/json"));
                assert!(
                    answer.field("cache-control").is_some_and(|value| value.contains("public"))
                );
                tags.push(answer.field("etag").expect("a tag").to_owned());
            }
            let caught_up = server.get(&format!("a?offset={}", followers[0].offset));
            assert_eq!(caught_up.text(), "[]", "{driver}, round {round}");
            tags.dedup();
            assert_eq!(tags.len(), 1, "{driver}, round {round}");
        }
        drop(followers);
        wait_for_readers(&server, 0);
    }
}

#[test]
fn something_else_in_between() {
    for driver in DRIVERS {
        let server = server(&["--long-poll-timeout=300ms", driver]);
        server.put("a", "text/plain", "old").expect_status(201);
        let mut follower = Follower::new(&server, "a");
        for round in 0..3 {
            for _ in 0..3 {
                // Nothing comes.
                follower.ask();
                let answer = follower.answer().expect_status(204);
                assert_eq!(answer.next_offset(), server.tail("a").expect("a tail"));
            }
            let stranger = follower.client.ask(&Request::get("a?offset=-1"));
            assert!(stranger.text().starts_with("old"), "{driver}, round {round}");
            // A request behind one that waits, then one that comes in two pieces.
            follower.ask();
            follower.client.send(Request::head("a").encode());
            server.post("a", "text/plain", "news").expect_status(204);
            assert_eq!(follower.answer().expect_status(200).text(), "news", "{driver}, {round}");
            follower.client.answer_to("HEAD").expect_status(200);
            let request = poll("a", &follower.offset, follower.cursor.as_deref()).encode();
            let (begin, end) = request.split_at(request.len() / 2);
            follower.client.send(begin);
            server.post("a", "text/plain", "more").expect_status(204);
            follower.client.send(end);
            assert_eq!(follower.answer().expect_status(200).text(), "more", "{driver}, {round}");
            // From further back.
            follower.offset = "-1".to_owned();
            follower.ask();
            assert!(follower.answer().expect_status(200).text().starts_with("old"));
        }
    }
}

#[test]
fn the_end_of_a_stream_is_told() {
    for driver in DRIVERS {
        for (wake, want) in
            [(Request::post("a").with("stream-closed", "true"), 204), (Request::delete("a"), 404)]
        {
            let server = server(&[driver]);
            server.put("a", "text/plain", "old").expect_status(201);
            let mut follower = Follower::new(&server, "a");
            for _ in 0..2 {
                follower.ask();
                wait_for_readers(&server, 1);
                server.post("a", "text/plain", "news").expect_status(204);
                assert_eq!(follower.answer().expect_status(200).text(), "news");
            }
            follower.ask();
            wait_for_readers(&server, 1);
            server.ask(&wake);
            let answer = follower.client.answer().expect_status(want);
            assert_eq!(answer.is_closed(), want == 204, "{driver}: {answer:?}");
            // And again, at once.
            follower.ask();
            let answer = follower.client.answer().expect_status(want);
            assert_eq!(answer.is_closed(), want == 204, "{driver}: {answer:?}");
        }
    }
}

#[test]
fn a_server_that_stops_answers_those_who_wait() {
    for driver in DRIVERS {
        let mut server = server(&[driver]);
        server.put("a", "text/plain", "old").expect_status(201);
        let mut followers: Vec<_> = (0..2).map(|_| Follower::new(&server, "a")).collect();
        for _ in 0..2 {
            followers.iter_mut().for_each(Follower::ask);
            wait_for_readers(&server, 2);
            server.post("a", "text/plain", "news").expect_status(204);
            followers.iter_mut().for_each(|follower| drop(follower.answer().expect_status(200)));
        }
        // One waits, one has not asked again.
        followers[0].ask();
        server.terminate();
        followers[0].answer().expect_status(204);
        followers.iter_mut().for_each(|follower| follower.client.expect_end());
        assert!(server.exit().success(), "{driver}");
    }
}
