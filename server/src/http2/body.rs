//! Takes in the body of a request, under the same limits and with the same refusals as HTTP/1.1.

use std::pin::pin;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::SendResponse;
use http::StatusCode;
use thalweg_proto::http1::{BodyDecoder, BodyLength, RequestHead};
use thalweg_proto::problem::Problem;
use thalweg_proto::request::precheck;

use super::link::{Link, Permit};
use crate::config::limits::{LINGER_BYTES, LINGER_TIMEOUT};
use crate::conn::deadlines::Phase;
use crate::conn::{Either, either, timeout, too_slow};
use crate::core::Core;
use crate::rt;

/// `Err(None)`: the client has taken the request back.
pub(super) async fn receive(
    core: &Core,
    permit: &Permit,
    head: &RequestHead,
    stream: &mut RecvStream,
    respond: &mut SendResponse<Bytes>,
) -> Result<Bytes, Option<Problem>> {
    if stream.is_end_stream() {
        return Ok(Bytes::new());
    }
    precheck(head, &core.parse).map_err(Some)?;
    let client = Some(permit.link.origin.client_address(head));
    core.admit_body(head, client, permit.link.identity.as_ref()).map_err(Some)?;
    core.check_load_before_body(head).map_err(Some)?;
    let limit = core.limits.get().max_body_bytes;
    check_length(head.body, limit)?;
    if head.expect_continue {
        let mut go_on = http::Response::new(());
        *go_on.status_mut() = StatusCode::CONTINUE;
        respond.send_informational(go_on).map_err(|_| None)?;
    }
    let started = core.clock.instant();
    let mut taken = Taken { link: Rc::clone(&permit.link), bytes: 0 };
    let mut body = BytesMut::new();
    loop {
        let Some(data) = next(core, stream, started).await? else { return Ok(body.freeze()) };
        let len = data.len();
        check_length(BodyLength::Length((body.len() + len) as u64), limit)?;
        if !taken.takes(len) {
            return Err(Some(too_many()));
        }
        body.extend_from_slice(&data);
        // It is ours now: the client may send as much again. An error is the connection's.
        let _ = stream.flow_control().release_capacity(len);
        if too_slow(started, core.clock.about(), body.len(), core.limits.get().body_stall_timeout) {
            core.deadlines.count(Phase::Body);
            return Err(Some(timeout("the request body")));
        }
    }
}

/// After a refusal: takes in for a moment what the client still sends. A stream that is dropped
/// before is reset, and some clients then do not look at the answer.
pub(super) async fn discard(mut stream: RecvStream) {
    let mut taken = 0;
    let mut patience = pin!(rt::sleep(LINGER_TIMEOUT));
    while taken < LINGER_BYTES {
        // `either` pins the second one, and lets go of it.
        let came = either(patience.as_mut(), stream.data()).await;
        let Either::Second(Some(Ok(data))) = came else { return };
        taken += data.len();
        let _ = stream.flow_control().release_capacity(data.len());
    }
}

async fn next(
    core: &Core,
    stream: &mut RecvStream,
    started: std::time::Instant,
) -> Result<Option<Bytes>, Option<Problem>> {
    let limits = core.limits.get();
    let elapsed = core.clock.about().saturating_duration_since(started);
    let whole = limits.body_timeout.saturating_sub(elapsed);
    let patience = rt::sleep(limits.body_stall_timeout.min(whole));
    let data = pin!(stream.data());
    match either(data, patience).await {
        Either::First(None) => Ok(None),
        Either::First(Some(Ok(data))) => Ok(Some(data)),
        Either::First(Some(Err(_))) => Err(None),
        Either::Second(()) => {
            core.deadlines.count(Phase::Body);
            Err(Some(timeout("the request body")))
        }
    }
}

fn check_length(length: BodyLength, limit: usize) -> Result<(), Option<Problem>> {
    match BodyDecoder::new(length, limit as u64) {
        Ok(_) => Ok(()),
        Err(error) => Err(Some(error.into())),
    }
}

/// Streams share a connection's memory: one that begins many large bodies gets them in turn.
fn too_many() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "too-many-bodies",
        "the requests of this connection have too many bytes of bodies under way; send fewer at once",
    )
    .with("retry-after", 1)
}

/// Bytes of a body under way.
struct Taken {
    link: Rc<Link>,
    bytes: usize,
}

impl Taken {
    fn takes(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        self.link.takes_body(bytes)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.link.bodies.set(self.link.bodies.get() - self.bytes);
    }
}
