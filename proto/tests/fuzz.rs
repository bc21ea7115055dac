//! The corpora of the fuzz targets about HTTP and JSON; see `docs/testing.md`.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "shared with the fuzzing crate")]

use std::path::Path;

#[path = "../../fuzz/src/chunked.rs"]
mod chunked;
#[path = "../../fuzz/src/connection.rs"]
mod connection;
#[path = "../../fuzz/src/http2_head.rs"]
mod http2_head;
#[path = "../../fuzz/src/http_head.rs"]
mod http_head;
#[path = "../../fuzz/src/input.rs"]
mod input;
#[path = "../../fuzz/src/json.rs"]
mod json;
#[path = "../../fuzz/src/query.rs"]
mod query;
#[path = "../../fuzz/src/replay.rs"]
mod replay;

fn replay(target: &str, check: fn(&[u8])) {
    replay::replay(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), target, check);
}

#[test]
fn chunked_bodies() {
    replay("chunked", chunked::check);
}

#[test]
fn connections() {
    replay("connection", connection::check);
}

#[test]
fn heads_of_http2() {
    replay("http2_head", http2_head::check);
}

#[test]
fn heads() {
    replay("http_head", http_head::check);
}

#[test]
fn json_bodies() {
    replay("json", json::check);
}

#[test]
fn query_strings() {
    replay("query", query::check);
}
