//! What waits for the disk: replies and refusals that depend on records not durable yet, and
//! the effects that those records will have on what readers see.

use std::collections::VecDeque;

use thalweg_proto::stream::record::{Payload, StreamId};
use thalweg_storage::Lsn;

use crate::mailbox::CoreId;
use crate::mailbox::message::{Answer, Note, Op};

/// Who asked, and the asker's number for the reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplyTo {
    /// The core that asked; possibly this one.
    pub core: CoreId,
    /// Its number for the reply.
    pub ticket: u64,
}

/// What happens once a record is durable.
pub(super) enum Waiting {
    /// The reply leaves.
    Reply(ReplyTo, Answer),
    /// The operation is looked at again, because it may not see what is not durable.
    Retry(Box<Op>, ReplyTo),
    /// A core is told.
    Tell(CoreId, Note),
}

/// A record on its way to the disk, as far as readers are concerned.
pub(super) struct Commit {
    /// Its number.
    pub(super) lsn: Lsn,
    /// Its stream.
    pub(super) id: StreamId,
    /// The position of its data.
    pub(super) position: u64,
    /// Its data.
    pub(super) payload: Payload,
    /// Whether it deletes the stream for good.
    pub(super) deletes: bool,
    /// Whether it deletes the stream for all but its forks.
    pub(super) hides: bool,
    /// Whether it closes the stream.
    pub(super) closes: bool,
    /// Whether it drops what is before `position`.
    pub(super) trims: bool,
}

/// The queue of both.
#[derive(Default)]
pub(super) struct Pending {
    commits: VecDeque<Commit>,
    waiting: Vec<(Lsn, Waiting)>,
}

impl Pending {
    /// Notes a record that was handed to the log.
    pub(super) fn commit_later(&mut self, commit: Commit) {
        self.commits.push_back(commit);
    }

    /// Lets something happen once `lsn` is durable.
    pub(super) fn wait(&mut self, lsn: Lsn, waiting: Waiting) {
        self.waiting.push((lsn, waiting));
    }

    /// The next record that has become durable.
    pub(super) fn next_commit(&mut self, durable: Lsn) -> Option<Commit> {
        self.commits.pop_front_if(|commit| commit.lsn <= durable)
    }

    /// Everything that waited for no more than `durable`, in the order in which it was asked.
    pub(super) fn due(&mut self, durable: Lsn) -> Vec<Waiting> {
        let (due, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(lsn, _)| *lsn <= durable);
        self.waiting = rest;
        due.into_iter().map(|(_, waiting)| waiting).collect()
    }

    /// Whether nothing is on its way.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.commits.is_empty() && self.waiting.is_empty()
    }
}
