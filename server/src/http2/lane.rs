//! The lane past `h2` for what live readers get, and the windows of both ways (RFC 9113 section 5.2).
//!
//! An event for ten thousand readers is as many small DATA frames, and most of what each would cost
//! in `h2` is bookkeeping. So a reader whose answer has begun has its frames written right behind
//! those of `h2`, if the windows allow it at once; whatever cannot go that way goes through `h2`.
//!
//! The connection's window is divided. `h2` is told of its own part only:
//!
//! ```text
//! window of the connection = own.left + h2.left
//! window of a stream       = initial + granted - sent    (both ways)
//! ```
//!
//! Both parts are equal but for what every connection begins with, which is `h2`'s. A smaller part
//! would be empty most of the time: clients grant again when half of all is taken. For the same
//! reason `h2` must not starve beside a part that is not used: before it has nothing left, the lane
//! lends it all that it has.
//!
//! Invariants: neither window is exceeded, whichever way DATA goes; `h2` is never told of more than
//! was granted; frames of a stream do not overtake each other. A client that grants no more than
//! the window that every connection begins with is served by `h2` alone. One case is left: settings
//! that shrink the streams' windows, and come in the turn in which `h2` was handed data of a stream
//! whose client has not taken yet what the lane sent before. `h2` then sends what fitted until then.
//! Deliberately absent: bytes of frames.

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::task::Waker;

use crate::hash::MapState;

/// See the module.
pub(super) struct Lane {
    /// What the client grants a stream from the beginning: the least of what it has said and what it
    /// knows that we know.
    initial: Cell<i64>,
    settled: Cell<i64>,
    /// What its settings say that are not acknowledged yet.
    said: RefCell<VecDeque<Option<u32>>>,
    h2: Share,
    own: Share,
    /// Of requests under way.
    streams: RefCell<HashMap<u32, Rc<Window>, MapState>>,
    /// The youngest request.
    newest: Cell<u32>,
    /// Requests that are known, at most. Others go without a lane.
    most: usize,
    /// A request was taken back since somebody asked.
    left: Cell<bool>,
}

/// A part of the connection's window.
struct Share {
    left: Cell<u64>,
    /// What is left when all that was sent has been granted again.
    full: Cell<u64>,
}

/// What the client takes on one stream.
#[derive(Default)]
pub(super) struct Window {
    /// Beyond what it granted at the beginning.
    granted: Cell<i64>,
    /// By either way.
    sent: Cell<i64>,
    /// By the lane, and not granted again: `h2` believes that this is still left.
    behind: Cell<u64>,
    /// Handed to `h2`, which has not sent it yet.
    in_h2: Cell<usize>,
    /// The answer has begun on the wire.
    is_open: Cell<bool>,
    /// Nothing may be sent any more.
    is_gone: Cell<bool>,
    /// Who waits for more room.
    waker: Cell<Option<Waker>>,
}

/// What a stream's window, and a connection's, is before anything is said of it.
const DEFAULT_WINDOW: u32 = 65_535;
/// `h2` has so much, or all that there is.
const LEAST_OF_H2: u64 = 32 * 1024;
/// Section 6.9.1.
const MOST_WINDOW: u32 = (1 << 31) - 1;
/// An unknown stream is left to `h2`, which knows its window.
const BOUNDLESS: i64 = i64::MAX / 4;

impl Lane {
    /// `most`: requests under way at once, those that the client has taken back included.
    pub(super) fn new(most: usize) -> Lane {
        Lane {
            initial: Cell::new(i64::from(DEFAULT_WINDOW)),
            settled: Cell::new(i64::from(DEFAULT_WINDOW)),
            said: RefCell::default(),
            h2: Share::new(u64::from(DEFAULT_WINDOW)),
            own: Share::new(0),
            streams: RefCell::default(),
            newest: Cell::new(0),
            most,
            left: Cell::new(false),
        }
    }

    /// A request, or its trailers.
    pub(super) fn opens(&self, stream: u32) {
        // Numbers only grow: an old one is of a request that is over.
        if stream <= self.newest.replace(stream.max(self.newest.get())) {
            return;
        }
        let mut streams = self.streams.borrow_mut();
        if streams.len() < self.most {
            streams.insert(stream, Rc::default());
        }
    }

    /// The window of a stream.
    pub(super) fn window(&self, stream: u32) -> Rc<Window> {
        let known = self.streams.borrow().get(&stream).cloned();
        known.unwrap_or_else(|| {
            let window = Window::default();
            window.granted.set(BOUNDLESS);
            Rc::new(window)
        })
    }

    /// A request was reset by either side.
    pub(super) fn reset(&self, stream: u32) {
        self.left.set(true);
        self.forget(stream);
    }

    /// Whether one was since the last call.
    pub(super) fn take_left(&self) -> bool {
        self.left.take()
    }

    /// A request has its answer.
    pub(super) fn forget(&self, stream: u32) {
        let window = self.streams.borrow_mut().remove(&stream);
        if let Some(window) = window {
            window.end();
        }
    }

    /// The connection is over.
    pub(super) fn close(&self) {
        self.streams.take().values().for_each(|window| window.end());
    }

    /// The client's settings, and what a stream begins with by them if they say so. It holds for
    /// streams that have begun too. Less holds at once, more when the client has our answer.
    pub(super) fn settings_came(&self, initial: Option<u32>) {
        self.said.borrow_mut().push_back(initial);
        self.settle();
    }

    /// Our answer to the client's oldest settings is on its way.
    pub(super) fn settings_are_answered(&self) {
        let said = self.said.borrow_mut().pop_front();
        if let Some(Some(initial)) = said {
            self.settled.set(i64::from(initial));
        }
        self.settle();
    }

    fn settle(&self) {
        let said = self.said.borrow().iter().flatten().min().copied();
        let least = said.map_or(i64::MAX, i64::from).min(self.settled.get());
        if least > self.initial.replace(least) {
            let waiting: Vec<_> = self.streams.borrow().values().cloned().collect();
            waiting.iter().for_each(|window| window.wake());
        }
    }

    /// The client takes so much more on a stream; how much more `h2` is to be told. Too much is an
    /// error that it must see.
    pub(super) fn grant(&self, stream: u32, more: u32) -> u32 {
        if stream == 0 {
            return self.grant_all(more);
        }
        let window = self.streams.borrow().get(&stream).cloned();
        let Some(window) = window else { return more };
        let left = self.initial.get() + window.granted.get() - window.sent.get();
        if left + i64::from(more) > i64::from(MOST_WINDOW) {
            return more;
        }
        window.granted.set(window.granted.get() + i64::from(more));
        let again = window.behind.get().min(u64::from(more));
        window.behind.set(window.behind.get() - again);
        window.wake();
        more - again as u32
    }

    /// The client takes so much more on the connection.
    fn grant_all(&self, more: u32) -> u32 {
        if self.own.left.get() + self.h2.left.get() + u64::from(more) > u64::from(MOST_WINDOW) {
            return MOST_WINDOW;
        }
        // `h2` first what it cannot do without, then the lane, then `h2` the rest.
        let before = self.h2.left.get();
        let rest = self.h2.give_back(u64::from(more), LEAST_OF_H2);
        let rest = self.own.give_back(rest, u64::MAX);
        let new = self.h2.give_back(rest, u64::MAX);
        // The window was never as large.
        self.own.grow(new / 2);
        self.h2.grow(new - new / 2);
        (self.h2.left.get() - before) as u32
    }

    /// What `h2` must be told of now, so that it does not stand still while the lane has something
    /// left.
    pub(super) fn lends(&self) -> Option<u32> {
        let lent = self.own.left.get().min(self.h2.full.get().saturating_sub(self.h2.left.get()));
        if self.h2.left.get() >= LEAST_OF_H2 || lent == 0 {
            return None;
        }
        self.own.spend(lent);
        self.h2.left.set(self.h2.left.get() + lent);
        Some(lent as u32)
    }

    /// DATA of `h2` is on its way to the socket.
    pub(super) fn data_of_h2_went(&self, stream: u32, len: usize) {
        self.h2.spend(len as u64);
        if let Some(window) = self.streams.borrow().get(&stream) {
            window.in_h2.set(window.in_h2.get().saturating_sub(len));
            window.is_open.set(true);
        }
    }

    /// Whether so much may go past `h2` now; if so, it must.
    pub(super) fn takes(&self, window: &Window, len: usize) -> bool {
        let free = window.is_open.get() && window.in_h2.get() == 0;
        let takes = free && len <= window.left(self) && self.own.left.get() >= len as u64;
        if takes {
            self.own.spend(len as u64);
            window.behind.set(window.behind.get() + len as u64);
            window.sent.set(window.sent.get() + len as i64);
        }
        takes
    }
}

impl Window {
    /// Bytes that the client takes.
    pub(super) fn left(&self, lane: &Lane) -> usize {
        let left = lane.initial.get() + self.granted.get() - self.sent.get();
        usize::try_from(left).unwrap_or(0)
    }

    /// So much was handed to `h2`.
    pub(super) fn goes_through_h2(&self, len: usize) {
        self.sent.set(self.sent.get() + len as i64);
        self.in_h2.set(self.in_h2.get() + len);
    }

    /// Brings what is counted for each frame into the processor's cache.
    pub(super) fn touch(&self) -> u64 {
        self.behind.get() ^ self.in_h2.get() as u64
    }

    /// Nothing may be sent any more.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.get()
    }

    /// Somebody waits until the client takes more, or leaves.
    pub(super) fn wait(&self, waker: &Waker) {
        self.waker.set(Some(waker.clone()));
    }

    fn end(&self) {
        self.is_gone.set(true);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Share {
    fn new(full: u64) -> Share {
        Share { left: Cell::new(full), full: Cell::new(full) }
    }

    fn spend(&self, bytes: u64) {
        self.left.set(self.left.get().saturating_sub(bytes));
    }

    /// Of so many bytes that are granted, those that were spent before are its own, as long as it
    /// has less than `least`. The others.
    fn give_back(&self, bytes: u64, least: u64) -> u64 {
        let own = bytes.min(self.full.get().min(least).saturating_sub(self.left.get()));
        self.left.set(self.left.get() + own);
        bytes - own
    }

    fn grow(&self, bytes: u64) {
        self.full.set(self.full.get() + bytes);
        self.left.set(self.left.get() + bytes);
    }
}
