//! The Durable Streams protocol as pure code: typed requests, the stream state machine, JSON and
//! SSE framing, the HTTP/1.1 codec.
//!
//! Deliberately absent: clocks, sockets, files, threads, randomness and `unsafe`. What depends on
//! time or chance takes it as an argument.
#![forbid(unsafe_code)]

pub mod content_type;
pub mod limits;
pub mod offset;
pub mod path;
pub mod stream;
pub mod time;
