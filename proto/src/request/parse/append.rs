//! POST: append, close, or both (sections 5.2, 5.2.1 and 5.3).

use bytes::Bytes;

use super::values::{identifier, is_true, offset, safe_integer};
use super::{content_type, invalid, typed_body};
use crate::content_type::ContentType;
use crate::headers;
use crate::http1::{Fields, RequestHead};
use crate::path::StreamPath;
use crate::problem::Problem;
use crate::request::AppendRequest;
use crate::stream::record::ProducerMark;

pub(super) fn append(
    head: &RequestHead,
    path: StreamPath,
    body: Bytes,
) -> Result<AppendRequest, Problem> {
    let fields = &head.fields;
    let close = is_true(fields, headers::STREAM_CLOSED);
    let content_type = body_type(head, &body, close)?;
    let producer = producer(fields)?;
    let seq = match fields.get(headers::STREAM_SEQ) {
        Some(value) => Some(identifier("Stream-Seq", value)?.into()),
        None => None,
    };
    let expected = match fields.get(headers::STREAM_EXPECTED_OFFSET) {
        Some(value) => Some(offset("Stream-Expected-Offset", value)?),
        None => None,
    };
    let body = typed_body(content_type.as_ref(), body);
    Ok(AppendRequest { path, content_type, producer, seq, close, expected, body })
}

/// The type of a body. Without a body it is not even looked at: clients attach a default one to
/// close-only requests (section 5.2).
fn body_type(
    head: &RequestHead,
    body: &Bytes,
    close: bool,
) -> Result<Option<ContentType>, Problem> {
    match (body.is_empty(), close) {
        (true, true) => Ok(None),
        (true, false) => Err(Problem::bad_request(
            "empty-body",
            "the body is empty: only with Stream-Closed: true may an append have no data",
        )),
        (false, _) => match content_type(head)? {
            Some(content_type) => Ok(Some(content_type)),
            None => Err(Problem::bad_request(
                "missing-content-type",
                "Content-Type is missing: it must name the stream's content type",
            )),
        },
    }
}

/// All three producer headers or none.
fn producer(fields: &Fields) -> Result<Option<ProducerMark>, Problem> {
    let id = fields.get(headers::PRODUCER_ID);
    let epoch = fields.get(headers::PRODUCER_EPOCH);
    let seq = fields.get(headers::PRODUCER_SEQ);
    match (id, epoch, seq) {
        (None, None, None) => Ok(None),
        (Some(id), Some(epoch), Some(seq)) => Ok(Some(ProducerMark {
            id: identifier("Producer-Id", id)?.into(),
            epoch: safe_integer("Producer-Epoch", epoch)?,
            seq: safe_integer("Producer-Seq", seq)?,
        })),
        _ => {
            let all = [("Producer-Id", id), ("Producer-Epoch", epoch), ("Producer-Seq", seq)];
            let missing = all.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name);
            let missing = missing.collect::<Vec<_>>().join(" and ");
            Err(invalid(&missing, "is missing: the three producer headers go together"))
        }
    }
}
