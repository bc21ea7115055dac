//! PUT: a new stream or a fork (sections 4.2 and 5.1).

use bytes::Bytes;

use super::values::{canonical_digits, is_true, offset};
use super::{ParseContext, content_type, invalid, route, typed_body};
use crate::headers;
use crate::http1::{Fields, RequestHead};
use crate::limits::{MAX_RETENTION_BYTES, MAX_RETENTION_SECONDS, MAX_TTL_SECONDS};
use crate::path::StreamPath;
use crate::problem::Problem;
use crate::request::{CreateRequest, ForkRequest};
use crate::stream::config::Expiry;
use crate::stream::retention::Retention;
use crate::time::Timestamp;

pub(super) fn create(
    head: &RequestHead,
    path: StreamPath,
    body: Bytes,
    context: &ParseContext,
) -> Result<CreateRequest, Problem> {
    let content_type = content_type(head)?;
    let expiry = expiry(&head.fields)?;
    let retention = retention(&head.fields)?;
    let fork = fork(&head.fields, context)?;
    let close = is_true(&head.fields, headers::STREAM_CLOSED);
    let body = typed_body(content_type.as_ref(), body);
    Ok(CreateRequest { path, content_type, expiry, retention, close, fork, body })
}

fn expiry(fields: &Fields) -> Result<Expiry, Problem> {
    match (fields.get(headers::STREAM_TTL), fields.get(headers::STREAM_EXPIRES_AT)) {
        (None, None) => Ok(Expiry::Never),
        (Some(_), Some(_)) => Err(Problem::bad_request(
            "conflicting-expiry",
            "Stream-TTL and Stream-Expires-At exclude each other: send one of them",
        )),
        (Some(ttl), None) => {
            let seconds = canonical_digits(ttl).filter(|seconds| *seconds <= MAX_TTL_SECONDS);
            seconds.map(|seconds| Expiry::Ttl { seconds }).ok_or_else(|| {
                let what = format!(
                    "{ttl:?} is not a number of seconds from 0 to {MAX_TTL_SECONDS} in plain \
                     decimal digits"
                );
                invalid("Stream-TTL", &what)
            })
        }
        (None, Some(at)) => Timestamp::parse_rfc3339(at).map(Expiry::At).ok_or_else(|| {
            let what = format!("{at:?} is not an RFC 3339 timestamp like 2030-01-31T12:00:00Z");
            invalid("Stream-Expires-At", &what)
        }),
    }
}

fn retention(fields: &Fields) -> Result<Retention, Problem> {
    let limit = |name, shown: &str, most: u64| match fields.get(name) {
        None => Ok(None),
        Some(value) => match canonical_digits(value).filter(|limit| *limit <= most) {
            Some(limit) => Ok(Some(limit)),
            None => {
                let what = format!(
                    "{value:?} is not a number from 0 (no limit) to {most} in plain decimal digits"
                );
                Err(invalid(shown, &what))
            }
        },
    };
    Ok(Retention {
        bytes: limit(
            headers::STREAM_RETENTION_BYTES,
            "Stream-Retention-Bytes",
            MAX_RETENTION_BYTES,
        )?,
        seconds: limit(
            headers::STREAM_RETENTION_SECONDS,
            "Stream-Retention-Seconds",
            MAX_RETENTION_SECONDS,
        )?,
    })
}

fn fork(fields: &Fields, context: &ParseContext) -> Result<Option<ForkRequest>, Problem> {
    let Some(source) = fields.get(headers::STREAM_FORKED_FROM) else {
        let companions = [
            (headers::STREAM_FORK_OFFSET, "Stream-Fork-Offset"),
            (headers::STREAM_FORK_SUB_OFFSET, "Stream-Fork-Sub-Offset"),
        ];
        return match companions.iter().find(|(name, _)| fields.contains(name)) {
            Some((_, shown)) => Err(invalid(shown, "needs Stream-Forked-From")),
            None => Ok(None),
        };
    };
    let source = fork_source(source, context)?;
    let offset = match fields.get(headers::STREAM_FORK_OFFSET) {
        Some(value) => Some(offset("Stream-Fork-Offset", value)?),
        None => None,
    };
    let sub_offset = match fields.get(headers::STREAM_FORK_SUB_OFFSET) {
        None => 0,
        Some(value) => canonical_digits(value).ok_or_else(|| {
            let what = format!("{value:?} is not a count in plain decimal digits");
            invalid("Stream-Fork-Sub-Offset", &what)
        })?,
    };
    Ok(Some(ForkRequest { source, offset, sub_offset }))
}

/// The path of a URL on this server: absolute, with the base path, percent-encoded.
fn fork_source(value: &str, context: &ParseContext) -> Result<StreamPath, Problem> {
    let refused = |what: String| invalid("Stream-Forked-From", &format!("{value:?} {what}"));
    if value.contains(['?', '#']) {
        return Err(refused("is not a URL path: it has a query or a fragment".to_owned()));
    }
    let inside = route::strip_base(value, context).ok_or_else(|| {
        refused(format!("is not the URL path of a stream under {}/", route::base(context)))
    })?;
    StreamPath::from_url(inside).map_err(|error| refused(format!("names no stream: {error}")))
}
