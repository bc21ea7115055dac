//! Where a head ends, and everything about its lines that httparse would let pass.
//!
//! Works front to back and looks at no byte twice, so that the same bytes are refused for the
//! same reason however they were split on the way.

use http::StatusCode;

use super::error::CodecError;
use crate::limits::{MAX_HEAD_BYTES, MAX_HEADER_FIELDS, MAX_URI_BYTES};

/// The length of the head at the front of `buf`, its last empty line included; `None` while more
/// bytes are needed.
pub(super) fn head_end(buf: &[u8]) -> Result<Option<usize>, CodecError> {
    let window = &buf[..buf.len().min(MAX_HEAD_BYTES)];
    let mut line_start = 0;
    let mut lines = 0;
    for at in memchr::memchr2_iter(b'\r', b'\n', window) {
        if window[at] == b'\r' {
            if window.get(at + 1).is_some_and(|next| *next != b'\n') {
                return Err(CodecError::bad("bare-cr", "the head has a CR without LF"));
            }
            continue;
        }
        if at == line_start || window[at - 1] != b'\r' {
            return Err(CodecError::bad("bare-lf", "the head has a LF without CR"));
        }
        if at == line_start + 1 {
            return if lines == 0 { Err(empty_first_line()) } else { Ok(Some(at + 1)) };
        }
        lines += 1;
        line_start = at + 1;
        check_line_start(window.get(line_start).copied(), lines)?;
    }
    if buf.len() > MAX_HEAD_BYTES {
        let detail = format!("the head is longer than {MAX_HEAD_BYTES} bytes");
        return Err(too_large("head-too-large", detail));
    }
    Ok(None)
}

/// What the request line alone shows, complete or not: a method that is no token, a target that
/// is too long.
pub(super) fn check_request_line(buf: &[u8]) -> Result<(), CodecError> {
    let line = match memchr::memchr2(b'\r', b'\n', buf) {
        Some(end) => &buf[..end],
        None => buf,
    };
    let method_end = memchr::memchr(b' ', line).unwrap_or(line.len());
    if method_end == 0 && !line.is_empty() || !line[..method_end].iter().copied().all(is_tchar) {
        return Err(CodecError::bad("malformed-method", "the method is not a token"));
    }
    let target = line.get(method_end + 1..).unwrap_or_default();
    let target_len = memchr::memchr(b' ', target).unwrap_or(target.len());
    if target_len > MAX_URI_BYTES {
        let detail = format!("the request target is longer than {MAX_URI_BYTES} bytes");
        return Err(CodecError::new(StatusCode::URI_TOO_LONG, "uri-too-long", detail));
    }
    Ok(())
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Line `number` follows; the first line is number 0, so `number` fields came or begin here.
fn check_line_start(first: Option<u8>, number: usize) -> Result<(), CodecError> {
    if matches!(first, Some(b' ' | b'\t')) {
        return Err(CodecError::bad("folded-field", "a field line begins with white space"));
    }
    if number > MAX_HEADER_FIELDS && first.is_some_and(|byte| byte != b'\r') {
        let detail = format!("the head has more than {MAX_HEADER_FIELDS} fields");
        return Err(too_large("too-many-fields", detail));
    }
    Ok(())
}

fn empty_first_line() -> CodecError {
    CodecError::bad("malformed-request-line", "the first line is empty")
}

fn too_large(code: &'static str, detail: String) -> CodecError {
    CodecError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, code, detail)
}
