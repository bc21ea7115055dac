//! The syntax of `Host` and of the authority in an absolute-form target (RFC 3986 section 3.2).

use super::error::CodecError;

/// Checks `uri-host [ ":" port ]`. Userinfo and an empty host are refused (RFC 9110 section
/// 4.2): URLs in answers are made from this value.
pub(super) fn check_host(value: &str) -> Result<(), CodecError> {
    if is_host(value) {
        return Ok(());
    }
    Err(CodecError::bad("invalid-host", format!("{value:?} is not a host with an optional port")))
}

/// Whether it is one.
pub(super) fn is_host(value: &str) -> bool {
    let (host_ok, port) = match value.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, after)) => (is_ip_literal(address), after),
            None => return false,
        },
        None => {
            let (host, port) = value.split_at(value.find(':').unwrap_or(value.len()));
            (is_reg_name(host), port)
        }
    };
    host_ok && is_port(port)
}

/// Empty, or a colon and at most five digits.
fn is_port(port: &str) -> bool {
    match port.strip_prefix(':') {
        Some(digits) => digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    }
}

fn is_ip_literal(address: &str) -> bool {
    !address.is_empty() && address.bytes().all(|byte| is_name_byte(byte) || byte == b':')
}

fn is_reg_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| is_name_byte(byte) || byte == b'%')
}

/// RFC 3986: unreserved and sub-delims.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let check = |value: &str, want: bool| assert_eq!(is_host(value), want, "{value}");
        for good in
            ["example.com", "localhost:4437", "127.0.0.1", "[::1]:80", "[::1]", "a:", "x%20y"]
        {
            check(good, true);
        }
        let bad = [
            "",
            ":80",
            "a b",
            "a/b",
            "user@host",
            "a:b",
            "a:123456",
            "[::1",
            "[]",
            "[::1]x",
            "::1",
            "a?b",
            "a#b",
            "a\\b",
            "<x>",
            "\"",
        ];
        for bad in bad {
            check(bad, false);
        }
    }
}
