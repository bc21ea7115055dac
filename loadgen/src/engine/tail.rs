//! Live readers: SSE, long-poll, and plain reads in turn.
//!
//! Invariants: a reader that loses its connection goes on where the server told it to; what it
//! misses all the same is lost. The clock is read once per receive, before anything is parsed.

mod poll;
mod request;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rand::Rng as _;
use rand_distr::Exp1;

use super::core::{Core, ReaderEnd};
use super::inlet::Inlet;
use super::judge::{Identity, judge};
use super::owed::Place;
use super::sample_log::Who;
use super::seen::{Again, Seen};
use super::sse::{SseError, SseReader};
use super::wire::WireError;
use crate::message::stamps;
use crate::plan::{From, Tail, TailMode};
use crate::schedule::{Rng, nanos};

/// Bytes of a reader's own buffer: one event of the usual size.
const READ_BYTES: usize = 1024;
/// Attempts in a row to connect before a reader gives up, and the pause after one.
const ATTEMPTS: u32 = 10;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(250);
/// A connection that brought nothing and was over before this is one that the server does not want.
const SHORT_NS: u64 = 1_000_000_000;
/// Between two looks at whether the run is over.
const LONGEST_NAP_NS: u64 = 50_000_000;

/// One live reader.
pub(crate) struct Reader {
    pub(crate) core: Rc<Core>,
    /// Index of its group.
    pub(crate) group: u32,
    pub(crate) tail: Tail,
    pub(crate) label: usize,
    pub(crate) stream: u32,
    pub(crate) path: String,
    /// Whole lines of the request's head.
    pub(crate) fields: String,
    pub(crate) number: u32,
    pub(crate) rng: Rng,
    /// When it leaves for good, if that is before the end of the run.
    pub(crate) until_ns: u64,
    state: State,
}

#[derive(Default)]
struct State {
    offset: String,
    cursor: Option<String>,
    seen: Rc<RefCell<Seen>>,
    /// Under which the thread knows it.
    id: u64,
    from_begin: bool,
    live: bool,
    closed: bool,
    /// Something good has come over the connection.
    got_on: bool,
    /// Something new has come over the connection.
    brought: bool,
    /// Failures in a row before the measured part: they only count if the reader gives up.
    held_back: Vec<(String, &'static str)>,
    /// Messages that the server had not confirmed when the connection ended: it sends them again.
    again: Again,
    /// Storms that it has been through.
    storms: u64,
    leave_ns: Option<u64>,
}

/// Why a reader's connection ended.
enum End {
    /// As the server wanted: go on at once.
    Answer,
    /// The reader's own habit: stay away for so long.
    Left(Duration),
    Failed(String, &'static str),
    Over,
}

impl Reader {
    #[expect(clippy::too_many_arguments, reason = "each is one fact about the reader")]
    pub(crate) fn new(
        core: Rc<Core>,
        group: u32,
        tail: Tail,
        label: usize,
        stream: u32,
        path: String,
        fields: String,
        number: u32,
        rng: Rng,
        until_ns: u64,
    ) -> Reader {
        let offset = match &tail.from {
            // There is none before the first event.
            _ if tail.mode == TailMode::Events => String::new(),
            From::Beginning => "-1".to_owned(),
            From::Now => "now".to_owned(),
            From::Offset(template) => {
                template.0.iter().fold(String::new(), |text, piece| match piece {
                    crate::plan::Piece::Text(more) => text + more,
                    _ => text,
                })
            }
        };
        let from_begin = core.shared.start_ns().is_none() || tail.from == From::Beginning;
        let place = Place { from_begin, to_end: until_ns == u64::MAX };
        let (id, seen) = core.follow(stream, place);
        let state = State { offset, from_begin, id, seen, ..State::default() };
        Reader { core, group, tail, label, stream, path, fields, number, rng, until_ns, state }
    }

    /// Follows the stream until the run is over. `ready` is told when the server has confirmed it
    /// for the first time, or that it gave up.
    pub(crate) async fn run(mut self, ready: impl FnOnce(bool)) {
        let _task = self.core.task();
        let mut ready = Some(ready);
        let (mut failures, mut first) = (0, true);
        loop {
            if self.is_over() || self.state.closed {
                break;
            }
            let begin_ns = self.core.shared.clock.now_ns();
            if !std::mem::take(&mut first) {
                self.core.recorder.borrow_mut().reconnected(self.label, begin_ns);
            }
            let core = Rc::clone(&self.core);
            let connection = async {
                match self.tail.mode {
                    TailMode::Sse | TailMode::Events => self.sse(&mut ready).await,
                    TailMode::LongPoll | TailMode::CatchUp { .. } => self.poll(&mut ready).await,
                }
            };
            let end = core.ending.or_ended(connection).await.unwrap_or(End::Over);
            self.set_live(false);
            if std::mem::take(&mut self.state.got_on) {
                failures = 0;
                self.state.held_back = Vec::new();
            }
            let brought = std::mem::take(&mut self.state.brought);
            match end {
                End::Over => break,
                End::Answer => {
                    let took_ns = self.core.shared.clock.now_ns() - begin_ns;
                    if !brought && took_ns < SHORT_NS {
                        self.nap(ATTEMPT_PAUSE).await;
                    }
                }
                End::Left(away) => {
                    self.nap(away).await;
                }
                End::Failed(message, kind) => {
                    self.failed(message, kind);
                    failures += 1;
                    if failures == ATTEMPTS {
                        break;
                    }
                    monoio::time::sleep(ATTEMPT_PAUSE).await;
                }
            }
        }
        if let Some(ready) = ready.take() {
            ready(false);
        }
        self.leave(failures == ATTEMPTS);
    }

    /// Takes note of a failure. Before the measured part it only matters if the reader gives up.
    fn failed(&mut self, message: String, kind: &'static str) {
        let mut recorder = self.core.recorder.borrow_mut();
        match recorder.has_begun(self.core.shared.clock.now_ns()) {
            true => recorder.error(self.label, kind, &message),
            false => self.state.held_back.push((message, kind)),
        }
    }

    fn leave(self, failed: bool) {
        if failed {
            let mut recorder = self.core.recorder.borrow_mut();
            recorder.labels[self.label].failed_readers += 1;
            for (message, kind) in &self.state.held_back {
                recorder.error(self.label, kind, message);
            }
        }
        let to_end = self.core.shared.clock.now_ns() < self.until_ns;
        let State { seen, from_begin, id, .. } = self.state;
        let Reader { core, label, stream, number, .. } = self;
        core.following.borrow_mut().remove(&id);
        let seen = seen.take();
        core.readers.borrow_mut().push(ReaderEnd {
            label,
            stream,
            number,
            from_begin,
            to_end,
            seen,
        });
    }

    fn is_over(&self) -> bool {
        let shared = &self.core.shared;
        let leaves = self.until_ns != u64::MAX && shared.clock.now_ns() >= self.until_ns;
        leaves || shared.is_over()
    }

    fn set_live(&mut self, live: bool) {
        use std::sync::atomic::Ordering::Relaxed;
        if self.state.live == live {
            return;
        }
        self.state.live = live;
        let shared = &self.core.shared;
        if live {
            shared.readers.fetch_add(1, Relaxed);
            self.state.leave_ns = self.tail.behaviour.stay.map(|mean| {
                let times: f64 = self.rng.sample(Exp1);
                shared.clock.now_ns() + (mean.as_nanos() as f64 * times) as u64
            });
        } else {
            shared.readers.fetch_sub(1, Relaxed);
            // Its next stay begins when it is live again: until then nothing makes it leave.
            self.state.leave_ns = None;
        }
    }

    /// Whether a habit of this reader's ends its connection now.
    fn leaves(&mut self) -> Option<End> {
        if self.is_over() {
            return Some(End::Over);
        }
        let (clock, behaviour) = (self.core.shared.clock, self.tail.behaviour);
        let now_ns = clock.now_ns();
        if let (Some(every), Some(start_ns)) = (behaviour.storm_every, self.core.shared.start_ns())
        {
            let storms = now_ns.saturating_sub(start_ns) / (every.as_nanos() as u64).max(1);
            if storms > self.state.storms {
                self.state.storms = storms;
                return Some(End::Left(behaviour.away));
            }
        }
        let leaves = self.state.leave_ns.is_some_and(|at| now_ns >= at);
        leaves.then_some(End::Left(behaviour.away))
    }

    fn has_habits(&self) -> bool {
        self.tail.behaviour.storm_every.is_some() || self.tail.behaviour.stay.is_some()
    }

    /// Until when a receive may take, because of a habit.
    fn patience(&self) -> Option<Duration> {
        let shared = &self.core.shared;
        let every = self.tail.behaviour.storm_every.map(|every| (every.as_nanos() as u64).max(1));
        let storm = every
            .zip(shared.start_ns())
            .map(|(every, start)| start + (self.state.storms + 1) * every);
        let until = Some(self.until_ns).filter(|at| *at != u64::MAX);
        let at = [storm, self.state.leave_ns, until].into_iter().flatten().min()?;
        Some(Duration::from_nanos(at.saturating_sub(shared.clock.now_ns())))
    }

    fn confirmed(&mut self, ready: &mut Option<impl FnOnce(bool)>, since_ns: u64) {
        self.set_live(true);
        let now_ns = self.core.shared.clock.now_ns();
        self.state.seen.borrow_mut().confirmed_ns.get_or_insert(now_ns);
        if let Some(ready) = ready.take() {
            let took = now_ns - since_ns;
            self.core.setup.borrow_mut().entry(self.label).or_default().record(took);
            ready(true);
        }
    }

    async fn sse(&mut self, ready: &mut Option<impl FnOnce(bool)>) -> End {
        let since_ns = self.core.shared.clock.now_ns();
        let request = self.request("&live=sse");
        let mut inlet = match Inlet::open(&self.core, self.group, self.number, request).await {
            Ok(inlet) => inlet,
            Err(error) => return End::Failed(error.to_string(), error.kind()),
        };
        let mut sse = SseReader::new(self.tail.mode == TailMode::Events);
        let end = self.events(&mut inlet, &mut sse, ready, since_ns).await;
        self.state.again.extend(stamps(sse.unconfirmed()).flatten());
        end
    }

    async fn events(
        &mut self,
        inlet: &mut Inlet,
        sse: &mut SseReader,
        ready: &mut Option<impl FnOnce(bool)>,
        since_ns: u64,
    ) -> End {
        let clock = self.core.shared.clock;
        let mut buf = Vec::with_capacity(READ_BYTES);
        let timeout = self.core.program.plan.timeout;
        let mut confirm_ns = Some(clock.now_ns().saturating_add(nanos(timeout)));
        loop {
            let now_ns = match self.receive(inlet, &mut buf, confirm_ns).await {
                Ok((0, _)) => match sse.finish() {
                    Ok(()) => return End::Answer,
                    Err(error) => return End::Failed(error.to_string(), error.kind()),
                },
                // A server that is behind may have more and more of it: what comes now is too late.
                Ok(_) if self.is_over() => return End::Over,
                Ok((_, now_ns)) => now_ns,
                Err(end) => return end,
            };
            if let Err(error) = self.take(sse, &buf, now_ns) {
                return End::Failed(error.to_string(), error.kind());
            }
            if sse.is_live() && !self.state.live {
                confirm_ns = None;
                self.state.got_on = true;
                self.confirmed(ready, since_ns);
            }
            if self.state.closed || sse.is_ended() {
                return End::Answer;
            }
            self.throttle(buf.len()).await;
            // More may have come already.
            if self.is_over() {
                return End::Over;
            }
            if self.has_habits()
                && let Some(end) = self.leaves()
            {
                return end;
            }
        }
    }

    fn identity(&self) -> Identity {
        let Reader { group, label, stream, number, .. } = *self;
        let who = Who { group, user: number + 1 };
        Identity { who, label, stream, from_begin: self.state.from_begin }
    }

    fn take(&mut self, sse: &mut SseReader, bytes: &[u8], now_ns: u64) -> Result<(), SseError> {
        let of = self.identity();
        let Reader { core, state, .. } = self;
        let State { seen, offset, closed, again, brought, .. } = state;
        core.recorder.borrow_mut().received(of.label, now_ns, bytes.len() as u64);
        let scratch = &mut core.scratch.borrow_mut();
        sse.receive(bytes, scratch, offset, closed, &mut |data| {
            *brought = true;
            judge(core, of, &mut seen.borrow_mut(), again, data, now_ns);
        })
    }

    /// Reads what has come: how much, 0 at the end of the answer, and when it was received.
    /// Fails at `confirm_ns`.
    async fn receive(
        &mut self,
        inlet: &mut Inlet,
        buf: &mut Vec<u8>,
        confirm_ns: Option<u64>,
    ) -> Result<(usize, u64), End> {
        let clock = self.core.shared.clock;
        let confirm = confirm_ns.map(|at| Duration::from_nanos(at.saturating_sub(clock.now_ns())));
        let patience = self.patience().into_iter().chain(confirm).min();
        let mut own = std::mem::take(buf);
        own.clear();
        let reading = inlet.receive(clock, own);
        let (read, back) = match patience {
            None => reading.await,
            Some(patience) => match monoio::time::timeout(patience, reading).await {
                Ok(read) => read,
                Err(_) => {
                    buf.reserve(READ_BYTES);
                    let late = confirm_ns.is_some_and(|at| clock.now_ns() >= at);
                    let otherwise = match late {
                        true => {
                            let error = WireError::Timeout(self.core.program.plan.timeout);
                            End::Failed(error.to_string(), error.kind())
                        }
                        false => End::Left(Duration::ZERO),
                    };
                    return Err(self.leaves().unwrap_or(otherwise));
                }
            },
        };
        *buf = back;
        match read {
            Ok((0, at)) => self.leaves().map_or(Ok((0, at)), Err),
            Ok(received) => Ok(received),
            Err(error) => {
                Err(self.leaves().unwrap_or(End::Failed(error.to_string(), error.kind())))
            }
        }
    }

    /// A slow reader takes its time.
    async fn throttle(&self, bytes: usize) {
        let Some(rate) = self.tail.behaviour.bytes_per_second else { return };
        self.nap(Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64)).await;
    }

    /// Pauses, but not beyond the end of the run.
    async fn nap(&self, length: Duration) {
        let clock = self.core.shared.clock;
        let until_ns = clock.now_ns().saturating_add(nanos(length));
        while clock.now_ns() < until_ns && !self.is_over() {
            clock.sleep_until(until_ns.min(clock.now_ns() + LONGEST_NAP_NS)).await;
        }
    }
}
