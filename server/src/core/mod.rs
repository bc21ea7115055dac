//! A core: one thread with its own listener, connections, shard, log and live readers.
//!
//! This is the thin coordinator that carries messages between them. Invariant: no borrow of the
//! shard outlives a call into it; everything it puts out is acted on after the borrow ends.

mod admission;
mod checkpoint;
mod files;
mod freeze;
mod history;
mod jobs;
mod log;
mod pace;
pub mod seal;
mod segments;
mod tickets;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use thalweg_proto::path::StreamPath;
use thalweg_proto::problem::Problem;
use thalweg_proto::request::ParseContext;
use thalweg_storage::Lsn;

use crate::clock::{Clock, TICK};
use crate::compactor::Compactor;
use crate::config::{Config, Limits};
use crate::conn::deadlines::Deadlines;
use crate::crowd::Crowd;
use crate::fanout::{Fanout, Follower};
use crate::helper::{Helper, Work};
use crate::http2::Links;
use crate::limits::Gate;
use crate::local::{Notify, Receiver, oneshot};
use crate::mailbox::message::{Answer, Message, Note, Op};
use crate::mailbox::{CoreId, Outbox};
use crate::metrics::{Metrics, Snapshot};
use crate::router;
use crate::rt;
use crate::shard::{self, Output, ReplyTo, Shard};
use crate::shared::Shared;
use crate::shed::{Kind, Shed, backlog::Backlog};
use crate::subscriptions::Subscriptions;
pub use freeze::Frozen;
use tickets::Tickets;

/// How soon a message that found its queue full is tried again.
const FLUSH_PAUSE: Duration = Duration::from_millis(1);

/// Connections whose end is worth giving memory back for.
const CROWD: usize = 1000;

/// See the module.
pub struct Core {
    /// This core's number.
    pub id: CoreId,
    /// What was configured.
    pub config: Arc<Config>,
    /// What of it can change while the server runs, as it is now.
    pub limits: Limits,
    /// What clients may do in how much time.
    pub gate: Gate,
    /// For parsing requests.
    pub parse: ParseContext,
    /// Time.
    pub clock: Clock,
    /// The live readers connected here.
    pub fanout: Rc<Fanout>,
    /// The sockets of those that read by SSE.
    pub crowd: Crowd,
    /// The connections that carry many requests.
    pub http2: Links,
    /// When connections are given up.
    pub deadlines: Deadlines,
    /// Blocking disk work, on a thread of its own.
    pub helper: Helper,
    /// Sealing, on another.
    pub compactor: Compactor,
    /// What of it is under way, and what was done.
    pub compaction: seal::Compaction,
    /// Whether the server is stopping.
    pub draining: Cell<bool>,
    /// Open connections.
    pub connections: Cell<usize>,
    /// Connections that are being told why they are not wanted.
    pub turned_away: Cell<usize>,
    /// What this core counts.
    pub metrics: Metrics,
    /// Whether it has too much to do.
    pub shed: Shed,
    /// Who watches the server.
    pub shared: Shared,
    /// The most since memory was last given back.
    most_connections: Cell<usize>,
    /// As many as there were at the last tick.
    last_connections: Cell<usize>,
    cores: usize,
    admission: admission::Admission,
    shard: RefCell<Shard>,
    subscriptions: RefCell<Option<Subscriptions>>,
    outbox: Outbox,
    flushing: Cell<bool>,
    tickets: Tickets,
    /// Raised when the server is told to stop.
    pub(crate) drain_begins: Notify,
    log_news: Notify,
    pace: RefCell<pace::Pace>,
    backlog: RefCell<Backlog>,
    files: files::LogFiles,
    segments: segments::Segments,
    chunk_reads: history::ChunkReads,
    checkpoints: Cell<checkpoint::Progress>,
    freeze: freeze::Freeze,
    dispatching: Cell<bool>,
    rng: RefCell<SmallRng>,
}

/// What a core is made of.
pub struct Parts {
    /// This core's number.
    pub id: CoreId,
    /// How many there are.
    pub cores: usize,
    /// What was configured.
    pub config: Arc<Config>,
    /// The streams.
    pub shard: Shard,
    /// On core 0.
    pub subscriptions: Option<Subscriptions>,
    /// To the other cores.
    pub outbox: Outbox,
    /// Blocking disk work.
    pub helper: Helper,
    /// Sealing.
    pub compactor: Compactor,
    /// For the sockets of SSE readers.
    pub crowd: Crowd,
    /// Who watches the server.
    pub shared: Shared,
    /// Seeds this core's random numbers.
    pub seed: u64,
}

impl Core {
    /// A core, not running yet.
    #[must_use]
    pub fn new(parts: Parts) -> Rc<Core> {
        let Parts { id, cores, config, shard, subscriptions, outbox, .. } = parts;
        let Parts { helper, compactor, crowd, seed, .. } = parts;
        Rc::new(Core {
            id,
            limits: Limits::of(&config),
            gate: Gate::new(parts.shared.limiting.get().rates),
            parse: parse_context(&config),
            clock: Clock::new(),
            fanout: Rc::new(Fanout::default()),
            crowd,
            http2: Links::default(),
            deadlines: Deadlines::default(),
            helper,
            compactor,
            compaction: seal::Compaction::default(),
            draining: Cell::new(false),
            connections: Cell::new(0),
            turned_away: Cell::new(0),
            metrics: Metrics::default(),
            shed: Shed::default(),
            admission: admission::Admission::new(parts.shared.authority.clone()),
            shared: parts.shared,
            most_connections: Cell::new(0),
            last_connections: Cell::new(0),
            cores,
            shard: RefCell::new(shard),
            subscriptions: RefCell::new(subscriptions),
            outbox,
            flushing: Cell::new(false),
            tickets: Tickets::default(),
            drain_begins: Notify::default(),
            log_news: Notify::default(),
            pace: RefCell::default(),
            backlog: RefCell::default(),
            dispatching: Cell::new(false),
            rng: RefCell::new(SmallRng::seed_from_u64(seed)),
            files: files::LogFiles::default(),
            segments: segments::Segments::default(),
            chunk_reads: history::ChunkReads::default(),
            checkpoints: Cell::default(),
            freeze: freeze::Freeze::default(),
            config,
        })
    }

    /// Asks the owner of a path and waits for the answer. `None` only while stopping.
    pub async fn ask_owner(self: &Rc<Core>, path: &StreamPath, op: Op) -> Option<Answer> {
        self.ask(router::owner(path, self.cores), op).await
    }

    /// Asks a core and waits for the answer.
    pub async fn ask(self: &Rc<Core>, core: CoreId, op: Op) -> Option<Answer> {
        self.begin(core, op).recv().await
    }

    /// Asks every core at once.
    pub async fn ask_all(self: &Rc<Core>, op: impl Fn() -> Op) -> Vec<Answer> {
        let begun: Vec<_> = (0..self.cores).map(|core| self.begin(core, op())).collect();
        let mut answers = Vec::with_capacity(self.cores);
        for receiver in begun {
            answers.extend(receiver.recv().await);
        }
        answers
    }

    /// Tells the owner of a path.
    pub fn tell_owner(self: &Rc<Core>, path: &StreamPath, note: Note) {
        self.tell(router::owner(path, self.cores), note);
    }

    /// Tells a core.
    pub fn tell(self: &Rc<Core>, core: CoreId, note: Note) {
        if core == self.id {
            self.take_note(note);
        } else {
            self.send(core, Message::Tell(note));
        }
    }

    /// Tells every core.
    pub fn tell_all(self: &Rc<Core>, note: impl Fn() -> Note) {
        (0..self.cores).for_each(|core| self.tell(core, note()));
    }

    /// Takes a message from another thread.
    pub fn receive(self: &Rc<Core>, message: Message) {
        self.metrics.messages.increment();
        match message {
            Message::Ask { from, ticket, op } => {
                let to = ReplyTo { core: from, ticket };
                match self.shed_op(&op) {
                    Ok(()) => self.take_op(*op, to),
                    Err(problem) => {
                        let answer = Answer::Response(Box::new(problem.into_response()));
                        self.send(to.core, Message::Reply { ticket: to.ticket, answer });
                    }
                }
            }
            Message::Reply { ticket, answer } => self.tickets.redeem(ticket, answer),
            Message::Tell(note) => self.take_note(note),
        }
    }

    /// Lends out the shard, then does what it asks for.
    pub fn with_shard<T>(
        self: &Rc<Core>,
        work: impl FnOnce(&mut Shard, thalweg_proto::time::Timestamp) -> T,
    ) -> T {
        let now = self.clock.now();
        let result = {
            let mut shard = self.shard.borrow_mut();
            let result = work(&mut shard, now);
            if !shard.log().is_durable() {
                let last = shard.log().last();
                shard.committed(last, &[], now);
            }
            result
        };
        self.dispatch();
        result
    }

    /// Lends out the subscriptions; `None` on every core but the first.
    pub fn with_subscriptions<T>(
        self: &Rc<Core>,
        work: impl FnOnce(&mut Subscriptions) -> T,
    ) -> Option<T> {
        self.subscriptions.borrow_mut().as_mut().map(work)
    }

    /// Adds a live reader of a path for at most so long. Its first page tells the owner.
    #[must_use]
    pub fn follow(&self, path: &StreamPath, lifetime: Duration) -> Follower {
        // A draining server still answers what it has, and then ends.
        let lifetime = if self.draining.get() { Duration::ZERO } else { lifetime };
        self.fanout.follow(path, self.clock.instant() + lifetime)
    }

    /// Takes a live reader out, and tells the owner if it was the last.
    pub fn leave(self: &Rc<Core>, follower: Follower) {
        if let Some(path) = follower.leave() {
            self.tell_owner(&path, Note::Unfollow { core: self.id, path: path.clone() });
        }
    }

    /// A random number.
    #[must_use]
    pub fn random(&self) -> u64 {
        self.rng.borrow_mut().random()
    }

    /// How many cores there are.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// Looks at deadlines, for ever.
    pub async fn run_ticks(self: Rc<Core>) {
        loop {
            rt::sleep(TICK).await;
            let instant = self.clock.tick();
            self.fanout.sweep(instant);
            self.deadlines.sweep(instant);
            if self.http2.somebody_left() {
                self.crowd.sweep_streams(&self, None);
            }
            self.with_shard(|shard, now| shard.sweep(now));
            crate::subscriptions::tick(&self);
            self.trim_after_a_crowd();
        }
    }

    /// The allocator keeps what ten thousand connections have freed; the system can use it better.
    fn trim_after_a_crowd(&self) {
        let now = self.connections.get();
        let most = self.most_connections.get().max(now);
        // A connection is counted out before its memory is free: wait until the rush is over.
        let is_rush = self.last_connections.replace(now) > now + CROWD / 10;
        let gone = now < CROWD / 10;
        if most >= CROWD && (gone || now < most / 2) && !is_rush {
            self.helper.send(Work::Trim);
            // While some of the crowd is left, its end is worth another round.
            self.most_connections.set(if gone { now } else { now.max(CROWD) });
        } else {
            self.most_connections.set(most);
        }
    }

    /// Whether everything accepted is durable and answered.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.shard.borrow().is_settled()
    }

    /// Asks a core; the answer arrives at the receiver.
    fn begin(self: &Rc<Core>, core: CoreId, op: Op) -> Receiver<Answer> {
        let (sender, receiver) = oneshot();
        let ticket = self.tickets.issue(sender);
        if core == self.id {
            self.take_op(op, ReplyTo { core, ticket });
        } else {
            self.send(core, Message::Ask { from: self.id, ticket, op: Box::new(op) });
        }
        receiver
    }

    /// Whether a core that has too much to do lets in what another one, which has not, asks for.
    fn shed_op(&self, op: &Op) -> Result<(), Problem> {
        match op {
            Op::Create(..) => self.shed_kind(Kind::Create),
            Op::Append(request) if !request.close => self.shed_kind(Kind::Append),
            _ => Ok(()),
        }
    }

    fn take_op(self: &Rc<Core>, op: Op, to: ReplyTo) {
        match op {
            Op::Control(request) => {
                rt::spawn(crate::subscriptions::handle(Rc::clone(self), request, to));
            }
            op => self.with_shard(|shard, now| shard.handle(op, to, now)),
        }
    }

    fn take_note(self: &Rc<Core>, note: Note) {
        match note {
            Note::Live(batch) => self.fanout.publish(batch),
            Note::Ended(path) => self.fanout.end(&path),
            Note::Segment(result, spare) => self.segment_prepared(*result, spare),
            Note::Checkpoint(result) => self.checkpoint_done(*result),
            Note::Compactor(done) => self.compactor_done(done),
            Note::CheckpointNow => self.checkpoint(),
            Note::Freeze(reply) => self.freeze(reply),
            Note::Thaw => self.thaw(),
            Note::Drain => self.drain(),
            Note::Limiting(limiting) => {
                self.gate.set(limiting.rates);
                self.with_shard(|shard, _| shard.set_quotas(limiting.quotas));
            }
            Note::Settings(config) => {
                self.limits.set(&config);
                self.with_shard(|shard, _| shard.set_retention(config.storage.retention));
            }
            Note::Authority(authority) => self.judge_by(authority),
            // Whoever asked may have lost patience.
            Note::Snapshot(reply) => drop(reply.send(Snapshot::of(self))),
            Note::Advanced { .. }
            | Note::Vanished(_)
            | Note::Control(_)
            | Note::SubscriptionsDurable => crate::subscriptions::take_note(self, note),
            note => self.with_shard(|shard, now| shard.note(note, now)),
        }
    }

    fn dispatch(self: &Rc<Core>) {
        // Acting on an output may lead back here; the outer round takes care of it.
        if self.dispatching.replace(true) {
            return;
        }
        loop {
            let output = self.shard.borrow_mut().poll_output();
            match output {
                None => break,
                Some(Output::Reply(to, answer)) if to.core == self.id => {
                    self.tickets.redeem(to.ticket, answer);
                }
                Some(Output::Reply(to, answer)) => {
                    self.send(to.core, Message::Reply { ticket: to.ticket, answer });
                }
                Some(Output::Tell(core, note)) => self.tell(core, note),
                Some(Output::Job(job)) => rt::spawn(jobs::run(Rc::clone(self), job)),
            }
        }
        self.dispatching.set(false);
        if self.group_is_full() {
            self.log_news.notify();
        }
    }

    fn send(self: &Rc<Core>, core: CoreId, message: Message) {
        self.outbox.send(core, message);
        if self.outbox.is_behind() && !self.flushing.replace(true) {
            let core = Rc::clone(self);
            rt::spawn(async move {
                while core.outbox.flush() {
                    rt::sleep(FLUSH_PAUSE).await;
                }
                core.flushing.set(false);
            });
        }
    }

    fn drain(self: &Rc<Core>) {
        self.draining.set(true);
        self.fanout.expire_all();
        self.http2.drain(self);
        self.end_idle_connections();
        self.drain_begins.notify();
    }

    /// Ends connections that wait for a request.
    pub fn end_idle_connections(&self) {
        self.deadlines.end_idle();
    }

    /// What the shard holds; for metrics.
    #[must_use]
    pub fn shard_facts(&self) -> shard::Facts {
        self.shard.borrow().facts()
    }

    /// Streams whose newest reads a crash would forget; for the simulation.
    #[must_use]
    pub fn unlogged_reads(&self) -> Vec<thalweg_proto::stream::record::StreamId> {
        self.shard.borrow().unlogged_reads().collect()
    }

    /// Messages that wait for room in another core's mailbox.
    #[must_use]
    pub fn outbox_depth(&self) -> usize {
        self.outbox.depth()
    }

    /// The newest record and whether it is durable; for tests and metrics.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.shard.borrow_mut().log().durable()
    }
}

fn parse_context(config: &Config) -> ParseContext {
    let base_path = config.base_path.as_str().to_owned();
    let public_base = config
        .public_url
        .as_ref()
        .map(|url| format!("{}{base_path}", url.as_str().trim_end_matches('/')));
    ParseContext { base_path, public_base }
}
