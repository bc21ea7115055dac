//! What is written down about a request while it is answered: counts always, a line in the access
//! log where there is one.
//!
//! A request has a name only where there is an access log: the one that the client gave in
//! `X-Request-Id`, if it is sane, otherwise one made here. The answer carries it.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use http::{Method, StatusCode};
use thalweg_proto::headers;
use thalweg_proto::http1::RequestHead;
use thalweg_proto::response::Response;

use super::dispatch::Peer;
use crate::access_log::{Entry, RequestId};
use crate::core::Core;
use crate::metrics::Operation;

/// A request that is being answered.
pub(super) struct Exchange {
    operation: Operation,
    /// When an append began; of anything else only if it is to be logged.
    began: Option<Instant>,
    logged: Option<Box<Logged>>,
}

/// What the access log needs to know of it.
struct Logged {
    id: RequestId,
    peer: SocketAddr,
    client: IpAddr,
    method: Method,
    path: Box<str>,
    protocol: &'static str,
    request_bytes: u64,
}

impl Exchange {
    /// A request has arrived whole.
    pub(super) fn begin(
        core: &Core,
        operation: Operation,
        head: &RequestHead,
        request_bytes: usize,
        peer: &Peer<'_>,
    ) -> Exchange {
        let logged = core.limits.access().map(|_| {
            let given = head.fields.get(headers::X_REQUEST_ID).and_then(RequestId::parse);
            Box::new(Logged {
                id: given.unwrap_or_else(|| RequestId::random([core.random(), core.random()])),
                peer: peer.origin().address,
                client: peer.origin().client(head),
                method: head.method.clone(),
                path: head.path().into(),
                protocol: peer.protocol(head.version),
                request_bytes: request_bytes as u64,
            })
        });
        let timed = operation == Operation::Append || logged.is_some();
        Exchange { operation, began: timed.then(|| core.clock.instant()), logged }
    }

    /// Here is the answer.
    pub(super) fn end(self, core: &Core, response: &mut Response) {
        core.metrics.answered(self.operation, response);
        let ended = |began| match self.logged {
            Some(_) => core.clock.instant(),
            None => about_now(core, began),
        };
        let took = self.began.map(|began| ended(began) - began).unwrap_or_default();
        // What was not let in says nothing about how long appends take.
        if self.operation == Operation::Append && response.status != StatusCode::SERVICE_UNAVAILABLE
        {
            core.metrics.append.record_time(took);
        }
        let Some(logged) = self.logged else { return };
        response.fields.push((headers::X_REQUEST_ID, logged.id.as_str().to_owned().into()));
        let sample = core.limits.access();
        if !sample.is_some_and(|share| share.takes(core.random())) {
            return;
        }
        let Logged { id, peer, client, method, path, protocol, request_bytes } = *logged;
        core.shared.access_log.push(Entry {
            at: core.clock.now(),
            id,
            peer,
            client,
            method,
            path,
            protocol,
            operation: self.operation,
            status: response.status.as_u16(),
            code: response.problem,
            request_bytes,
            response_bytes: response.body_len() as u64,
            took,
            core: core.id,
        });
    }
}

/// When an append that began then was answered. Its answer follows at once the group that it waited
/// for, so that group's time will do: reading the clock costs as much as everything else here.
fn about_now(core: &Core, began: Instant) -> Instant {
    let written = core.metrics.group_written.get().filter(|written| *written > began);
    written.unwrap_or_else(|| core.clock.instant())
}
