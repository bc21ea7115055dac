//! HTTP/1.1 on the wire, without I/O: request and response heads, bodies, answers (RFC 9112).
//!
//! Strict where laxness lets two parsers disagree about where a message ends (request smuggling):
//! what this module accepts has exactly one reading. After any [`CodecError`] the connection
//! closes, because the position in the byte stream is no longer certain.
//!
//! Deliberately absent: sockets, clocks and timeouts; `Upgrade`, trailers as data, and every
//! transfer or content coding but `chunked` and `identity`.

pub mod body;
pub mod encode;
mod error;
mod fields;
pub mod forwarded;
mod framing;
pub mod head;
mod host;
pub mod response_head;
mod scan;

pub use body::{BodyDecoder, BodyLength, Progress};
pub use error::{BodyError, CodecError, HeadError};
pub use fields::Fields;
pub use head::{HeadStatus, RequestHead, Version, parse_head};
pub use response_head::{ResponseBody, ResponseHead, ResponseHeadStatus, parse_response_head};
