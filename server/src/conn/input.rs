//! Reading requests: a head, then a body, under deadlines and limits.

use std::io;
use std::rc::Rc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use thalweg_proto::http1::encode::CONTINUE;
use thalweg_proto::http1::{
    BodyDecoder, BodyLength, HeadError, HeadStatus, Progress, RequestHead, Version, parse_head,
};
use thalweg_proto::problem::Problem;
use thalweg_proto::request::precheck;
use thalweg_proto::response::Pieces;

use super::deadlines::{Guard, Phase};
use super::transport::Transport;
use crate::config::limits::{
    DRAIN_LATE_INPUT, MIN_BODY_BYTES_PER_SECOND, READ_BUFFER_BYTES, READ_BUFFER_KEPT_BYTES,
};
use crate::core::Core;
use crate::crowd::Template;
use crate::proxy::Origin;
use crate::rt;

/// What the next request on a connection turned out to be.
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once, never kept")]
pub(super) enum Received {
    /// A request.
    Request(RequestHead, Bytes),
    /// The preface of HTTP/2 (RFC 9113 section 3.4), which stays in the input.
    Http2,
    /// Not a request; the connection closes after the answer.
    Refused(Problem, Version),
    /// The connection ended, or was idle for too long.
    End,
}

/// Bytes that have arrived and belong to no request yet.
pub(super) struct Input {
    buf: BytesMut,
    /// Nothing has come yet, and it may be the preface of HTTP/2.
    may_be_http2: bool,
    origin: Origin,
    /// How the last request asks, if it is a long-poll.
    asks: Option<Template>,
}

impl Input {
    /// Of a connection of which these bytes have come already.
    pub(super) fn new(first: BytesMut, may_be_http2: bool, origin: Origin) -> Input {
        Input { buf: first, may_be_http2, origin, asks: None }
    }

    /// How the last request asks, if it is a long-poll and nothing has come after it.
    pub(super) fn take_template(&mut self) -> Option<Template> {
        self.asks.take().filter(|_| self.buf.is_empty())
    }

    /// What has arrived, for another reader.
    pub(super) fn into_bytes(self) -> BytesMut {
        self.buf
    }

    /// Receives the next request.
    pub(super) async fn receive(
        &mut self,
        core: &Rc<Core>,
        transport: &mut Transport,
        deadline: &Guard,
    ) -> Received {
        let head = match self.receive_head(core, transport, deadline).await {
            Ok(head) => head,
            Err(received) => return *received,
        };
        let version = head.version;
        match self.receive_body(core, transport, deadline, &head).await {
            Ok(body) => Received::Request(head, body),
            Err(Some(problem)) => Received::Refused(problem, version),
            Err(None) => Received::End,
        }
    }

    async fn receive_head(
        &mut self,
        core: &Rc<Core>,
        transport: &mut Transport,
        deadline: &Guard,
    ) -> Result<RequestHead, Box<Received>> {
        let mut begun = false;
        loop {
            if !self.buf.is_empty() && !begun {
                begun = true;
                deadline.set(
                    core.clock.about(),
                    core.limits.get().request_head_timeout,
                    Phase::Head,
                );
            }
            match self.parse() {
                Ok(Parsed::Head(mut head)) => {
                    self.origin.mark(&core.config.proxy, &mut head);
                    return Ok(*head);
                }
                Ok(Parsed::Http2) => return Err(Box::new(Received::Http2)),
                Ok(Parsed::Nothing) => {}
                Err(error) => {
                    let refused = Received::Refused(error.into(), Version::Http11);
                    return Err(Box::new(refused));
                }
            }
            if !begun {
                if core.draining.get() {
                    match self.read_late(transport).await {
                        true => continue,
                        false => return Err(Box::new(Received::End)),
                    }
                }
                deadline.set(core.clock.about(), core.limits.get().keep_alive_timeout, Phase::Idle);
                self.shrink();
            }
            if !matches!(self.read(transport, READ_BUFFER_BYTES).await, Ok(1..)) {
                let late = begun && deadline.passed();
                return Err(Box::new(if late {
                    Received::Refused(timeout("the request head"), Version::Http11)
                } else {
                    Received::End
                }));
            }
        }
    }

    fn parse(&mut self) -> Result<Parsed, HeadError> {
        if self.may_be_http2 {
            let length = self.buf.len().min(PREFACE.len());
            if self.buf[..length] == PREFACE[..length] {
                return Ok(if length < PREFACE.len() { Parsed::Nothing } else { Parsed::Http2 });
            }
            self.may_be_http2 = false;
        }
        match parse_head(&self.buf)? {
            HeadStatus::Complete(head, consumed) => {
                let live = head.query().is_some_and(|query| query.contains("live=long-poll"));
                let plain = live && has_no_body(&head);
                self.asks = plain.then(|| Template::of(&self.buf[..consumed])).flatten();
                self.buf.advance(consumed);
                Ok(Parsed::Head(Box::new(head)))
            }
            HeadStatus::Incomplete => Ok(Parsed::Nothing),
        }
    }

    /// `Err(None)`: the client went away in the middle.
    async fn receive_body(
        &mut self,
        core: &Rc<Core>,
        transport: &mut Transport,
        deadline: &Guard,
        head: &RequestHead,
    ) -> Result<Bytes, Option<Problem>> {
        if has_no_body(head) {
            deadline.clear();
            return Ok(Bytes::new());
        }
        // Before a large body is taken in: is there anything here that would want it?
        precheck(head, &core.parse).map_err(Some)?;
        let client = Some(self.origin.client_address(head));
        core.admit_body(head, client, transport.identity()).map_err(Some)?;
        core.check_load_before_body(head).map_err(Some)?;
        let refused = |error: thalweg_proto::http1::BodyError| Some(Problem::from(error));
        let mut decoder = BodyDecoder::new(head.body, core.limits.get().max_body_bytes as u64)
            .map_err(refused)?;
        if head.expect_continue && self.buf.is_empty() {
            let line = Pieces::from_iter([Bytes::from_static(CONTINUE)]);
            transport.write_all(line).await.map_err(|_| None)?;
        }
        let mut started = None;
        let mut body = BytesMut::new();
        loop {
            match decoder.decode(&mut self.buf, &mut body).map_err(refused)? {
                Progress::Done => {
                    deadline.clear();
                    return Ok(body.freeze());
                }
                Progress::More => {}
            }
            let now = core.clock.instant();
            let started = *started.get_or_insert(now);
            if too_slow(started, now, body.len(), core.limits.get().body_stall_timeout) {
                core.deadlines.count(Phase::Body);
                return Err(Some(timeout("the request body")));
            }
            let whole = core.limits.get().body_timeout.saturating_sub(now - started);
            let stall = core.limits.get().body_stall_timeout;
            deadline.set(now, stall.min(whole), Phase::Body);
            let expected = match head.body {
                BodyLength::Length(length) => length as usize - body.len(),
                _ => READ_BUFFER_BYTES,
            };
            let capacity = expected.clamp(READ_BUFFER_BYTES, READ_BUFFER_KEPT_BYTES);
            if !matches!(self.read(transport, capacity).await, Ok(1..)) {
                return Err(deadline.passed().then(|| timeout("the request body")));
            }
        }
    }

    /// Reads more. 0: the peer is done.
    pub(super) async fn read(
        &mut self,
        transport: &mut Transport,
        capacity: usize,
    ) -> io::Result<usize> {
        self.buf.reserve(capacity);
        let (result, buf) = transport.read(std::mem::take(&mut self.buf)).await;
        self.buf = buf;
        result
    }

    /// Takes what was sent before the peer could know that the server drains; whether there was
    /// something. The reading end stays open: what follows must not reset an answer under way.
    async fn read_late(&mut self, transport: &Transport) -> bool {
        if transport.read_now(&mut self.buf) {
            return true;
        }
        rt::sleep(DRAIN_LATE_INPUT).await;
        transport.read_now(&mut self.buf)
    }

    /// An idle connection keeps no large buffer.
    fn shrink(&mut self) {
        if self.buf.is_empty() && self.buf.capacity() > READ_BUFFER_BYTES {
            self.buf = BytesMut::new();
        }
    }
}

/// What the bytes that have come begin with.
enum Parsed {
    /// Nothing whole.
    Nothing,
    Head(Box<RequestHead>),
    Http2,
}

fn has_no_body(head: &RequestHead) -> bool {
    matches!(head.body, BodyLength::None | BodyLength::Length(0))
}

/// How a client that knows HTTP/2 begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// After a grace period a body must have come at the minimum rate on average.
pub(crate) fn too_slow(
    started: Instant,
    now: Instant,
    len: usize,
    grace: std::time::Duration,
) -> bool {
    let elapsed = now - started;
    elapsed > grace && (len as u64) < elapsed.as_secs() * MIN_BODY_BYTES_PER_SECOND
}

/// 408.
pub(crate) fn timeout(what: &str) -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "request-timeout",
        format!("{what} took too long to arrive"),
    )
}
