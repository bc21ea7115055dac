//! Tasks of one simulated process, polled one at a time in an order that the seed chooses.
//!
//! Tasks of different cores run in any order, as threads do. Tasks of one core run in the order in
//! which they were woken, as on the server's own runtime, or in any order, which is more than the
//! server promises to itself and less than it should rely on. Invariant: nothing runs but in
//! [`Executor::poll_one`].

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::random::Random;
use crate::time::Time;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// See the module.
pub(crate) struct Executor {
    pub(crate) time: Rc<Time>,
    tasks: RefCell<BTreeMap<u64, Entry>>,
    next_task: Cell<u64>,
    ready: Arc<Ready>,
    timers: RefCell<BTreeMap<(Duration, u64), Waker>>,
    next_timer: Cell<u64>,
    /// The core that the running task belongs to; what it starts belongs there too.
    core: Cell<usize>,
    any_order: bool,
}

struct Entry {
    /// Absent while it is polled.
    task: Option<Task>,
    core: usize,
    waker: Arc<TaskWaker>,
}

/// Tasks that were woken, in order. Wakers may be called from the helper's thread, which runs
/// only while the scheduler waits for it.
#[derive(Default)]
struct Ready(Mutex<Vec<u64>>);

struct TaskWaker {
    task: u64,
    ready: Arc<Ready>,
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<TaskWaker>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<TaskWaker>) {
        let mut ready = self.ready.lock();
        if !ready.contains(&self.task) {
            ready.push(self.task);
        }
    }
}

impl Executor {
    pub(crate) fn new(time: Rc<Time>, any_order: bool) -> Executor {
        Executor {
            time,
            tasks: RefCell::default(),
            next_task: Cell::new(0),
            ready: Arc::default(),
            timers: RefCell::default(),
            next_timer: Cell::new(0),
            core: Cell::new(0),
            any_order,
        }
    }

    /// Starts a task on the core that runs now.
    pub(crate) fn spawn(&self, task: Task) {
        let id = self.next_task.get();
        self.next_task.set(id + 1);
        let waker = Arc::new(TaskWaker { task: id, ready: Arc::clone(&self.ready) });
        let entry = Entry { task: Some(task), core: self.core.get(), waker };
        self.tasks.borrow_mut().insert(id, entry);
        self.ready.lock().push(id);
    }

    /// What is started from now on, outside of tasks, belongs to this core.
    pub(crate) fn set_core(&self, core: usize) {
        self.core.set(core);
    }

    /// Whether a task can be polled.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.lock().is_empty()
    }

    /// Polls one task that can be polled. Returns which, and its core.
    pub(crate) fn poll_one(&self, random: &mut Random) -> Option<(u64, usize)> {
        let id = self.choose(random)?;
        let taken = {
            let mut tasks = self.tasks.borrow_mut();
            tasks.get_mut(&id).and_then(|entry| {
                entry.task.take().map(|task| (task, entry.core, Arc::clone(&entry.waker)))
            })
        };
        // It ended meanwhile.
        let Some((mut task, core, waker)) = taken else { return Some((id, 0)) };
        self.core.set(core);
        let waker = Waker::from(waker);
        let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
        let mut tasks = self.tasks.borrow_mut();
        match polled {
            Poll::Ready(()) => {
                let ended = tasks.remove(&id);
                drop(tasks);
                // Both may hold what wakes or starts other tasks when it goes.
                drop((ended, task));
            }
            Poll::Pending => {
                if let Some(entry) = tasks.get_mut(&id) {
                    entry.task = Some(task);
                }
            }
        }
        Some((id, core))
    }

    fn choose(&self, random: &mut Random) -> Option<u64> {
        let mut ready = self.ready.lock();
        if ready.is_empty() {
            return None;
        }
        let index = random.index(ready.len());
        if self.any_order {
            return Some(ready.remove(index));
        }
        let tasks = self.tasks.borrow();
        let core_of = |id: &u64| tasks.get(id).map(|entry| entry.core);
        let core = core_of(&ready[index]);
        let first = ready.iter().position(|id| core_of(id) == core).unwrap_or(index);
        Some(ready.remove(first))
    }

    /// When the next timer is due.
    pub(crate) fn next_timer(&self) -> Option<Duration> {
        self.timers.borrow().keys().next().map(|(at, _)| *at)
    }

    /// Wakes whoever waited for a time that has come.
    pub(crate) fn fire_timers(&self) {
        let now = self.time.now();
        loop {
            let due = {
                let mut timers = self.timers.borrow_mut();
                match timers.first_key_value() {
                    Some(((at, _), _)) if *at <= now => timers.pop_first(),
                    _ => None,
                }
            };
            match due {
                Some((_, waker)) => waker.wake(),
                None => return,
            }
        }
    }

    /// Ends all tasks where they are.
    pub(crate) fn clear(&self) {
        // Dropping a task may start another one.
        loop {
            let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
            if tasks.is_empty() {
                break;
            }
            drop(tasks);
        }
        self.timers.borrow_mut().clear();
        self.ready.lock().clear();
    }
}

/// A pause in virtual time.
pub(crate) struct Sleep {
    executor: Rc<Executor>,
    until: Duration,
    timer: Option<(Duration, u64)>,
}

impl Sleep {
    pub(crate) fn new(executor: &Rc<Executor>, pause: Duration) -> Sleep {
        let until = executor.time.now() + pause;
        Sleep { executor: Rc::clone(executor), until, timer: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Sleep>, context: &mut Context<'_>) -> Poll<()> {
        if self.executor.time.now() >= self.until {
            return Poll::Ready(());
        }
        let key = match self.timer {
            Some(key) => key,
            None => {
                let number = self.executor.next_timer.get();
                self.executor.next_timer.set(number + 1);
                (self.until, number)
            }
        };
        self.timer = Some(key);
        self.executor.timers.borrow_mut().insert(key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.timer {
            self.executor.timers.borrow_mut().remove(&key);
        }
    }
}
