//! Cross-origin requests from browsers (the Fetch standard): which pages may use the server, and
//! the answer to their preflights.
//!
//! Credentials mode is deliberately absent: streams are authorized by a header that a page sets
//! itself, never by cookies, so that `*` gives nobody more than a plain client has.

use http::StatusCode;

use crate::headers;
use crate::response::Response;

/// Which web pages may use the server from a browser.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum CorsPolicy {
    /// All of them.
    #[default]
    Any,
    /// Those of these origins (`https://example.com`), compared exactly.
    List(Vec<String>),
}

/// What the answer to one request says about its origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AllowOrigin<'a> {
    /// `*`.
    Any,
    /// The request's origin, which is on the list.
    Listed(&'a str),
    /// Nothing: the request has no origin, or one that is not on the list.
    Unlisted,
}

impl CorsPolicy {
    /// What to say to a request with this `Origin`.
    #[must_use]
    pub fn allow_origin(&self, origin: Option<&str>) -> AllowOrigin<'_> {
        match self {
            CorsPolicy::Any => AllowOrigin::Any,
            CorsPolicy::List(list) => list
                .iter()
                .find(|listed| Some(listed.as_str()) == origin)
                .map_or(AllowOrigin::Unlisted, |listed| AllowOrigin::Listed(listed)),
        }
    }
}

/// The methods that streams have, as `Allow` lists them.
pub const ALLOWED_METHODS: &str = "GET, HEAD, PUT, POST, DELETE, OPTIONS";

/// Named one by one, because `*` does not cover `Authorization`.
const ALLOWED_HEADERS: &str = "content-type, authorization, accept, cache-control, \
    if-none-match, last-event-id, stream-ttl, stream-expires-at, stream-seq, stream-closed, \
    stream-forked-from, stream-fork-offset, stream-fork-sub-offset, stream-expected-offset, \
    stream-retention-bytes, stream-retention-seconds, stream-cursor, producer-id, producer-epoch, producer-seq";

/// A day: browsers cap it at two hours or less by themselves.
const MAX_AGE_SECONDS: u64 = 24 * 3600;

/// The answer to OPTIONS, preflight or not. The codec adds what depends on the origin.
#[must_use]
pub fn preflight() -> Response {
    Response::new(StatusCode::NO_CONTENT)
        .with(headers::ALLOW, ALLOWED_METHODS)
        .with(headers::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS)
        .with(headers::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS)
        .with(headers::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS)
        .with(headers::VARY, "access-control-request-method, access-control-request-headers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_exactly() {
        let list = CorsPolicy::List(vec!["https://a.example".to_owned()]);
        let check = |policy: &CorsPolicy, origin: Option<&str>, want: AllowOrigin<'_>| {
            assert_eq!(policy.allow_origin(origin), want, "{origin:?}");
        };
        check(&CorsPolicy::Any, None, AllowOrigin::Any);
        check(&CorsPolicy::Any, Some("https://a.example"), AllowOrigin::Any);
        check(&list, Some("https://a.example"), AllowOrigin::Listed("https://a.example"));
        check(&list, Some("https://a.example.evil"), AllowOrigin::Unlisted);
        check(&list, Some("http://a.example"), AllowOrigin::Unlisted);
        check(&list, Some("null"), AllowOrigin::Unlisted);
        check(&list, None, AllowOrigin::Unlisted);
    }

    #[test]
    fn preflights_allow_what_the_protocol_needs() {
        let allowed = preflight().field("access-control-allow-headers").unwrap();
        for name in ["if-none-match", "authorization", "producer-seq", "stream-fork-sub-offset"] {
            assert!(allowed.split(", ").any(|listed| listed == name), "{name}");
        }
    }
}
