//! What the parts of one HTTP/2 connection share: its pipe, its deadline, and what it has under
//! way.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::BytesMut;

use super::inbound::{Inbound, window_update};
use super::lane::{Lane, Window};
use super::pipe::Pipe;
use super::watch::{Flood, SentError, Watch};
use crate::auth::Identity;
use crate::config::limits::{HTTP2_BODY_BYTES, HTTP2_PAGE_BYTES, HTTP2_SEND_BYTES, LINGER_TIMEOUT};
use crate::conn::deadlines::{Guard, Phase};
use crate::conn::time_to_take;
use crate::core::Core;
use crate::proxy::Origin;
use crate::tls::Session;

/// See the module.
pub struct Link {
    pub(super) pipe: Pipe,
    pub(super) watch: Watch,
    pub(super) lane: Lane,
    inbound: RefCell<Inbound>,
    /// Taken away before the socket closes.
    deadline: RefCell<Option<Guard>>,
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// Who its client is by its certificate.
    pub(crate) identity: Option<Arc<Identity>>,
    /// Only health is answered.
    pub(super) late: bool,
    /// Requests under way, at most: twice as many as there may be at once. `h2` counts those that
    /// the client has not taken back; the others take a moment to end.
    most: usize,
    /// Requests under way, live readers included.
    active: Cell<usize>,
    /// Bytes handed to `h2` since the socket was last done with everything.
    queued: Cell<usize>,
    /// Readers of the crowd that have been called, and that nobody has looked at since.
    called: RefCell<Vec<u32>>,
    /// Readers of the crowd that wait until it is.
    readers: RefCell<Vec<u32>>,
    /// Answers that wait for the same, and reads that wait for memory.
    answers: RefCell<Vec<Waker>>,
    /// Bytes of request bodies and of pages under way.
    pub(super) bodies: Cell<usize>,
    pages: Cell<usize>,
    /// `h2`'s task.
    driver: RefCell<Option<Waker>>,
    state: Cell<State>,
    /// A write is under way.
    writing: Cell<bool>,
    /// Told to finish what is under way; `h2` does not know yet.
    drains: Cell<bool>,
    /// It was idle for too long; `h2` does not know yet.
    idled: Cell<bool>,
    /// It has sent more than it may; `h2` does not know yet.
    flooded: Cell<Option<Flood>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// `h2` waits for the peer's settings.
    New,
    /// Requests are under way.
    Busy,
    /// None is.
    Quiet,
    Closed,
}

/// One request's place among those at once.
pub(super) struct Permit {
    pub(super) link: Rc<Link>,
    pub(super) core: Rc<Core>,
    /// Its number.
    pub(super) stream: u32,
}

/// A payload that every client takes (RFC 9113 section 4.2).
const LEAST_FRAME_BYTES: usize = 16 * 1024;

/// Bytes of pages that a request may hold.
pub(super) struct Pages {
    link: Rc<Link>,
    bytes: usize,
}

impl Link {
    pub(super) fn new(
        core: &Core,
        origin: Origin,
        deadline: Guard,
        session: Option<&Session>,
        late: bool,
        first: BytesMut,
    ) -> Rc<Link> {
        let streams = core.limits.get().http2_streams;
        let watch = Watch::new(core.clock.about(), streams);
        let flooded = watch.came(&first, core.clock.about()).err();
        let most = 2 * streams as usize;
        let (lane, mut inbound) = (Lane::new(most), Inbound::new());
        Rc::new(Link {
            pipe: Pipe::new(inbound.take_in(first, &lane)),
            watch,
            lane,
            inbound: RefCell::new(inbound),
            deadline: RefCell::new(Some(deadline)),
            origin,
            identity: session.and_then(|session| session.identity().cloned()),
            late,
            most,
            active: Cell::new(0),
            queued: Cell::new(0),
            called: RefCell::default(),
            readers: RefCell::default(),
            answers: RefCell::default(),
            bodies: Cell::new(0),
            pages: Cell::new(0),
            driver: RefCell::new(None),
            state: Cell::new(State::New),
            writing: Cell::new(false),
            drains: Cell::new(false),
            idled: Cell::new(false),
            flooded: Cell::new(flooded),
        })
    }

    /// Whether nothing can be sent any more.
    pub(super) fn is_closed(&self) -> bool {
        self.state.get() == State::Closed
    }

    /// `h2` has the peer's settings.
    pub(super) fn opens(&self, core: &Core) {
        self.state.set(State::Busy);
        if !self.writing.get() {
            self.set_deadline(core);
        }
    }

    /// Whether no request is under way, as far as `h2` knows.
    pub(super) fn is_quiet(&self, core: &Core, no_streams: bool) {
        let quiet = no_streams && self.active.get() == 0;
        let state = if quiet { State::Quiet } else { State::Busy };
        if self.state.replace(state) != state && !self.writing.get() {
            self.set_deadline(core);
        }
    }

    /// A write of so many bytes begins, or all of it is over.
    pub(super) fn writes(&self, core: &Core, len: Option<usize>) {
        self.writing.set(len.is_some());
        match (len, &*self.deadline.borrow()) {
            (Some(len), Some(deadline)) => {
                deadline.set(core.clock.about(), time_to_take(core, len), Phase::Writing);
            }
            _ => self.set_deadline(core),
        }
    }

    fn set_deadline(&self, core: &Core) {
        let limits = core.limits.get();
        let Some(deadline) = &*self.deadline.borrow() else { return };
        match self.state.get() {
            State::New => {
                deadline.set(core.clock.about(), limits.request_head_timeout, Phase::Head);
            }
            // It is told to leave, and must get to read that: no socket with its reading end shut
            // survives what the client still sends.
            State::Quiet if core.draining.get() => {
                deadline.set(core.clock.about(), LINGER_TIMEOUT, Phase::Lingering);
            }
            State::Quiet => {
                deadline.set(core.clock.about(), limits.keep_alive_timeout, Phase::Idle);
            }
            State::Busy | State::Closed => deadline.clear(),
        }
    }

    /// Hands to `h2` what has come, unless it is a flood: the client may not send everything it
    /// likes. Whether it was handed over.
    pub(super) fn hears(&self, core: &Core, bytes: BytesMut) -> bool {
        if let Err(flood) = self.watch.came(&bytes, core.clock.about()) {
            self.flooded.set(Some(flood));
            self.wake();
            return false;
        }
        let bytes = self.inbound.borrow_mut().take_in(bytes, &self.lane);
        self.pipe.push(bytes);
        self.lend();
        true
    }

    /// Tells `h2` of what the lane lends it, if it needs that. If a frame from the client is under
    /// way to it, the next bytes are waited for: they come.
    pub(super) fn lend(&self) {
        if self.inbound.borrow().is_between_frames()
            && let Some(more) = self.lane.lends()
        {
            self.pipe.push(window_update(more));
        }
    }

    /// Sends DATA of a live reader past `h2`, if it may go now. False: nothing was sent.
    pub(super) fn sends_past(&self, stream: u32, window: &Window, bytes: &[u8]) -> bool {
        let goes = !bytes.is_empty()
            && bytes.len() <= LEAST_FRAME_BYTES
            && self.watch.is_between_frames()
            && self.lane.takes(window, bytes.len());
        if goes {
            self.watch.data_went(bytes.len());
            self.pipe.put_data(stream, bytes);
        }
        goes
    }

    pub(super) fn has_flooded(&self) -> Option<Flood> {
        self.flooded.take()
    }

    /// Counts the errors that the client was told.
    pub(super) fn count_errors(&self, core: &Core) {
        for error in self.watch.take_errors() {
            match error {
                SentError::Stream(code) => core.metrics.http2_stream_errors.increment(code),
                SentError::Connection(code) => {
                    core.metrics.http2_connection_errors.increment(code);
                }
            }
        }
    }

    /// The end of the peer's bytes: its own, or that of our patience.
    pub(super) fn reading_ended(&self) {
        let passed = self.deadline.borrow().as_ref().is_some_and(Guard::passed);
        if passed && self.state.get() == State::Quiet {
            self.idled.set(true);
            self.wake();
        } else {
            self.pipe.end();
        }
    }

    /// The last bit of patience.
    pub(super) fn lingers(&self, core: &Core, time: std::time::Duration) {
        if let Some(deadline) = &*self.deadline.borrow() {
            deadline.set(core.clock.instant(), time, Phase::Lingering);
        }
    }

    /// The socket closes.
    pub(super) fn forget_deadline(&self) {
        self.deadline.borrow_mut().take();
    }

    /// The server drains.
    pub(super) fn drain(&self, core: &Core) {
        self.drains.set(true);
        if !self.writing.get() {
            self.set_deadline(core);
        }
        self.wake();
    }

    pub(super) fn should_drain(&self) -> bool {
        self.drains.take()
    }

    pub(super) fn has_been_idle(&self) -> bool {
        self.idled.take()
    }

    pub(super) fn driven_by(&self, waker: &Waker) {
        let mut driver = self.driver.borrow_mut();
        if !driver.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *driver = Some(waker.clone());
        }
    }

    pub(super) fn wake(&self) {
        if let Some(driver) = &*self.driver.borrow() {
            driver.wake_by_ref();
        }
    }

    /// A place for one more request.
    pub(super) fn permit(self: &Rc<Link>, core: &Rc<Core>, stream: u32) -> Option<Permit> {
        if self.active.get() >= self.most {
            // Readers that have left may not have been noticed yet.
            core.crowd.sweep_streams(core, None);
            if self.active.get() >= self.most {
                return None;
            }
        }
        self.active.set(self.active.get() + 1);
        let counts = &core.metrics.http2;
        counts.streams_opened.increment();
        counts.streams.set(counts.streams.get() + 1);
        Some(Permit { link: Rc::clone(self), core: Rc::clone(core), stream })
    }

    /// So much was handed to `h2`.
    pub(super) fn queue(&self, bytes: usize) {
        self.queued.set(self.queued.get() + bytes);
    }

    /// Whether the socket has enough to do.
    pub(super) fn is_full(&self) -> bool {
        self.queued.get() >= HTTP2_SEND_BYTES
    }

    /// A reader of the crowd has been called. Whether it is the first one.
    pub(super) fn call(&self, reader: u32) -> bool {
        let mut called = self.called.borrow_mut();
        called.push(reader);
        called.len() == 1
    }

    /// Those who have been called. A number may be somebody else's by now: nothing comes of that.
    pub(crate) fn take_called(&self) -> Vec<u32> {
        self.called.take()
    }

    /// A reader of the crowd waits until the socket is done.
    pub(super) fn park(&self, reader: u32) {
        self.readers.borrow_mut().push(reader);
    }

    /// The socket is done with everything.
    pub(super) fn flushed(&self, core: &Rc<Core>) {
        self.queued.set(0);
        let readers = self.readers.take();
        if !readers.is_empty() {
            core.crowd.make_room(core, readers);
        }
        self.wake_answers();
    }

    /// Waits until the socket has not enough to do.
    pub(super) async fn room(&self) {
        self.wait_until(|| !self.is_full() || self.is_closed()).await;
    }

    /// Waits until another page fits.
    pub(super) async fn page(self: &Rc<Link>, bytes: usize) -> Pages {
        let fits = || self.pages.get() + bytes <= HTTP2_PAGE_BYTES || self.is_closed();
        self.wait_until(fits).await;
        self.pages.set(self.pages.get() + bytes);
        Pages { link: Rc::clone(self), bytes }
    }

    /// Room for so much more of a request body, if there is.
    pub(super) fn takes_body(&self, bytes: usize) -> bool {
        self.bodies.set(self.bodies.get() + bytes);
        self.bodies.get() <= HTTP2_BODY_BYTES
    }

    async fn wait_until(&self, holds: impl Fn() -> bool) {
        poll_fn(|context| {
            if holds() {
                return Poll::Ready(());
            }
            self.answers.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn wake_answers(&self) {
        for waker in self.answers.take() {
            waker.wake();
        }
    }

    /// `h2` is gone: nothing can be sent any more.
    pub(super) fn close(self: &Rc<Link>, core: &Rc<Core>) {
        self.state.set(State::Closed);
        self.count_errors(core);
        self.driver.take();
        self.lane.close();
        self.pipe.close();
        core.crowd.sweep_streams(core, Some(self));
        self.flushed(core);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Permit { link, core, stream } = self;
        link.lane.forget(*stream);
        let streams = &core.metrics.http2.streams;
        streams.set(streams.get() - 1);
        link.active.set(link.active.get() - 1);
        if link.active.get() == 0 {
            link.wake();
        }
    }
}

impl Pages {
    /// It turned out to be so many bytes.
    pub(super) fn are(&mut self, bytes: usize) {
        self.link.pages.set(self.link.pages.get() - self.bytes + bytes);
        self.bytes = bytes;
        self.link.wake_answers();
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.are(0);
    }
}
