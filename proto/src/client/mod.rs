//! What a client needs to understand a server's answers. Pure: bytes in, events out.
//!
//! Deliberately absent: connections, retries and clocks; they belong to the clients.

pub mod response;
pub mod sse;
