//! From decisions to responses: the one place where outcomes and refusals become HTTP.

use bytes::Bytes;
use http::StatusCode;

use crate::content_type::Framing;
use crate::headers::{STREAM_EARLIEST_OFFSET, STREAM_RETENTION_BYTES, STREAM_RETENTION_SECONDS};
use crate::json;
use crate::offset::Offset;
use crate::path::StreamPath;
use crate::problem::Problem;
use crate::response::{Pieces, Response};
use crate::stream::append::{AppendAck, AppendRefusal};
use crate::stream::config::Expiry;
use crate::stream::create::CreateRefusal;
use crate::stream::etag::{etag, none_match};
use crate::stream::fork::ForkRefusal;
use crate::stream::producer::ProducerRefusal;
use crate::stream::record::StreamId;
use crate::stream::retention::Retention;
use crate::stream::{OffsetError, StreamState};
use crate::time::Timestamp;

/// What a read returns: a range of one stream, with what is known about its end.
#[derive(Clone, PartialEq, Debug)]
pub struct PageFacts {
    /// The stream.
    pub stream: StreamId,
    /// Its content type.
    pub content_type: crate::content_type::ContentType,
    /// The position of the first byte.
    pub start: u64,
    /// The position after the last byte.
    pub end: u64,
    /// The token of `end`.
    pub next: Offset,
    /// Whether `end` was the visible tail.
    pub up_to_date: bool,
    /// Whether the stream is closed and `end` is its final tail.
    pub closed: bool,
    /// When the stream expires, if it does.
    pub expires_at: Option<Timestamp>,
}

/// What of a stream may be told, which lags behind its state until that is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Visible {
    /// The first position that can be read.
    pub earliest: u64,
    /// The position after the last byte.
    pub tail: u64,
    /// Whether the stream is closed.
    pub closed: bool,
    /// The retention in force: the stream's own, or the server's.
    pub retention: Retention,
}

/// 201 or 200 for a PUT.
#[must_use]
pub fn created(state: &StreamState, visible: &Visible, location: Option<String>) -> Response {
    let status = if location.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    Response::new(status)
        .with("content-type", state.config.content_type.as_str().to_owned())
        .with("stream-next-offset", state.offset_at(visible.tail))
        .with_some("stream-closed", visible.closed.then_some("true"))
        .with_some(STREAM_RETENTION_BYTES, visible.retention.bytes)
        .with_some(STREAM_RETENTION_SECONDS, visible.retention.seconds)
        .with_some("location", location)
}

/// 200 or 204 for a POST.
#[must_use]
pub fn appended(ack: AppendAck) -> Response {
    let new_producer_data = ack.new_data && ack.producer.is_some();
    let status = if new_producer_data { StatusCode::OK } else { StatusCode::NO_CONTENT };
    Response::new(status)
        .with("stream-next-offset", ack.next)
        .with_some("stream-closed", ack.closed.then_some("true"))
        .with_some("producer-epoch", ack.producer.map(|producer| producer.epoch))
        .with_some("producer-seq", ack.producer.map(|producer| producer.last_seq))
}

/// 200 for a HEAD (section 5.5).
#[must_use]
pub fn metadata(state: &StreamState, visible: &Visible) -> Response {
    let (ttl, expires_at) = match state.config.expiry {
        Expiry::Never => (None, None),
        Expiry::Ttl { seconds } => (Some(seconds), None),
        Expiry::At(instant) => (None, Some(instant.to_rfc3339())),
    };
    // An extension: nobody hears of it whose streams keep everything.
    let keeps_all = visible.earliest == 0 && visible.retention == Retention::default();
    let earliest = (!keeps_all).then(|| state.offset_at(visible.earliest));
    Response::new(StatusCode::OK)
        .with("content-type", state.config.content_type.as_str().to_owned())
        .with("stream-next-offset", state.offset_at(visible.tail))
        .with("cache-control", "no-store")
        .with_some("stream-ttl", ttl)
        .with_some("stream-expires-at", expires_at)
        .with_some("stream-closed", visible.closed.then_some("true"))
        .with_some(STREAM_EARLIEST_OFFSET, earliest)
        .with_some(STREAM_RETENTION_BYTES, visible.retention.bytes)
        .with_some(STREAM_RETENTION_SECONDS, visible.retention.seconds)
}

/// The answer to a catch-up read, or to a long-poll that has data (sections 5.6, 5.7).
/// `from_now` marks `offset=now`, which no cache may keep.
#[must_use]
pub fn page(
    facts: &PageFacts,
    stored: Pieces,
    if_none_match: Option<&str>,
    from_now: bool,
    cursor: Option<u64>,
    now: Timestamp,
) -> Response {
    let tag = (!from_now).then(|| etag(facts.stream, facts.start, facts.end, facts.closed));
    let matched =
        tag.as_ref().zip(if_none_match).is_some_and(|(tag, given)| none_match(given, tag));
    let status = if matched { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = Response::new(status)
        .with("stream-next-offset", facts.next)
        .with_some("etag", tag)
        .with("cache-control", cache_control(facts, from_now, now))
        .with_some("stream-up-to-date", facts.up_to_date.then_some("true"))
        .with_some("stream-closed", facts.closed.then_some("true"))
        .with_some("stream-cursor", cursor);
    if !matched {
        response.body = body(facts.content_type.framing(), stored);
        response = response.with("content-type", facts.content_type.as_str().to_owned());
    }
    response
}

/// 204 for a long-poll without news (section 5.7).
#[must_use]
pub fn nothing_new(next: Offset, closed: bool, cursor: u64) -> Response {
    Response::new(StatusCode::NO_CONTENT)
        .with("stream-next-offset", next)
        .with("stream-up-to-date", "true")
        .with("cache-control", "no-store")
        .with_some("stream-closed", closed.then_some("true"))
        .with_some("stream-cursor", (!closed).then_some(cursor))
}

/// The head of an SSE answer (section 5.8).
#[must_use]
pub fn event_stream(framing: Framing) -> Response {
    let encoding = (framing == Framing::Binary).then_some("base64");
    Response::new(StatusCode::OK)
        .with("content-type", "text/event-stream")
        .with("cache-control", "no-cache, no-transform")
        // nginx holds back what it proxies unless told not to.
        .with("x-accel-buffering", "no")
        .with_some("stream-sse-data-encoding", encoding)
}

/// Stored pieces as the body that readers get.
fn body(framing: Framing, mut stored: Pieces) -> Pieces {
    if framing != Framing::Json {
        return stored;
    }
    if let Some(last) = stored.last_mut() {
        last.truncate(last.len().saturating_sub(1));
    }
    match stored.len() {
        0 => Pieces::from_iter([Bytes::from_static(b"[]")]),
        1 => Pieces::from_iter(json::as_array_of(stored.remove(0))),
        _ => {
            stored.insert(0, Bytes::from_static(b"["));
            stored.push(Bytes::from_static(b"]"));
            stored
        }
    }
}

/// Data may be kept for a minute (section 10.1), but not beyond the life of the stream. An empty
/// answer of an open stream must be asked for again: there may be news any time.
fn cache_control(facts: &PageFacts, from_now: bool, now: Timestamp) -> String {
    const FRESH_SECONDS: u64 = 60;
    if from_now {
        return "no-store".to_owned();
    }
    if facts.start == facts.end && !facts.closed {
        return "no-cache".to_owned();
    }
    match facts.expires_at.map(|instant| instant.ms_since(now) / 1000) {
        Some(left) if left < FRESH_SECONDS => format!("public, max-age={left}"),
        _ => format!("public, max-age={FRESH_SECONDS}, stale-while-revalidate=300"),
    }
}

/// 404 for a stream.
#[must_use]
pub fn not_found(path: &StreamPath) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "stream-not-found", format!("no stream `{path}`"))
}

/// 410 for a stream that is kept only for its forks.
#[must_use]
pub fn soft_deleted(path: &StreamPath) -> Problem {
    let detail = format!("stream `{path}` was deleted; its data is kept only for its forks");
    Problem::new(StatusCode::GONE, "stream-deleted", detail)
}

/// A bad offset in a read or as a fork point; `field` names where it stood.
#[must_use]
pub fn bad_offset(error: OffsetError, field: &str) -> Problem {
    match error {
        OffsetError::EarlierIncarnation => Problem::new(
            StatusCode::GONE,
            "offset-gone",
            format!(
                "{field}: the offset belongs to an earlier stream at this path; start over at -1"
            ),
        ),
        OffsetError::ForeignEpoch => Problem::bad_request(
            "offset-foreign",
            format!("{field}: the offset was not given out for this stream"),
        ),
        OffsetError::BeyondTail => Problem::bad_request(
            "offset-beyond-tail",
            format!("{field}: the offset lies beyond the tail of the stream"),
        ),
        OffsetError::Trimmed { earliest } => offset_trimmed(earliest, field),
    }
}

/// 410 for an offset before what retention has kept.
#[must_use]
pub fn offset_trimmed(earliest: Offset, field: &str) -> Problem {
    let detail = format!("{field}: the data there was dropped; the stream begins at {earliest}");
    Problem::new(StatusCode::GONE, "offset-trimmed", detail)
        .with(STREAM_EARLIEST_OFFSET, earliest)
        .with_member("earliest_offset", &earliest)
}

/// 400 for an offset inside a JSON message.
#[must_use]
pub fn offset_inside_message() -> Problem {
    Problem::bad_request(
        "offset-inside-message",
        "offset: it lies inside a JSON message; use offsets that the server gave out",
    )
}

/// A refused append.
#[must_use]
pub fn append_refused(refusal: AppendRefusal, path: &StreamPath) -> Problem {
    let conflict = |code, detail: String| Problem::new(StatusCode::CONFLICT, code, detail);
    match refusal {
        AppendRefusal::SoftDeleted => soft_deleted(path),
        AppendRefusal::Closed { tail } => {
            conflict("stream-closed", format!("stream `{path}` is closed and takes no more data"))
                .with("stream-closed", "true")
                .with("stream-next-offset", tail)
        }
        AppendRefusal::ContentTypeMismatch { stream, request } => conflict(
            "content-type-mismatch",
            format!("Content-Type: the stream has {stream:?}, the request {request:?}"),
        ),
        AppendRefusal::Json(error) => Problem::bad_request("invalid-json", error.to_string()),
        AppendRefusal::EmptyArray => Problem::bad_request(
            "empty-array",
            "the body is an empty JSON array: there is nothing to append",
        ),
        AppendRefusal::Producer { refusal, received } => producer_refused(refusal, received),
        AppendRefusal::SeqRegression { last } => conflict(
            "sequence-regression",
            format!("Stream-Seq: it must be greater than the last accepted one, {last:?}"),
        ),
        AppendRefusal::UnexpectedTail { tail } => {
            conflict("unexpected-tail", format!("Stream-Expected-Offset: the tail is {tail}"))
                .with("stream-next-offset", tail)
        }
        AppendRefusal::StreamFull => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "stream-full",
            "the stream has reached the largest position that an offset can name",
        ),
    }
}

fn producer_refused(refusal: ProducerRefusal, received: u64) -> Problem {
    match refusal {
        ProducerRefusal::StaleEpoch { current } => Problem::new(
            StatusCode::FORBIDDEN,
            "stale-producer-epoch",
            format!("Producer-Epoch: a producer with epoch {current} has taken over"),
        )
        .with("producer-epoch", current),
        ProducerRefusal::EpochMustStartAtZero => Problem::bad_request(
            "epoch-must-start-at-zero",
            format!("Producer-Seq: a new epoch starts at 0, not at {received}"),
        ),
        ProducerRefusal::Gap { expected } => Problem::new(
            StatusCode::CONFLICT,
            "producer-sequence-gap",
            format!("Producer-Seq: {expected} comes next, {received} leaves a gap"),
        )
        .with("producer-expected-seq", expected)
        .with("producer-received-seq", received),
        ProducerRefusal::TooMany => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-producers",
            format!(
                "Producer-Id: the stream knows {} producers already",
                crate::limits::MAX_PRODUCERS_PER_STREAM
            ),
        ),
    }
}

/// A refused PUT.
#[must_use]
pub fn create_refused(refusal: CreateRefusal, path: &StreamPath) -> Problem {
    let conflict = |code, detail: String| Problem::new(StatusCode::CONFLICT, code, detail);
    match refusal {
        CreateRefusal::SoftDeleted => conflict(
            "stream-deleted",
            format!(
                "stream `{path}` was deleted and its path is blocked while forks read its data"
            ),
        ),
        CreateRefusal::Differs { field } => conflict(
            "stream-exists",
            format!("stream `{path}` exists with another configuration: {field} differs"),
        ),
        CreateRefusal::ForkContentType { source, request } => conflict(
            "content-type-mismatch",
            format!("Content-Type: the fork's source has {source:?}, the request {request:?}"),
        ),
        CreateRefusal::ForkTooDeep => conflict(
            "fork-too-deep",
            format!(
                "Stream-Forked-From: a fork chain has at most {} streams",
                crate::limits::MAX_FORK_DEPTH
            ),
        ),
        CreateRefusal::Json(error) => Problem::bad_request("invalid-json", error.to_string()),
    }
}

/// A refused fork point.
#[must_use]
pub fn fork_refused(refusal: ForkRefusal, source: &StreamPath) -> Problem {
    match refusal {
        ForkRefusal::SourceNotFound => Problem::new(
            StatusCode::NOT_FOUND,
            "source-not-found",
            format!("Stream-Forked-From: no stream `{source}`"),
        ),
        ForkRefusal::OffsetInsideMessage => Problem::bad_request(
            "offset-inside-message",
            "Stream-Fork-Offset: it lies inside a JSON message; use offsets that the server gave out",
        ),
        ForkRefusal::SourceUnreadable => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unreadable",
            format!("Stream-Forked-From: the data of `{source}` cannot be read at this offset"),
        ),
        ForkRefusal::SourceSoftDeleted => Problem::new(
            StatusCode::CONFLICT,
            "source-deleted",
            format!("Stream-Forked-From: stream `{source}` was deleted"),
        ),
        // An offset that is gone is a bad header here: the stream that was asked for is not.
        ForkRefusal::Offset(error) => {
            Problem { status: StatusCode::BAD_REQUEST, ..bad_offset(error, "Stream-Fork-Offset") }
        }
        ForkRefusal::SubOffsetOvershoots => Problem::bad_request(
            "sub-offset-overshoots",
            "Stream-Fork-Sub-Offset: it lies past the next data boundary of the source",
        ),
    }
}

/// 503 when the log cannot take more at the moment.
#[must_use]
pub fn overloaded() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "overloaded",
        "too much is waiting to be stored; try again",
    )
    .with("retry-after", 1)
}

/// 507 when the disk is full. Reads go on.
#[must_use]
pub fn disk_full() -> Problem {
    Problem::new(
        StatusCode::INSUFFICIENT_STORAGE,
        "disk-full",
        "there is no space for more data; reads go on, appends go on once there is space",
    )
    .with("retry-after", 5)
}
