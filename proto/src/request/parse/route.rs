//! Which resource a URL path names: a stream, the listing, or a control API.

use http::StatusCode;

use super::ParseContext;
use crate::path::{PathError, RESERVED_SEGMENT, StreamPath};
use crate::problem::Problem;

/// A resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Route<'a> {
    /// A stream.
    Stream(StreamPath),
    /// The listing.
    Streams,
    /// A control API: the path after `__ds/`, percent-encoded.
    Control { tail: &'a str },
}

/// Finds the resource. The reserved prefix goes before streams (section 6).
pub(super) fn route<'a>(path: &'a str, context: &ParseContext) -> Result<Route<'a>, Problem> {
    let Some(inside) = strip_base(path, context) else {
        let detail = format!("streams live under {}/", base(context));
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-route", detail));
    };
    if let Some(tail) = strip_segment(inside, RESERVED_SEGMENT) {
        return Ok(if tail == "streams" { Route::Streams } else { Route::Control { tail } });
    }
    StreamPath::from_url(inside).map(Route::Stream).map_err(|error| {
        let status = match error {
            PathError::Empty | PathError::Reserved => StatusCode::NOT_FOUND,
            PathError::TooLong => StatusCode::URI_TOO_LONG,
            _ => StatusCode::BAD_REQUEST,
        };
        Problem::new(status, code(error), error.to_string())
    })
}

/// The part of a URL path after the base path and its slash; `None` when it lies outside.
pub(super) fn strip_base<'a>(path: &'a str, context: &ParseContext) -> Option<&'a str> {
    path.strip_prefix(base(context))?.strip_prefix('/')
}

/// The base path without a slash at its end.
pub(super) fn base(context: &ParseContext) -> &str {
    context.base_path.trim_end_matches('/')
}

/// Whether what follows the base path belongs to the listing or a control API.
pub(super) fn is_reserved(inside: &str) -> bool {
    strip_segment(inside, RESERVED_SEGMENT).is_some()
}

fn strip_segment<'a>(path: &'a str, segment: &str) -> Option<&'a str> {
    path.strip_prefix(segment)?.strip_prefix('/')
}

fn code(error: PathError) -> &'static str {
    match error {
        PathError::Empty | PathError::Reserved => "no-route",
        PathError::TooLong => "path-too-long",
        _ => "malformed-path",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base_path: &str, path: &str, want: &Result<Route<'_>, (u16, &str)>) {
        let context = ParseContext { base_path: base_path.to_owned(), public_base: None };
        let got = route(path, &context).map_err(|problem| (problem.status.as_u16(), problem.code));
        assert_eq!(&got, want, "{base_path} {path}");
    }

    fn stream(path: &str) -> Result<Route<'_>, (u16, &str)> {
        Ok(Route::Stream(StreamPath::new(path).unwrap()))
    }

    #[test]
    fn routes() {
        let base = "/v1/stream";
        check(base, "/v1/stream/a/b%20c", &stream("a/b c"));
        check("/v1/stream/", "/v1/stream/a", &stream("a"));
        check("", "/a", &stream("a"));
        check("/", "/a", &stream("a"));
        check(base, "/v1/stream/x__ds/streams", &stream("x__ds/streams"));
        check(base, "/v1/stream/a/__ds", &stream("a/__ds"));
        check(base, "/v1/stream/__ds/streams", &Ok(Route::Streams));
        let tail = "subscriptions/a%2Fb";
        check(base, "/v1/stream/__ds/subscriptions/a%2Fb", &Ok(Route::Control { tail }));
        check(base, "/v1/stream/__ds/", &Ok(Route::Control { tail: "" }));
        check(base, "/v1/stream/__ds/streams/", &Ok(Route::Control { tail: "streams/" }));
    }

    #[test]
    fn refusals() {
        let base = "/v1/stream";
        let nowhere = ["/", "*", "/v1/streams", "/v1/stream", "/v1/streamx/a", "/v1/str", "/a"];
        for path in nowhere {
            check(base, path, &Err((404, "no-route")));
        }
        check(base, "/v1/stream/", &Err((404, "no-route")));
        check(base, "/v1/stream/__ds", &Err((404, "no-route")));
        check(base, "/v1/stream/%5f_ds/jwks.json", &Err((404, "no-route")));
        check(base, "/v1/stream/a//b", &Err((400, "malformed-path")));
        check(base, "/v1/stream//__ds/streams", &Err((400, "malformed-path")));
        check(base, "/v1/stream/a/../b", &Err((400, "malformed-path")));
        check(base, "/v1/stream/../__ds/streams", &Err((400, "malformed-path")));
        check(base, "/v1/stream/a%", &Err((400, "malformed-path")));
        let long = format!("/v1/stream/{}", "x".repeat(1025));
        check(base, &long, &Err((414, "path-too-long")));
    }
}
