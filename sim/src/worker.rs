//! A desk of the server with its thread in lockstep, and the work that waits for it.
//!
//! Invariant: the thread runs only in [`Worker::begin`] and [`Worker::go_on`], and stands in front
//! of a disk operation, or has nothing to do, when they return.

use std::sync::mpsc::Receiver;

use thalweg::mailbox::message::{Message, Note};
use thalweg::mailbox::{CoreId, Post};

use crate::lockstep::{Lockstep, Progress};
use crate::process::Death;

/// Something that does blocking work and returns its answers.
pub(crate) trait Desk: Send + 'static {
    /// The work.
    type Work: Send + 'static;
    /// Does it.
    fn work(&mut self, work: Self::Work) -> Vec<(CoreId, Note)>;
}

impl Desk for thalweg::helper::Desk {
    type Work = thalweg::helper::Work;

    fn work(&mut self, work: Self::Work) -> Vec<(CoreId, Note)> {
        self.work(work).into_iter().collect()
    }
}

impl Desk for thalweg::compactor::Desk {
    type Work = (CoreId, thalweg::compactor::Task);

    fn work(&mut self, (core, task): Self::Work) -> Vec<(CoreId, Note)> {
        let answers = self.work(core, task, &mut |_| {});
        answers.into_iter().map(|(core, done)| (core, Note::Compactor(done))).collect()
    }
}

type Worked<D> = (D, Vec<(CoreId, Note)>);

/// See the module.
pub(crate) struct Worker<D: Desk> {
    post: Post,
    inbox: Receiver<D::Work>,
    /// Absent while its thread has it.
    desk: Option<D>,
    thread: Lockstep<Worked<D>>,
}

impl<D: Desk> Worker<D> {
    pub(crate) fn new(
        name: &str,
        desk: D,
        inbox: Receiver<D::Work>,
        post: Post,
    ) -> std::io::Result<Worker<D>> {
        Ok(Worker { post, inbox, desk: Some(desk), thread: Lockstep::start(name)? })
    }

    /// Begins what waits, if nothing is under way. True if it stands at a gate now.
    pub(crate) fn begin(&mut self) -> Result<bool, Death> {
        while let Some(mut desk) = self.desk.take() {
            let Ok(work) = self.inbox.try_recv() else {
                self.desk = Some(desk);
                return Ok(false);
            };
            let progress = self.thread.begin(move || {
                let answers = desk.work(work);
                (desk, answers)
            });
            if self.worked(progress)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lets it do the operation that it waits for. True if it stands at a gate again.
    pub(crate) fn go_on(&mut self) -> Result<bool, Death> {
        let progress = self.thread.pass();
        self.worked(progress)
    }

    fn worked(&mut self, progress: Progress<Worked<D>>) -> Result<bool, Death> {
        match progress {
            Progress::AtGate => Ok(true),
            Progress::Panicked(words) => Err(Death::Panicked(words)),
            Progress::Done((desk, answers)) => {
                self.desk = Some(desk);
                for (core, note) in answers {
                    self.post.send_from_outside(core, Message::Tell(note));
                }
                Ok(false)
            }
        }
    }
}
