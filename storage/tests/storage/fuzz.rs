//! The corpora of the fuzz targets about stored bytes; see `docs/testing.md`.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "shared with the fuzzing crate")]

use std::path::Path;

#[path = "../../../fuzz/src/checkpoint.rs"]
mod checkpoint;
#[path = "../../../fuzz/src/headers.rs"]
mod headers;
#[path = "../../../fuzz/src/index.rs"]
mod index;
#[path = "../../../fuzz/src/input.rs"]
mod input;
#[path = "../../../fuzz/src/record.rs"]
mod record;
#[path = "../../../fuzz/src/recovery.rs"]
mod recovery;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;

fn replay(target: &str, check: fn(&[u8])) {
    replay::replay(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), target, check);
}

#[test]
fn checkpoints() {
    replay("checkpoint", checkpoint::check);
}

#[test]
fn headers_of_files() {
    replay("headers", headers::check);
}

#[test]
fn indexes() {
    replay("index", index::check);
}

#[test]
fn records() {
    replay("record", record::check);
}

#[test]
fn recoveries() {
    replay("recovery", recovery::check);
}
