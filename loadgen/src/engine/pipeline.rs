//! Appends of an open group over pipelined connections: a slow answer never delays the next send,
//! and the messages of a stream stay in order.
//!
//! Invariants: message `k` of the plan has the same stream, sequence number, size and intended
//! time whatever the number of threads; each stream's messages go over one connection. What was
//! under way when a connection broke has failed, and its message may have arrived or not.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};
use std::time::Duration;

use http::Method;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::TcpStream;

use super::clock::Alarm;
use super::core::{Core, Part};
use super::recorder::Ended;
use super::sample_log::{Said, Who};
use super::steps::{Kind, Request};
use super::wire::Answers;
use crate::message::{Stamp, push_decimal};
use crate::plan::{Arrivals, RateStage};
use crate::schedule::{Chooser, OpenSchedule, Rng, iteration_rng, schedule_rng};
use crate::user::{Answer, Context, Names, Variables, render};

/// Connections of one group on one thread, at most.
const MAX_CONNECTIONS: u32 = 32;
const READ_BYTES: usize = 16 * 1024;
const LOOK: Duration = Duration::from_millis(50);
const LONGEST_NAP_NS: u64 = 100_000_000;

/// An open group whose only step is an append.
pub(crate) struct Pipeline {
    pub(crate) core: Rc<Core>,
    pub(crate) group: u32,
    pub(crate) stages: Vec<RateStage>,
    pub(crate) arrivals: Arrivals,
    pub(crate) begin_ns: u64,
    pub(crate) request: Request,
    pub(crate) names: Names,
    /// Messages without an answer on one connection, above which further ones wait here.
    pub(crate) max_in_flight: u32,
}

/// One connection and what is under way on it.
struct Lane {
    core: Rc<Core>,
    /// Requests that have not been handed to the socket.
    outgoing: RefCell<Vec<u8>>,
    writing: Cell<bool>,
    waiting: RefCell<VecDeque<Sent>>,
    /// Who waits for fewer requests to be under way.
    blocked: RefCell<Option<Waker>>,
    writes: RefCell<Option<OwnedWriteHalf<TcpStream>>>,
    /// Which connection this is; answers of an earlier one are not ours any more.
    generation: Cell<u64>,
    /// Until when all were held up because too much was under way.
    free_ns: Cell<u64>,
    /// The server closed the connection while something was being written.
    lost: Cell<bool>,
    request: Rc<Request>,
    source: u32,
    who: Who,
    variables: RefCell<Variables>,
    connect_ns: Cell<Option<u64>>,
}

/// A request without an answer.
struct Sent {
    intended_ns: u64,
    sent_ns: u64,
    bytes: u64,
    stream: u32,
    /// First sequence number and how many.
    messages: Option<(u32, u32)>,
}

impl Pipeline {
    /// Sends everything that is due, until the schedule ends or the run stops, and waits for the
    /// answers.
    pub(crate) async fn run(self) -> std::io::Result<()> {
        let Pipeline { core, group, stages, arrivals, begin_ns, request, names, max_in_flight } =
            self;
        let _task = core.task();
        let alarm = Alarm::new(core.shared.clock)?;
        let seed = core.program.plan.seed;
        let Some((set, _)) = request.streams else { return Ok(()) };
        let stream_set = &core.program.plan.streams[set];
        let mut chooser = Chooser::new(&stream_set.choice, stream_set.count);
        let Part { of: threads, .. } = core.thread;
        let mine = stream_set.count.div_ceil(threads).clamp(1, MAX_CONNECTIONS);
        let request = Rc::new(request);
        let lanes: Vec<_> =
            (0..mine).map(|number| Lane::new(&core, &request, group, number, &names)).collect();
        core.count_users(group, mine);
        let mut variables = Variables::new(&names);
        begin(&names, &core, &mut variables, iteration_rng(seed, group, u64::MAX));
        let mut head = HashMap::new();
        let (mut burst, mut free_ns) = (0, 0);
        let times = OpenSchedule::new(&stages, arrivals, schedule_rng(seed, group));
        for (iteration, at) in times.enumerate() {
            if core.shared.is_too_late(begin_ns + at) {
                break;
            }
            let mut rng = iteration_rng(seed, group, iteration as u64);
            let index = chooser.choose(&mut rng, iteration as u64);
            // Workers take turns, and each stream is one thread's.
            if !core.worker.has(iteration as u64) || !core.thread.has(u64::from(index)) {
                continue;
            }
            let intended_ns = begin_ns + at;
            if core.shared.clock.now_ns() < intended_ns {
                burst = 0;
                sleep_until(&alarm, &core, intended_ns).await?;
                if core.shared.is_too_late(intended_ns) {
                    break;
                }
            } else {
                burst += 1;
                if burst % 32 == 0 {
                    // Behind: answers must be taken all the same.
                    core.turn.take().await;
                }
            }
            let lane = &lanes[(index / threads % mine) as usize];
            if lane.is_full(max_in_flight) {
                if !lane.room(max_in_flight).await {
                    break;
                }
                free_ns = core.shared.clock.now_ns();
            }
            core.count(group, intended_ns);
            if intended_ns < free_ns {
                core.count_waiting(group, intended_ns);
            }
            lane.free_ns.set(free_ns);
            let head =
                head.entry(index).or_insert_with(|| lane.head(&names, set, index, group, seed));
            lane.send(head, set, index, intended_ns, &mut variables, &mut rng);
        }
        let deadline = core.shared.clock.now_ns() + core.program.plan.timeout.as_nanos() as u64;
        while lanes.iter().any(|lane| !lane.waiting.borrow().is_empty())
            && core.shared.clock.now_ns() < deadline
        {
            monoio::time::sleep(Duration::from_millis(2)).await;
        }
        let timeout = core.program.plan.timeout;
        lanes
            .iter()
            .for_each(|lane| lane.fail("timeout", &format!("no answer within {timeout:?}")));
        Ok(())
    }
}

/// Pauses until a time, looking now and then whether the run was stopped.
pub(super) async fn sleep_until(alarm: &Alarm, core: &Core, at_ns: u64) -> std::io::Result<()> {
    loop {
        let now_ns = core.shared.clock.now_ns();
        if at_ns <= now_ns || core.shared.is_stopping() {
            return Ok(());
        }
        match now_ns + LONGEST_NAP_NS < at_ns {
            true => alarm.nap_until(now_ns + LONGEST_NAP_NS).await?,
            false => alarm.sleep_until(&core.turn, at_ns).await?,
        }
    }
}

fn begin(names: &Names, core: &Core, variables: &mut Variables, mut rng: Rng) {
    let mut counter = core.counter.borrow_mut();
    let now_unix_ms = core.shared.clock.unix_ms(core.shared.clock.now_ns());
    let rng = &mut rng;
    let counter = &mut counter;
    names.begin(&mut Context { variables, rng, user_number: 1, counter, now_unix_ms });
}

impl Lane {
    fn new(
        core: &Rc<Core>,
        request: &Rc<Request>,
        group: u32,
        number: u32,
        names: &Names,
    ) -> Rc<Lane> {
        Rc::new(Lane {
            core: Rc::clone(core),
            outgoing: RefCell::default(),
            writing: Cell::new(false),
            waiting: RefCell::default(),
            blocked: RefCell::default(),
            writes: RefCell::new(None),
            generation: Cell::new(0),
            free_ns: Cell::new(0),
            lost: Cell::new(false),
            request: Rc::clone(request),
            // The same on every thread: a stream is only ever written by one of them.
            source: group,
            // Counted over all threads: the connection's number for the sample log.
            who: Who { group, user: number * core.part.of + core.part.index + 1 },
            variables: RefCell::new(Variables::new(names)),
            connect_ns: Cell::new(None),
        })
    }

    /// The head of the requests to a stream, up to the value of Content-Length.
    fn head(&self, names: &Names, set: usize, index: u32, group: u32, seed: u64) -> Vec<u8> {
        let core = &self.core;
        let path = core.program.path(set, index);
        let host = &core.program.target.host;
        let mut out = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\n").into_bytes();
        let mut variables = Variables::new(names);
        let mut rng = iteration_rng(seed, group, u64::MAX);
        begin(names, core, &mut variables, rng.clone());
        let mut typed = false;
        for (name, value) in &self.request.fields {
            typed |= name.eq_ignore_ascii_case("content-type");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            let mut counter = core.counter.borrow_mut();
            let (variables, rng, counter) = (&mut variables, &mut rng, &mut *counter);
            render(
                value,
                &mut Context { variables, rng, user_number: 1, counter, now_unix_ms: 0 },
                &mut out,
            );
            out.extend_from_slice(b"\r\n");
        }
        if !typed {
            let content_type = &core.program.plan.streams[set].content_type;
            out.extend_from_slice(format!("content-type: {content_type}\r\n").as_bytes());
        }
        out.extend_from_slice(b"content-length: ");
        out
    }

    fn is_full(&self, max_in_flight: u32) -> bool {
        self.waiting.borrow().len() >= max_in_flight.max(1) as usize
    }

    /// Waits while too much is under way; the waiting counts as latency. `false`: the load has
    /// ended meanwhile.
    async fn room(&self, max_in_flight: u32) -> bool {
        let most = max_in_flight.max(1) as usize;
        while self.is_full(max_in_flight) {
            if self.core.shared.is_stopping() {
                return false;
            }
            let answered = poll_fn(|context| match self.waiting.borrow().len() < most {
                true => Poll::Ready(()),
                false => {
                    *self.blocked.borrow_mut() = Some(context.waker().clone());
                    Poll::Pending
                }
            });
            // Now and then it looks whether the load has ended.
            let _ = monoio::time::timeout(LOOK, answered).await;
        }
        true
    }

    fn send(
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
        let mut outgoing = self.outgoing.borrow_mut();
        let before = outgoing.len();
        outgoing.extend_from_slice(head);
        push_decimal(&mut outgoing, body.len() as u64);
        outgoing.extend_from_slice(b"\r\n\r\n");
        outgoing.extend_from_slice(&body);
        let bytes = (outgoing.len() - before) as u64;
        drop(outgoing);
        let sent_ns = core.shared.clock.now_ns();
        // What waits for the server's answers is not late by our fault.
        core.recorder.borrow_mut().late(intended_ns.max(self.free_ns.get()), sent_ns);
        self.waiting.borrow_mut().push_back(Sent { intended_ns, sent_ns, bytes, stream, messages });
        core.shared.in_flight.fetch_add(1, Relaxed);
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
            let now_unix_ms = core.shared.clock.unix_ms(intended_ns);
            let (variables, rng, counter) = (&mut *variables, &mut *rng, &mut *counter);
            let mut context = Context { variables, rng, user_number: 1, counter, now_unix_ms };
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
            lane.write_all().await;
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
                        let (reads, writes) = stream.into_split();
                        self.generation.set(self.generation.get() + 1);
                        self.lost.set(false);
                        drop(monoio::spawn(Rc::clone(self).take_answers(reads)));
                        writes
                    }
                    Err(error) => return self.fail(error.kind(), &error.to_string()),
                },
            };
            let bytes = std::mem::take(&mut *self.outgoing.borrow_mut());
            match writes.write_all(bytes).await.0 {
                Ok(_) if !self.lost.get() => {
                    *self.writes.borrow_mut() = Some(writes);
                }
                // The answers' side has ended: what was written meets a closed connection.
                Ok(_) => self.fail("connection", "the server closed the connection"),
                Err(error) => self.fail("connection", &error.to_string()),
            }
        }
    }

    async fn take_answers(self: Rc<Self>, mut reads: OwnedReadHalf<TcpStream>) {
        let (clock, generation) = (self.core.shared.clock, self.generation.get());
        let mut answers = Answers::default();
        let mut buf = Vec::new();
        loop {
            buf.clear();
            buf.reserve(READ_BYTES);
            let (read, back) = reads.read(buf).await;
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

    fn answered(&self, response: &super::wire::Response) {
        let Some(sent) = self.waiting.borrow_mut().pop_front() else { return };
        let core = &self.core;
        core.shared.in_flight.fetch_sub(1, Relaxed);
        self.unblock();
        core.saw_server(&response.fields);
        let elapsed_ns = response.ended_ns.saturating_sub(sent.intended_ns);
        let status = response.status.as_u16();
        let answer = Answer::new(status, &response.fields, &response.body, elapsed_ns);
        let mut variables = self.variables.borrow_mut();
        let mut rng = iteration_rng(0, 0, 0);
        let mut counter = core.counter.borrow_mut();
        let (variables, rng, counter) = (&mut *variables, &mut rng, &mut *counter);
        let mut context = Context { variables, rng, user_number: 1, counter, now_unix_ms: 0 };
        let failure = self.request.checks.check(&answer, &mut context).err();
        let ended = self.ended(&sent, response.first_byte_ns, response.ended_ns, response.bytes);
        let kind = failure.as_ref().map(|failure| failure.kind.to_string());
        let reason = kind.as_deref().zip(failure.as_ref().map(|failure| failure.message.as_str()));
        core.recorder.borrow_mut().ended(&ended, reason);
        let message = failure.as_ref().map(|failure| failure.message.as_str());
        let said = Said::of(Ok(response), "");
        core.log(self.who, &ended, said, message, || core.program.stream_path(sent.stream));
        // What the plan wants of an answer says nothing about what the server has stored.
        self.settle(&sent, response.status.is_success());
    }

    /// Everything under way has failed.
    fn fail(&self, kind: &str, message: &str) {
        self.outgoing.borrow_mut().clear();
        let now_ns = self.core.shared.clock.now_ns();
        for sent in std::mem::take(&mut *self.waiting.borrow_mut()) {
            self.core.shared.in_flight.fetch_sub(1, Relaxed);
            let ended = self.ended(&sent, now_ns, now_ns, 0);
            self.core.recorder.borrow_mut().ended(&ended, Some((kind, message)));
            let path = || self.core.program.stream_path(sent.stream);
            self.core.log(self.who, &ended, Said::nothing(kind, message), Some(message), path);
            self.settle(&sent, false);
        }
        self.unblock();
    }

    fn unblock(&self) {
        if let Some(waker) = self.blocked.borrow_mut().take() {
            waker.wake();
        }
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
