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
//! would be empty most of the time: clients grant again when half of all is taken.
//!
//! Invariants: neither window is exceeded, whichever way DATA goes; `h2` is never told of more than
//! was granted; frames of a stream do not overtake each other. A client that grants no more than
//! the window that every connection begins with is served by `h2` alone. One case is left: settings
//! that shrink the streams' windows, and come in the turn in which `h2` was handed data of a stream
//! whose client has not taken yet what the lane sent before. `h2` then sends what fitted until then.
//! Deliberately absent: bytes of frames.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::Waker;

use crate::hash::MapState;

/// See the module.
pub(super) struct Lane {
    /// What the client grants a stream from the beginning.
    initial: Cell<i64>,
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
/// Section 6.9.1.
const MOST_WINDOW: u32 = (1 << 31) - 1;
/// An unknown stream is left to `h2`, which knows its window.
const BOUNDLESS: i64 = i64::MAX / 4;

impl Lane {
    /// `most`: requests under way at once, those that the client has taken back included.
    pub(super) fn new(most: usize) -> Lane {
        Lane {
            initial: Cell::new(i64::from(DEFAULT_WINDOW)),
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
        if let Some(window) = self.streams.borrow_mut().remove(&stream) {
            window.is_gone.set(true);
            window.wake();
        }
    }

    /// The connection is over.
    pub(super) fn close(&self) {
        for (_, window) in self.streams.take() {
            window.is_gone.set(true);
            window.wake();
        }
    }

    /// The client's settings say what a stream begins with; this holds for those that have begun.
    pub(super) fn begins_with(&self, initial: u32) {
        let grows = i64::from(initial) > self.initial.replace(i64::from(initial));
        if grows {
            self.streams.borrow().values().for_each(|window| window.wake());
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
        let rest = self.own.give_back(u64::from(more));
        let new = self.h2.give_back(rest);
        // The window was never as large.
        let own = new / 2;
        self.own.grow(own);
        self.h2.grow(new - own);
        (rest - own) as u32
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

    /// Of so many bytes that are granted, those that were spent before are its own. The others.
    fn give_back(&self, bytes: u64) -> u64 {
        let own = bytes.min(self.full.get() - self.left.get());
        self.left.set(self.left.get() + own);
        bytes - own
    }

    fn grow(&self, bytes: u64) {
        self.full.set(self.full.get() + bytes);
        self.left.set(self.left.get() + bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What happens on a connection with two streams, 1 and 3.
    #[derive(Clone, Debug)]
    enum Step {
        /// To a stream, or with 0 to the connection.
        Grant(u32, u32),
        Initial(u32),
        /// Offered to a stream, as the sink does.
        Send(u32, usize),
        /// `h2` sends what it has.
        Flush,
    }

    fn step() -> impl Strategy<Value = Step> {
        let stream = prop_oneof![Just(1u32), Just(3)];
        let any_stream = prop_oneof![Just(0u32), Just(1), Just(3)];
        prop_oneof![
            3 => (any_stream, 1..200_000u32).prop_map(|(stream, more)| Step::Grant(stream, more)),
            1 => (0..200_000u32).prop_map(Step::Initial),
            8 => (stream, 1..20_000usize).prop_map(|(stream, len)| Step::Send(stream, len)),
            3 => Just(Step::Flush),
        ]
    }

    /// Both sides' books: the client's real windows, and what `h2` believes.
    struct Books {
        lane: Lane,
        windows: [Rc<Window>; 2],
        connection: i64,
        streams: [i64; 2],
        initial: i64,
        h2_connection: i64,
        h2_streams: [i64; 2],
        queued: Vec<(usize, usize)>,
        went_past: usize,
    }

    impl Books {
        fn new() -> Books {
            let lane = Lane::new(10);
            lane.opens(1);
            lane.opens(3);
            let windows = [lane.window(1), lane.window(3)];
            let window = i64::from(DEFAULT_WINDOW);
            Books {
                lane,
                windows,
                connection: window,
                streams: [window; 2],
                initial: window,
                h2_connection: window,
                h2_streams: [window; 2],
                queued: Vec::new(),
                went_past: 0,
            }
        }

        fn take(&mut self, step: &Step) {
            match *step {
                Step::Grant(0, more) => {
                    self.connection += i64::from(more);
                    self.h2_connection += i64::from(self.lane.grant(0, more));
                }
                Step::Grant(stream, more) => {
                    let at = stream as usize / 2;
                    self.streams[at] += i64::from(more);
                    self.h2_streams[at] += i64::from(self.lane.grant(stream, more));
                }
                Step::Initial(initial) => {
                    // Or `h2` sends after it what fitted before, beside what the lane has sent.
                    self.flush();
                    let more = i64::from(initial) - self.initial;
                    self.initial = i64::from(initial);
                    self.lane.begins_with(initial);
                    for at in 0..2 {
                        self.streams[at] += more;
                        self.h2_streams[at] += more;
                    }
                }
                Step::Send(stream, len) => self.send(stream as usize / 2, len),
                Step::Flush => self.flush(),
            }
        }

        fn send(&mut self, at: usize, len: usize) {
            let window = Rc::clone(&self.windows[at]);
            let len = len.min(window.left(&self.lane));
            if len > 0 && self.lane.takes(&window, len) {
                self.went_past += len;
                return self.goes(at, len);
            }
            // What `h2` has promised to send counts in its own books.
            let queued: usize = self.queued.iter().map(|(_, len)| len).sum();
            let of_stream = self.queued.iter().filter(|(of, _)| *of == at);
            let of_stream: usize = of_stream.map(|(_, len)| len).sum();
            let free = (self.h2_connection - queued as i64)
                .min(self.h2_streams[at] - of_stream as i64)
                .max(0);
            let len = len.min(free as usize);
            if len > 0 {
                window.goes_through_h2(len);
                self.queued.push((at, len));
            }
        }

        fn flush(&mut self) {
            for (at, len) in std::mem::take(&mut self.queued) {
                self.h2_connection -= len as i64;
                self.h2_streams[at] -= len as i64;
                self.lane.data_of_h2_went(2 * at as u32 + 1, len);
                self.goes(at, len);
            }
        }

        fn goes(&mut self, at: usize, len: usize) {
            self.connection -= len as i64;
            self.streams[at] -= len as i64;
            assert!(self.connection >= 0, "the connection's window is exceeded");
            assert!(self.streams[at] >= 0, "a stream's window is exceeded");
        }

        /// `last` is what was done last.
        fn hold(&self, last: &Step) {
            let own = self.lane.own.left.get() as i64;
            assert_eq!(own + self.h2_connection, self.connection, "after {last:?}");
            assert_eq!(self.lane.h2.left.get() as i64, self.h2_connection);
            for at in 0..2 {
                let left = self.streams[at].max(0) as usize;
                let queued = self.queued.iter().filter(|(of, _)| *of == at);
                let queued: usize = queued.map(|(_, len)| len).sum();
                assert_eq!(self.windows[at].left(&self.lane) + queued, left, "after {last:?}");
                assert!(self.h2_streams[at] >= self.streams[at], "{last:?}: h2 knows less");
            }
        }
    }

    proptest! {
        #[test]
        fn no_window_is_exceeded(steps in prop::collection::vec(step(), 1..200)) {
            let mut books = Books::new();
            for step in &steps {
                books.take(step);
                books.hold(step);
            }
        }
    }

    #[test]
    fn a_generous_client_is_served_by_the_lane() {
        let mut books = Books::new();
        books.take(&Step::Grant(0, 1 << 20));
        assert_eq!(books.lane.own.left.get(), 1 << 19);
        books.take(&Step::Send(1, 100));
        assert_eq!(books.went_past, 0, "the answer has not begun");
        books.take(&Step::Flush);
        for _ in 0..10_000 {
            books.take(&Step::Send(1, 100));
            books.take(&Step::Grant(1, 100));
            books.take(&Step::Grant(0, 100));
        }
        assert_eq!(books.went_past, 1_000_000);
        let own = i64::from(DEFAULT_WINDOW) - 100;
        assert_eq!(books.h2_streams[0], own, "h2 hears nothing of it");
    }

    #[test]
    fn a_client_that_grants_nothing_more_is_served_by_h2() {
        let mut books = Books::new();
        for _ in 0..2_000 {
            books.take(&Step::Send(1, 100));
            books.take(&Step::Flush);
            books.take(&Step::Grant(1, 100));
            books.take(&Step::Grant(0, 100));
        }
        assert_eq!((books.went_past, books.windows[0].sent.get()), (0, 200_000));
    }

    #[test]
    fn h2_hears_of_what_is_too_much() {
        let lane = Lane::new(10);
        lane.opens(1);
        assert_eq!(lane.grant(0, MOST_WINDOW), MOST_WINDOW);
        assert_eq!(lane.grant(1, MOST_WINDOW), MOST_WINDOW);
        let rest = MOST_WINDOW - DEFAULT_WINDOW;
        assert_eq!(lane.grant(0, rest), rest.div_ceil(2));
        assert_eq!(lane.grant(0, 1), MOST_WINDOW);
        assert_eq!(lane.grant(1, rest), rest);
        assert_eq!(lane.grant(1, 1), 1, "it believes that the window is full already");
    }

    #[test]
    fn streams_are_known_while_they_last() {
        let lane = Lane::new(2);
        [1, 3, 5].into_iter().for_each(|stream| lane.opens(stream));
        assert_eq!(lane.window(3).left(&lane), DEFAULT_WINDOW as usize);
        // One too many: it is left to h2.
        assert!(lane.window(5).left(&lane) > 1 << 40 && !lane.takes(&lane.window(5), 1));
        let window = lane.window(3);
        lane.forget(3);
        assert!(window.is_gone());
        lane.opens(3);
        assert!(lane.window(3).left(&lane) > 1 << 40, "trailers open nothing");
        lane.begins_with(10);
        assert_eq!(lane.window(1).left(&lane), 10);
        let window = lane.window(1);
        lane.close();
        assert!(window.is_gone());
    }
}
