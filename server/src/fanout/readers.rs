//! The readers of one live stream: who waits, and until when.

use std::task::Waker;
use std::time::Instant;

/// A slab of readers. Indexes are reused.
#[derive(Default)]
pub(super) struct Readers {
    entries: Vec<Entry>,
    free: Vec<usize>,
    /// Where the next round of wake-ups begins: not always the same readers pay the tail.
    first: usize,
}

struct Entry {
    waker: Option<Waker>,
    /// `None` once it is over, or when the entry is free.
    deadline: Option<Instant>,
}

impl Readers {
    pub(super) fn add(&mut self, deadline: Instant) -> usize {
        let entry = Entry { waker: None, deadline: Some(deadline) };
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
        self.entries[index] = Entry { waker: None, deadline: None };
        self.free.push(index);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(super) fn wait(&mut self, index: usize, waker: &Waker) {
        let entry = &mut self.entries[index];
        if !entry.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
            entry.waker = Some(waker.clone());
        }
    }

    pub(super) fn is_expired(&self, index: usize) -> bool {
        self.entries[index].deadline.is_none()
    }

    /// Wakes everybody who waits, starting a little further on each time.
    pub(super) fn wake_all(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        // Coprime steps visit every start; a prime does for any number of readers below it.
        self.first = (self.first + 7919) % self.entries.len();
        let (before, after) = self.entries.split_at_mut(self.first);
        for entry in after.iter_mut().chain(before) {
            if let Some(waker) = entry.waker.take() {
                waker.wake();
            }
        }
    }

    pub(super) fn expire(&mut self, now: Instant) {
        for entry in &mut self.entries {
            if entry.deadline.is_some_and(|deadline| deadline <= now) {
                entry.end();
            }
        }
    }

    pub(super) fn expire_all(&mut self) {
        self.entries.iter_mut().for_each(Entry::end);
    }
}

impl Entry {
    fn end(&mut self) {
        self.deadline = None;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
