//! GET: catch-up, long-poll, SSE (sections 5.6 - 5.8), and the listing.

use super::invalid;
use super::values::{digits, malformed_offset};
use crate::headers;
use crate::http1::RequestHead;
use crate::limits::{DEFAULT_LIST_LIMIT, MAX_LIST_LIMIT};
use crate::offset::ReadFrom;
use crate::path::StreamPath;
use crate::problem::Problem;
use crate::request::query::Query;
use crate::request::{ListRequest, LiveMode, ReadRequest};

pub(super) fn read(head: &RequestHead, path: StreamPath) -> Result<ReadRequest, Problem> {
    let query = Query::parse(head.query().unwrap_or_default())?;
    let live = match query.live.as_deref() {
        None => LiveMode::CatchUp,
        Some("long-poll") => LiveMode::LongPoll,
        Some("sse") => LiveMode::Sse,
        Some(other) => {
            let what = format!("{other:?} is neither `long-poll` nor `sse`");
            return Err(invalid("the parameter live", &what));
        }
    };
    let from = match query.offset.as_deref() {
        Some(value) => {
            ReadFrom::parse(value).ok_or_else(|| malformed_offset("the parameter offset", value))?
        }
        None if live == LiveMode::CatchUp => ReadFrom::Start,
        None => return Err(invalid("the parameter offset", "is required with live")),
    };
    // A cursor only spreads the cache keys of live reads: one that we did not make does no harm.
    let cursor = query.cursor.as_deref().and_then(digits);
    Ok(ReadRequest { path, from, live, cursor, if_none_match: if_none_match(head) })
}

pub(super) fn list(head: &RequestHead) -> Result<ListRequest, Problem> {
    let query = Query::parse(head.query().unwrap_or_default())?;
    let limit = match query.limit.as_deref() {
        None => DEFAULT_LIST_LIMIT,
        Some(value) => digits(value)
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| (1..=MAX_LIST_LIMIT).contains(limit))
            .ok_or_else(|| {
                let what = format!("{value:?} is not a number from 1 to {MAX_LIST_LIMIT}");
                invalid("the parameter limit", &what)
            })?,
    };
    let prefix = query.prefix.unwrap_or_default();
    Ok(ListRequest { prefix, cursor: query.cursor, limit })
}

/// The list of entity tags, put together if it came in several lines (RFC 9110 section 5.3).
fn if_none_match(head: &RequestHead) -> Option<Box<str>> {
    let mut values = head.fields.get_all(headers::IF_NONE_MATCH);
    let first = values.next()?;
    let mut list = first.to_owned();
    for more in values {
        list.push_str(", ");
        list.push_str(more);
    }
    Some(list.into())
}
