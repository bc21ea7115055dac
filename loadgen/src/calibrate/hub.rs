//! What the threads of the null server share: the messages as they go out, and how far the
//! generator is.
//!
//! Invariant: an append to a stream with readers is answered when all of them have its message, so
//! that what is under way is bounded by the publisher's plan and not by the sockets' buffers.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

use super::wire;
use crate::live::Board;

/// Shared by the threads of one null server.
#[derive(Debug)]
pub(super) struct Hub {
    log: Mutex<Log>,
    /// By thread: wakes it.
    wakers: Vec<OwnedFd>,
    over: AtomicBool,
    readers: AtomicU64,
    /// By thread: CPU and wall time since the first append, nanoseconds.
    usage: Vec<(AtomicU64, AtomicU64)>,
    /// Where the generator says how many deliveries it has counted.
    board: Board,
}

#[derive(Debug, Default)]
struct Log {
    bytes: Vec<u8>,
    messages: u64,
}

impl Hub {
    pub(super) fn new(threads: usize, board: Board) -> io::Result<Hub> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let wakers: Result<_, _> = (0..threads).map(|_| eventfd(0, flags)).collect();
        Ok(Hub {
            log: Mutex::default(),
            wakers: wakers?,
            over: AtomicBool::new(false),
            readers: AtomicU64::new(0),
            usage: (0..threads).map(|_| Default::default()).collect(),
            board,
        })
    }

    pub(super) fn waker(&self, thread: usize) -> &OwnedFd {
        &self.wakers[thread]
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Acquire)
    }

    /// Ends all threads.
    pub(super) fn end(&self) {
        self.over.store(true, Release);
        self.wake();
    }

    pub(super) fn add_reader(&self) {
        self.readers.fetch_add(1, Relaxed);
    }

    pub(super) fn has_readers(&self) -> bool {
        self.readers.load(Relaxed) > 0
    }

    /// Publishes a message. How many there are now.
    pub(super) fn publish(&self, body: &[u8]) -> u64 {
        let mut log = self.log();
        log.messages += 1;
        let messages = log.messages;
        wire::push_message(&mut log.bytes, body, messages);
        drop(log);
        self.wake();
        messages
    }

    /// Appends what `copy` lacks of all messages.
    pub(super) fn follow(&self, copy: &mut Vec<u8>) {
        let log = self.log();
        let from = copy.len();
        copy.extend_from_slice(&log.bytes[from..]);
    }

    /// Messages that all readers have.
    pub(super) fn taken(&self) -> u64 {
        let readers = self.readers.load(Relaxed).max(1);
        self.board.delivered() / readers
    }

    pub(super) fn set_usage(&self, thread: usize, cpu_ns: u64, wall_ns: u64) {
        let (cpu, wall) = &self.usage[thread];
        cpu.store(cpu_ns, Relaxed);
        wall.store(wall_ns, Relaxed);
    }

    /// CPU time by wall time of the busiest thread, since its first append.
    pub(super) fn busiest(&self) -> f64 {
        let parts = self
            .usage
            .iter()
            .map(|(cpu, wall)| cpu.load(Relaxed) as f64 / (wall.load(Relaxed) as f64).max(1.0));
        parts.fold(0.0, f64::max)
    }

    fn wake(&self) {
        for waker in &self.wakers {
            // Its counter cannot overflow, and a thread that is awake looks by itself.
            let _ = rustix::io::write(waker, &1_u64.to_ne_bytes());
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
