//! From a whole request to its answer, whatever it came over: HTTP/1.1 and HTTP/2 meet here.

use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use thalweg_proto::http1::{RequestHead, Version};
use thalweg_proto::problem::Problem;
use thalweg_proto::request::{self, LiveMode, Request};
use thalweg_proto::response::Response;
use thalweg_proto::time::Timestamp;

use super::long_poll::{self, Polled};
use super::observe::Exchange;
use super::sse::{self, Start};
use super::transport::Transport;
use super::{answer, health};
use crate::auth::{self, Identity, Pass, Shown};
use crate::core::Core;
use crate::crowd::{Waiting, Watching, ensure_watched};
use crate::http2::Link;
use crate::limits::Bill;
use crate::metrics::Operation;

/// What a request leads to.
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once, never kept")]
pub(crate) enum Dispatched {
    /// An answer.
    Answer(Response),
    /// An answer that goes on for a while.
    Live(Box<Start>),
    /// No answer yet: the crowd may wait for it.
    Waits(Waiting),
}

/// Under which conditions a request may be made.
#[derive(Default)]
pub(super) struct Allowed {
    /// By whom, for logs; `None`: nobody was asked.
    pub(super) who: Option<Arc<str>>,
    /// Until when.
    pub(super) until: Option<Timestamp>,
    /// For when a live reader is judged again.
    pub(super) pass: Option<Box<Pass>>,
}

/// Whoever waits for a long-poll.
pub(crate) enum Peer<'a> {
    /// A connection of its own.
    Connection {
        transport: &'a mut Transport,
        /// Its client.
        client: Option<SocketAddr>,
        /// Kept for the next long-poll of the connection.
        watching: &'a mut Option<Watching>,
        /// The crowd may take it while it waits.
        parks: bool,
    },
    /// A stream of an HTTP/2 connection.
    Stream {
        respond: &'a mut SendResponse<Bytes>,
        /// Its connection.
        link: &'a Rc<Link>,
    },
}

/// Answers a request. `late`: it came over a connection that was made after the server began to
/// stop. `None`: nobody waits for an answer any more, or the server stops.
pub(crate) async fn dispatch(
    core: &Rc<Core>,
    head: &RequestHead,
    body: Bytes,
    late: bool,
    peer: Peer<'_>,
) -> Option<Dispatched> {
    if let Some(response) = health::answer(core, head) {
        core.metrics.answered(Operation::Health, &response);
        return Some(Dispatched::Answer(response));
    }
    if late {
        let response = crate::stopping().into_response();
        core.metrics.answered(Operation::of_method(&head.method), &response);
        return Some(Dispatched::Answer(response));
    }
    let body_len = body.len();
    let Asked { request, allowed, bill } = ask(core, head, body, &peer);
    let operation = Operation::of(&request, &head.method);
    let mut exchange = Exchange::begin(core, operation, head, body_len, &peer, &allowed);
    let mut response = match request {
        Err(problem) => problem.into_response(),
        Ok(Request::Read(request)) if request.live == LiveMode::Sse => {
            match sse::open(core, request, head.version, allowed).await {
                Ok(mut start) => {
                    exchange.end(core, &mut start.head);
                    let bytes = start.first_bytes();
                    core.gate.answers(bill.as_ref(), bytes, || core.clock.instant());
                    start.charge_to(bill);
                    return Some(Dispatched::Live(start));
                }
                Err(response) => *response,
            }
        }
        Ok(Request::Read(request)) if request.live == LiveMode::LongPoll => {
            match long_poll::poll(core, request, allowed, peer).await? {
                Polled::Answer(response) => response,
                // Counted when it is answered.
                Polled::Waits(waiting) => return Some(Dispatched::Waits(waiting)),
            }
        }
        Ok(request) => {
            let mut answer = pin!(answer::answer(core, request, head));
            poll_fn(|context| {
                let polled = answer.as_mut().poll(context);
                if polled.is_pending() {
                    exchange.waits(core);
                }
                polled
            })
            .await?
        }
    };
    exchange.end(core, &mut response);
    core.gate.answers(bill.as_ref(), response.body_len(), || core.clock.instant());
    Some(Dispatched::Answer(response))
}

/// What is asked for, if whoever asks may.
struct Asked {
    request: Result<Request, Problem>,
    /// For how long.
    allowed: Allowed,
    /// Whom the answer is charged to.
    bill: Option<Bill>,
}

fn ask(core: &Core, head: &RequestHead, body: Bytes, peer: &Peer<'_>) -> Asked {
    let refused =
        |problem| Asked { request: Err(problem), allowed: Allowed::default(), bill: None };
    // Before anybody is identified: trying out tokens is limited too.
    let bytes = body.len();
    let mut bill = match core.gate.arrives(peer.address(), bytes, || core.clock.instant()) {
        Ok(bill) => bill,
        Err(problem) => return refused(problem),
    };
    let certificate = peer.identity();
    let grant = match core.admit(head, certificate) {
        Ok(grant) => grant,
        Err(problem) => return refused(problem),
    };
    let request = request::parse(head, body, &core.parse).and_then(|request| {
        core.gate.asks(&mut bill, grant.as_ref(), request.stream(), bytes)?;
        if let Some(grant) = &grant {
            auth::check_fork(grant, &request)?;
        }
        Ok(request)
    });
    let Some(grant) = grant else {
        return Asked { request, allowed: Allowed::default(), bill };
    };
    let is_live =
        matches!(&request, Ok(Request::Read(read)) if !matches!(read.live, LiveMode::CatchUp));
    let pass = if is_live { Shown::of(head, certificate).keep() } else { None };
    let allowed = Allowed { who: Some(grant.name), until: grant.expires, pass };
    Asked { request, allowed, bill }
}

impl Peer<'_> {
    /// Where the client is: the one place to ask, for limits and for the log.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Peer::Connection { client, .. } => *client,
            Peer::Stream { link, .. } => link.client,
        }
    }

    /// Who it is by its certificate.
    pub(super) fn identity(&self) -> Option<&Arc<Identity>> {
        match self {
            Peer::Connection { transport, .. } => transport.identity(),
            Peer::Stream { link, .. } => link.identity.as_ref(),
        }
    }

    /// Whether the crowd may take it while it waits.
    pub(super) fn parks(&self) -> bool {
        matches!(self, Peer::Connection { parks: true, .. })
    }

    /// What it speaks.
    pub(super) fn protocol(&self, version: Version) -> &'static str {
        match (self, version) {
            (Peer::Stream { .. }, _) => "HTTP/2.0",
            (_, Version::Http10) => "HTTP/1.0",
            (_, Version::Http11) => "HTTP/1.1",
        }
    }

    /// Makes sure that it is noticed when the peer leaves.
    pub(super) fn watch(&mut self, core: &Rc<Core>) {
        if let Peer::Connection { transport, watching, .. } = self {
            ensure_watched(watching, core, transport.socket());
        }
    }

    /// Waits until the peer has left, once.
    pub(super) async fn gone(&mut self, core: &Rc<Core>, has_left: &mut bool) {
        if *has_left {
            return std::future::pending().await;
        }
        match self {
            Peer::Connection { watching: Some(watching), .. } => core.crowd.gone(watching).await,
            Peer::Connection { watching: None, .. } => std::future::pending().await,
            // A lost connection resets its streams too.
            Peer::Stream { respond, .. } => {
                drop(poll_fn(|context| respond.poll_reset(context)).await);
            }
        }
        *has_left = true;
    }

    /// Whether a peer that has left has nothing more to say. One that has only closed its sending
    /// side, and before that has sent more requests, is answered.
    pub(super) fn is_at_end(&mut self) -> bool {
        match self {
            Peer::Connection { transport, .. } => transport.is_at_end(),
            Peer::Stream { .. } => true,
        }
    }
}
