//! The Durable Streams protocol as pure code: typed requests, the stream state machine, JSON and
//! SSE framing, the HTTP/1.1 codec and what HTTP/2 makes of it.
//!
//! Deliberately absent: clocks, sockets, files, threads, randomness and `unsafe`. What depends on
//! time or chance takes it as an argument.
#![forbid(unsafe_code)]

pub mod answer;
pub mod client;
pub mod content_type;
pub mod cors;
pub mod cursor;
pub mod glob;
pub mod headers;
pub mod http1;
pub mod http2;
pub mod json;
pub mod limits;
pub mod offset;
pub mod path;
pub mod problem;
pub mod proxy_protocol;
pub mod request;
pub mod response;
pub mod sse;
pub mod stream;
pub mod subscription;
pub mod time;
