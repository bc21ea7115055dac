//! A moment in which no core writes: what is durable then is one consistent cut over all of them.
//!
//! A fork on one core may name bytes that another core made durable just before. Positions that
//! cores give at different times could have the fork and not the bytes; positions of one moment
//! cannot.

use std::cell::{Cell, RefCell};
use std::sync::mpsc::Sender;

use thalweg_storage::LogPosition;

use super::Core;
use crate::mailbox::CoreId;

/// Where a core's log ends.
pub type Frozen = (CoreId, LogPosition);

/// Whether this core may write, and who wants to know when it has stopped.
#[derive(Default)]
pub(super) struct Freeze {
    is_frozen: Cell<bool>,
    asked: RefCell<Option<Sender<Frozen>>>,
}

impl Core {
    /// Begins no more writes. Says where the log ends once none is under way.
    pub(super) fn freeze(&self, reply: Sender<Frozen>) {
        self.freeze.is_frozen.set(true);
        self.freeze.asked.replace(Some(reply));
        self.log_news.notify();
    }

    /// Writes again.
    pub(super) fn thaw(&self) {
        self.freeze.is_frozen.set(false);
        self.freeze.asked.take();
        self.log_news.notify();
    }

    /// Whether no write may begin. Asked between two writes.
    pub(super) fn is_frozen(&self) -> bool {
        if let Some(reply) = self.freeze.asked.take()
            && let Some(position) = self.shard.borrow_mut().log().position()
        {
            // Who asked may have given up.
            let _ = reply.send((self.id, position));
        }
        self.freeze.is_frozen.get()
    }
}
