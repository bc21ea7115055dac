//! Single values of header fields, each with its grammar and its refusal.

use http::StatusCode;

use super::invalid;
use crate::http1::Fields;
use crate::limits::{MAX_ID_BYTES, MAX_SAFE_INTEGER};
use crate::offset::Offset;
use crate::problem::Problem;

/// `true` in any case; anything else counts as absent (section 5.1).
pub(super) fn is_true(fields: &Fields, name: &str) -> bool {
    fields.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// A non-negative integer of digits alone, `None` for anything else and beyond `u64`.
pub(super) fn digits(value: &str) -> Option<u64> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse().ok()).flatten()
}

/// As [`digits`], and without leading zeros (`Stream-TTL`, section 5.1).
pub(super) fn canonical_digits(value: &str) -> Option<u64> {
    let padded = value.len() > 1 && value.starts_with('0');
    if padded { None } else { digits(value) }
}

/// A producer's epoch or sequence (section 5.2.1).
pub(super) fn safe_integer(name: &str, value: &str) -> Result<u64, Problem> {
    digits(value).filter(|number| *number <= MAX_SAFE_INTEGER).ok_or_else(|| {
        invalid(name, &format!("{value:?} is not an integer from 0 to {MAX_SAFE_INTEGER}"))
    })
}

/// A name that a client chose: not empty, not longer than is worth keeping.
pub(super) fn identifier<'a>(name: &str, value: &'a str) -> Result<&'a str, Problem> {
    if value.is_empty() {
        return Err(invalid(name, "is empty"));
    }
    if value.len() > MAX_ID_BYTES {
        return Err(invalid(name, &format!("is longer than {MAX_ID_BYTES} bytes")));
    }
    Ok(value)
}

/// An offset in a header: a token, or `-1` for the beginning.
pub(super) fn offset(name: &str, value: &str) -> Result<Offset, Problem> {
    match value {
        "-1" => Ok(Offset::ZERO),
        token => Offset::parse(token).ok_or_else(|| malformed_offset(name, value)),
    }
}

/// 400 for an offset that this server never gave out.
pub(super) fn malformed_offset(name: &str, value: &str) -> Problem {
    let detail = format!("{name} {value:?} is not an offset that this server gives out");
    Problem::new(StatusCode::BAD_REQUEST, "malformed-offset", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        let check = |text: &str, any: Option<u64>, canonical: Option<u64>| {
            assert_eq!((digits(text), canonical_digits(text)), (any, canonical), "{text}");
        };
        check("0", Some(0), Some(0));
        check("3600", Some(3600), Some(3600));
        check("007", Some(7), None);
        check("00", Some(0), None);
        check("18446744073709551615", Some(u64::MAX), Some(u64::MAX));
        let bad =
            ["", "-1", "+1", "1.0", "1e3", "1abc", "0x1", " 1", "1_0", "١", "18446744073709551616"];
        for bad in bad {
            check(bad, None, None);
        }
    }

    #[test]
    fn safe_integers_end_where_javascript_does() {
        assert_eq!(safe_integer("n", "9007199254740991"), Ok(MAX_SAFE_INTEGER));
        let problem = safe_integer("Producer-Seq", "9007199254740992").unwrap_err();
        assert!(problem.detail.starts_with("Producer-Seq"), "{}", problem.detail);
    }

    #[test]
    fn identifiers_are_bounded() {
        let longest = "x".repeat(MAX_ID_BYTES);
        assert_eq!(identifier("n", &longest), Ok(longest.as_str()));
        assert!(identifier("n", &format!("{longest}x")).is_err());
        assert!(identifier("n", "").is_err());
    }
}
