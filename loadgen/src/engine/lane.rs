//! One connection of a pipelined group, and what is under way on it.
//!
//! Invariants: answers belong to requests in their order, those that were given up included; what
//! was under way when a connection broke has failed, and its message may have arrived or not.
//!
//! Over HTTP/2 requests leave in the same order, and answers name theirs.
//!
//! Deliberately absent: what is sent when, and which lane a stream has ([`super::pipeline`]).

mod http2;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};
use std::time::Duration;

use http::Method;

use super::core::Core;
use super::ending::Ending;
use super::recorder::Ended;
use super::sample_log::{Said, Who};
use super::shared::Shared;
use super::steps::{Kind, Request};
use super::wire::{Answers, Response};
use crate::message::{Stamp, push_decimal};
use crate::net::{ReadHalf, WriteHalf};
use crate::schedule::{Rng, iteration_rng, nanos};
use crate::user::{Answer, Context, Variables};

const READ_BYTES: usize = 16 * 1024;
const LOOK: Duration = Duration::from_millis(50);

/// One connection and what is under way on it.
pub(super) struct Lane {
    core: Rc<Core>,
    /// Requests that have not been handed to the socket.
    outgoing: RefCell<Vec<u8>>,
    writing: Cell<bool>,
    waiting: RefCell<VecDeque<Sent>>,
    /// Requests that timed out before those that wait: their answers come first, if at all.
    given_up: Cell<u32>,
    in_flight: Rc<InFlight>,
    writes: RefCell<Option<WriteHalf>>,
    /// The same for HTTP/2.
    http2: http2::Half,
    /// Which connection this is; answers of an earlier one are not ours any more.
    generation: Cell<u64>,
    /// Until when all were held up because too much was under way.
    pub(super) free_ns: Cell<u64>,
    /// The server closed the connection while something was being written.
    lost: Cell<bool>,
    /// What is received over the connection is under it; replaced when it was used.
    ending: RefCell<Rc<Ending>>,
    request: Rc<Request>,
    source: u32,
    who: Who,
    variables: RefCell<Variables>,
    connect_ns: Cell<Option<u64>>,
}

/// A request without an answer.
struct Sent {
    /// Which one of the lane's.
    serial: u64,
    intended_ns: u64,
    sent_ns: u64,
    bytes: u64,
    stream: u32,
    /// First sequence number and how many.
    messages: Option<(u32, u32)>,
}

impl Lane {
    pub(super) fn new(
        core: &Rc<Core>,
        request: &Rc<Request>,
        in_flight: &Rc<InFlight>,
        who: Who,
        variables: Variables,
    ) -> Rc<Lane> {
        Rc::new(Lane {
            core: Rc::clone(core),
            outgoing: RefCell::default(),
            writing: Cell::new(false),
            waiting: RefCell::default(),
            given_up: Cell::new(0),
            in_flight: Rc::clone(in_flight),
            writes: RefCell::new(None),
            http2: http2::Half::default(),
            generation: Cell::new(0),
            free_ns: Cell::new(0),
            lost: Cell::new(false),
            ending: RefCell::default(),
            request: Rc::clone(request),
            // The same on every thread: a stream is only ever written by one of them.
            source: who.group,
            who,
            variables: RefCell::new(variables),
            connect_ns: Cell::new(None),
        })
    }

    /// Another one in its place.
    pub(super) fn renewed(&self) -> Rc<Lane> {
        let variables = self.variables.borrow().clone();
        Lane::new(&self.core, &self.request, &self.in_flight, self.who, variables)
    }

    /// Whether nothing waits for an answer.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// When the oldest request times out.
    pub(super) fn expires_ns(&self) -> Option<u64> {
        let timeout_ns = nanos(self.core.program.plan.timeout);
        let waiting = self.waiting.borrow();
        waiting.front().map(|sent| sent.sent_ns.saturating_add(timeout_ns))
    }

    /// Fails what has waited for too long. Whether there was something.
    pub(super) fn expire(&self) -> bool {
        let timeout = self.core.program.plan.timeout;
        let message = format!("no answer within {timeout:?}");
        let mut any = false;
        while self.expires_ns().is_some_and(|at_ns| at_ns <= self.core.shared.clock.now_ns()) {
            let Some(sent) = self.waiting.borrow_mut().pop_front() else { break };
            self.given_up.set(self.given_up.get() + 1);
            self.failed(&sent, "timeout", &message);
            any = true;
        }
        any
    }

    pub(super) fn send(
        self: &Rc<Self>,
        head: &[u8],
        set: usize,
        index: u32,
        intended_ns: u64,
        variables: &mut Variables,
        rng: &mut Rng,
    ) {
        let core = &self.core;
        let stream = core.program.stream(set, index);
        let (body, messages) = self.body(stream, intended_ns, variables, rng);
        let serial = self.http2.next_serial();
        let bytes = match core.program.plan.transport.http2 {
            true => self.http2.queue(serial, |out| push(out, head, &body)),
            false => push(&mut self.outgoing.borrow_mut(), head, &body),
        };
        let sent_ns = core.shared.clock.now_ns();
        // What waits for the server's answers is not late by our fault.
        core.recorder.borrow_mut().late(intended_ns.max(self.free_ns.get()), sent_ns);
        let sent = Sent { serial, intended_ns, sent_ns, bytes, stream, messages };
        self.waiting.borrow_mut().push_back(sent);
        self.in_flight.add(&core.shared);
        self.flush();
    }

    fn body(
        &self,
        stream: u32,
        intended_ns: u64,
        variables: &mut Variables,
        rng: &mut Rng,
    ) -> (Vec<u8>, Option<(u32, u32)>) {
        let core = &self.core;
        let mut out = Vec::with_capacity(256);
        let Kind::Append { messages, batch, .. } = &self.request.kind else { return (out, None) };
        let mut messages = messages.borrow_mut();
        let mut first = None;
        let count = batch.unwrap_or(1);
        if batch.is_some() {
            out.push(b'[');
        }
        for at in 0..count {
            if at > 0 {
                out.push(b',');
            }
            let mut sequence = 0;
            if messages.are_stamped() {
                sequence = core.publish(stream, self.source, intended_ns);
                first.get_or_insert(sequence);
            }
            let (run, source) = (core.shared.run, self.source);
            let mut counter = core.counter.borrow_mut();
            let now = &core.shared.clock.unix_ms(intended_ns);
            let (variables, rng, counter) = (&mut *variables, &mut *rng, &mut *counter);
            let mut context = Context { variables, rng, user_number: 1, counter, now };
            messages.write(Stamp { run, source, sequence, intended_ns }, &mut context, &mut out);
        }
        if batch.is_some() {
            out.push(b']');
        }
        (out, first.map(|first| (first, count)))
    }

    /// Hands what is outgoing to the socket, unless that is under way already.
    fn flush(self: &Rc<Self>) {
        if self.writing.replace(true) {
            return;
        }
        let lane = Rc::clone(self);
        drop(monoio::spawn(async move {
            match lane.core.program.plan.transport.http2 {
                true => lane.begin_all().await,
                false => lane.write_all().await,
            }
            lane.writing.set(false);
        }));
    }

    async fn write_all(self: &Rc<Self>) {
        while !self.outgoing.borrow().is_empty() {
            let taken = self.writes.borrow_mut().take();
            let mut writes = match taken {
                Some(writes) => writes,
                None => match self.core.connect().await {
                    Ok((stream, took)) => {
                        self.connect_ns.set(Some(took));
                        let (reads, writes) = (stream.reads, stream.writes);
                        self.generation.set(self.generation.get() + 1);
                        self.lost.set(false);
                        let answers = Rc::clone(self).take_answers(reads, self.generation.get());
                        let ending = Rc::clone(&self.ending.borrow());
                        drop(monoio::spawn(async move { ending.or_ended(answers).await }));
                        writes
                    }
                    Err(error) => return self.fail(error.kind(), &error.to_string()),
                },
            };
            let bytes = std::mem::take(&mut *self.outgoing.borrow_mut());
            let timeout = self.core.program.plan.timeout;
            let written = monoio::time::timeout(timeout, writes.write_all(bytes)).await;
            let Ok((written, _)) = written else {
                return self.fail("timeout", &format!("nothing was taken within {timeout:?}"));
            };
            match written {
                Ok(_) if !self.lost.get() => {
                    *self.writes.borrow_mut() = Some(writes);
                }
                // The answers' side has ended: what was written meets a closed connection.
                Ok(_) => self.fail("connection", "the server closed the connection"),
                Err(error) => self.fail("connection", &error.to_string()),
            }
        }
    }

    async fn take_answers(self: Rc<Self>, mut reads: ReadHalf, generation: u64) {
        let clock = self.core.shared.clock;
        let mut answers = Answers::default();
        let mut buf = Vec::new();
        loop {
            buf.clear();
            buf.reserve(READ_BYTES);
            let (read, back) = reads.read(buf).await;
            if generation != self.generation.get() {
                return;
            }
            let now_ns = clock.now_ns();
            buf = back;
            match read {
                Ok(read) if read > 0 => answers.push(&buf, now_ns),
                _ => break,
            }
            loop {
                match answers.next(&Method::POST, now_ns) {
                    Ok(Some(response)) => self.answered(&response),
                    Ok(None) => break,
                    Err(error) => {
                        return self.closed(generation, "malformed answer", &error.to_string());
                    }
                }
            }
        }
        self.closed(generation, "connection", "the server closed the connection");
    }

    fn closed(&self, generation: u64, kind: &str, message: &str) {
        if generation != self.generation.get() {
            return;
        }
        self.lost.set(self.writes.borrow_mut().take().is_none());
        self.fail(kind, message);
    }

    fn answered(&self, response: &Response) {
        if let Some(left) = self.given_up.get().checked_sub(1) {
            return self.given_up.set(left);
        }
        let sent = self.waiting.borrow_mut().pop_front();
        sent.into_iter().for_each(|sent| self.complete(&sent, response));
    }

    fn complete(&self, sent: &Sent, response: &Response) {
        let core = &self.core;
        self.in_flight.remove(&core.shared);
        core.saw_server(&response.fields);
        let elapsed_ns = response.ended_ns.saturating_sub(sent.intended_ns);
        let status = response.status.as_u16();
        let answer = Answer::new(status, &response.fields, &response.body, elapsed_ns);
        let mut variables = self.variables.borrow_mut();
        let mut rng = iteration_rng(0, 0, 0);
        let mut counter = core.counter.borrow_mut();
        let (variables, rng, counter) = (&mut *variables, &mut rng, &mut *counter);
        let mut context = Context { variables, rng, user_number: 1, counter, now: &0 };
        let failure = self.request.checks.check(&answer, &mut context).err();
        let ended = self.ended(sent, response.first_byte_ns, response.ended_ns, response.bytes);
        let kind = failure.as_ref().map(|failure| failure.kind.to_string());
        let reason = kind.as_deref().zip(failure.as_ref().map(|failure| failure.message.as_str()));
        core.recorder.borrow_mut().ended(&ended, reason);
        let message = failure.as_ref().map(|failure| failure.message.as_str());
        let said = Said::of(Ok(response), "");
        core.log(self.who, &ended, said, message, || core.program.stream_path(sent.stream));
        // What the plan wants of an answer says nothing about what the server has stored.
        self.settle(sent, response.status.is_success());
    }

    /// Everything under way has failed, and the connection is not used any more.
    pub(super) fn fail(&self, kind: &str, message: &str) {
        self.outgoing.borrow_mut().clear();
        self.http2.clear();
        self.given_up.set(0);
        self.generation.set(self.generation.get() + 1);
        drop(self.writes.borrow_mut().take());
        self.ending.take().end();
        for sent in std::mem::take(&mut *self.waiting.borrow_mut()) {
            self.failed(&sent, kind, message);
        }
    }

    fn failed(&self, sent: &Sent, kind: &str, message: &str) {
        let core = &self.core;
        let now_ns = core.shared.clock.now_ns();
        self.in_flight.remove(&core.shared);
        let ended = self.ended(sent, now_ns, now_ns, 0);
        core.recorder.borrow_mut().ended(&ended, Some((kind, message)));
        let path = || core.program.stream_path(sent.stream);
        core.log(self.who, &ended, Said::nothing(kind, message), Some(message), path);
        self.settle(sent, false);
    }

    fn ended(&self, sent: &Sent, first_byte_ns: u64, ended_ns: u64, bytes: u64) -> Ended {
        Ended {
            label: self.request.label,
            intended_ns: sent.intended_ns,
            sent_ns: sent.sent_ns,
            first_byte_ns,
            ended_ns,
            connect_ns: self.connect_ns.take(),
            bytes_sent: sent.bytes,
            bytes_received: bytes,
        }
    }

    fn settle(&self, sent: &Sent, acknowledged: bool) {
        let Some((first, count)) = sent.messages.filter(|_| !acknowledged) else { return };
        for sequence in first..first + count {
            self.core.refuse(sent.stream, self.source, sequence);
        }
    }
}

/// A request out of its head, up to the value of Content-Length, and its body; how long it is.
fn push(out: &mut Vec<u8>, head: &[u8], body: &[u8]) -> u64 {
    let before = out.len();
    out.extend_from_slice(head);
    push_decimal(out, body.len() as u64);
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
    (out.len() - before) as u64
}

/// Requests of a group on one thread that have no answer.
pub(super) struct InFlight {
    most: u64,
    count: Cell<u64>,
    /// Who waits for fewer of them.
    blocked: RefCell<Option<Waker>>,
}

impl InFlight {
    pub(super) fn new(most: u64) -> Rc<InFlight> {
        Rc::new(InFlight { most: most.max(1), count: Cell::new(0), blocked: RefCell::default() })
    }

    pub(super) fn is_full(&self) -> bool {
        self.count.get() >= self.most
    }

    fn add(&self, shared: &Shared) {
        self.count.set(self.count.get() + 1);
        shared.in_flight.fetch_add(1, Relaxed);
    }

    fn remove(&self, shared: &Shared) {
        self.count.set(self.count.get() - 1);
        shared.in_flight.fetch_sub(1, Relaxed);
        if let Some(waker) = self.blocked.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Waits while too much is under way; the waiting counts as latency. `false`: the load has
    /// ended meanwhile.
    pub(super) async fn room(&self, shared: &Shared) -> bool {
        while self.is_full() {
            if shared.is_stopping() {
                return false;
            }
            let answered = poll_fn(|context| match self.is_full() {
                false => Poll::Ready(()),
                true => {
                    *self.blocked.borrow_mut() = Some(context.waker().clone());
                    Poll::Pending
                }
            });
            // Now and then it looks whether the load has ended.
            let _ = monoio::time::timeout(LOOK, answered).await;
        }
        true
    }
}
