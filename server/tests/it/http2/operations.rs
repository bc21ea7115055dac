//! Every operation of the protocol, and what is refused.

use super::{Http2, run, soon};
use crate::support::Server;

#[test]
fn every_operation() {
    let server = Server::start(&[]);
    run(async {
        let mut client = Http2::connect(server.address()).await;
        let text = [("content-type", "text/plain")];
        let created = client.ask("PUT", "a", &text, b"one,").await.expect_status(201);
        assert_eq!(created.field("location"), Some("http://test/v1/stream/a"));
        client.ask("PUT", "a", &text, b"").await.expect_status(200);
        let producer = [
            ("content-type", "text/plain"),
            ("producer-id", "p"),
            ("producer-epoch", "0"),
            ("producer-seq", "0"),
        ];
        client.ask("POST", "a", &producer, b"two,").await.expect_status(200);
        client.ask("POST", "a", &producer, b"two,").await.expect_status(204);
        let page = client.get("a?offset=-1").await.expect_status(200);
        assert_eq!(page.text(), "one,two,");
        assert_eq!(page.field("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.field("content-length"), Some("8"));
        let tag = page.field("etag").expect("a tag").to_owned();
        let fields = [("if-none-match", tag.as_str())];
        let same = client.ask("GET", "a?offset=-1", &fields, b"").await.expect_status(304);
        assert_eq!(same.body, b"");
        let head = client.ask("HEAD", "a", &[], b"").await.expect_status(200);
        assert_eq!(head.next_offset(), page.next_offset());
        let fork = [("content-type", "text/plain"), ("stream-forked-from", "/v1/stream/a")];
        client.ask("PUT", "b", &fork, b"").await.expect_status(201);
        assert_eq!(client.get("b?offset=-1").await.text(), "one,two,");
        let listed = client.get("__ds/streams").await.expect_status(200);
        assert_eq!(listed.json()["streams"].as_array().map(Vec::len), Some(2));
        client.ask("OPTIONS", "a", &[], b"").await.expect_status(204);
        client.ask("POST", "a", &[("stream-closed", "true")], b"").await.expect_status(204);
        assert!(client.get("a?offset=now").await.expect_status(200).is_closed());
        client.ask("DELETE", "b", &[], b"").await.expect_status(204);
        client.get("b?offset=-1").await.expect_problem(404, "stream-not-found");
        client.get("/readyz").await.expect_status(200);
        let subscription = br#"{"type":"pull-wake","pattern":"**","wake_stream":"a"}"#;
        let answer = client
            .ask(
                "PUT",
                "__ds/subscriptions/s",
                &[("content-type", "application/json")],
                subscription,
            )
            .await;
        assert_ne!(answer.status, 404, "{}", answer.text());
    });
}

#[test]
fn what_is_refused_is_refused_as_in_http1() {
    let server = Server::start(&["--max-body-bytes=1MiB"]);
    run(async {
        let mut client = Http2::connect(server.address()).await;
        let text = [("content-type", "text/plain")];
        client.get("/elsewhere").await.expect_problem(404, "no-route");
        client.get("a?offset=x").await.expect_problem(400, "malformed-offset");
        client.ask("PATCH", "a", &[], b"x").await.expect_problem(405, "method-not-allowed");
        let coded = [("content-type", "text/plain"), ("content-encoding", "gzip")];
        let refused = client.ask("PUT", "a", &coded, b"x").await;
        refused.expect_problem(415, "unsupported-content-encoding");
        let twice = [("content-type", "text/plain"), ("content-type", "text/html")];
        client.ask("PUT", "a", &twice, b"x").await.expect_problem(400, "duplicate-field");
        let (announced, _) = client
            .begin(
                "PUT",
                "a",
                &[("content-type", "text/plain"), ("content-length", "1048577")],
                false,
            )
            .await;
        assert_eq!(soon(announced).await.expect("an answer").status(), 413);
        // Without a length it is found out on the way.
        let refused = client.ask("PUT", "a", &text, &vec![b'x'; 1_048_577]).await;
        refused.expect_problem(413, "body-too-large");
        client.ask("PUT", "a", &text, &vec![b'x'; 1_048_576]).await.expect_status(201);
    });
}

#[test]
fn a_refusal_arrives_while_the_body_is_still_sent() {
    let server = Server::start(&["--max-body-bytes=1MiB"]);
    run(async {
        let mut client = Http2::connect(server.address()).await;
        let text = ("content-type", "text/plain");
        for fields in [&[text][..], &[text, ("content-length", "90000000")]] {
            let (answer, mut body) = client.begin("PUT", "a", fields, false).await;
            // More than the limit, and no end: whatever the windows are, the library holds it.
            for _ in 0..40 {
                let piece = bytes::Bytes::from(vec![b'x'; 64 * 1024]);
                if body.send_data(piece, false).is_err() {
                    break;
                }
            }
            let answer = soon(answer).await.expect("an answer, and not the end of the stream");
            let answer = super::Answer::of(answer).whole().await;
            answer.expect_problem(413, "body-too-large");
        }
        client.get("a").await.expect_status(404);
    });
}

#[test]
fn bodies_larger_than_all_windows() {
    let server = Server::start(&[]);
    run(async {
        let mut client = Http2::connect(server.address()).await;
        let body: Vec<u8> = (0..5_000_000u32).map(|at| (at % 251) as u8).collect();
        let binary = [("content-type", "application/octet-stream")];
        client.ask("PUT", "a", &binary, &body).await.expect_status(201);
        let mut found = Vec::new();
        let mut offset = "-1".to_owned();
        while found.len() < body.len() {
            let page = client.get(&format!("a?offset={offset}")).await.expect_status(200);
            offset = page.next_offset().to_owned();
            found.extend(page.body);
        }
        assert!(found == body, "{} bytes", found.len());
    });
}

#[test]
fn one_connection_serves_both_cores_at_once() {
    let server = Server::start(&["--cores=2"]);
    run(async {
        let mut client = Http2::connect(server.address()).await;
        let mut begun = Vec::new();
        for number in 0..100 {
            let fields = [("content-type", "text/plain")];
            begun.push(client.begin("PUT", &format!("s{number}"), &fields, true).await.0);
        }
        for answer in begun {
            assert_eq!(soon(answer).await.expect("an answer").status(), 201);
        }
    });
    assert_eq!(server.streams().len(), 100);
}
