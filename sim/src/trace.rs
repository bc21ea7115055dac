//! What happened, as a hash over all of it and as lines for the last of it.
//!
//! Invariant: two runs of one seed have the same hash. Whatever would differ between two runs must
//! not be traced, and nothing that is traced may depend on it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;

/// Lines that a failure shows.
const KEPT: usize = 60;

/// The trace of a run.
pub(crate) struct Trace {
    hash: Cell<u64>,
    events: Cell<u64>,
    lines: RefCell<VecDeque<String>>,
    print: bool,
}

impl Trace {
    pub(crate) fn new(print: bool) -> Trace {
        Trace {
            hash: Cell::new(0xcbf2_9ce4_8422_2325),
            events: Cell::new(0),
            lines: RefCell::default(),
            print,
        }
    }

    /// Numbers that are part of what happened, too many for a line.
    pub(crate) fn mix(&self, numbers: &[u64]) {
        let mut hash = self.hash.get();
        for number in numbers {
            hash = (hash ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^= hash >> 29;
        }
        self.hash.set(hash);
        self.events.set(self.events.get() + 1);
    }

    /// Something worth a line.
    pub(crate) fn line(&self, line: fmt::Arguments<'_>) {
        let line = line.to_string();
        let mut hash = self.hash.get();
        for byte in line.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        self.hash.set(hash);
        self.events.set(self.events.get() + 1);
        if self.print {
            println!("{line}");
        }
        let mut lines = self.lines.borrow_mut();
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.get()
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.get()
    }

    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.lines.borrow().iter().cloned().collect()
    }
}
