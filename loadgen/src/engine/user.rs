//! A virtual user: runs the steps of its group, one operation after another over one connection.
//!
//! Invariant: what a user sends follows from the plan, its seed and the answers; never from the
//! number of threads.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use super::core::Core;
use super::recorder::Ended;
use super::sample_log::{Who, Within};
use super::steps::{Op, Request};
use super::wire::Connection;
use crate::plan::OnError;
use crate::schedule::Rng;
use crate::user::{Context, Counter, Names, Variables, holds};

/// What a step means for the ones after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flow {
    Go,
    NextIteration,
    StopUser,
    StopRun,
    /// The load has ended.
    End,
}

/// What the next append of an idempotent producer carries.
#[derive(Clone, Copy, Default)]
pub(super) struct Producer {
    pub(super) epoch: u64,
    pub(super) sequence: u64,
}

impl Producer {
    /// Whether a message without an acknowledgement was stored is not known, and no message is sent twice: under
    /// the same number the next one could be taken for it. So it begins anew in another epoch.
    pub(super) fn advance(&mut self, acknowledged: bool) {
        match acknowledged {
            true => self.sequence += 1,
            false => *self = Producer { epoch: self.epoch + 1, sequence: 0 },
        }
    }
}

/// A virtual user.
pub(crate) struct User {
    pub(crate) core: Rc<Core>,
    pub(super) group: u32,
    pub(crate) on_error: OnError,
    /// Goes on to its next pause after the end of the load, as an iteration of an open group does.
    pub(crate) finishes: bool,
    pub(crate) variables: Variables,
    pub(crate) rng: Rng,
    /// Within its group, from 1.
    pub(crate) number: u32,
    pub(crate) iteration: u64,
    pub(super) source: u32,
    pub(super) connection: Option<Connection>,
    /// By stream: where the user stands as a producer.
    pub(super) producers: HashMap<u32, Producer>,
    /// The stream to which the request under way appends as a producer.
    pub(super) producing: Option<u32>,
    /// When the next operation was meant to start, if that is not as soon as it can.
    pub(crate) intended_ns: Option<u64>,
    paused_ns: u64,
    /// Operations, and those of them that failed.
    samples: u64,
    failed: u64,
    pub(super) request: Vec<u8>,
    pub(super) body: Vec<u8>,
    /// Messages in the request under way, by stream and sequence number.
    pub(super) stamped: Vec<(u32, u32)>,
}

impl User {
    pub(crate) fn new(
        core: &Rc<Core>,
        group: u32,
        names: &Names,
        on_error: OnError,
        rng: Rng,
        number: u32,
    ) -> User {
        let mut user = User {
            core: Rc::clone(core),
            group,
            on_error,
            finishes: false,
            variables: Variables::new(names),
            rng,
            number,
            iteration: 0,
            source: core.shared.source(),
            connection: None,
            producers: HashMap::new(),
            producing: None,
            intended_ns: None,
            paused_ns: 0,
            samples: 0,
            failed: 0,
            request: Vec::new(),
            body: Vec::new(),
            stamped: Vec::new(),
        };
        let core = Rc::clone(core);
        names.begin(&mut user.context(&mut core.counter.borrow_mut()));
        user
    }

    /// For the sample log.
    pub(super) fn who(&self) -> Who {
        Who { group: self.group, user: self.number }
    }

    pub(super) fn context<'a>(&'a mut self, counter: &'a mut Counter) -> Context<'a> {
        Context {
            variables: &mut self.variables,
            rng: &mut self.rng,
            user_number: self.number,
            counter,
            now: &self.core.shared.clock,
        }
    }

    /// One after another.
    pub(crate) async fn run(&mut self, ops: &[Op]) -> Flow {
        for op in ops {
            let flow = match op {
                Op::Request(request) => self.operation(request).await,
                Op::Pause(pacer) => {
                    self.pause(pacer).await;
                    if self.core.shared.is_stopping() { Flow::End } else { Flow::Go }
                }
                // In memory of their own: they may be nested.
                Op::Loop(times, ops) => Box::pin(self.repeat(*times, ops)).await,
                Op::If(condition, ops) => {
                    let core = Rc::clone(&self.core);
                    let holds = holds(condition, &mut self.context(&mut core.counter.borrow_mut()));
                    if holds { Box::pin(self.run(ops)).await } else { Flow::Go }
                }
                Op::Transaction { label, ops, include_pauses } => {
                    Box::pin(self.transaction(*label, ops, *include_pauses)).await
                }
            };
            if flow != Flow::Go {
                return flow;
            }
        }
        Flow::Go
    }

    async fn repeat(&mut self, times: Option<u32>, ops: &[Op]) -> Flow {
        let mut round = 0;
        while times.is_none_or(|times| round < times) && !self.core.shared.is_stopping() {
            let flow = self.run(ops).await;
            if flow != Flow::Go {
                return flow;
            }
            round += 1;
            if round % 64 == 0 {
                // A loop of nothing but pauses of zero must let others run.
                self.core.turn.take().await;
            }
        }
        Flow::Go
    }

    async fn pause(&mut self, pacer: &std::cell::RefCell<crate::schedule::Pacer>) {
        let clock = self.core.shared.clock;
        let now_ns = clock.now_ns();
        let at_ns = pacer.borrow_mut().resume_at(self.number - 1, now_ns, &mut self.rng);
        // A long pause must not outlast the run.
        while clock.now_ns() < at_ns && !self.core.shared.is_stopping() {
            clock.sleep_until(at_ns.min(clock.now_ns() + LONGEST_NAP_NS)).await;
        }
        self.paused_ns += clock.now_ns() - now_ns;
        self.intended_ns = None;
    }

    async fn transaction(&mut self, label: usize, ops: &[Op], include_pauses: bool) -> Flow {
        let clock = self.core.shared.clock;
        let begin_ns = self.intended_ns.unwrap_or_else(|| clock.now_ns());
        let paused_before = self.paused_ns;
        let (samples_before, failed_before) = (self.samples, self.failed);
        let flow = self.run(ops).await;
        if flow == Flow::End {
            return flow;
        }
        let paused = if include_pauses { 0 } else { self.paused_ns - paused_before };
        let ended_ns = clock.now_ns().saturating_sub(paused).max(begin_ns);
        let ended = Ended {
            label,
            intended_ns: begin_ns,
            sent_ns: begin_ns,
            first_byte_ns: ended_ns,
            ended_ns,
            connect_ns: None,
            bytes_sent: 0,
            bytes_received: 0,
        };
        let failed = flow != Flow::Go || self.failed > failed_before;
        let failure = failed.then_some(("transaction", "a step of it failed"));
        self.core.recorder.borrow_mut().ended(&ended, failure);
        let within = Within {
            samples: self.samples - samples_before,
            failed: self.failed - failed_before,
            paused_ns: paused,
        };
        self.core.log_transaction(self.who(), &ended, within, failure.map(|(_, text)| text));
        flow
    }

    /// The connect rate is the generator's own limit: waiting for it is its lateness, and no part of
    /// an operation that starts as soon as it can.
    async fn await_connect_slot(&mut self) {
        self.core.connect_slot().await;
        if let Some(intended_ns) = self.intended_ns {
            let now_ns = self.core.shared.clock.now_ns();
            self.core.recorder.borrow_mut().late(intended_ns, now_ns);
        }
    }

    /// One measured operation.
    async fn operation(&mut self, request: &Request) -> Flow {
        let shared = &self.core.shared;
        if shared.is_stopped() || (shared.is_stopping() && !self.finishes) {
            return Flow::End;
        }
        if self.connection.is_none() {
            self.await_connect_slot().await;
        }
        let now_ns = self.core.shared.clock.now_ns();
        let intended_ns = self.intended_ns.take().unwrap_or(now_ns);
        let stream = self.choose(request);
        self.core.shared.in_flight.fetch_add(1, Relaxed);
        let outcome = self.attempt(request, stream, intended_ns).await;
        self.core.shared.in_flight.fetch_sub(1, Relaxed);
        self.samples += 1;
        if self.finish(request, intended_ns, outcome) {
            return Flow::Go;
        }
        self.failed += 1;
        match self.on_error {
            OnError::Continue => Flow::Go,
            OnError::NextIteration => Flow::NextIteration,
            OnError::StopUser => Flow::StopUser,
            OnError::StopRun => Flow::StopRun,
        }
    }
}

const LONGEST_NAP_NS: u64 = 50_000_000;
