//! Numbers for replies that are on their way.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::local::Sender;
use crate::mailbox::message::Answer;

/// Outstanding replies of one core.
#[derive(Default)]
pub(super) struct Tickets {
    next: Cell<u64>,
    waiting: RefCell<HashMap<u64, Sender<Answer>, RandomState>>,
}

impl Tickets {
    /// A number that was never used before on this core.
    pub(super) fn issue(&self, sender: Sender<Answer>) -> u64 {
        let ticket = self.next.get();
        self.next.set(ticket + 1);
        self.waiting.borrow_mut().insert(ticket, sender);
        ticket
    }

    /// The reply has arrived. If its asker has gone away, nobody minds.
    pub(super) fn redeem(&self, ticket: u64, answer: Answer) {
        let sender = self.waiting.borrow_mut().remove(&ticket);
        if let Some(sender) = sender {
            sender.send(answer);
        }
    }
}
