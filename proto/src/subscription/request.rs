//! Requests to the control APIs below `__ds/` (sections 6 and 7), as types that cannot be wrong.
//!
//! Owns the routes and the methods they allow; the bodies are read in `body`. Absent: what a
//! request does to any state.

use std::sync::Arc;

use http::Method;

use super::body::{self, Fields};
use super::config::Config;
use super::refusal::Refusal;
use super::wire::Position;
use crate::glob::Glob;
use crate::limits::{MAX_ID_BYTES, MAX_SUBSCRIPTION_BODY_BYTES};
use crate::path::{StreamPath, percent_decode};

/// A parsed request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SubscriptionRequest {
    /// `GET jwks.json`: the webhook signing keys, which the server has.
    Jwks,
    /// Something about one subscription.
    On {
        /// Its id.
        id: Arc<str>,
        /// What.
        operation: Operation,
    },
}

/// What is asked of one subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Create it, or confirm that it exists just so.
    Put(Box<Config>),
    /// Describe it.
    Get,
    /// End it.
    Delete,
    /// Link streams explicitly.
    AddStreams(Vec<StreamPath>),
    /// Remove an explicit link.
    RemoveStream(StreamPath),
    /// Take the lease (pull-wake).
    Claim {
        /// Who.
        worker: Arc<str>,
    },
    /// Ack, prolong or finish (pull-wake).
    Ack(WakeReport),
    /// Ack, prolong or finish (webhook).
    Callback(WakeReport),
    /// Give the lease back (pull-wake).
    Release(WakeReport),
}

/// What a worker says about the wake it works on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WakeReport {
    /// The bearer token.
    pub token: Box<str>,
    /// The wake that it means.
    pub wake_id: Box<str>,
    /// The generation that it means.
    pub generation: u64,
    /// How far it has processed.
    pub acks: Vec<Position>,
    /// Whether it is finished.
    pub done: bool,
}

impl SubscriptionRequest {
    /// Parses a request. `tail` is the URL path after `__ds/`, still percent-encoded and without
    /// the query; `authorization` is the header's value.
    pub fn parse(
        method: &Method,
        tail: &str,
        authorization: Option<&str>,
        body: &[u8],
    ) -> Result<SubscriptionRequest, Refusal> {
        if tail == "jwks.json" {
            allow(method, &[Method::GET, Method::HEAD], "GET, HEAD")?;
            return Ok(SubscriptionRequest::Jwks);
        }
        let rest = tail.strip_prefix("subscriptions/").ok_or(Refusal::UnknownRoute)?;
        let (id, route) = rest.split_once('/').map_or((rest, None), |(id, to)| (id, Some(to)));
        if body.len() > MAX_SUBSCRIPTION_BODY_BYTES {
            return Err(Refusal::BodyTooLarge);
        }
        let operation = match route {
            None => base(method, body)?,
            Some("streams") => {
                allow(method, &[Method::POST], "POST")?;
                Operation::AddStreams(body::streams(&Fields::parse(body)?)?)
            }
            Some(action @ ("claim" | "ack" | "callback" | "release")) => {
                allow(method, &[Method::POST], "POST")?;
                act(action, authorization, body)?
            }
            Some(other) => {
                let path = other.strip_prefix("streams/").ok_or(Refusal::UnknownRoute)?;
                allow(method, &[Method::DELETE], "DELETE")?;
                Operation::RemoveStream(removed_path(path)?)
            }
        };
        Ok(SubscriptionRequest::On { id: parse_id(id)?, operation })
    }

    /// The streams whose tails [`decide`](super::Subscriptions::decide) must be told: existing
    /// streams that match the pattern, and those of the list that exist.
    #[must_use]
    pub fn wanted_tails(&self) -> Option<(Option<&Glob>, &[StreamPath])> {
        match self {
            SubscriptionRequest::On { operation: Operation::Put(config), .. } => {
                Some((config.pattern(), config.streams()))
            }
            SubscriptionRequest::On { operation: Operation::AddStreams(streams), .. } => {
                Some((None, streams))
            }
            _ => None,
        }
    }
}

fn base(method: &Method, body: &[u8]) -> Result<Operation, Refusal> {
    match *method {
        Method::PUT => Ok(Operation::Put(Box::new(body::config(&Fields::parse(body)?)?))),
        Method::GET | Method::HEAD => Ok(Operation::Get),
        Method::DELETE => Ok(Operation::Delete),
        _ => Err(Refusal::MethodNotAllowed { allow: "GET, HEAD, PUT, DELETE" }),
    }
}

fn act(action: &str, authorization: Option<&str>, body: &[u8]) -> Result<Operation, Refusal> {
    if action == "claim" {
        let fields = Fields::parse(body)?;
        return Ok(Operation::Claim { worker: fields.required_id("worker")?.into() });
    }
    // Who has no token learns nothing about what the body should be.
    let token = authorization.and_then(bearer).ok_or(Refusal::TokenInvalid)?;
    let report = body::wake_report(token, &Fields::parse(body)?)?;
    Ok(match action {
        "ack" => Operation::Ack(report),
        "callback" => Operation::Callback(report),
        _ => Operation::Release(report),
    })
}

fn allow(method: &Method, allowed: &[Method], allow: &'static str) -> Result<(), Refusal> {
    if allowed.contains(method) { Ok(()) } else { Err(Refusal::MethodNotAllowed { allow }) }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn parse_id(encoded: &str) -> Result<Arc<str>, Refusal> {
    let want = || Refusal::invalid("id", "1 to 256 bytes of UTF-8 without control characters");
    let id = percent_decode(encoded, |_| false).map_err(|_| want())?;
    // A client would resolve `.` and `..` out of the callback URL.
    let bad = id.is_empty()
        || id.len() > MAX_ID_BYTES
        || id.chars().any(char::is_control)
        || matches!(id.as_str(), "." | "..");
    if bad { Err(want()) } else { Ok(id.into()) }
}

/// Here an encoded slash is a slash: clients encode the path as one component.
fn removed_path(encoded: &str) -> Result<StreamPath, Refusal> {
    let decoded = percent_decode(encoded, |byte| byte == b'\\');
    let path = decoded.and_then(|path| StreamPath::new(path.trim_matches('/')));
    path.map_err(|error| Refusal::invalid("path", &format!("a stream path: {error}")))
}
