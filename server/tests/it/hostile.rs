//! Hostile input: what is not HTTP, not the protocol, or not polite. Every refusal has its status
//! and code, and stores nothing; the server outlives all of it.

mod bodies;
mod clients;
mod fields;
mod framing;
mod mutations;
mod values;

use super::support::{Client, Request, Response, Server};

/// A server with two streams that no refused request may change.
struct Target {
    server: Server,
    before: Vec<(String, Option<String>)>,
}

impl Target {
    fn start(arguments: &[&str]) -> Target {
        Target::on(Server::start(arguments))
    }

    fn on(server: Server) -> Target {
        server.put("kept", "text/plain", "kept").expect_status(201);
        server.put("doc", "application/json", "[1]").expect_status(201);
        let mut target = Target { server, before: Vec::new() };
        target.before = target.contents();
        target
    }

    /// All streams and their tails.
    fn contents(&self) -> Vec<(String, Option<String>)> {
        let tail = |path: String| {
            let tail = self.server.tail(&path);
            (path, tail)
        };
        self.server.streams().into_iter().map(tail).collect()
    }

    /// Nothing was stored, nothing was lost.
    #[track_caller]
    fn check_unchanged(&self, what: &str) {
        assert_eq!(self.contents(), self.before, "{what}");
        let read = self.server.get("kept").expect_status(200);
        assert_eq!((read.text().as_str(), read.is_closed()), ("kept", false), "{what}");
    }

    /// Bytes that are refused with a status and code, after which the connection ends.
    #[track_caller]
    fn check_refused(&self, bytes: impl AsRef<[u8]>, status: u16, code: &str) {
        let bytes = bytes.as_ref();
        let what = shown(bytes);
        let mut client = self.server.connect();
        // The server may answer and close before it has seen everything.
        client.try_send(bytes);
        let refusal = answer(&mut client, &what);
        assert_eq!((refusal.status, refusal.code().as_str()), (status, code), "{what}");
        assert_eq!(refusal.field("connection"), Some("close"), "{what}");
        refusal.expect_problem(status, code);
        client.finish();
        client.expect_end();
        self.check_unchanged(&what);
    }

    /// A request that is refused with a status and code, after which the connection goes on.
    #[track_caller]
    fn check_problem(&self, request: &Request, status: u16, code: &str) -> Response {
        let what = shown(&request.encode());
        let mut client = self.server.connect();
        client.send(request.encode());
        let refusal = answer(&mut client, &what);
        assert_eq!((refusal.status, refusal.code().as_str()), (status, code), "{what}");
        let refusal = refusal.expect_problem(status, code);
        client.ask(&Request::get("/healthz")).expect_status(200);
        self.check_unchanged(&what);
        refusal
    }
}

#[track_caller]
fn answer(client: &mut Client, what: &str) -> Response {
    match client.try_answer_to("GET") {
        Ok(Some(response)) => response,
        other => panic!("{other:?} to {what}"),
    }
}

/// A request as it is named in messages: not all of it, if it is long.
fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(300)].escape_ascii().to_string()
}

/// A POST to the text stream with these lines between its host and its end.
fn post_with(lines: &str) -> String {
    format!("POST /v1/stream/kept HTTP/1.1\r\nhost: t\r\ncontent-type: text/plain\r\n{lines}\r\n")
}
