//! What may stand in a request: field names, methods, URLs and paths.
//!
//! Invariant: nothing that passes can break a request's head or smuggle a second one.
//!
//! Deliberately absent: looking up hosts.

use http::{HeaderName, Method, Uri};

use super::element::Element;
use super::{Piece, PlanError, Template};

/// The name of a field that a plan may set.
pub(crate) fn field_name(at: &Element<'_>, name: &str) -> Result<(), PlanError> {
    if name.parse::<HeaderName>().is_err() {
        return Err(at.value(format_args!("{name:?}"), "the name of a header field"));
    }
    if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        return Err(at.contradiction("every request has this field from the generator itself"));
    }
    Ok(())
}

/// The value of a header field, as far as it is known before the run.
pub(crate) fn field_value(at: &Element<'_>, value: &Template) -> Result<(), PlanError> {
    let control = |c: char| c.is_control() && c != '\t';
    match value.0.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(control))) {
        true => Err(at.contradiction("a header field is one line, without control characters")),
        false => Ok(()),
    }
}

/// The method of any request.
pub(crate) fn method(at: &Element<'_>, text: &str) -> Result<String, PlanError> {
    let refused = || at.value(format_args!("{text:?}"), "a method such as GET or POST");
    match Method::from_bytes(text.as_bytes()) {
        Ok(Method::CONNECT) | Err(_) => Err(refused()),
        Ok(method) => Ok(method.to_string()),
    }
}

/// A base URL, without the slash at its end.
pub(crate) fn base_url(at: &Element<'_>, text: &str) -> Result<String, PlanError> {
    let refused = |reason: &str| {
        let expected = format!("a URL like http://127.0.0.1:4437/v1/stream ({reason})");
        at.value(format_args!("{text:?}"), expected)
    };
    let uri: Uri = text.parse().map_err(|_| refused("this is not a URL"))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err(refused("the scheme must be http or https")),
    }
    let authority = uri.authority().ok_or_else(|| refused("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(refused("it has a user; write `bearer` for a token"));
    }
    let port = authority.as_str().rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    if authority.host().is_empty() || port.is_some_and(|(_, port)| port.parse::<u16>().is_err()) {
        return Err(refused("its host or port is missing"));
    }
    if uri.query().is_some() || text.contains('#') {
        return Err(refused("it has a query or a fragment"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// The path of a stream, relative to a base or absolute.
pub(crate) fn stream_path(at: &Element<'_>, text: &str) -> Result<(), PlanError> {
    let expected = "a path such as events or /v1/stream/events, percent-encoded where need be";
    let inner = text.strip_prefix('/').unwrap_or(text);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%".contains(c);
    let segment = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(allowed);
    if inner.split('/').all(segment) {
        return Ok(());
    }
    Err(at.value(format_args!("{text:?}"), expected))
}

/// The path or URL of any request, as far as it is known before the run.
pub(crate) fn request_path(at: &Element<'_>, path: &Template) -> Result<(), PlanError> {
    let expected = "a URL, or a path such as /v1/stream/events?offset=now";
    if path.0.is_empty() {
        return Err(at.value("\"\"", expected));
    }
    for piece in &path.0 {
        if let Piece::Text(text) = piece
            && !text.chars().all(|c| c.is_ascii_graphic() && !"#\"<>\\^`{|}".contains(c))
        {
            let expected = format!("{expected}, percent-encoded where need be");
            return Err(at.value(format_args!("{text:?}"), expected));
        }
    }
    Ok(())
}

/// Fields that belong to the connection, to the body or to what is measured.
const OURS: [&str; 5] =
    ["host", "connection", "content-length", "transfer-encoding", "accept-encoding"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |text: &str, want: Result<&str, &str>| {
            let got = base_url(&Element::ROOT.key("target"), text);
            match (got, want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want),
                (Err(error), Err(want)) => {
                    assert!(error.to_string().contains(want), "{error}");
                }
                (got, _) => panic!("{text}: {got:?}"),
            }
        };
        check("http://127.0.0.1:4437/v1/stream/", Ok("http://127.0.0.1:4437/v1/stream"));
        check("http://[::1]:80/", Ok("http://[::1]:80"));
        check("http://[::1]/a", Ok("http://[::1]/a"));
        check("http://localhost", Ok("http://localhost"));
        check("https://localhost/a/", Ok("https://localhost/a"));
        check("ftp://localhost/a", Err("http or https"));
        check("localhost:80/a", Err("http"));
        check("/v1", Err("scheme must be http"));
        check("http://a:b@c/", Err("it has a user"));
        check("http://a:99999/", Err("host or port"));
        check("http://a/b?c", Err("query or a fragment"));
        check("http://a b/", Err("not a URL"));
        check("", Err("not a URL"));
    }

    #[test]
    fn paths_and_methods() {
        let at = Element::ROOT.key("x");
        for path in ["events", "/v1/stream/a", "a/b%20c", "a:b@c"] {
            assert!(stream_path(&at, path).is_ok(), "{path}");
        }
        for path in ["", "/", "a//b", "a/", "a b", "a?b", "a#b", "../x", "é", "a\r\nb"] {
            assert!(stream_path(&at, path).is_err(), "{path}");
        }
        assert_eq!(method(&at, "PATCH").unwrap(), "PATCH");
        for text in ["", "CONNECT", "GET /", "A\r\nB"] {
            assert!(method(&at, text).is_err(), "{text}");
        }
        assert!(field_name(&at, "X-Trace").is_ok());
        for name in ["Host", "content-length", "", "a b", "a:b"] {
            assert!(field_name(&at, name).is_err(), "{name}");
        }
        let value = |text: &str| Template(vec![Piece::Text(text.into())]);
        assert!(request_path(&at, &value("/a?b=c")).is_ok());
        for text in ["a b", "a\nb", "#a"] {
            assert!(request_path(&at, &value(text)).is_err(), "{text}");
        }
        assert!(field_value(&at, &value("a\tb")).is_ok());
        assert!(field_value(&at, &value("a\r\nb")).is_err());
    }
}
