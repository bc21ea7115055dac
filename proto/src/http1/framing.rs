//! How long a message is and what its connection does afterwards (RFC 9112 sections 6 and 9).
//!
//! Every ambiguity that RFC 9112 lets a recipient repair is refused here instead.

use http::StatusCode;

use super::body::BodyLength;
use super::error::CodecError;
use super::fields::Fields;
use super::head::Version;
use crate::headers;

/// The framing that `Content-Length` and `Transfer-Encoding` announce.
pub(super) fn body_length(fields: &Fields, version: Version) -> Result<BodyLength, CodecError> {
    let mut lengths = fields.get_all(headers::CONTENT_LENGTH);
    let mut codings = fields.get_all(headers::TRANSFER_ENCODING);
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(BodyLength::None),
        (Some(_), Some(_)) => Err(CodecError::bad(
            "ambiguous-length",
            "the message has both Content-Length and Transfer-Encoding",
        )),
        (Some(_), None) if lengths.next().is_some() => Err(CodecError::bad(
            "duplicate-content-length",
            "the message has more than one Content-Length",
        )),
        (Some(length), None) => parse_length(length).map(BodyLength::Length).ok_or_else(|| {
            let detail = format!("Content-Length {length:?} is not one decimal number");
            CodecError::bad("malformed-content-length", detail)
        }),
        (None, Some(_)) if version == Version::Http10 => {
            Err(CodecError::bad("transfer-encoding-in-http10", "HTTP/1.0 has no Transfer-Encoding"))
        }
        (None, Some(coding)) => {
            if codings.next().is_none() && coding.eq_ignore_ascii_case("chunked") {
                return Ok(BodyLength::Chunked);
            }
            Err(CodecError::new(
                StatusCode::NOT_IMPLEMENTED,
                "unsupported-transfer-encoding",
                "the only Transfer-Encoding that is served is exactly `chunked`",
            ))
        }
    }
}

/// Whether the sender keeps the connection open (RFC 9112 section 9.3).
pub(super) fn keep_alive(fields: &Fields, version: Version) -> bool {
    if fields.has_element(headers::CONNECTION, "close") {
        return false;
    }
    match version {
        Version::Http11 => true,
        Version::Http10 => fields.has_element(headers::CONNECTION, "keep-alive"),
    }
}

/// Whether the client waits for `100 Continue`; any other expectation is refused.
pub(super) fn expects_continue(
    fields: &Fields,
    version: Version,
    body: BodyLength,
) -> Result<bool, CodecError> {
    match fields.get(headers::EXPECT) {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("100-continue") => {
            // An HTTP/1.0 client would take the interim answer for the final one.
            let has_body = !matches!(body, BodyLength::None | BodyLength::Length(0));
            Ok(has_body && version == Version::Http11)
        }
        Some(value) => Err(CodecError::new(
            StatusCode::EXPECTATION_FAILED,
            "unknown-expectation",
            format!("Expect {value:?} is not `100-continue`"),
        )),
    }
}

/// Bodies are stored as they are sent, so none may be compressed.
pub(super) fn check_content_encoding(fields: &Fields) -> Result<(), CodecError> {
    let coded = fields
        .get_all(headers::CONTENT_ENCODING)
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"));
    match coded {
        None => Ok(()),
        Some(coding) => Err(CodecError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-content-encoding",
            format!("Content-Encoding {coding:?} is not `identity`"),
        )),
    }
}

/// Digits only: no sign, no space, no list, no overflow.
fn parse_length(value: &str) -> Option<u64> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse().ok()).flatten()
}
