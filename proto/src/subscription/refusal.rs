//! Why a subscription request is refused, and the one place where that becomes a status, a code
//! and a body.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use crate::path::StreamPath;

/// A refused request. Nothing changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No control API at this path.
    UnknownRoute,
    /// The path exists, the method does not.
    MethodNotAllowed {
        /// What the `Allow` header says.
        allow: &'static str,
    },
    /// A field of the body, or a part of the path, is missing or wrong.
    Invalid {
        /// Which one.
        field: &'static str,
        /// What would be right.
        want: Box<str>,
    },
    /// The body is not a JSON object.
    NotJson(Box<str>),
    /// The body is larger than a subscription request may be.
    BodyTooLarge,
    /// The webhook URL may not be called.
    WebhookUrlRejected(Box<str>),
    /// No token, or one that this server did not give out for this subscription.
    TokenInvalid,
    /// A token that was ours, too long ago.
    TokenExpired,
    /// No such subscription.
    NotFound,
    /// The id is taken by another configuration.
    ConfigConflict,
    /// Generation, wake id or lease are no longer current.
    Fenced,
    /// Another worker holds the lease.
    AlreadyClaimed {
        /// Who.
        holder: Arc<str>,
        /// The generation it holds.
        generation: u64,
    },
    /// There is nothing to claim.
    NoPendingWork,
    /// An acked offset is not a token.
    MalformedOffset(Box<str>),
    /// An ack names a stream that is not linked.
    NotLinked(StreamPath),
    /// An acked offset lies beyond the tail of its stream.
    BeyondTail(StreamPath),
    /// The operation belongs to the other type of subscription.
    WrongType {
        /// The type that has this operation.
        want: &'static str,
    },
    /// The server holds as many subscriptions as it may.
    TooManySubscriptions,
    /// The subscription would link more streams than it may.
    TooManyStreams,
}

impl Refusal {
    /// A field that is not what it must be.
    #[must_use]
    pub fn invalid(field: &'static str, want: &str) -> Refusal {
        Refusal::Invalid { field, want: want.into() }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Refusal::Invalid { .. }
            | Refusal::NotJson(_)
            | Refusal::WebhookUrlRejected(_)
            | Refusal::MalformedOffset(_)
            | Refusal::WrongType { .. } => 400,
            Refusal::TokenInvalid | Refusal::TokenExpired => 401,
            Refusal::UnknownRoute | Refusal::NotFound => 404,
            Refusal::MethodNotAllowed { .. } => 405,
            Refusal::ConfigConflict
            | Refusal::Fenced
            | Refusal::AlreadyClaimed { .. }
            | Refusal::NoPendingWork
            | Refusal::NotLinked(_)
            | Refusal::BeyondTail(_) => 409,
            Refusal::BodyTooLarge => 413,
            Refusal::TooManySubscriptions | Refusal::TooManyStreams => 429,
        }
    }

    /// The machine-readable code in the body.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::UnknownRoute => "NOT_FOUND",
            Refusal::MethodNotAllowed { .. } => "METHOD_NOT_ALLOWED",
            Refusal::Invalid { .. } | Refusal::NotJson(_) | Refusal::WrongType { .. } => {
                "INVALID_REQUEST"
            }
            Refusal::BodyTooLarge => "BODY_TOO_LARGE",
            Refusal::WebhookUrlRejected(_) => "WEBHOOK_URL_REJECTED",
            Refusal::TokenInvalid => "TOKEN_INVALID",
            Refusal::TokenExpired => "TOKEN_EXPIRED",
            Refusal::NotFound => "SUBSCRIPTION_NOT_FOUND",
            Refusal::ConfigConflict => "CONFIG_CONFLICT",
            Refusal::Fenced => "FENCED",
            Refusal::AlreadyClaimed { .. } => "ALREADY_CLAIMED",
            Refusal::NoPendingWork => "NO_PENDING_WORK",
            Refusal::MalformedOffset(_) | Refusal::NotLinked(_) | Refusal::BeyondTail(_) => {
                "INVALID_OFFSET"
            }
            Refusal::TooManySubscriptions => "TOO_MANY_SUBSCRIPTIONS",
            Refusal::TooManyStreams => "TOO_MANY_STREAMS",
        }
    }

    /// The value of the `Allow` header, if the answer has one.
    #[must_use]
    pub fn allow(&self) -> Option<&'static str> {
        match self {
            Refusal::MethodNotAllowed { allow } => Some(allow),
            _ => None,
        }
    }

    /// The JSON body: `{"error":{"code":...,"message":...}}`.
    #[must_use]
    pub fn body(&self) -> Bytes {
        let mut error = json!({ "code": self.code(), "message": self.to_string() });
        if let Refusal::AlreadyClaimed { holder, generation } = self {
            error["current_holder"] = json!(&**holder);
            error["generation"] = json!(generation);
        }
        json!({ "error": error }).to_string().into()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::UnknownRoute => f.write_str("no control API at this path"),
            Refusal::MethodNotAllowed { allow } => write!(f, "this path allows {allow}"),
            Refusal::Invalid { field, want } => write!(f, "`{field}` must be {want}"),
            Refusal::NotJson(why) => write!(f, "the body must be a JSON object: {why}"),
            Refusal::BodyTooLarge => f.write_str("the body is longer than 262144 bytes"),
            Refusal::WebhookUrlRejected(why) => write!(f, "`webhook.url` {why}"),
            Refusal::TokenInvalid => {
                f.write_str("the Authorization header must carry this subscription's wake token")
            }
            Refusal::TokenExpired => f.write_str("the wake token has expired"),
            Refusal::NotFound => f.write_str("no subscription with this id"),
            Refusal::ConfigConflict => {
                f.write_str("the subscription exists with a different configuration")
            }
            Refusal::Fenced => f.write_str("this wake is over: its generation or lease is stale"),
            Refusal::AlreadyClaimed { holder, .. } => {
                write!(f, "the lease is held by {:?}", &**holder)
            }
            Refusal::NoPendingWork => f.write_str("no linked stream has unacked data"),
            Refusal::MalformedOffset(got) => write!(f, "{got:?} is not an offset of this server"),
            Refusal::NotLinked(path) => write!(f, "{path:?} is not linked to the subscription"),
            Refusal::BeyondTail(path) => write!(f, "the offset lies beyond the tail of {path:?}"),
            Refusal::WrongType { want } => write!(f, "only a {want} subscription has this"),
            Refusal::TooManySubscriptions => {
                f.write_str("the server holds as many subscriptions as it may")
            }
            Refusal::TooManyStreams => {
                f.write_str("the subscription would link more streams than it may")
            }
        }
    }
}
