//! Keep-alive, pipelining, chunked uploads, `Expect`.

use super::super::support::{Request, Server, wait_for, wait_until};

#[test]
fn keep_alive() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let create = Request::put("a").with("content-type", "text/plain");
    client.ask(&create).expect_status(201);
    for number in 0..100 {
        let append = Request::post("a").with("content-type", "text/plain").body("x");
        client.ask(&append).expect_status(204);
        let read = client.ask(&Request::get("a")).expect_status(200);
        assert_eq!(read.body.len(), number + 1);
        assert_eq!(read.field("connection"), None);
    }
    let last = client.ask(&Request::get("a").with("connection", "close")).expect_status(200);
    assert_eq!(last.field("connection"), Some("close"));
    client.expect_end();
}

#[test]
fn fifty_pipelined_requests() {
    let server = Server::start(&["--cores=2"]);
    let append = |number: usize| {
        let stream = format!("s{}", number % 7);
        Request::post(&stream).with("content-type", "text/plain").body(format!("{number},"))
    };
    for stream in 0..7 {
        server.put(&format!("s{stream}"), "text/plain", "").expect_status(201);
    }
    let mut client = server.connect();
    let mut bytes = Vec::new();
    for number in 0..25 {
        bytes.extend(append(number).encode());
        bytes.extend(Request::get(&format!("s{}", number % 7)).encode());
    }
    client.send(bytes);
    for number in 0..25 {
        client.answer().expect_status(204);
        let read = client.answer().expect_status(200).text();
        let want: String =
            (0..=number).filter(|n| n % 7 == number % 7).map(|n| format!("{n},")).collect();
        assert_eq!(read, want, "{number}");
    }
}

#[test]
fn chunked_uploads() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let head = "PUT /v1/stream/a HTTP/1.1\r\nhost: t\r\ncontent-type: text/plain\r\n\
        transfer-encoding: chunked\r\n\r\n";
    client.send(head);
    let mut want = Vec::new();
    for size in [1, 10, 1000, 70_000, 300_000] {
        let data = vec![b'a' + (size % 26) as u8; size];
        client.send(format!("{size:X}\r\n"));
        client.send(&data);
        client.send("\r\n");
        want.extend(data);
    }
    assert_eq!(server.head("a").status, 404, "before the end there is nothing");
    client.send("0\r\n\r\n");
    client.answer().expect_status(201);
    assert!(client.ask(&Request::get("a")).body == want);
}

#[test]
fn expect_continue() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let head = "PUT /v1/stream/a HTTP/1.1\r\nhost: t\r\ncontent-type: text/plain\r\n\
        content-length: 4\r\nexpect: 100-continue\r\n\r\n";
    client.send(head);
    assert_eq!(client.answer().status, 100);
    client.send("body");
    client.answer().expect_status(201);
    // Who does not wait is not kept waiting.
    client.send(head.replace("/a ", "/b ") + "body");
    let answer = client.answer();
    let answer = if answer.status == 100 { client.answer() } else { answer };
    answer.expect_status(201);
    assert_eq!(server.get("b").text(), "body");
    // Who is refused is refused before the body.
    client.send(head.replace("/a ", "/a%00 "));
    client.answer().expect_problem(400, "malformed-path");
    client.expect_end();
    // Without a body there is nothing to wait for.
    let mut client = server.connect();
    client.send("GET /v1/stream/a HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().expect_status(200).text(), "body");
}

#[test]
fn locations() {
    let server = Server::start(&[]);
    let check = |target: &str, host: &str, want: &str| {
        let mut client = server.connect();
        client.send(format!("PUT {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n"));
        let created = client.answer().expect_status(201);
        assert_eq!(created.field("location"), Some(want));
    };
    check("/v1/stream/a%20b", "h.example:1", "http://h.example:1/v1/stream/a%20b");
    check("http://other/v1/stream/b", "h.example", "http://other/v1/stream/b");
    check("/v1/stream/c?x=y", "[::1]:80", "http://[::1]:80/v1/stream/c");
}

#[test]
fn epoll_serves_the_same() {
    let mut server = Server::start(&["--io=epoll", "--cores=2"]);
    server.put("a", "text/plain", "1").expect_status(201);
    server.put("b", "application/json", "[1,2]").expect_status(201);
    server.crash();
    assert_eq!(server.get("a").text(), "1");
    assert_eq!(server.get("b").text(), "[1,2]");
    server.stop();
}

#[test]
fn too_many_connections() {
    let server = Server::start(&["--max-connections=4"]);
    server.put("a", "text/plain", "1").expect_status(201);
    let mut held = Vec::new();
    let refused = wait_for("all places are taken", || {
        let mut client = server.connect();
        // It may be refused before it has asked.
        client.try_send(Request::get("a").encode());
        let answer = client.answer();
        held.push(client);
        (answer.status != 200).then_some(answer)
    });
    assert_eq!((refused.status, refused.code().as_str()), (503, "over-capacity"));
    assert_eq!(refused.field("retry-after"), Some("1"));
    drop(held);
    wait_until("there is room again", || {
        let mut client = server.connect();
        client.try_send(Request::get("a").encode());
        client.try_answer_to("GET").is_ok_and(|answer| answer.is_some_and(|it| it.status == 200))
    });
}
