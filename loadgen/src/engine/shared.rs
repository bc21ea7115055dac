//! What the threads of a run share: phases as times on one clock, and counters.
//!
//! Invariant: everything that matters on the path of a request is an atomic or read-only; no thread
//! waits there for another one's lock.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::clock::Clock;
use super::core::Book;
use super::options::Stop;
use super::owed::{Ledger, ledger};

/// Not decided yet.
pub(crate) const UNKNOWN: u64 = u64::MAX;
/// How late an iteration may still be started after the end of the load.
const GRACE_NS: u64 = 1_000_000_000;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    /// Tells this run's messages from those of others.
    pub(crate) run: u64,
    pub(crate) stop: Stop,
    /// When load begins; [`UNKNOWN`] during the set-up.
    start_ns: AtomicU64,
    /// No new operations.
    stopping: AtomicBool,
    /// The plan or a fault of the generator ended the run, not who started it.
    stopped: AtomicBool,
    /// Readers leave.
    over: AtomicBool,
    /// Threads that have set up their readers.
    pub(crate) ready: AtomicU32,
    /// Threads that make load and are not done, or have not begun.
    pub(crate) busy: AtomicU32,
    /// Virtual users, live readers and requests under way.
    pub(crate) users: AtomicU64,
    pub(crate) readers: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    /// Messages that came to live readers, to be shown.
    pub(crate) delivered: AtomicU64,
    /// Messages that were about to be sent, of all streams and sources, if there are readers: then
    /// no number is above it.
    pub(crate) published: AtomicU64,
    /// What threads published that make no load any more, and how many they are.
    pub(crate) handed_in: AtomicU32,
    books: Mutex<Vec<Book>>,
    /// What all of them did, when nothing more is published.
    pub(crate) ledger: OnceLock<Ledger>,
    /// Threads whose readers have not got all that the ledger says.
    pub(crate) waiting: AtomicU32,
    /// The next free slot for a new connection, in nanoseconds.
    next_connect_ns: AtomicU64,
    connect_gap_ns: u64,
    next_source: AtomicU32,
}

impl Shared {
    pub(crate) fn new(
        clock: Clock,
        run: u64,
        stop: Stop,
        (reader_threads, request_threads): (u32, u32),
        connect_rate: f64,
        first_source: u32,
    ) -> Shared {
        Shared {
            clock,
            run,
            stop,
            start_ns: AtomicU64::new(UNKNOWN),
            stopping: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            over: AtomicBool::new(false),
            ready: AtomicU32::new(0),
            busy: AtomicU32::new(request_threads),
            users: AtomicU64::new(0),
            readers: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            published: AtomicU64::new(0),
            handed_in: AtomicU32::new(0),
            books: Mutex::default(),
            ledger: OnceLock::new(),
            waiting: AtomicU32::new(reader_threads),
            next_connect_ns: AtomicU64::new(0),
            connect_gap_ns: (1e9 / connect_rate.max(0.001)) as u64,
            next_source: AtomicU32::new(first_source),
        }
    }

    /// When load begins, if that is decided.
    pub(crate) fn start_ns(&self) -> Option<u64> {
        Some(self.start_ns.load(Ordering::Acquire)).filter(|at| *at != UNKNOWN)
    }

    pub(crate) fn begin(&self, at_ns: u64) {
        self.start_ns.store(at_ns, Ordering::Release);
    }

    /// Whether no new operation may begin.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed) || self.is_stopped()
    }

    /// Whether the run ends early, for whatever reason.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.stop.is_stopped()
    }

    /// Ends the run early; that is no interruption by who started it.
    pub(crate) fn stop_by_itself(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether an iteration that was due at `intended_ns` is not started any more. What was due
    /// when the load ended still is, unless this thread is far behind.
    pub(crate) fn is_too_late(&self, intended_ns: u64) -> bool {
        let behind = || self.clock.now_ns() > intended_ns.saturating_add(GRACE_NS);
        self.is_stopped() || (self.is_stopping() && behind())
    }

    pub(crate) fn end_load(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Takes what a thread published that makes no load any more.
    pub(crate) fn hand_in(&self, book: Book) {
        self.books.lock().unwrap_or_else(PoisonError::into_inner).push(book);
        self.handed_in.fetch_add(1, Ordering::Release);
    }

    /// Nothing more is published: readers are whole when they have what was.
    pub(crate) fn settle(&self) {
        let books = std::mem::take(&mut *self.books.lock().unwrap_or_else(PoisonError::into_inner));
        // Only the first time counts.
        let _ = self.ledger.set(ledger(books.into_iter()));
    }

    /// Whether readers leave.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// When the next connection may be made.
    pub(crate) fn connect_slot(&self) -> u64 {
        let now = self.clock.now_ns();
        let gap = self.connect_gap_ns;
        let take = |next: u64| Some(next.max(now.saturating_sub(gap)) + gap);
        let order = Ordering::Relaxed;
        let taken = self.next_connect_ns.fetch_update(order, order, take).unwrap_or(now);
        taken.max(now.saturating_sub(gap))
    }

    /// A number that no other source of messages has.
    pub(crate) fn source(&self) -> u32 {
        self.next_source.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether a message with this number may have been sent by this source. Numbers from the
    /// network may be anything.
    pub(crate) fn is_possible(&self, source: u32, sequence: u32) -> bool {
        source < self.next_source.load(Ordering::Relaxed)
            && u64::from(sequence) < self.published.load(Ordering::Relaxed)
    }
}
