//! Live reads: many on one connection, none of which holds another.

use h2::Reason;
use h2::client::Builder;

use super::{Answer, Http2, run, soon};
use crate::support::Server;

const MANY: &str = "[limits]\nhttp2_streams = 5000";

#[test]
fn a_thousand_readers_on_one_connection() {
    let server = Server::start_configured(MANY, &["--cores=2"]);
    run(async {
        let mut builder = Builder::new();
        // This test reads one after the other: all that the others get waits on its side.
        builder.data_frame_budget(1 << 24).initial_connection_window_size(1 << 24);
        let mut client = Http2::connect_with(server.address(), &builder).await;
        let mut writer = Http2::connect(server.address()).await;
        client.create("a").await;
        client.create("b").await;
        let mut readers: Vec<Answer> = Vec::new();
        for number in 0..1000 {
            let name = if number % 2 == 0 { "a" } else { "b" };
            let mut reader = client.open(&format!("{name}?offset=-1&live=sse")).await;
            assert_eq!(reader.head.headers()["content-type"], "text/event-stream");
            assert!(reader.event().await.expect("a first one").starts_with("event: control"));
            readers.push(reader);
        }
        for round in 0..3 {
            writer.append("a", &format!("a{round}")).await;
            writer.append("b", &format!("b{round}")).await;
            for (number, reader) in readers.iter_mut().enumerate() {
                let name = if number % 2 == 0 { "a" } else { "b" };
                let want = format!("event: data\ndata:{name}{round}\n\n");
                assert_eq!(reader.data_event().await, want, "{number}");
            }
        }
        // The end of a stream ends its readers and nobody else's.
        writer.ask("POST", "a", &[("stream-closed", "true")], b"").await.expect_status(204);
        writer.append("b", "more").await;
        for (number, reader) in readers.iter_mut().enumerate() {
            if number % 2 == 0 {
                while reader.event().await.is_some() {}
            } else {
                assert_eq!(reader.data_event().await, "event: data\ndata:more\n\n");
            }
        }
    });
}

#[test]
fn a_reader_that_does_not_read_holds_nobody() {
    let server = Server::start_configured(MANY, &[]);
    run(async {
        let mut builder = Builder::new();
        // Room for a few events on each stream, and for many on the connection.
        builder.initial_window_size(2000).initial_connection_window_size(1 << 20);
        let mut client = Http2::connect_with(server.address(), &builder).await;
        let mut writer = Http2::connect(server.address()).await;
        client.create("a").await;
        let mut stalled = client.open("a?offset=-1&live=sse").await;
        let mut reader = client.open("a?offset=-1&live=sse").await;
        let word = "x".repeat(500);
        for round in 0..30 {
            writer.append("a", &format!("{round} {word}")).await;
            let want = format!("event: data\ndata:{round} {word}\n\n");
            assert_eq!(reader.data_event().await, want);
            // Other requests of the connection go on too.
            client.get("a?offset=now").await.expect_status(200);
        }
        // It gets everything when it reads after all, in fewer and larger events.
        let mut seen = String::new();
        while !seen.contains(&format!("29 {word}")) {
            seen.push_str(&stalled.data_event().await);
        }
        let found: Vec<usize> =
            (0..30).filter_map(|round| seen.find(&format!("{round} {word}"))).collect();
        assert_eq!(found.len(), 30);
        assert!(found.is_sorted(), "in order");
    });
}

#[test]
fn the_connection_window_is_shared() {
    let server = Server::start_configured(MANY, &[]);
    run(async {
        let mut builder = Builder::new();
        // The connection's window holds a fraction of what its streams may ask for.
        builder.initial_window_size(1 << 20).initial_connection_window_size(65_535);
        let mut client = Http2::connect_with(server.address(), &builder).await;
        client.create("a").await;
        client.append("a", &"x".repeat(60_000)).await;
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.push(client.open("a?offset=-1&live=sse").await);
        }
        // All at once: what one does not take, the others wait for.
        let readers = answers.into_iter().map(|mut answer| {
            tokio::spawn(async move { assert!(answer.data_event().await.len() > 60_000) })
        });
        for reader in readers.collect::<Vec<_>>() {
            soon(reader).await.expect("all of it");
        }
    });
}

#[test]
fn long_polls_and_readers_that_leave_make_room() {
    let toml = "[limits]\nhttp2_streams = 3";
    let server = Server::start_configured(toml, &[]);
    run(async {
        let mut client = Http2::connect(server.address()).await;
        let mut writer = Http2::connect(server.address()).await;
        client.create("a").await;
        for _ in 0..50 {
            // As many as there may be: two readers that leave, and a long-poll that is taken back.
            let mut first = client.open("a?offset=-1&live=sse").await;
            first.event().await.expect("an event");
            let second = client.open("a?offset=-1&live=sse").await;
            let (poll, mut stream) =
                client.begin("GET", "a?offset=now&live=long-poll", &[], true).await;
            stream.send_reset(Reason::CANCEL);
            drop((first, second, poll));
            // Their places are free at once.
            client.get("a?offset=now").await.expect_status(200);
        }
        let (poll, _) = client.begin("GET", "a?offset=now&live=long-poll", &[], true).await;
        // It waits; if it came late, the append is what it finds.
        writer.append("a", "news").await;
        let answer = soon(poll).await.expect("an answer");
        assert!(matches!(answer.status().as_u16(), 200 | 204), "{answer:?}");
    });
}

#[test]
fn sigterm_ends_what_is_live_and_says_goodbye() {
    let mut server = Server::start_configured(MANY, &["--cores=2"]);
    run(async {
        let mut client = Http2::connect(server.address()).await;
        let idle = Http2::connect(server.address()).await;
        client.create("a").await;
        let mut readers = Vec::new();
        for _ in 0..50 {
            let mut reader = client.open("a?offset=-1&live=sse").await;
            reader.event().await.expect("an event");
            readers.push(reader);
        }
        let (poll, _) = client.begin("GET", "a?offset=now&live=long-poll", &[], true).await;
        let polled = tokio::spawn(poll);
        server.terminate();
        for reader in &mut readers {
            assert_eq!(reader.event().await, None, "a proper end");
        }
        assert_eq!(soon(polled).await.expect("no panic").expect("an answer").status(), 204);
        drop(readers);
        client.ended().await.expect("GOAWAY without an error");
        idle.ended().await.expect("GOAWAY without an error");
    });
    assert!(server.exit().success());
}
