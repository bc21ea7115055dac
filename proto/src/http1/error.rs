//! Why bytes are not an HTTP/1.1 message that we accept.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;

use crate::problem::Problem;

/// A refusal of the codec. The connection closes after it has been answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodecError {
    /// The status it is answered with.
    pub status: StatusCode,
    /// A stable machine-readable code, `kebab-case`.
    pub code: &'static str,
    /// What was wrong.
    pub detail: Cow<'static, str>,
}

/// A refusal of a head.
pub type HeadError = CodecError;
/// A refusal of a body.
pub type BodyError = CodecError;

impl CodecError {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> CodecError {
        CodecError { status, code, detail: detail.into() }
    }

    /// 400 with a code.
    pub(crate) fn bad(code: &'static str, detail: impl Into<Cow<'static, str>>) -> CodecError {
        CodecError::new(StatusCode::BAD_REQUEST, code, detail)
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.status.as_u16(), self.detail)
    }
}

impl std::error::Error for CodecError {}

impl From<CodecError> for Problem {
    fn from(error: CodecError) -> Problem {
        Problem::new(error.status, error.code, error.detail)
    }
}
