//! The line of crowd members that have something to look at: news, or the end of their time.

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::local::Notify;

/// Bounded by the readers: each stands in it at most once.
#[derive(Default)]
pub struct Ready {
    line: RefCell<VecDeque<u32>>,
    /// Raised when the line was empty and is not any more.
    pub(crate) news: Notify,
}

impl Ready {
    /// Puts a member at the end of the line.
    pub fn push(&self, member: u32) {
        let mut line = self.line.borrow_mut();
        line.push_back(member);
        if line.len() == 1 {
            self.news.notify();
        }
    }

    /// Takes the member at the head of the line.
    pub fn pop(&self) -> Option<u32> {
        self.line.borrow_mut().pop_front()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.line.borrow().len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
