//! The wall clock jumps: expiry follows it, nothing else does.

use super::shim::{self, WallClock};
use crate::support::{Events, Request, Server, wait_until};

const DAY_MS: i64 = 24 * 3600 * 1000;

fn append(server: &Server, reader: &mut Events, text: &str) {
    server.post("plain", "text/plain", text).expect_status(204);
    assert_eq!(reader.next_of("data").data, text);
}

#[test]
fn clock_jumps_move_expiry_and_nothing_else() {
    let Some(library) = shim::library() else { return };
    let clock = WallClock::new();
    let directory = tempfile::tempdir().expect("a directory");
    let data_dir = directory.path().join("data");
    let mut server = Server::start_in(&data_dir, &clock.environment(library), &[]);
    server.put("plain", "text/plain", "").expect_status(201);
    let hour = Request::put("hour").with("content-type", "text/plain").with("stream-ttl", 3600);
    server.ask(&hour).expect_status(201);
    let first = server.put("again", "text/plain", "x").expect_status(201).next_offset().to_owned();
    let live = Request::get("plain?offset=now&live=sse");
    let mut reader = Events::open(server.connect(), &live);
    reader.next_of("control");
    append(&server, &mut reader, "now");

    clock.jump_to(DAY_MS);
    wait_until("an hour has passed", || server.head("hour").status == 404);
    append(&server, &mut reader, "tomorrow");
    let week = Request::put("week").with("content-type", "text/plain");
    server.ask(&week.with("stream-ttl", 7 * 24 * 3600)).expect_status(201);
    let second = replace(&server, "again", &first);

    clock.jump_to(-DAY_MS);
    append(&server, &mut reader, "yesterday");
    server.get("week").expect_status(200);
    let third = replace(&server, "again", &second);
    server.crash();
    // The same on a server that has never seen another time.
    assert_eq!(server.get("plain").expect_status(200).text(), "nowtomorrowyesterday");
    server.get("week").expect_status(200);
    assert_eq!(server.head("hour").status, 404, "what expired stays so");
    let fourth = replace(&server, "again", &third);
    server.get(&format!("again?offset={first}")).expect_problem(410, "offset-gone");
    server.stop();
    clock.jump_to(0);
    server.launch();
    replace(&server, "again", &fourth);
    server.stop();
}

/// Deletes a stream and creates it again: offsets of the earlier one mean nothing in the new one.
/// Returns the new tail.
fn replace(server: &Server, stream: &str, earlier: &str) -> String {
    server.delete(stream).expect_status(204);
    let created = server.put(stream, "text/plain", "x").expect_status(201);
    let offset = created.next_offset().to_owned();
    assert!(offset.as_str() > earlier, "{offset} after {earlier}");
    server.get(&format!("{stream}?offset={earlier}")).expect_problem(410, "offset-gone");
    offset
}
