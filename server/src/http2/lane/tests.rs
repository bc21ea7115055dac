//! Both sides' books of a connection's windows, under whatever happens to them.

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
                self.lane.settings_came(Some(initial));
                self.lane.settings_are_answered();
                for at in 0..2 {
                    self.streams[at] += more;
                    self.h2_streams[at] += more;
                }
            }
            Step::Send(stream, len) => self.send(stream as usize / 2, len),
            Step::Flush => self.flush(),
        }
        self.h2_connection += i64::from(self.lane.lends().unwrap_or(0));
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
        let free =
            (self.h2_connection - queued as i64).min(self.h2_streams[at] - of_stream as i64).max(0);
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
        let starves = self.h2_connection < LEAST_OF_H2 as i64 && own > 0;
        assert!(!starves, "h2 has {} beside {own} after {last:?}", self.h2_connection);
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
    lane.settings_came(Some(10));
    assert_eq!(lane.window(1).left(&lane), 10);
    lane.settings_came(None);
    lane.settings_came(Some(30));
    let after = |lane: &Lane| {
        lane.settings_are_answered();
        lane.window(1).left(lane)
    };
    assert_eq!([after(&lane), after(&lane), after(&lane)], [10, 10, 30]);
    let window = lane.window(1);
    lane.close();
    assert!(window.is_gone());
}
