//! One connection whose client makes long-polls, from the first that has to wait on. No task and no
//! buffer: the answer leaves in the crowd's batches, and the next request is recognized by its
//! bytes (`template`).
//!
//! ```text
//! Waiting --news, time over--> Sending --sent--> Idle --the same request again--> Waiting
//!    '--anything else------------------------------'-----> back to a connection of its own
//! ```
//!
//! Invariants: whatever is not the same request again, or cannot be answered from what this core
//! was told, goes back whole, so that there is one place that knows all answers; the reader stays
//! with its stream between two requests, so nothing is missed; what comes while an answer is being
//! awaited stays in the socket.

use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use thalweg_proto::answer::PageFacts;
use thalweg_proto::cursor;
use thalweg_proto::offset::Offset;
use thalweg_proto::response::Pieces;
use thalweg_proto::time::Timestamp;

use super::table::Entry;
use super::template::Template;
use super::watch::Watch;
use super::{Crowd, Inner};
use crate::conn::deadlines::{Guard, Phase};
use crate::conn::{self, time_to_take};
use crate::core::Core;
use crate::fanout::batch::LiveBatch;
use crate::fanout::{Follower, Next, Polled};
use crate::metrics::Operation;
use crate::proxy::Origin;
use crate::rt::Socket;

/// See the module.
pub struct Poller {
    /// Before the socket: it leaves the deadlines' table before the socket closes.
    deadline: Guard,
    socket: Socket,
    /// Where the connection comes from.
    origin: Origin,
    asks: Rc<Template>,
    waiting: Waiting,
    /// Follows the write under way.
    then: Bytes,
    state: State,
    /// There is something to read, or the end.
    readable: bool,
    /// The peer has closed its side.
    lost: bool,
    /// The kernel tells when there is something to read.
    watched: bool,
    /// The stream is closed: the next request is not like the last.
    closed: bool,
}

/// A long-poll that has to wait.
pub struct Waiting {
    /// Its place among the stream's readers.
    pub follower: Follower,
    /// The token of the position that it has come to.
    pub next: Offset,
    /// The client's cursor.
    pub cursor: Option<u64>,
    /// Until when it may read.
    pub until: Option<Timestamp>,
    /// Which access rules said so.
    pub rules: u64,
}

/// What is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// It waits for news.
    Waiting,
    /// Its answer is being sent.
    Sending,
    /// It is the client's turn.
    Idle,
}

/// A connection that leaves the crowd, once the kernel has been told.
pub(super) struct Leaving {
    poller: Box<Poller>,
    /// What it goes on with on its own; `None`: it is over.
    bytes: Option<BytesMut>,
    /// It may come back.
    parks: bool,
}

impl Poller {
    /// A connection whose request, `asks`, waits.
    #[must_use]
    pub fn new(
        socket: Socket,
        origin: Origin,
        deadline: Guard,
        asks: Template,
        waiting: Waiting,
    ) -> Poller {
        Poller {
            deadline,
            socket,
            origin,
            asks: Rc::new(asks),
            waiting,
            then: Bytes::new(),
            state: State::Waiting,
            readable: false,
            lost: false,
            watched: false,
            closed: false,
        }
    }

    /// There is something to read, or the peer has left. `more`: the kernel will tell again.
    pub(super) fn input(&mut self, lost: bool, more: bool) {
        self.readable = true;
        self.lost |= lost;
        self.watched = more;
    }

    /// The request that it waits for an answer to, for the parser.
    fn request(&self) -> BytesMut {
        self.asks.filled(&self.waiting.next.token(), self.waiting.cursor)
    }

    /// Whether these bytes ask for what comes next, by who may.
    fn asks_again(&mut self, core: &Core, bytes: &[u8]) -> bool {
        let Waiting { next, until, rules, .. } = self.waiting;
        let may = rules == core.access_rules()
            && !core.looks_at_each_request()
            && until.is_none_or(|until| core.clock.now() < until);
        let cursor = self.asks.matches(bytes, &next.token());
        match cursor {
            Some(cursor) if may && !self.closed && !core.draining.get() => {
                self.waiting.cursor = cursor;
                true
            }
            _ => false,
        }
    }
}

impl Crowd {
    /// Takes in a connection whose long-poll waits.
    pub fn park(&self, core: &Rc<Core>, mut poller: Poller) {
        let mut inner = self.0.borrow_mut();
        match &inner.template {
            // They mostly are alike.
            Some(known) if **known == *poller.asks => poller.asks = Rc::clone(known),
            _ => inner.template = Some(Rc::clone(&poller.asks)),
        }
        core.metrics.long_polls.set(core.metrics.long_polls.get() + 1);
        let number = inner.table.add(Entry::Poller(Box::new(poller)));
        if let Some(poller) = inner.table.poller(number) {
            poller.waiting.follower.call(number);
        }
        inner.watch_input(core, number);
        inner.look_poller(core, number);
        inner.submit(core);
        inner.let_go(core);
    }
}

impl Inner {
    /// Asks to be told when there is something to read. Nothing is lost by asking again.
    pub(super) fn watch_input(&mut self, core: &Rc<Core>, number: u32) {
        let Inner { sends, table, .. } = self;
        let Some(poller) = table.poller(number) else { return };
        match sends.watch_input(number, poller.socket.as_fd()) {
            Ok(()) => poller.watched = true,
            Err(error) => {
                tracing::warn!(core = core.id, %error, "a long-poll could not be watched");
                if poller.state == State::Sending {
                    // What comes of the write ends it.
                    (poller.readable, poller.lost) = (true, true);
                    return;
                }
                let request = (poller.state == State::Waiting).then(|| poller.request());
                self.release(core, number, request, false);
            }
        }
    }

    /// Something about its input has changed.
    pub(super) fn settle_input(&mut self, core: &Rc<Core>, number: u32) {
        let Some(poller) = self.table.poller(number) else { return };
        let (state, lost, watched) = (poller.state, poller.lost, poller.watched);
        match state {
            State::Idle => self.asking.push_back(number),
            State::Waiting => self.end_if_lost(core, number),
            State::Sending => {}
        }
        if !watched && !lost {
            self.watch_input(core, number);
        }
    }

    /// Its answer, or a part of it, was sent.
    pub(super) fn poller_sent(&mut self, core: &Rc<Core>, number: u32, well: bool) {
        let Some(poller) = self.table.poller(number) else { return };
        if !well {
            return self.release(core, number, None, false);
        }
        let then = std::mem::take(&mut poller.then);
        if !then.is_empty() {
            return self.send_to_poller(core, number, then);
        }
        poller.state = State::Idle;
        if core.draining.get() {
            return self.release(core, number, Some(BytesMut::new()), false);
        }
        let patience = core.limits.get().keep_alive_timeout;
        poller.deadline.set(core.clock.about(), patience, Phase::Idle);
        if poller.readable {
            self.asking.push_back(number);
        }
    }

    /// Reads the next requests, of so many at most.
    pub(super) fn read_some(&mut self, core: &Rc<Core>, most: usize) {
        for _ in 0..most {
            let Some(number) = self.asking.pop_front() else { return };
            self.read(core, number);
        }
    }

    fn read(&mut self, core: &Rc<Core>, number: u32) {
        let Some(poller) = self.table.poller(number) else { return };
        if poller.state != State::Idle || !std::mem::take(&mut poller.readable) {
            return;
        }
        let mut buf = [0; REQUEST_BYTES];
        match poller.socket.recv_now(&mut buf) {
            // A false alarm, unless the connection is lost.
            None if !poller.lost => {}
            None | Some(0) => self.release(core, number, None, false),
            // While the server drains, a task answers it.
            Some(read) if !core.draining.get() && poller.asks_again(core, &buf[..read]) => {
                poller.state = State::Waiting;
                poller.deadline.clear();
                let limits = core.limits.live();
                let time = core.at_most_until(limits.long_poll_timeout, poller.waiting.until);
                poller.waiting.follower.renew(core.clock.about() + time);
                self.look_poller(core, number);
            }
            Some(read) => self.release(core, number, Some(BytesMut::from(&buf[..read])), true),
        }
    }

    /// Looks whether there is an answer for it.
    pub(super) fn look_poller(&mut self, core: &Rc<Core>, number: u32) {
        let Some(poller) = self.table.poller(number) else { return };
        let Waiting { follower, next, cursor, .. } = &poller.waiting;
        if poller.state != State::Waiting {
            return follower.answered();
        }
        let now = core.clock.now();
        let from = next.position;
        let make = |batches: &mut dyn Iterator<Item = &Arc<LiveBatch>>, all| {
            polled(core, from, batches, all)
        };
        let found = match follower.poll(from, now.seconds(), make) {
            None => return self.end_if_lost(core, number),
            Some(found) => found,
        };
        let cursor = cursor::answer(now, *cursor, core.random());
        let polled = match found {
            Next::News(polled) => polled,
            Next::Expired if !core.draining.get() => {
                let response = conn::long_poll_over(*next, cursor);
                let head = conn::encode_answer(core, &response);
                Rc::new(Polled::new(&head, &[], response.status.as_u16(), *next, false))
            }
            Next::Expired | Next::Ended | Next::Behind => {
                let request = poller.request();
                return self.release(core, number, Some(request), true);
            }
        };
        core.metrics.count(Operation::LongPoll, polled.status);
        core.metrics.response_bytes.add(polled.body_len as u64);
        let (bytes, then) = polled.bytes(cursor);
        poller.then = then;
        poller.waiting.next = polled.next;
        poller.closed = polled.closed;
        self.send_to_poller(core, number, bytes);
    }

    fn send_to_poller(&mut self, core: &Rc<Core>, number: u32, bytes: Bytes) {
        let Inner { sends, table, .. } = self;
        let Some(poller) = table.poller(number) else { return };
        poller.state = State::Sending;
        let time = time_to_take(core, bytes.len());
        poller.deadline.set(core.clock.about(), time, Phase::Writing);
        if let Err(error) = sends.send(number, poller.socket.as_fd(), bytes) {
            tracing::warn!(core = core.id, %error, "a write to a long-poll could not begin");
            self.release(core, number, None, false);
        }
    }

    /// What is left of a write that the kernel took a part of.
    pub(super) fn go_on_with_poller(&mut self, core: &Rc<Core>, number: u32, rest: Bytes) {
        let Inner { sends, table, .. } = self;
        let Some(poller) = table.poller(number) else { return };
        if sends.send(number, poller.socket.as_fd(), rest).is_err() {
            self.release(core, number, None, false);
        }
    }

    /// A peer that has left gets no answer. One that has only closed its sending side, and before
    /// that has sent more requests, is answered.
    fn end_if_lost(&mut self, core: &Rc<Core>, number: u32) {
        let Some(poller) = self.table.poller(number) else { return };
        if poller.state == State::Waiting && poller.lost && poller.socket.is_at_end() {
            self.release(core, number, None, false);
        }
    }

    /// Takes a connection out of the crowd: to its end, or to go on by itself with `bytes`.
    fn release(&mut self, core: &Rc<Core>, number: u32, bytes: Option<BytesMut>, parks: bool) {
        let Inner { sends, table, leaving, .. } = self;
        let Some(poller) = table.take_poller(number) else { return };
        if let Err(error) = sends.unwatch_input(number, poller.socket.as_fd())
            && poller.watched
        {
            tracing::warn!(core = core.id, %error, "a connection may close late");
        }
        if poller.watched {
            // The number is free when the kernel has let go of it.
            table.put(number, Entry::Watch(Watch::taken_back()));
        } else {
            table.remove(number);
        }
        leaving.push(Leaving { poller, bytes, parks });
    }

    /// Those that leave go, now that the kernel has been told.
    pub(super) fn let_go(&mut self, core: &Rc<Core>) {
        for Leaving { poller, bytes, parks } in self.leaving.drain(..) {
            let Poller { deadline, socket, origin, waiting, .. } = *poller;
            core.metrics.long_polls.set(core.metrics.long_polls.get() - 1);
            core.leave(waiting.follower);
            match bytes {
                Some(bytes) => {
                    deadline.clear();
                    conn::go_on(core, socket, origin, deadline, bytes, parks);
                }
                None => {
                    drop(deadline);
                    drop(socket);
                    core.connections.set(core.connections.get() - 1);
                }
            }
        }
    }
}

/// The answer to those who wait at `from`.
fn polled(
    core: &Rc<Core>,
    from: u64,
    batches: &mut dyn Iterator<Item = &Arc<LiveBatch>>,
    all: bool,
) -> Option<Polled> {
    let mut stored = Pieces::new();
    let mut last = None;
    for batch in batches {
        if !batch.stored.is_empty() {
            stored.push(batch.stored.clone());
        }
        last = Some(batch);
    }
    let last = last?;
    let facts = PageFacts {
        stream: last.stream,
        content_type: last.content_type.clone(),
        start: from,
        end: last.to(),
        next: last.next,
        up_to_date: all,
        closed: last.closed,
        // Streams with an end of their own are not waited for here.
        expires_at: None,
    };
    let response = conn::long_poll_answer(core, &facts, stored, PLACEHOLDER);
    let head = conn::encode_answer(core, &response);
    Some(Polled::new(&head, &response.body, response.status.as_u16(), last.next, last.closed))
}

/// Each client's own takes its place.
const PLACEHOLDER: u64 = 0;
/// A request that is longer goes to the parser.
const REQUEST_BYTES: usize = 2048;
