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
    /// The rest of a request's head: reading ends, so that a refusal can still be written.
    Head,
    /// The rest of a request's body: as with the head.
    Body,
    /// The end of a handshake, or of what a proxy says before it: both directions end.
    Handshake,
    /// The peer to take an answer: both directions end.
    Writing,
    /// The peer to read the last answer and to leave.
    Lingering,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Phase; 6] =
        [Phase::Idle, Phase::Head, Phase::Body, Phase::Handshake, Phase::Writing, Phase::Lingering];

    /// As metrics name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Phase::Idle => "idle",
            Phase::Head => "head",
            Phase::Body => "body",
            Phase::Handshake => "handshake",
            Phase::Writing => "write",
            Phase::Lingering => "linger",
        }
    }

    fn ends_both(self) -> bool {
        matches!(self, Phase::Handshake | Phase::Writing)
    }
}

/// The deadlines of a core's connections.
#[derive(Default)]
pub struct Deadlines(Rc<RefCell<Table>>);

#[derive(Default)]
struct Table {
    entries: Vec<Entry>,
    free: Vec<usize>,
    passed: [u64; Phase::ALL.len()],
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
        let Table { entries, passed, .. } = &mut *self.0.borrow_mut();
        for entry in entries {
            if let Some((at, phase)) = entry.at
                && at <= now
            {
                passed[phase as usize] += 1;
                entry.pass();
            }
        }
    }

    /// Something was given up without its connection: a request of many.
    pub fn count(&self, phase: Phase) {
        self.0.borrow_mut().passed[phase as usize] += 1;
    }

    /// How often the deadlines of a kind have passed.
    #[must_use]
    pub fn passed(&self, phase: Phase) -> u64 {
        self.0.borrow().passed[phase as usize]
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
        shutdown(socket, phase.ends_both());
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
