//! Typed requests: what a request asks for, parsed once at the edge into types that cannot be
//! wrong. Everything behind the router works on these and never sees a header.

mod parse;
mod query;

pub use parse::{ParseContext, Resource, parse, precheck, resource};

use bytes::Bytes;

use crate::content_type::ContentType;
use crate::json::JsonError;
use crate::offset::{Offset, ReadFrom};
use crate::path::StreamPath;
use crate::stream::config::Expiry;
use crate::stream::record::{Payload, ProducerMark};
use crate::stream::retention::Retention;

/// What a client asks for.
#[derive(Clone, PartialEq, Debug)]
pub enum Request {
    /// PUT (section 5.1).
    Create(CreateRequest),
    /// POST: append, close, or both (sections 5.2, 5.3).
    Append(AppendRequest),
    /// GET (sections 5.6 - 5.8).
    Read(ReadRequest),
    /// HEAD (section 5.5).
    Metadata {
        /// The stream.
        path: StreamPath,
    },
    /// DELETE (section 5.4).
    Delete {
        /// The stream.
        path: StreamPath,
    },
    /// OPTIONS: CORS preflight, or a plain question for the allowed methods.
    Options,
    /// `GET {base}/__ds/streams`: the listing extension.
    List(ListRequest),
    /// Anything else under `{base}/__ds/` (section 6); parsed by `subscription`.
    Control(ControlRequest),
}

impl Request {
    /// The stream that it is for; `None`: none, or several.
    #[must_use]
    pub fn stream(&self) -> Option<&StreamPath> {
        match self {
            Request::Create(CreateRequest { path, .. })
            | Request::Append(AppendRequest { path, .. })
            | Request::Read(ReadRequest { path, .. })
            | Request::Metadata { path }
            | Request::Delete { path } => Some(path),
            Request::Options | Request::List(_) | Request::Control(_) => None,
        }
    }
}

/// PUT.
#[derive(Clone, PartialEq, Debug)]
pub struct CreateRequest {
    /// The stream.
    pub path: StreamPath,
    /// `Content-Type`; absent: octet-stream, or the fork source's.
    pub content_type: Option<ContentType>,
    /// `Stream-TTL` or `Stream-Expires-At`.
    pub expiry: Expiry,
    /// `Stream-Retention-Bytes` and `Stream-Retention-Seconds`: the retention extension.
    pub retention: Retention,
    /// `Stream-Closed: true`.
    pub close: bool,
    /// `Stream-Forked-From` and its companions.
    pub fork: Option<ForkRequest>,
    /// Initial content.
    pub body: Body,
}

/// The fork headers of a PUT (section 4.2).
#[derive(Clone, PartialEq, Debug)]
pub struct ForkRequest {
    /// `Stream-Forked-From`, relative to the base path.
    pub source: StreamPath,
    /// `Stream-Fork-Offset`; absent: the source's tail.
    pub offset: Option<Offset>,
    /// `Stream-Fork-Sub-Offset`, 0 when absent.
    pub sub_offset: u64,
}

/// POST.
#[derive(Clone, PartialEq, Debug)]
pub struct AppendRequest {
    /// The stream.
    pub path: StreamPath,
    /// `Content-Type`; may be absent only when the body is empty.
    pub content_type: Option<ContentType>,
    /// `Producer-Id`, `Producer-Epoch` and `Producer-Seq`.
    pub producer: Option<ProducerMark>,
    /// `Stream-Seq`.
    pub seq: Option<Box<str>>,
    /// `Stream-Closed: true`.
    pub close: bool,
    /// `Stream-Expected-Offset`: the compare-and-append extension.
    pub expected: Option<Offset>,
    /// The data.
    pub body: Body,
}

/// A body as it came, and flattened already when the request says that it is JSON: parsing
/// happens on the connection's core, the owner of the stream only decides what it means.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Body {
    /// The bytes as sent.
    pub raw: Bytes,
    /// For `application/json`: the messages, or why it is refused.
    pub json: Option<Result<Payload, JsonError>>,
}

/// How a read goes on after what is there now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LiveMode {
    /// Not at all.
    CatchUp,
    /// `live=long-poll`.
    LongPoll,
    /// `live=sse`.
    Sse,
}

/// GET.
#[derive(Clone, PartialEq, Debug)]
pub struct ReadRequest {
    /// The stream.
    pub path: StreamPath,
    /// `offset`.
    pub from: ReadFrom,
    /// `live`.
    pub live: LiveMode,
    /// `cursor`, when it is a number.
    pub cursor: Option<u64>,
    /// `If-None-Match`, verbatim.
    pub if_none_match: Option<Box<str>>,
}

/// A page of the listing extension.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListRequest {
    /// Only paths that begin with it.
    pub prefix: String,
    /// Only paths after it.
    pub cursor: Option<String>,
    /// At most so many, 1 to [`crate::limits::MAX_LIST_LIMIT`].
    pub limit: usize,
}

/// A request under the reserved `__ds` prefix, not looked into yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ControlRequest {
    /// The method.
    pub method: http::Method,
    /// The URL path after `__ds/`, still percent-encoded, without the query.
    pub tail: String,
    /// `Authorization`, verbatim.
    pub authorization: Option<Box<str>>,
    /// `scheme://host{base}` as the client addressed it, for URLs in answers.
    pub public_base: String,
    /// The body.
    pub body: Bytes,
}
