//! The crowd: owns this core's live readers and their sockets, by SSE from the head of their answer
//! to its end. They are many and idle most of the time, so a member is a small entry in a table and
//! not a task, and their writes leave in batches.
//!
//! Invariants: a member has at most one write under way, and everything that came meanwhile goes
//! out in the next one; an entry is used again only when nothing of its member is under way; a
//! turn ends by handing all it queued to the kernel, so that nothing is closed before; readers that
//! share a connection are looked at together, so that it is woken once per event. Between
//! two batches everything else on the core gets its turn: no acknowledgement waits for a fan-out.
//! Long-polls that wait are members too (`poller`), and it tells other connections that their peer
//! has left (`watch`).
//! Deliberately absent: parsing. What a client sends during a live answer cannot be answered.

mod member;
mod page;
mod poller;
mod reading;
mod stream;
mod sweep;
mod table;
mod template;
mod watch;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use thalweg_proto::cursor;

use crate::core::Core;
use crate::http2::Link;
use crate::rt::{self, Completion, SENDS_PER_CALL, SendStats, Sends, SendsReady};
pub use member::Member;
use member::{State, Step};
pub use page::encode as encode_page;
use poller::Leaving;
pub use poller::{Poller, Waiting};
use reading::Found;
pub use reading::{Answer, Reading};
pub use stream::StreamMember;
use sweep::Sweep;
use table::{Entry, Table};
pub use template::Template;
pub use watch::Watching;
pub(crate) use watch::ensure as ensure_watched;

/// See the module.
pub struct Crowd(RefCell<Inner>);

struct Inner {
    sends: Sends,
    table: Table,
    sweep: Sweep,
    /// When the first of those who stand in the line was called, about.
    called: Option<Instant>,
    /// Long-polls whose clients have something to say: those who wait for news go first.
    asking: VecDeque<u32>,
    /// How the last one that came asks.
    template: Option<Rc<Template>>,
    leaving: Vec<Leaving>,
    /// Connections with called readers on them.
    links: VecDeque<Rc<Link>>,
}

impl Crowd {
    /// An empty crowd, and what its task sleeps on.
    pub fn new(driver: rt::Driver) -> std::io::Result<(Crowd, SendsReady)> {
        let (sends, ready) = Sends::new(driver)?;
        Ok((
            Crowd(RefCell::new(Inner {
                sends,
                table: Table::default(),
                sweep: Sweep::default(),
                called: None,
                asking: VecDeque::new(),
                template: None,
                leaving: Vec::new(),
                links: VecDeque::new(),
            })),
            ready,
        ))
    }

    /// Takes a member in and sends it the head of its answer with the first page.
    pub fn join(&self, core: &Rc<Core>, member: Member, first: Bytes) {
        let mut inner = self.0.borrow_mut();
        let number = inner.table.add(Entry::Member(member));
        if let Some(member) = inner.table.member(number) {
            member.reading.call_as(number);
        }
        inner.begin(core, number, first);
        inner.submit(core);
    }

    /// Looks at what came of earlier writes and begins the next ones.
    pub fn turn(&self, core: &Rc<Core>) {
        let mut inner = self.0.borrow_mut();
        inner.reap(core);
        let cursor = cursor::current(core.clock.now());
        let (looks, rest) = inner.look_at_line(core, cursor);
        let linked = inner.look_at_links(core, cursor);
        let waiting = !core.fanout.ready.is_empty() || !inner.links.is_empty();
        inner
            .read_some(core, if waiting { REQUESTS_BESIDE_SENDS } else { SENDS_PER_CALL as usize });
        if looks + linked > 0
            && inner.sweep.is_over()
            && inner.links.is_empty()
            && let Some(called) = inner.called.take()
        {
            core.metrics.fanout.record_time(core.clock.instant() - called);
        }
        if let Some(rest) = rest {
            core.metrics.fanout_rests.increment();
            turn_after(core, rest);
        }
        let others = looks > 0 && !core.fanout.ready.is_empty() || !inner.asking.is_empty();
        let more = others && rest.is_none() || !inner.links.is_empty();
        if more && inner.sends.nudge().is_err() {
            turn_after(core, RETRY_PAUSE);
        }
        inner.submit(core);
        inner.let_go(core);
    }

    /// What the writes have come to, for metrics.
    #[must_use]
    pub fn sends(&self) -> SendStats {
        self.0.borrow_mut().sends.stats()
    }

    /// The crowd has rested.
    fn resume(&self, core: &Rc<Core>) {
        self.0.borrow_mut().sweep.rested();
        self.turn(core);
    }

    /// Sends the page that was read for a member; `None`: it could not be read.
    fn deliver(&self, core: &Rc<Core>, number: u32, answer: Option<Answer>) {
        let mut inner = self.0.borrow_mut();
        let Inner { table, .. } = &mut *inner;
        let (reading, is_stream) = match table.get(number) {
            Some(Entry::Member(member)) => {
                member.state = State::Idle;
                (&mut member.reading, false)
            }
            Some(Entry::Stream(member)) => (&mut member.reading, true),
            _ => return,
        };
        let bytes = match answer {
            Some(answer) => reading.take_answer(answer),
            None => reading.end(),
        };
        if is_stream {
            return stream::push(core, table, number, bytes);
        }
        inner.begin(core, number, bytes);
        inner.submit(core);
    }
}

/// Waits for news on one side and for the kernel on the other.
pub fn start(core: &Rc<Core>, ready: SendsReady) {
    let news = Rc::clone(core);
    rt::spawn(async move {
        loop {
            news.fanout.ready.news.notified().await;
            news.crowd.turn(&news);
        }
    });
    let core = Rc::clone(core);
    rt::spawn(async move {
        loop {
            if let Err(error) = ready.ready().await {
                tracing::error!(core = core.id, %error, "live readers cannot be served; stopping");
                rt::fatal();
            }
            core.crowd.turn(&core);
        }
    });
}

impl Inner {
    fn reap(&mut self, core: &Rc<Core>) {
        let Inner { sends, table, .. } = self;
        let mut again = Vec::new();
        let mut polls = Vec::new();
        sends.completions(COMPLETIONS_PER_TURN, |number, completion| {
            let member = match table.get(number) {
                Some(Entry::Member(member)) => member,
                Some(Entry::Watch(watch)) => {
                    let more = matches!(completion, Completion::Input { more: true, .. });
                    if !more && watch.completes() {
                        table.remove(number);
                    }
                    return;
                }
                Some(Entry::Poller(poller)) => {
                    if let Completion::Input { lost, more } = completion {
                        poller.input(lost, more);
                    }
                    return polls.push((number, completion));
                }
                // A stream has no operations of its own.
                Some(Entry::Stream(_)) | None => return,
            };
            match completion {
                Completion::Sent(Ok(rest)) if !rest.is_empty() => {
                    return again.push((number, rest));
                }
                Completion::Sent(result) => member.sent(result.is_ok()),
                Completion::Gone | Completion::Input { .. } => member.peer_left(),
            }
            settle(core, table, number);
        });
        for (number, rest) in again {
            self.go_on(core, number, rest);
        }
        for (number, completion) in polls {
            match completion {
                Completion::Sent(Ok(rest)) if !rest.is_empty() => {
                    self.go_on_with_poller(core, number, rest);
                }
                Completion::Sent(result) => self.poller_sent(core, number, result.is_ok()),
                Completion::Gone | Completion::Input { .. } => self.settle_input(core, number),
            }
        }
    }

    /// Looks at some of those who stand in the line: how many, and how long to rest after it.
    fn look_at_line(&mut self, core: &Rc<Core>, current: u64) -> (usize, Option<Duration>) {
        let line = &core.fanout.ready;
        let (mut all, mut own) = (0, 0);
        loop {
            let now = core.clock.instant();
            let looks = self.sweep.allows(line.len(), SENDS_PER_CALL as usize, now);
            if !line.is_empty() {
                self.called.get_or_insert(now);
            }
            for _ in 0..looks {
                let Some(number) = line.pop() else { break };
                if stream::sort(&mut self.table, number, &mut self.links) {
                    continue;
                }
                own += 1;
                self.look(core, number, current);
            }
            all += looks;
            let rest = self.sweep.looked(looks, line.len(), core.clock.instant());
            // To sort readers costs nearly nothing: one turn is enough for thousands.
            if looks == 0 || own > 0 || rest.is_some() || all >= SORTED_PER_TURN {
                return (all, rest);
            }
        }
    }

    /// Looks at the readers of some connections, at all of one together: what they get leaves in
    /// one write. Not before everybody is sorted.
    fn look_at_links(&mut self, core: &Rc<Core>, current: u64) -> usize {
        if !self.sweep.is_over() && !core.fanout.ready.is_empty() {
            return 0;
        }
        let mut looks = 0;
        while looks < SENDS_PER_CALL as usize
            && let Some(link) = self.links.pop_front()
        {
            let called = link.take_called();
            looks += called.len();
            stream::touch(&mut self.table, &called);
            for number in called {
                stream::look(core, &mut self.table, number, current);
            }
        }
        looks
    }

    /// Looks whether a member has something to be sent, and begins to send it.
    fn look(&mut self, core: &Rc<Core>, number: u32, current: u64) {
        let member = match self.table.get(number) {
            Some(Entry::Member(member)) => member,
            Some(Entry::Poller(_)) => return self.look_poller(core, number),
            _ => return,
        };
        if member.state != State::Idle {
            member.reading.look_again = true;
            return;
        }
        match member.reading.look(current) {
            Found::Nothing => {}
            Found::Page => {
                member.state = State::Fetching;
                page::fetch(core, number, &member.reading);
            }
            Found::Bytes(bytes) => {
                count(core, &bytes);
                self.begin(core, number, bytes);
            }
        }
    }

    /// Begins a write; there is none under way. Without bytes there is nothing to wait for.
    fn begin(&mut self, core: &Rc<Core>, number: u32, bytes: Bytes) {
        let Inner { sends, table, .. } = self;
        let Some(member) = table.member(number) else { return };
        let bytes = if member.gone { None } else { member.sealed(bytes) };
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
            member.state = State::Idle;
            return settle(core, table, number);
        };
        if !std::mem::replace(&mut member.watched, true)
            && let Err(error) = sends.watch(number, member.socket.as_fd())
        {
            tracing::warn!(core = core.id, %error, "a live reader could not be watched");
            // Nothing would ever tell that it has left.
            member.gone = true;
            return settle(core, table, number);
        }
        member.begins(core, bytes.len());
        self.go_on(core, number, bytes);
    }

    /// Begins a write or goes on with it, in the time that it has.
    fn go_on(&mut self, core: &Rc<Core>, number: u32, bytes: Bytes) {
        let Inner { sends, table, .. } = self;
        let Some(member) = table.member(number) else { return };
        let begun = sends.send(number, member.socket.as_fd(), bytes);
        if let Err(error) = begun {
            tracing::warn!(core = core.id, %error, "a write to a live reader could not begin");
            member.sent(false);
            settle(core, table, number);
        }
    }

    /// What the kernel does not take now stays queued for the next turn.
    fn submit(&mut self, core: &Rc<Core>) {
        if let Err(error) = self.sends.submit() {
            tracing::warn!(core = core.id, %error, "writes to live readers are late");
            turn_after(core, RETRY_PAUSE);
        }
    }
}

/// A frame goes out.
fn count(core: &Core, frame: &Bytes) {
    core.metrics.frames.increment();
    core.metrics.frame_bytes.add(frame.len() as u64);
}

/// A turn after a pause, whatever else happens.
fn turn_after(core: &Rc<Core>, pause: Duration) {
    let core = Rc::clone(core);
    rt::spawn(async move {
        rt::sleep(pause).await;
        core.crowd.resume(&core);
    });
}

/// Goes on with a member after something of it has completed.
fn settle(core: &Rc<Core>, table: &mut Table, number: u32) {
    let Some(member) = table.member(number) else { return };
    match member.step() {
        Step::Wait => {}
        Step::Look => core.fanout.ready.push(number),
        Step::Close => member.close(core),
        Step::Free => {
            member.reading.leave(core);
            table.remove(number);
            core.connections.set(core.connections.get() - 1);
        }
    }
}

/// Requests that are read in a turn while others wait for their news.
const REQUESTS_BESIDE_SENDS: usize = 32;
/// The kernel was short of something.
const RETRY_PAUSE: Duration = Duration::from_millis(1);
/// Completions taken in one turn: what two batches can make at once.
const COMPLETIONS_PER_TURN: usize = 2 * SENDS_PER_CALL as usize;
/// Readers of shared connections that are sorted in one turn.
const SORTED_PER_TURN: usize = 64 * SENDS_PER_CALL as usize;
