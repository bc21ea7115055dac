//! Refusals as the client sees them: a status, a stable code, a sentence that names what was
//! wrong (RFC 9457 problem details).

use http::StatusCode;
use serde_json::json;

use crate::response::{FieldValue, Response};

/// A refusal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The status.
    pub status: StatusCode,
    /// A stable machine-readable code, `kebab-case`.
    pub code: &'static str,
    /// What was wrong, with which value, and what would be right.
    pub detail: String,
    /// Fields that the refusal carries (`Allow`, `Stream-Next-Offset`, `Retry-After`...).
    pub fields: Vec<(&'static str, FieldValue)>,
    /// Facts for programs, beside the standard members of the body.
    pub members: Vec<(&'static str, String)>,
}

impl Problem {
    /// A refusal without extra fields.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, code, detail: detail.into(), fields: Vec::new(), members: Vec::new() }
    }

    /// 400 with a code.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// Adds a field to the answer.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<FieldValue>) -> Problem {
        self.fields.push((name, value.into()));
        self
    }

    /// Adds a fact to the body.
    #[must_use]
    pub fn with_member(mut self, name: &'static str, value: &impl ToString) -> Problem {
        self.members.push((name, value.to_string()));
        self
    }

    /// The answer: `application/problem+json`, never stored by caches.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        for (name, value) in self.members {
            body[name] = value.into();
        }
        let mut response = Response::new(self.status).with("cache-control", "no-store");
        response.fields.extend(self.fields);
        response.problem = Some(self.code);
        response.with_body("application/problem+json", body.to_string())
    }
}
