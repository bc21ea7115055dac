//! What is written down about a request while it is answered: counts always, a line in the access
//! log where there is one, a span where they are exported.
//!
//! A request has a name only where one of these is on: the one that the client gave in
//! `X-Request-Id`, if it is sane, otherwise one made here. The answer carries it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use thalweg_proto::headers;
use thalweg_proto::http1::RequestHead;
use thalweg_proto::response::Response;

use super::dispatch::{Allowed, Peer};
use crate::access_log::{Entry, RequestId, TraceContext};
use crate::core::Core;
use crate::metrics::{COUNTS, Operation};
use crate::telemetry::Span;

/// A request that is being answered.
pub(super) struct Exchange {
    operation: Operation,
    /// When an append began to wait for its answer; of whatever is logged, when it had arrived.
    began: Option<Instant>,
    logged: Option<Box<Logged>>,
}

/// What the access log needs to know of it.
struct Logged {
    id: RequestId,
    peer: Option<SocketAddr>,
    method: Method,
    path: Box<str>,
    protocol: &'static str,
    request_bytes: u64,
    principal: Option<Arc<str>>,
    trace: Option<TraceContext>,
}

impl Exchange {
    /// A request has arrived whole.
    pub(super) fn begin(
        core: &Core,
        operation: Operation,
        head: &RequestHead,
        request_bytes: usize,
        peer: &Peer<'_>,
        allowed: &Allowed,
    ) -> Exchange {
        if !core.limits.observes() {
            return Exchange { operation, began: None, logged: None };
        }
        let given = head.fields.get(headers::X_REQUEST_ID).and_then(RequestId::parse);
        let logged = Box::new(Logged {
            id: given.unwrap_or_else(|| RequestId::random([core.random(), core.random()])),
            peer: peer.address(),
            method: head.method.clone(),
            path: head.path().into(),
            protocol: peer.protocol(head.version),
            request_bytes: request_bytes as u64,
            principal: allowed.who.clone(),
            trace: head.fields.get(headers::TRACEPARENT).and_then(TraceContext::parse),
        });
        Exchange { operation, began: Some(core.clock.instant()), logged: Some(logged) }
    }

    /// The answer is not there at once. Most of what takes time begins here; an append that never
    /// waits is over in a few microseconds, and looking at the clock would be a part of them.
    #[inline]
    pub(super) fn waits(&mut self, core: &Core) {
        if COUNTS && self.operation == Operation::Append && self.began.is_none() {
            self.began = Some(core.clock.instant());
        }
    }

    /// Here is the answer.
    pub(super) fn end(self, core: &Core, response: &mut Response) {
        core.metrics.answered(self.operation, response);
        let ended = |began| match self.logged {
            Some(_) => core.clock.instant(),
            None => about_now(core, began),
        };
        let took = self.began.map(|began| ended(began) - began).unwrap_or_default();
        if self.operation == Operation::Append {
            core.metrics.append.record_time(took);
        }
        if let Some(logged) = self.logged {
            note(core, self.operation, *logged, took, response);
        }
    }
}

/// A line for the access log, a span, or both, as their shares have it.
fn note(
    core: &Core,
    operation: Operation,
    logged: Logged,
    took: Duration,
    response: &mut Response,
) {
    let Logged { id, peer, method, path, protocol, request_bytes, principal, trace } = logged;
    response.fields.push((headers::X_REQUEST_ID, id.as_str().to_owned().into()));
    let line = core.limits.access().is_some_and(|share| share.takes(core.random()));
    // Whoever began the trace has decided.
    let spans = core.shared.telemetry.spans.as_ref().filter(|_| match trace {
        Some(trace) => trace.sampled,
        None => core.limits.spans().is_some_and(|share| share.takes(core.random())),
    });
    if !line && spans.is_none() {
        return;
    }
    let entry = Entry {
        at: core.clock.now(),
        id,
        peer,
        method,
        path,
        protocol,
        operation,
        status: response.status.as_u16(),
        code: response.problem,
        request_bytes,
        response_bytes: response.body_len() as u64,
        took,
        core: core.id,
        principal,
        trace,
    };
    if let Some(spans) = spans {
        let number = || core.random().to_be_bytes();
        let mut trace_id = [0; 16];
        trace_id[..8].copy_from_slice(&number());
        trace_id[8..].copy_from_slice(&number());
        spans.push(Span { entry: entry.clone(), trace_id, span_id: number() });
    }
    if line {
        core.shared.access_log.push(entry);
    }
}

/// When an append that began then was answered. Its answer follows at once the group that it waited
/// for, so that group's time will do: reading the clock costs as much as everything else here.
fn about_now(core: &Core, began: Instant) -> Instant {
    let written = core.metrics.group_written.get().filter(|written| *written > began);
    written.unwrap_or_else(|| core.clock.instant())
}
