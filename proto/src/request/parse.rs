//! From a head and a body to a typed request, or to a refusal that names the field.
//!
//! Looks at nothing but the request: whether the stream exists or is closed is decided by its
//! owner. One file per method; the rules for single values are in `values`.

mod append;
mod create;
mod read;
mod route;
#[cfg(test)]
mod tests;
mod values;

use bytes::Bytes;
use http::{Method, StatusCode};

use self::route::Route;
use super::{Body, ControlRequest, Request};
use crate::content_type::{ContentType, Framing};
use crate::cors::ALLOWED_METHODS;
use crate::headers;
use crate::http1::{BodyLength, RequestHead};
use crate::json;
use crate::limits::MAX_SUBSCRIPTION_BODY_BYTES;
use crate::path::StreamPath;
use crate::problem::Problem;

/// What parsing needs to know about the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseContext {
    /// The path under which streams live, `/v1/stream`; empty for the root. A slash at its end
    /// is ignored.
    pub base_path: String,
    /// `scheme://host{base_path}` as clients address it; absent: how the request came and what
    /// `Host` says.
    pub public_base: Option<String>,
}

/// What a request is about, for whoever decides who may ask for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resource {
    /// A stream.
    Stream(StreamPath),
    /// The listing of streams.
    Listing,
    /// A control API: the path after `__ds/`, percent-encoded.
    Control(Box<str>),
    /// Nothing that there is: [`parse`] refuses it.
    Nothing,
}

/// Whether a head names a stream, and nothing reserved, as far as a short look shows.
#[must_use]
pub fn names_a_stream(head: &RequestHead, context: &ParseContext) -> bool {
    route::strip_base(head.path(), context).is_some_and(|inside| !route::is_reserved(inside))
}

/// What a head names.
#[must_use]
pub fn resource(head: &RequestHead, context: &ParseContext) -> Resource {
    match route::route(head.path(), context) {
        Ok(Route::Stream(path)) => Resource::Stream(path),
        Ok(Route::Streams) => Resource::Listing,
        Ok(Route::Control { tail }) => Resource::Control(tail.into()),
        Err(_) => Resource::Nothing,
    }
}

/// Refuses what the head alone shows to be wrong (404, 405, 413, 414), so that a large body need
/// not be read. [`parse`] repeats it: for requests without a body there is nothing to gain here.
pub fn precheck(head: &RequestHead, context: &ParseContext) -> Result<(), Problem> {
    if head.method == Method::OPTIONS {
        return Ok(());
    }
    match (route::route(head.path(), context)?, head.body) {
        (Route::Stream(_), _) => check_stream_method(&head.method),
        (Route::Streams, _) => check_listing_method(&head.method),
        (Route::Control { .. }, BodyLength::Length(length)) => check_control_body(length),
        (Route::Control { .. }, _) => Ok(()),
    }
}

/// Parses a whole request. A body that GET, HEAD, DELETE or OPTIONS may have is ignored (RFC 9110
/// section 9.3.1).
pub fn parse(head: &RequestHead, body: Bytes, context: &ParseContext) -> Result<Request, Problem> {
    if head.method == Method::OPTIONS {
        return Ok(Request::Options);
    }
    let path = match route::route(head.path(), context)? {
        Route::Stream(path) => path,
        Route::Streams => {
            check_listing_method(&head.method)?;
            return read::list(head).map(Request::List);
        }
        Route::Control { tail } => return control(head, tail, body, context),
    };
    check_stream_method(&head.method)?;
    match head.method {
        Method::GET => read::read(head, path).map(Request::Read),
        Method::HEAD => Ok(Request::Metadata { path }),
        Method::DELETE => Ok(Request::Delete { path }),
        Method::PUT => create::create(head, path, body, context).map(Request::Create),
        _ => append::append(head, path, body).map(Request::Append),
    }
}

fn control(
    head: &RequestHead,
    tail: &str,
    body: Bytes,
    context: &ParseContext,
) -> Result<Request, Problem> {
    check_control_body(body.len() as u64)?;
    let public_base = match &context.public_base {
        Some(base) => base.trim_end_matches('/').to_owned(),
        // HTTP/1.0 may come without a host.
        None => {
            let host = head.host().unwrap_or("localhost");
            format!("{}://{host}{}", head.scheme(), route::base(context))
        }
    };
    Ok(Request::Control(ControlRequest {
        method: head.method.clone(),
        tail: tail.to_owned(),
        authorization: head.fields.get(headers::AUTHORIZATION).map(Box::from),
        public_base,
        body,
    }))
}

fn check_stream_method(method: &Method) -> Result<(), Problem> {
    match *method {
        Method::GET | Method::HEAD | Method::PUT | Method::POST | Method::DELETE => Ok(()),
        _ => Err(method_not_allowed(method, ALLOWED_METHODS)),
    }
}

fn check_listing_method(method: &Method) -> Result<(), Problem> {
    match *method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(method_not_allowed(method, "GET, HEAD, OPTIONS")),
    }
}

fn method_not_allowed(method: &Method, allowed: &'static str) -> Problem {
    let detail = format!("the method {method} is not one of {allowed}");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
        .with(headers::ALLOW, allowed)
}

fn check_control_body(length: u64) -> Result<(), Problem> {
    if length <= MAX_SUBSCRIPTION_BODY_BYTES as u64 {
        return Ok(());
    }
    let detail = format!("the body is longer than {MAX_SUBSCRIPTION_BODY_BYTES} bytes");
    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail))
}

/// The value of `Content-Type`, refused when it is not a media type.
fn content_type(head: &RequestHead) -> Result<Option<ContentType>, Problem> {
    let Some(value) = head.fields.get(headers::CONTENT_TYPE) else { return Ok(None) };
    let parsed = ContentType::parse(value).ok_or_else(|| {
        invalid("Content-Type", &format!("{value:?} is not a media type of at most 256 bytes"))
    })?;
    Ok(Some(parsed))
}

/// Keeps the body, with its messages if it is said to be JSON. An empty one holds none.
fn typed_body(content_type: Option<&ContentType>, raw: Bytes) -> Body {
    let is_json = content_type.is_some_and(|given| given.framing() == Framing::Json);
    let json = (is_json && !raw.is_empty()).then(|| json::flatten(&raw));
    Body { raw, json }
}

/// 400 for a field or parameter.
pub(super) fn invalid(name: &str, what: &str) -> Problem {
    Problem::bad_request("invalid-request", format!("{name} {what}"))
}
