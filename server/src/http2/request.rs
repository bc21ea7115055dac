//! One request of an HTTP/2 connection, from its head to the end of its answer.

use std::rc::Rc;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Method, Request};
use thalweg_proto::cors::AllowOrigin;
use thalweg_proto::http1::RequestHead;
use thalweg_proto::http1::encode::Framing;
use thalweg_proto::http2;
use thalweg_proto::limits::READ_PAGE_BYTES;
use thalweg_proto::problem::Problem;
use thalweg_proto::response::Response;

use super::link::Permit;
use super::{Sink, answer, body};
use crate::conn::{Dispatched, Peer, Start, dispatch};
use crate::core::Core;
use crate::crowd::StreamMember;
use crate::metrics::Operation;

/// Answers a request.
pub(super) async fn handle(
    core: Rc<Core>,
    permit: Permit,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let (parts, mut stream) = request.into_parts();
    let mut head = match http2::request_head(&parts, stream.is_end_stream()) {
        Ok(head) => head,
        Err(error) => {
            let response = Problem::from(error).into_response();
            core.metrics.answered(Operation::Invalid, &response);
            return answer::send(&core, &permit, respond, response, false).await;
        }
    };
    let origin = permit.link.origin;
    origin.mark(&core.config.proxy, &mut head);
    let head_only = head.method == Method::HEAD;
    let body = match body::receive(&core, &permit, &head, &mut stream, &mut respond).await {
        Ok(body) => body,
        Err(Some(problem)) => {
            let response = problem.into_response();
            core.metrics.answered(Operation::Invalid, &response);
            answer::send(&core, &permit, respond, response, head_only).await;
            return body::discard(stream).await;
        }
        Err(None) => return core.metrics.http2.client_resets.increment(),
    };
    let mut pages = match reads_a_page(&head) {
        true => Some(permit.link.page(READ_PAGE_BYTES).await),
        false => None,
    };
    let late = permit.link.late;
    let peer = Peer::Stream { respond: &mut respond, link: &permit.link };
    match dispatch(&core, &head, body, late, peer).await {
        Some(Dispatched::Answer(response)) => {
            if let Some(pages) = &mut pages {
                pages.are(response.body_len());
            }
            answer::send(&core, &permit, respond, response, head_only).await;
        }
        // Only a connection of its own is left to the crowd.
        Some(Dispatched::Waits(waiting)) => core.leave(waiting.follower),
        Some(Dispatched::Live(start)) => go_live(&core, permit, *start, respond),
        // The stream is reset when its handles are dropped, unless its client did it before.
        None => core.metrics.http2.client_resets.increment(),
    }
}

/// Whether the answer is a page that may be large. Live reads wait for news most of the time and
/// must not hold anything meanwhile.
fn reads_a_page(head: &RequestHead) -> bool {
    head.method == Method::GET && !head.query().is_some_and(|query| query.contains("live="))
}

/// The crowd carries on.
fn go_live(core: &Rc<Core>, permit: Permit, start: Start, mut respond: SendResponse<Bytes>) {
    let head = response_head(core, &start.head, Framing::Streamed);
    match respond.send_response(head, false) {
        Ok(stream) => {
            let (reading, first) = start.begin(false, &[]);
            let member = StreamMember::new(reading, Sink::new(stream, permit));
            core.crowd.join_stream(core, member, first);
        }
        Err(_) => {
            core.metrics.http2.client_resets.increment();
            start.give_up();
        }
    }
}

pub(super) fn response_head(
    core: &Core,
    response: &Response,
    framing: Framing,
) -> http::Response<()> {
    http2::response_head(response, &core.clock.date(), AllowOrigin::Any, framing)
}
