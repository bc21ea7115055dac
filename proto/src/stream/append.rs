//! Deciding an append, a close, or both (sections 5.2, 5.2.1, 5.3).

use super::producer::{ProducerRefusal, ProducerState, ProducerVerdict};
use super::record::{Payload, Record};
use super::{Lifecycle, StreamState};
use crate::content_type::{ContentType, Framing};
use crate::json::{self, JsonError};
use crate::offset::{MAX_TOKEN_VALUE, Offset};
use crate::request::{AppendRequest, Body};
use crate::time::Timestamp;

/// What an append comes to.
#[derive(Clone, PartialEq, Debug)]
pub enum AppendDecision {
    /// Write the record; once it is durable, acknowledge.
    Write(Record, AppendAck),
    /// Nothing to write: it is stored already, or the stream is closed already.
    Known(AppendAck),
}

/// The facts of an acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppendAck {
    /// `Stream-Next-Offset`.
    pub next: Offset,
    /// Whether the stream is closed now.
    pub closed: bool,
    /// The producer's epoch and highest accepted sequence, if there is a producer.
    pub producer: Option<ProducerState>,
    /// Whether data was stored: a producer is told by 200, and by 204 that none was.
    pub new_data: bool,
}

/// Why an append is refused.
#[derive(Clone, PartialEq, Debug)]
pub enum AppendRefusal {
    /// 410.
    SoftDeleted,
    /// 409 with the final offset.
    Closed {
        /// The final offset.
        tail: Offset,
    },
    /// 409.
    ContentTypeMismatch {
        /// The stream's.
        stream: ContentType,
        /// The request's.
        request: ContentType,
    },
    /// 400.
    Json(JsonError),
    /// 400.
    EmptyArray,
    /// 403, 400, 409 or 429.
    Producer {
        /// The reason.
        refusal: ProducerRefusal,
        /// The sequence that was sent.
        received: u64,
    },
    /// 409.
    SeqRegression {
        /// The last accepted one.
        last: Box<str>,
    },
    /// 409 of the compare-and-append extension.
    UnexpectedTail {
        /// The tail.
        tail: Offset,
    },
    /// 413: no token is left for the position after it.
    StreamFull,
}

/// Decides an append. The order of checks follows the error precedence of section 5.2: closed,
/// content type, producer, sequence. A retry of something stored is recognised before anything
/// that the stored original has since made untrue.
pub fn decide(
    state: &StreamState,
    request: &AppendRequest,
    now: Timestamp,
) -> Result<AppendDecision, AppendRefusal> {
    if state.lifecycle == Lifecycle::SoftDeleted {
        return Err(AppendRefusal::SoftDeleted);
    }
    if state.closed.is_some() {
        return decide_closed(state, request);
    }
    let payload = payload_for(&state.config.content_type, request)?;
    if let Some(mark) = &request.producer {
        let verdict = state.producers.check(mark);
        match verdict.map_err(|refusal| AppendRefusal::Producer { refusal, received: mark.seq })? {
            ProducerVerdict::Accept => {}
            ProducerVerdict::Duplicate(known) => return Ok(known_to(state, Some(known))),
        }
    }
    if let (Some(seq), Some(last)) = (&request.seq, &state.last_seq)
        && seq.as_bytes() <= last.as_bytes()
    {
        return Err(AppendRefusal::SeqRegression { last: last.clone() });
    }
    if let Some(expected) = request.expected
        && state.position_of(expected, 0..state.tail) != Ok(state.tail)
    {
        return Err(AppendRefusal::UnexpectedTail { tail: state.tail_offset() });
    }
    let tail = state.tail + payload.bytes.len() as u64;
    if tail > MAX_TOKEN_VALUE {
        return Err(AppendRefusal::StreamFull);
    }
    let producer = request.producer.as_ref();
    let ack = AppendAck {
        next: state.offset_at(tail),
        closed: request.close,
        producer: producer.map(|mark| ProducerState { epoch: mark.epoch, last_seq: mark.seq }),
        new_data: !payload.bytes.is_empty(),
    };
    let record = Record::Append {
        id: state.id,
        at: now,
        position: state.tail,
        payload,
        producer: request.producer.clone(),
        seq: request.seq.clone(),
        close: request.close,
    };
    Ok(AppendDecision::Write(record, ack))
}

/// A closed stream takes nothing, but still answers a retry of what it took. That goes one step
/// beyond section 5.2.1, which names only the closing request: a producer whose earlier
/// acknowledgement was lost must not be told that its stored append failed.
fn decide_closed(
    state: &StreamState,
    request: &AppendRequest,
) -> Result<AppendDecision, AppendRefusal> {
    let closed = AppendRefusal::Closed { tail: state.tail_offset() };
    let Some(mark) = &request.producer else {
        let close_only = request.close && request.body.raw.is_empty();
        return if close_only { Ok(known_to(state, None)) } else { Err(closed) };
    };
    match state.producers.check(mark) {
        Ok(ProducerVerdict::Duplicate(known)) => Ok(known_to(state, Some(known))),
        Err(refusal @ ProducerRefusal::StaleEpoch { .. }) => {
            Err(AppendRefusal::Producer { refusal, received: mark.seq })
        }
        Ok(ProducerVerdict::Accept) | Err(_) => Err(closed),
    }
}

fn known_to(state: &StreamState, producer: Option<ProducerState>) -> AppendDecision {
    AppendDecision::Known(AppendAck {
        next: state.tail_offset(),
        closed: state.closed.is_some(),
        producer,
        new_data: false,
    })
}

fn payload_for(
    content_type: &ContentType,
    request: &AppendRequest,
) -> Result<Payload, AppendRefusal> {
    if request.body.raw.is_empty() {
        return Ok(Payload::default());
    }
    if let Some(given) = request.content_type.as_ref().filter(|given| *given != content_type) {
        return Err(AppendRefusal::ContentTypeMismatch {
            stream: content_type.clone(),
            request: given.clone(),
        });
    }
    let payload = payload_of(&request.body, content_type).map_err(AppendRefusal::Json)?;
    if payload.bytes.is_empty() { Err(AppendRefusal::EmptyArray) } else { Ok(payload) }
}

/// The stored form of a body for a stream of the given content type.
pub(super) fn payload_of(body: &Body, content_type: &ContentType) -> Result<Payload, JsonError> {
    match (content_type.framing(), &body.json) {
        _ if body.raw.is_empty() => Ok(Payload::default()),
        (Framing::Json, Some(flattened)) => flattened.clone(),
        (Framing::Json, None) => json::flatten(&body.raw),
        _ => Ok(Payload { bytes: body.raw.clone(), cuts: Vec::new() }),
    }
}
