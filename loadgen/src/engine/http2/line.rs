//! Work that waits until everything that has come is stamped.
//!
//! The bytes of a connection are for many readers, and thousands of those in a row would keep the
//! thread from looking at its sockets: what comes meanwhile would be late by our fault. So whoever
//! has something to take stands in a line, and after a few of them the runtime gets a turn.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::engine::clock::Turn;

/// One thread's line. It is only used on this thread; the lock is what a waker must have.
#[derive(Clone, Default)]
pub(crate) struct Line(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Waker, usize)>,
    /// The line's own task, when nobody waits.
    sleeper: Option<Waker>,
    started: bool,
}

impl Line {
    /// Has a task woken when it is its turn, which is worth so many small ones.
    pub(super) fn stand(&self, waker: Waker, weight: usize) {
        let mut queue = self.queue();
        queue.waiting.push_back((waker, weight));
        if let Some(sleeper) = queue.sleeper.take() {
            drop(queue);
            sleeper.wake();
        }
    }

    /// Starts the line's task unless it runs.
    pub(super) fn start(&self) {
        if std::mem::replace(&mut self.queue().started, true) {
            return;
        }
        let line = self.clone();
        drop(monoio::spawn(async move {
            let turn = Turn::default();
            loop {
                let some = poll_fn(|context| line.poll_some(context)).await;
                some.into_iter().for_each(Waker::wake);
                turn.take().await;
            }
        }));
    }

    /// The next ones.
    fn poll_some(&self, context: &mut Context<'_>) -> Poll<Vec<Waker>> {
        let mut queue = self.queue();
        let (mut some, mut weight) = (Vec::new(), 0);
        while weight < WEIGHT_PER_TURN
            && let Some((waker, more)) = queue.waiting.pop_front()
        {
            weight += more;
            some.push(waker);
        }
        if some.is_empty() {
            queue.sleeper = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(some)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the line: what waits under its waker is woken by way of it.
pub(super) struct Place {
    standing: Arc<Standing>,
    waker: Waker,
}

struct Standing {
    line: Line,
    task: Mutex<Option<Waker>>,
}

impl Place {
    pub(super) fn new(line: &Line) -> Place {
        let standing = Arc::new(Standing { line: line.clone(), task: Mutex::new(None) });
        let waker = Waker::from(Arc::clone(&standing));
        Place { standing, waker }
    }

    /// Polls something that is woken by way of the line.
    pub(super) fn poll<T>(
        &self,
        context: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        *self.standing.task() = Some(context.waker().clone());
        poll(&mut Context::from_waker(&self.waker))
    }
}

impl Standing {
    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Standing {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let task = self.task().take();
        if let Some(task) = task {
            self.line.stand(task, 1);
        }
    }
}

/// Of readers with one message each: some tens of microseconds.
const WEIGHT_PER_TURN: usize = 16;
/// A connection's frames are all looked at in one go.
pub(super) const CONNECTION_WEIGHT: usize = WEIGHT_PER_TURN;
