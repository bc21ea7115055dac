//! What is fuzzed: one module for each target, with a `check` that takes any bytes and panics if
//! something that must hold does not.
//!
//! The tests of `storage` and `proto` compile the same modules and replay `corpus/` through them,
//! so this crate must not hold anything that only libFuzzer can build.

pub mod input;
pub mod replay;

pub mod checkpoint;
pub mod headers;
pub mod index;
pub mod record;
pub mod recovery;

pub mod chunked;
pub mod connection;
pub mod http2_head;
pub mod http_head;
pub mod json;
pub mod query;

/// The engine under a small server without sockets, from the tests of `storage`.
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../storage/tests/storage/world.rs"]
pub mod world;

/// Sealing in that server.
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../storage/tests/storage/sealing.rs"]
pub mod sealing;
