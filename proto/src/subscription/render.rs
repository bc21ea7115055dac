//! Responses exactly as sections 6 and 7 show them.

use bytes::Bytes;
use serde::Serialize;

use super::config::{Delivery, MAX_WAKE_STREAMS};
use super::event::encode_json;
use super::set::Subscriptions;
use super::state::{Link, Subscription};
use super::{Outcome, Refusal};
use crate::offset::Offset;
use crate::path::StreamPath;

/// An answer: JSON, unless it has no body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `application/json`; empty for 204.
    pub body: Bytes,
}

/// A linked stream as wakes and claims show it.
#[derive(Serialize)]
pub(super) struct StreamState<'a> {
    path: &'a str,
    link_type: &'static str,
    acked_offset: String,
    tail_offset: String,
    has_pending: bool,
}

#[derive(Serialize)]
struct StreamCursor<'a> {
    path: &'a str,
    link_type: &'static str,
    acked_offset: String,
}

#[derive(Serialize)]
struct Description<'a> {
    id: &'a str,
    subscription_id: &'a str,
    r#type: &'static str,
    pattern: Option<&'a str>,
    streams: Vec<StreamCursor<'a>>,
    webhook: Option<Webhook<'a>>,
    wake_stream: Option<&'a str>,
    lease_ttl_ms: u64,
    created_at: String,
    status: &'static str,
    description: Option<&'a str>,
}

#[derive(Serialize)]
struct Webhook<'a> {
    url: &'a str,
    signing: Signing<'a>,
}

#[derive(Serialize)]
struct Signing<'a> {
    alg: &'static str,
    kid: &'a str,
    jwks_url: String,
}

#[derive(Serialize)]
struct Grant<'a> {
    wake_id: &'a str,
    generation: u64,
    token: &'a str,
    streams: Vec<StreamState<'a>>,
    lease_ttl_ms: u64,
}

#[derive(Serialize)]
struct Acknowledged {
    ok: bool,
    next_wake: bool,
}

impl Subscriptions {
    /// Renders an outcome after its events are applied. `kid` names the server's active webhook
    /// signing key.
    #[must_use]
    pub fn render(&self, id: &str, outcome: &Outcome, kid: &str) -> Reply {
        let body = match outcome {
            Outcome::NoContent => return Reply { status: 204, body: Bytes::new() },
            Outcome::Acked { next_wake } => {
                Some(encode_json(&Acknowledged { ok: true, next_wake: *next_wake }))
            }
            Outcome::Created | Outcome::Found => self.get(id).map(|one| one.describe(kid)),
            Outcome::Claimed { token } => self.get(id).and_then(|one| one.grant(token)),
        };
        let status = if *outcome == Outcome::Created { 201 } else { 200 };
        // Only if the caller did not apply the events.
        body.map_or_else(|| Refusal::NotFound.reply(), |body| Reply { status, body })
    }
}

impl Refusal {
    /// The whole answer; [`allow`](Refusal::allow) is for its header.
    #[must_use]
    pub fn reply(&self) -> Reply {
        Reply { status: self.status(), body: self.body() }
    }
}

impl Subscription {
    fn describe(&self, kid: &str) -> Bytes {
        let signing = || Signing {
            alg: "ed25519",
            kid,
            jwks_url: format!("{}/__ds/jwks.json", self.base_url),
        };
        encode_json(&Description {
            id: &self.id,
            subscription_id: &self.id,
            r#type: match self.config.delivery() {
                Delivery::Webhook { .. } => "webhook",
                Delivery::PullWake { .. } => "pull-wake",
            },
            pattern: self.config.pattern().map(|glob| glob.as_str()),
            streams: self.links.iter().map(|(path, link)| StreamCursor::new(path, link)).collect(),
            webhook: self.config.webhook_url().map(|url| Webhook { url, signing: signing() }),
            wake_stream: self.config.wake_stream().map(StreamPath::as_str),
            lease_ttl_ms: self.config.lease_ttl_ms(),
            created_at: self.created_at.to_rfc3339(),
            status: self.status(),
            description: self.config.description(),
        })
    }

    fn grant(&self, token: &str) -> Option<Bytes> {
        let wake = self.wake.as_ref()?;
        let pending = self.pending_from(&wake.stream, true);
        let others = self.links.iter().filter(|(_, link)| !link.is_pending());
        let streams = pending
            .chain(others)
            .take(MAX_WAKE_STREAMS)
            .map(|(path, link)| StreamState::new(path, link, link.tail))
            .collect();
        Some(encode_json(&Grant {
            wake_id: &wake.id,
            generation: self.generation,
            token,
            streams,
            lease_ttl_ms: self.config.lease_ttl_ms(),
        }))
    }
}

impl<'a> StreamState<'a> {
    pub(super) fn new(path: &'a StreamPath, link: &Link, tail: Offset) -> StreamState<'a> {
        StreamState {
            path: path.as_str(),
            link_type: link.link_type().as_str(),
            acked_offset: link.acked.to_string(),
            tail_offset: tail.to_string(),
            has_pending: Link { tail, ..*link }.is_pending(),
        }
    }
}

impl<'a> StreamCursor<'a> {
    fn new(path: &'a StreamPath, link: &Link) -> StreamCursor<'a> {
        StreamCursor {
            path: path.as_str(),
            link_type: link.link_type().as_str(),
            acked_offset: link.acked.to_string(),
        }
    }
}

/// The public URL of an action on a subscription.
pub(super) fn control_url(base_url: &str, id: &str, action: &str) -> String {
    let mut url = format!("{base_url}/__ds/subscriptions/");
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url.push('/');
    url.push_str(action);
    url
}
