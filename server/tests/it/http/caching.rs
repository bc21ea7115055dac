//! ETags, 304, `Cache-Control`, cursors.

use super::super::support::{Request, Server};

#[test]
fn not_modified_until_closed() {
    let server = Server::start(&[]);
    server.put("a", "text/plain", "data").expect_status(201);
    let first = server.get("a").expect_status(200);
    let tag = first.field("etag").expect("an ETag").to_owned();
    let ask = |tag: &str| server.ask(&Request::get("a").with("if-none-match", tag));

    for given in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let unchanged = ask(&given).expect_status(304);
        assert_eq!(unchanged.field("etag"), Some(tag.as_str()));
        assert_eq!(unchanged.next_offset(), first.next_offset());
        assert_eq!(unchanged.field("stream-up-to-date"), Some("true"));
        assert_eq!(unchanged.field("content-length"), None);
    }
    ask("\"x\"").expect_status(200);
    ask(tag.trim_matches('"')).expect_status(200);

    // New data is another range.
    server.post("a", "text/plain", "more").expect_status(204);
    let grown = ask(&tag).expect_status(200);
    assert_ne!(grown.field("etag"), Some(tag.as_str()));

    // No new data, but an end.
    let tag = grown.field("etag").expect("an ETag").to_owned();
    server.ask(&Request::post("a").with("stream-closed", "true")).expect_status(204);
    let closed = ask(&tag).expect_status(200);
    assert!(closed.is_closed() && closed.text() == "datamore");
    assert_ne!(closed.field("etag"), Some(tag.as_str()));
    let tag = closed.field("etag").expect("an ETag").to_owned();
    assert!(ask(&tag).expect_status(304).is_closed());
}

#[test]
fn tags_survive_a_restart_and_not_a_successor() {
    let mut server = Server::start(&[]);
    server.put("a", "text/plain", "data").expect_status(201);
    let tag = server.get("a").field("etag").expect("an ETag").to_owned();
    server.crash();
    let ask = |server: &Server| server.ask(&Request::get("a").with("if-none-match", &tag));
    ask(&server).expect_status(304);
    server.delete("a").expect_status(204);
    server.put("a", "text/plain", "DATA").expect_status(201);
    assert_eq!(ask(&server).expect_status(200).text(), "DATA");
}

#[test]
fn cache_control() {
    let server = Server::start(&["--long-poll-timeout=100ms"]);
    server.put("a", "text/plain", "data").expect_status(201);
    let check = |query: &str, status, want: &str| {
        let answer = server.get(&format!("a{query}")).expect_status(status);
        assert_eq!(answer.field("cache-control"), Some(want), "{query}");
        answer
    };
    let kept = "public, max-age=60, stale-while-revalidate=300";
    let tail = check("", 200, kept).next_offset().to_owned();
    check("?offset=-1", 200, kept);
    check("?offset=-1&live=long-poll", 200, kept);
    // There may be news any time.
    check(&format!("?offset={tail}"), 200, "no-cache");
    check(&format!("?offset={tail}&live=long-poll"), 204, "no-store");
    assert_eq!(check("?offset=now", 200, "no-store").field("etag"), None);
    check("?offset=now&live=long-poll", 204, "no-store");
    check("?offset=bad", 400, "no-store");
    assert_eq!(server.head("a").field("cache-control"), Some("no-store"));
    // After the end there will be no news.
    server.ask(&Request::post("a").with("stream-closed", "true")).expect_status(204);
    check(&format!("?offset={tail}"), 200, kept);
    check(&format!("?offset={tail}&live=long-poll"), 204, "no-store");
}

#[test]
fn nothing_is_kept_beyond_the_life_of_its_stream() {
    let server = Server::start(&[]);
    let create = Request::put("a").with("content-type", "text/plain").with("stream-ttl", 10);
    server.ask(&create.body("data")).expect_status(201);
    let read = server.get("a").expect_status(200);
    let kept = read.field("cache-control").expect("a rule");
    let age = kept.strip_prefix("public, max-age=").and_then(|age| age.parse::<u64>().ok());
    assert!(age.is_some_and(|age| age <= 10), "{kept}");
}

#[test]
fn cursors_never_go_backwards() {
    let server = Server::start(&["--long-poll-timeout=100ms", "--sse-lifetime=1s"]);
    server.put("a", "text/plain", "data").expect_status(201);
    let cursor = |query: &str| -> u64 {
        let answer = server.get(&format!("a?{query}"));
        answer.field("stream-cursor").expect("a cursor").parse().expect("a number")
    };
    let current = cursor("offset=-1&live=long-poll");
    let mut last = current + 1_000_000;
    for query in ["offset=-1&live=long-poll", "offset=now&live=long-poll"].repeat(3) {
        let next = cursor(&format!("{query}&cursor={last}"));
        assert!(next > last, "{next} after {last}");
        last = next;
    }
    // An old one, or none of ours, is answered with the current one.
    for given in ["0", "junk", "-5", ""] {
        let now = cursor(&format!("offset=-1&live=long-poll&cursor={given}"));
        assert!((current..=current + 2).contains(&now), "{now} for {given:?}");
    }
}
