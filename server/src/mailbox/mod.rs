//! Between cores: one bounded queue per pair and direction, and a doorbell that is pulled only
//! when its core sleeps.
//!
//! Invariants: messages from one core to another arrive in the order they were sent (live
//! readers rely on it: a subscription is seen before the read that follows it). Nothing is ever
//! dropped: what a full queue does not take waits at the sender. Requests are bounded there, because
//! every connection has at most one under way; news of streams are bounded by what the log takes in
//! while the other core does not run.

pub mod message;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::Poll;

use crossbeam_queue::ArrayQueue;

use crate::rt::{Bell, BellRope, BellSeat, bell};
use message::Message;

/// Names a core: 0 to the number of cores.
pub type CoreId = usize;

/// Messages that one queue holds.
const QUEUE_CAPACITY: usize = 4096;

/// One core's mailbox as other threads see it.
struct Slot {
    /// By sender; the last one belongs to the control plane and other helper threads.
    queues: Vec<ArrayQueue<Message>>,
    asleep: AtomicBool,
    rope: BellRope,
}

/// All mailboxes of a server. Cheap to clone.
#[derive(Clone)]
pub struct Post {
    slots: Arc<Vec<Slot>>,
}

/// The receiving end, moved to its core's thread.
pub struct Inbox {
    post: Post,
    core: CoreId,
    bell: BellSeat,
}

/// Makes the mailboxes of `cores` cores.
pub fn mailboxes(cores: usize) -> io::Result<(Post, Vec<Inbox>)> {
    let mut slots = Vec::with_capacity(cores);
    let mut bells = Vec::with_capacity(cores);
    for _ in 0..cores {
        let (rope, bell) = bell()?;
        let queues = (0..=cores).map(|_| ArrayQueue::new(QUEUE_CAPACITY)).collect();
        slots.push(Slot { queues, asleep: AtomicBool::new(false), rope });
        bells.push(bell);
    }
    let post = Post { slots: Arc::new(slots) };
    let inboxes = bells.into_iter().enumerate();
    let inboxes = inboxes.map(|(core, bell)| Inbox { post: post.clone(), core, bell }).collect();
    Ok((post, inboxes))
}

impl Post {
    /// How many cores there are.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.slots.len()
    }

    /// Sends from a thread that is no core. Waits, pausing the thread, while the queue is full.
    pub fn send_from_outside(&self, to: CoreId, mut message: Message) {
        let sender = self.cores();
        while let Err(back) = self.try_send(sender, to, message) {
            message = back;
            std::thread::yield_now();
        }
    }

    /// Messages that wait in a core's mailbox.
    #[must_use]
    pub fn depth(&self, core: CoreId) -> usize {
        self.slots[core].queues.iter().map(ArrayQueue::len).sum()
    }

    /// As [`Post::send_from_outside`], but gives the message back if there is no room.
    pub fn try_send_from_outside(&self, to: CoreId, message: Message) -> Result<(), Message> {
        self.try_send(self.cores(), to, message)
    }

    fn try_send(&self, from: usize, to: CoreId, message: Message) -> Result<(), Message> {
        let slot = &self.slots[to];
        slot.queues[from].push(message)?;
        // The sleeper sets its flag and looks again; we push and look at the flag. With a full
        // fence on either side one of the two sees the other.
        fence(Ordering::SeqCst);
        if slot.asleep.load(Ordering::Relaxed) && slot.asleep.swap(false, Ordering::Relaxed) {
            slot.rope.pull();
        }
        Ok(())
    }
}

/// The sending end of one core.
pub struct Outbox {
    post: Post,
    core: CoreId,
    /// What did not fit, by receiver.
    waiting: RefCell<Vec<VecDeque<Message>>>,
}

impl Outbox {
    /// The sending end of `core`.
    #[must_use]
    pub fn new(post: Post, core: CoreId) -> Outbox {
        let waiting = (0..post.cores()).map(|_| VecDeque::new()).collect();
        Outbox { post, core, waiting: RefCell::new(waiting) }
    }

    /// Sends a message to another core.
    pub fn send(&self, to: CoreId, message: Message) {
        let waiting = &mut self.waiting.borrow_mut()[to];
        if !waiting.is_empty() {
            waiting.push_back(message);
        } else if let Err(message) = self.post.try_send(self.core, to, message) {
            waiting.push_back(message);
        }
    }

    /// Whether something waits for room.
    pub fn is_behind(&self) -> bool {
        self.waiting.borrow().iter().any(|waiting| !waiting.is_empty())
    }

    /// How many messages wait for room.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.waiting.borrow().iter().map(VecDeque::len).sum()
    }

    /// Sends what had to wait, as far as there is room. True if something still waits.
    pub fn flush(&self) -> bool {
        let mut behind = false;
        for (to, waiting) in self.waiting.borrow_mut().iter_mut().enumerate() {
            while let Some(message) = waiting.pop_front() {
                if let Err(message) = self.post.try_send(self.core, to, message) {
                    waiting.push_front(message);
                    behind = true;
                    break;
                }
            }
        }
        behind
    }
}

impl Inbox {
    /// Hands every message to `handle`, for ever.
    pub async fn run(self, mut handle: impl FnMut(Message)) -> io::Result<()> {
        let mut bell = Bell::new(self.bell)?;
        let slot = &self.post.slots[self.core];
        loop {
            if drain(slot, &mut handle) {
                // Let the tasks that the messages woke run before looking again.
                yield_once().await;
                continue;
            }
            slot.asleep.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if slot.queues.iter().any(|queue| !queue.is_empty()) {
                slot.asleep.store(false, Ordering::Relaxed);
                continue;
            }
            bell.rung().await?;
            slot.asleep.store(false, Ordering::Relaxed);
        }
    }
}

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn drain(slot: &Slot, handle: &mut impl FnMut(Message)) -> bool {
    let mut any = false;
    for queue in &slot.queues {
        // At most what was there: a fast sender must not keep the others waiting.
        for _ in 0..queue.len() {
            let Some(message) = queue.pop() else { break };
            any = true;
            handle(message);
        }
    }
    any
}
