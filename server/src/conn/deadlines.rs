//! When connections are given up: one coarse table per core instead of a timer per socket.
//!
//! A deadline that passes shuts its socket down, and whatever the connection's task was waiting
//! for ends. Nothing is cancelled in flight.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::rt::{SocketHandle, shutdown};

/// What a connection waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The next request: ends quietly, and when the server drains.
    Idle,
    /// The rest of a request: reading ends, so that a refusal can still be written.
    Reading,
    /// The peer to take an answer: both directions end.
    Writing,
}

/// The deadlines of a core's connections.
#[derive(Default)]
pub struct Deadlines(Rc<RefCell<Table>>);

#[derive(Default)]
struct Table {
    entries: Vec<Entry>,
    free: Vec<usize>,
}

struct Entry {
    socket: Option<SocketHandle>,
    at: Option<(Instant, Phase)>,
    passed: bool,
}

/// A connection's place in the table. Dropped before the socket is.
pub struct Guard {
    table: Rc<RefCell<Table>>,
    index: usize,
}

impl Deadlines {
    /// Adds a connection, without a deadline yet.
    #[must_use]
    pub fn register(&self, socket: SocketHandle) -> Guard {
        let mut table = self.0.borrow_mut();
        let entry = Entry { socket: Some(socket), at: None, passed: false };
        let index = match table.free.pop() {
            Some(index) => {
                table.entries[index] = entry;
                index
            }
            None => {
                table.entries.push(entry);
                table.entries.len() - 1
            }
        };
        Guard { table: Rc::clone(&self.0), index }
    }

    /// Shuts down what is overdue.
    pub fn sweep(&self, now: Instant) {
        for entry in &mut self.0.borrow_mut().entries {
            if entry.at.is_some_and(|(at, _)| at <= now) {
                entry.pass();
            }
        }
    }

    /// Ends every connection that waits for a request: the server drains.
    pub fn end_idle(&self) {
        for entry in &mut self.0.borrow_mut().entries {
            if matches!(entry.at, Some((_, Phase::Idle))) {
                entry.pass();
            }
        }
    }
}

impl Entry {
    fn pass(&mut self) {
        let (Some((_, phase)), Some(socket)) = (self.at.take(), self.socket) else { return };
        self.passed = true;
        shutdown(socket, phase == Phase::Writing);
    }
}

impl Guard {
    /// Sets the deadline.
    pub fn set(&self, now: Instant, after: Duration, phase: Phase) {
        self.table.borrow_mut().entries[self.index].at = Some((now + after, phase));
    }

    /// Takes the deadline away.
    pub fn clear(&self) {
        self.table.borrow_mut().entries[self.index].at = None;
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.table.borrow().entries[self.index].passed
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut table = self.table.borrow_mut();
        table.entries[self.index] = Entry { socket: None, at: None, passed: false };
        table.free.push(self.index);
    }
}
