//! Blocking code on a thread of its own that moves only when it is told to.
//!
//! The server's helpers do blocking work over a [`thalweg_storage::Disk`]. Here each operation on
//! the simulated disk is a gate: the thread stops in front of it until the scheduler lets it
//! through, and the scheduler waits until the thread stands at the next gate or is done. So one of
//! the two runs at any time, the run is deterministic, and the cores go on, or the machine loses
//! power, between any two operations of a helper.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

type Job<T> = Box<dyn FnOnce() -> T + Send>;

/// How a job goes on.
pub(crate) enum Progress<T> {
    /// It stands at a gate.
    AtGate,
    /// It is done.
    Done(T),
    /// It has panicked.
    Panicked(String),
}

/// A thread in lockstep with the scheduler.
pub(crate) struct Lockstep<T> {
    jobs: Option<Sender<Job<T>>>,
    passes: Sender<()>,
    reports: Receiver<Report<T>>,
    thread: Option<JoinHandle<()>>,
}

enum Report<T> {
    AtGate,
    Done(Result<T, Box<dyn Any + Send>>),
}

struct Gate {
    arrive: Box<dyn Fn()>,
    passes: Receiver<()>,
}

thread_local! {
    static GATE: RefCell<Option<Gate>> = const { RefCell::new(None) };
}

/// Waits to be let through, if this thread is in lockstep.
pub(crate) fn gate() {
    GATE.with_borrow(|gate| {
        if let Some(gate) = gate {
            (gate.arrive)();
            // If nobody lets anybody through any more, the disk says that the process is dead.
            let _ = gate.passes.recv();
        }
    });
}

impl<T: Send + 'static> Lockstep<T> {
    /// A thread that waits for a job.
    pub(crate) fn start(name: &str) -> std::io::Result<Lockstep<T>> {
        let (jobs, inbox) = channel::<Job<T>>();
        let (passes, passages) = channel();
        let (report, reports) = channel();
        let run = move || {
            let arrive = report.clone();
            let arrive = Box::new(move || drop(arrive.send(Report::AtGate)));
            GATE.set(Some(Gate { arrive, passes: passages }));
            while let Ok(job) = inbox.recv() {
                let result = catch_unwind(AssertUnwindSafe(job));
                if report.send(Report::Done(result)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Lockstep { jobs: Some(jobs), passes, reports, thread: Some(thread) })
    }

    /// Begins a job; none may be under way.
    pub(crate) fn begin(&self, job: impl FnOnce() -> T + Send + 'static) -> Progress<T> {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(Box::new(job));
        }
        self.wait()
    }

    /// Lets the job through the gate at which it stands.
    pub(crate) fn pass(&self) -> Progress<T> {
        let _ = self.passes.send(());
        self.wait()
    }

    fn wait(&self) -> Progress<T> {
        match self.reports.recv() {
            Ok(Report::AtGate) => Progress::AtGate,
            Ok(Report::Done(Ok(result))) => Progress::Done(result),
            Ok(Report::Done(Err(panic))) => Progress::Panicked(words_of(&*panic)),
            Err(_) => Progress::Panicked("the thread is gone".to_owned()),
        }
    }
}

impl<T> Drop for Lockstep<T> {
    /// The disk refuses everything by now, so a job that stands at a gate soon ends.
    fn drop(&mut self) {
        self.jobs = None;
        let (closed, _) = channel();
        self.passes = closed;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a panic said.
pub(crate) fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
