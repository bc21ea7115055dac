//! The fan-out: owns the live readers connected to this core.
//!
//! A reader is a cursor, not a queue: it holds a position, and when its socket can take more it
//! takes everything since from the stream's window. A reader that falls out of the window reads
//! pages like anybody else until it is back.
//!
//! Invariants: a window is contiguous and ends at what the owner last announced; the owner
//! announces to this core from the first page of a live reader until the last reader has left.
//! Windows live under a budget each, and under one per core.

pub mod batch;
mod frame;
mod polled;
mod readers;
mod ready;

use std::cell::{Cell, RefCell};
use std::collections::vec_deque::Iter;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::iter::Skip;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use smallvec::SmallVec;
use thalweg_proto::path::StreamPath;

use crate::auth::Pass;
use crate::config::limits::{ALL_WINDOWS_BYTES, TAKE_BYTES, WINDOW_BYTES};
use crate::hash::MapState;
use batch::LiveBatch;
use frame::Frames;
pub use frame::{Cursors, Frame};
use polled::Answers;
pub use polled::Polled;
use readers::Readers;
pub use ready::Ready;

/// The live streams of one core.
#[derive(Default)]
pub struct Fanout {
    streams: RefCell<HashMap<StreamPath, Rc<LiveStream>, MapState>>,
    /// In all windows.
    bytes: Cell<usize>,
    /// Crowd members with something to look at.
    pub ready: Ready,
}

/// One stream with live readers on this core.
pub struct LiveStream {
    path: StreamPath,
    window: RefCell<VecDeque<Arc<LiveBatch>>>,
    /// In the window.
    bytes: Cell<usize>,
    readers: RefCell<Readers>,
    frames: RefCell<Frames>,
    polled: RefCell<Answers>,
    ended: Cell<bool>,
}

/// What a follower has to do next.
pub enum Next<News = SmallVec<[Arc<LiveBatch>; 2]>> {
    /// Send these, in order.
    News(News),
    /// Read a page: the position is not in the window.
    Behind,
    /// The stream is gone.
    Ended,
    /// The time of this answer is over.
    Expired,
}

impl Fanout {
    /// Adds a reader.
    #[must_use]
    pub fn follow(self: &Rc<Fanout>, path: &StreamPath, deadline: Instant) -> Follower {
        let mut streams = self.streams.borrow_mut();
        let stream = streams.entry(path.clone()).or_insert_with(|| {
            Rc::new(LiveStream {
                path: path.clone(),
                window: RefCell::default(),
                bytes: Cell::new(0),
                readers: RefCell::default(),
                frames: RefCell::default(),
                polled: RefCell::default(),
                ended: Cell::new(false),
            })
        });
        let index = stream.readers.borrow_mut().add(deadline);
        Follower { fanout: Rc::clone(self), stream: Rc::clone(stream), index }
    }

    /// Takes news from the owner and wakes the readers.
    pub fn publish(&self, batch: Arc<LiveBatch>) {
        let Some(stream) = self.streams.borrow().get(&batch.path).cloned() else { return };
        self.bytes.set(self.bytes.get() + batch.cost());
        stream.bytes.set(stream.bytes.get() + batch.cost());
        let mut window = stream.window.borrow_mut();
        window.push_back(batch);
        while window.len() > 1
            && (stream.bytes.get() > WINDOW_BYTES || self.bytes.get() > ALL_WINDOWS_BYTES)
        {
            let Some(oldest) = window.pop_front() else { break };
            stream.bytes.set(stream.bytes.get() - oldest.cost());
            self.bytes.set(self.bytes.get() - oldest.cost());
        }
        drop(window);
        stream.frames.borrow_mut().clear();
        stream.polled.borrow_mut().clear();
        stream.readers.borrow_mut().wake_all(&self.ready);
    }

    /// A followed stream is gone: its readers end, new ones start over.
    pub fn end(&self, path: &StreamPath) {
        let stream = self.streams.borrow_mut().remove(path);
        if let Some(stream) = stream {
            stream.ended.set(true);
            stream.readers.borrow_mut().wake_all(&self.ready);
            self.forget(&stream);
        }
    }

    /// Ends answers whose time is over. Called several times a second.
    pub fn sweep(&self, now: Instant) {
        for stream in self.streams.borrow().values() {
            stream.readers.borrow_mut().expire(now, &self.ready);
        }
    }

    /// The streams that have readers here.
    #[must_use]
    pub fn streams(&self) -> Vec<Rc<LiveStream>> {
        self.streams.borrow().values().cloned().collect()
    }

    /// Ends all answers: the server drains.
    pub fn expire_all(&self) {
        for stream in self.streams.borrow().values() {
            stream.readers.borrow_mut().expire_all(&self.ready);
        }
    }

    /// Readers on this core.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.streams.borrow().values().map(|stream| stream.readers.borrow().len()).sum()
    }

    /// Memory of all windows.
    #[must_use]
    pub fn window_bytes(&self) -> usize {
        self.bytes.get()
    }

    fn forget(&self, stream: &LiveStream) {
        stream.window.borrow_mut().clear();
        stream.frames.borrow_mut().clear();
        stream.polled.borrow_mut().clear();
        self.bytes.set(self.bytes.get() - stream.bytes.take());
    }
}

impl LiveStream {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> &StreamPath {
        &self.path
    }

    /// Ends those of some readers that may not go on: `judge` says of each until when it may, if
    /// at all. False behind the last one.
    pub fn judge(
        &self,
        readers: Range<usize>,
        ready: &Ready,
        judge: impl FnMut(Option<&Pass>) -> Option<Option<Instant>>,
    ) -> bool {
        self.readers.borrow_mut().judge(readers, ready, judge)
    }

    /// What comes after `position`, as much as one write should carry: made into something by
    /// `make`, which is told whether that is all there is.
    fn next<News>(
        &self,
        position: u64,
        make: impl FnOnce(Skip<Iter<'_, Arc<LiveBatch>>>, bool) -> Option<News>,
    ) -> Option<Next<News>> {
        let window = self.window.borrow();
        let unseen = |batch: &&Arc<LiveBatch>| {
            batch.to() > position || batch.closed && batch.to() == position
        };
        // Readers are nearly always at the end, so look from there.
        let seen = window.iter().rev().take_while(unseen).count();
        let first = window.len() - seen;
        match window.get(first) {
            None if self.ended.get() => Some(Next::Ended),
            None => None,
            Some(batch) if batch.from != position => Some(Next::Behind),
            Some(_) => {
                let mut bytes = 0;
                let fits = |batch: &&Arc<LiveBatch>| {
                    let fits = bytes < TAKE_BYTES;
                    bytes += batch.stored.len();
                    fits
                };
                let end = first + window.iter().skip(first).take_while(fits).count();
                make(window.range(..end).skip(first), end == window.len()).map(Next::News)
            }
        }
    }
}

/// One live reader: leaves the fan-out when dropped.
pub struct Follower {
    fanout: Rc<Fanout>,
    stream: Rc<LiveStream>,
    index: usize,
}

impl Follower {
    /// Waits for what comes after `position`.
    pub async fn next(&self, position: u64) -> Next {
        poll_fn(|context| {
            if let Some(next) = self.stream.next(position, |news, _| Some(news.cloned().collect()))
            {
                return Poll::Ready(next);
            }
            let mut readers = self.stream.readers.borrow_mut();
            if readers.is_expired(self.index) {
                return Poll::Ready(Next::Expired);
            }
            readers.wait(self.index, context.waker());
            Poll::Pending
        })
        .await
    }

    /// From now on news, and the end of this answer, put the member into [`Fanout::ready`].
    pub fn call(&self, member: u32) {
        self.stream.readers.borrow_mut().call(self.index, member);
    }

    /// What it has shown to be let in, for when it is judged again.
    pub fn keep(&self, pass: Option<Box<Pass>>) {
        self.stream.readers.borrow_mut().keep(self.index, pass);
    }

    /// What a called member is to be sent. It will be called again for what comes after.
    #[must_use]
    pub fn take(&self, position: u64, cursors: Cursors) -> Option<Next<Frame>> {
        let mut readers = self.stream.readers.borrow_mut();
        readers.answered(self.index);
        // Before any news: nobody calls for the end of its time again.
        if readers.is_expired(self.index) {
            return Some(Next::Expired);
        }
        drop(readers);
        let frame = |news: Skip<Iter<'_, Arc<LiveBatch>>>, all| {
            self.stream.frames.borrow_mut().get(news, position, cursors, all)
        };
        self.stream.next(position, frame)
    }

    /// What a called member that makes long-polls is answered, if there is anything: made by
    /// `make` out of the news, and whether they are all, once for all that wait at `position`.
    #[must_use]
    pub fn poll(
        &self,
        position: u64,
        second: u64,
        make: impl FnOnce(&mut dyn Iterator<Item = &Arc<LiveBatch>>, bool) -> Option<Polled>,
    ) -> Option<Next<Rc<Polled>>> {
        let mut readers = self.stream.readers.borrow_mut();
        readers.answered(self.index);
        if readers.is_expired(self.index) {
            return Some(Next::Expired);
        }
        drop(readers);
        self.stream.next(position, |mut news, all| {
            self.stream.polled.borrow_mut().get(position, second, || make(&mut news, all))
        })
    }

    /// A called member has nothing to ask for now.
    pub fn answered(&self) {
        self.stream.readers.borrow_mut().answered(self.index);
    }

    /// Another answer begins, with a time of its own.
    pub fn renew(&self, deadline: Instant) {
        self.stream.readers.borrow_mut().renew(self.index, deadline);
    }

    /// The stream's path.
    #[must_use]
    pub fn path(&self) -> &StreamPath {
        &self.stream.path
    }

    /// Whether `position` is the end of what was announced.
    #[must_use]
    pub fn is_at_end(&self, position: u64) -> bool {
        self.stream.window.borrow().back().is_none_or(|newest| newest.to() <= position)
    }

    /// Leaves. Returns the path if it was the core's last reader of it: the owner must be told.
    #[must_use]
    pub fn leave(self) -> Option<StreamPath> {
        let path = &self.stream.path;
        let was_last = if self.stream.ended.get() {
            // A page of the stream's successor may have made its owner tell this core.
            !self.fanout.streams.borrow().contains_key(path)
        } else {
            self.stream.readers.borrow().len() == 1
        };
        was_last.then(|| path.clone())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut readers = self.stream.readers.borrow_mut();
        readers.remove(self.index);
        let last = readers.len() == 0;
        drop(readers);
        if last && !self.stream.ended.get() {
            self.fanout.streams.borrow_mut().remove(&self.stream.path);
            self.fanout.forget(&self.stream);
        }
    }
}

#[cfg(test)]
mod tests;
