//! The readers of one live stream: who waits, and until when.

use std::ops::Range;
use std::task::Waker;
use std::time::Instant;

use super::Ready;
use crate::auth::Pass;

/// A slab of readers. Indexes are reused.
#[derive(Default)]
pub(super) struct Readers {
    entries: Vec<Entry>,
    free: Vec<usize>,
    /// Where the next round of wake-ups begins.
    first: usize,
    /// Members that stand in the line.
    called: usize,
}

struct Entry {
    waits: Waits,
    /// `None` once it is over, or when the entry is free.
    deadline: Option<Instant>,
    /// What it has shown to be let in.
    pass: Option<Box<Pass>>,
}

/// How a reader hears of news.
enum Waits {
    /// It does not wait.
    Not,
    /// As a task.
    Task(Waker),
    /// As a member of the crowd.
    Member {
        number: u32,
        /// It stands in the line already.
        called: bool,
    },
}

impl Readers {
    pub(super) fn add(&mut self, deadline: Instant) -> usize {
        let entry = Entry { waits: Waits::Not, deadline: Some(deadline), pass: None };
        match self.free.pop() {
            Some(index) => {
                self.entries[index] = entry;
                index
            }
            None => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
        }
    }

    pub(super) fn remove(&mut self, index: usize) {
        self.answered(index);
        self.entries[index] = Entry { waits: Waits::Not, deadline: None, pass: None };
        self.free.push(index);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(super) fn wait(&mut self, index: usize, waker: &Waker) {
        let waits = &mut self.entries[index].waits;
        if !matches!(waits, Waits::Task(old) if old.will_wake(waker)) {
            *waits = Waits::Task(waker.clone());
        }
    }

    pub(super) fn call(&mut self, index: usize, number: u32) {
        self.answered(index);
        self.entries[index].waits = Waits::Member { number, called: false };
    }

    pub(super) fn answered(&mut self, index: usize) {
        if let Waits::Member { called, .. } = &mut self.entries[index].waits {
            self.called -= usize::from(std::mem::replace(called, false));
        }
    }

    /// Another answer, with a time of its own.
    pub(super) fn renew(&mut self, index: usize, deadline: Instant) {
        self.entries[index].deadline = Some(deadline);
    }

    pub(super) fn is_expired(&self, index: usize) -> bool {
        self.entries[index].deadline.is_none()
    }

    /// Wakes everybody who waits. While all have been served since the last time, each round starts
    /// further on: not always the same readers pay the tail. Members that still stand in the line
    /// keep their place, and those who were served line up again in the order in which they were:
    /// so each comes to its turn once in a sweep, however many rounds there are in one.
    pub(super) fn wake_all(&mut self, ready: &Ready) {
        let len = self.entries.len();
        if len == 0 {
            return;
        }
        if self.called == 0 {
            // Coprime steps visit every start; a prime does for any number of readers below it.
            self.first += 7919;
        }
        self.first %= len;
        let (before, after) = self.entries.split_at_mut(self.first);
        let mut last = None;
        for (at, entry) in after.iter_mut().chain(before).enumerate() {
            if entry.waits.wake(ready) {
                self.called += 1;
                last = Some(at);
            }
        }
        self.first += last.map_or(0, |last| last + 1);
    }

    pub(super) fn expire(&mut self, now: Instant, ready: &Ready) {
        self.end_where(ready, |deadline| deadline <= now);
    }

    pub(super) fn keep(&mut self, index: usize, pass: Option<Box<Pass>>) {
        self.entries[index].pass = pass;
    }

    /// Ends those of a range that may not go on, and shortens the time of those that may for less
    /// long. False behind the last one.
    pub(super) fn judge(
        &mut self,
        range: Range<usize>,
        ready: &Ready,
        mut judge: impl FnMut(Option<&Pass>) -> Option<Option<Instant>>,
    ) -> bool {
        let end = range.end.min(self.entries.len());
        for entry in &mut self.entries[range.start.min(end)..end] {
            let Some(deadline) = entry.deadline else { continue };
            match judge(entry.pass.as_deref()) {
                Some(Some(until)) => entry.deadline = Some(deadline.min(until)),
                Some(None) => {}
                None => self.called += usize::from(entry.end(ready)),
            }
        }
        end < self.entries.len()
    }

    pub(super) fn expire_all(&mut self, ready: &Ready) {
        self.end_where(ready, |_| true);
    }

    fn end_where(&mut self, ready: &Ready, is_over: impl Fn(Instant) -> bool) {
        for entry in &mut self.entries {
            if entry.deadline.is_some_and(&is_over) {
                self.called += usize::from(entry.end(ready));
            }
        }
    }
}

impl Entry {
    /// As [`Waits::wake`].
    fn end(&mut self, ready: &Ready) -> bool {
        self.deadline = None;
        self.waits.wake(ready)
    }
}

impl Waits {
    /// Whether a member was called that did not stand in the line.
    fn wake(&mut self, ready: &Ready) -> bool {
        match self {
            Waits::Not | Waits::Member { called: true, .. } => false,
            Waits::Task(_) => {
                if let Waits::Task(waker) = std::mem::replace(self, Waits::Not) {
                    waker.wake();
                }
                false
            }
            Waits::Member { number, called } => {
                *called = true;
                ready.push(*number);
                true
            }
        }
    }
}
