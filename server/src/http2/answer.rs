//! Sends an answer over a stream, as fast as its windows and the socket allow.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Instant;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use thalweg_proto::http1::encode::Framing;
use thalweg_proto::response::{Pieces, Response};

use super::link::Permit;
use super::request::response_head;
use crate::config::limits::HTTP2_ANSWER_STEP;
use crate::conn::deadlines::Phase;
use crate::conn::{Either, either, time_to_take};
use crate::core::Core;
use crate::rt;

/// Sends a whole answer. A client that does not take it in time loses the stream.
pub(super) async fn send(
    core: &Core,
    permit: &Permit,
    mut respond: SendResponse<Bytes>,
    mut response: Response,
    head_only: bool,
) {
    let framing = if head_only { Framing::HeadOnly } else { Framing::Sized };
    let head = response_head(core, &response, framing);
    let mut pieces = std::mem::take(&mut response.body);
    if head_only {
        pieces.clear();
    }
    pieces.retain(|piece| !piece.is_empty());
    // An error is the client's: it has taken the request back.
    let Ok(mut stream) = respond.send_response(head, pieces.is_empty()) else {
        return core.metrics.http2.client_resets.increment();
    };
    let len = pieces.iter().map(Bytes::len).sum();
    let deadline = core.clock.about() + time_to_take(core, len);
    if send_body(core, permit, &mut stream, pieces, deadline).await.is_none() {
        stream.send_reset(Reason::CANCEL);
    }
}

/// `None`: it was not taken.
async fn send_body(
    core: &Core,
    permit: &Permit,
    stream: &mut SendStream<Bytes>,
    pieces: Pieces,
    deadline: Instant,
) -> Option<()> {
    let link = &permit.link;
    let count = pieces.len();
    for (index, mut piece) in pieces.into_iter().enumerate() {
        while !piece.is_empty() {
            link.room().await;
            stream.reserve_capacity(piece.len().min(HTTP2_ANSWER_STEP));
            let room = match stream.capacity() {
                0 => wait(core, stream, deadline).await?,
                room => room,
            };
            let part = piece.split_to(room.min(piece.len()).min(HTTP2_ANSWER_STEP));
            let last = piece.is_empty() && index + 1 == count;
            link.queue(part.len());
            stream.send_data(part, last).ok()?;
        }
    }
    Some(())
}

async fn wait(core: &Core, stream: &mut SendStream<Bytes>, deadline: Instant) -> Option<usize> {
    let patience = rt::sleep(deadline.saturating_duration_since(core.clock.instant()));
    let room = pin!(poll_fn(|context| stream.poll_capacity(context)));
    match either(room, patience).await {
        Either::First(Some(Ok(room))) => Some(room),
        Either::First(_) => None,
        Either::Second(()) => {
            core.deadlines.count(Phase::Writing);
            None
        }
    }
}
