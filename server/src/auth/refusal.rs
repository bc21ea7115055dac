//! Why a request is not let through, as RFC 6750 says it.

use http::StatusCode;
use thalweg_proto::problem::Problem;

use super::Action;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No credentials, and they are needed.
    Missing,
    /// `Authorization` is no bearer token.
    NoBearer,
    /// A token that nobody knows, or whose signature does not fit.
    Invalid,
    /// A good token whose time is over, or has not begun.
    Expired,
    /// A token of another issuer, or for somebody else.
    Audience,
    /// Good credentials that do not allow this.
    Scope {
        /// What would be needed.
        action: Action,
        /// Nobody was asked who they are: others may be allowed.
        anonymous: bool,
    },
    /// A signed URL whose signature does not fit.
    Signature,
    /// A signed URL whose time is over.
    SignatureExpired,
}

impl Refusal {
    /// The code of the problem document.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Refusal::Missing | Refusal::Scope { anonymous: true, .. } => "credentials-missing",
            Refusal::NoBearer => "credentials-malformed",
            Refusal::Invalid => "token-invalid",
            Refusal::Expired => "token-expired",
            Refusal::Audience => "token-for-others",
            Refusal::Scope { .. } => "scope-insufficient",
            Refusal::Signature => "signature-invalid",
            Refusal::SignatureExpired => "signature-expired",
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let (status, detail) = match refusal {
            Refusal::Missing | Refusal::Scope { anonymous: true, .. } => {
                (401, "this needs a bearer token, or a signed URL".to_owned())
            }
            Refusal::NoBearer => {
                (400, "the Authorization field must be \"Bearer\" and a token".to_owned())
            }
            Refusal::Invalid => {
                (401, "the token is not known or its signature is wrong".to_owned())
            }
            Refusal::Expired => (401, "the token is not valid at this time".to_owned()),
            Refusal::Audience => (401, "the token is of another issuer or audience".to_owned()),
            Refusal::Scope { action, .. } => {
                (403, format!("the token does not allow to {} here", describe(action)))
            }
            Refusal::Signature => (403, "the signature does not fit this URL".to_owned()),
            Refusal::SignatureExpired => (403, "the time of this URL is over".to_owned()),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        let problem = Problem::new(status, refusal.code(), detail);
        match challenge(refusal) {
            Some(challenge) => problem.with("www-authenticate", challenge),
            None => problem,
        }
    }
}

/// `WWW-Authenticate` (RFC 6750 section 3). Without credentials it names no error.
fn challenge(refusal: Refusal) -> Option<String> {
    let error = match refusal {
        Refusal::Missing | Refusal::Scope { anonymous: true, .. } => {
            return Some("Bearer realm=\"thalweg\"".to_owned());
        }
        Refusal::NoBearer => "invalid_request".to_owned(),
        Refusal::Invalid | Refusal::Expired | Refusal::Audience => "invalid_token".to_owned(),
        Refusal::Scope { action, .. } => {
            format!("insufficient_scope\", scope=\"{}", action.word())
        }
        // A URL carries no token to be asked for again.
        Refusal::Signature | Refusal::SignatureExpired => return None,
    };
    Some(format!("Bearer realm=\"thalweg\", error=\"{error}\""))
}

fn describe(action: Action) -> &'static str {
    match action {
        Action::Create => "create a stream",
        Action::Append => "append",
        Action::Read => "read",
        Action::Delete => "delete",
        Action::Admin => "see or change more than one stream",
    }
}
