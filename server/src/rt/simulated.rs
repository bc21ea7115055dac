//! The third driver: a simulated world that lends this thread its time, its files and its tasks.
//!
//! A simulation makes a [`World`] and enters it; from then on everything in this folder that
//! would ask the kernel asks the world. Invariant: on a thread inside a world no call reaches
//! the kernel or the runtime. Deliberately absent: sockets, which a simulation does without, and
//! the world itself, which is a crate of its own.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use thalweg_proto::time::Timestamp;
use thalweg_storage::AlignedBuf;

use super::{DRIVER, Driver, Opening};
use crate::local::Notify;

/// Something that a task waits for.
pub type Waiting<T> = Pin<Box<dyn Future<Output = T>>>;

/// What a simulation lends to the server.
pub trait World {
    /// Monotonic time.
    fn instant(&self) -> Instant;
    /// Wall-clock time, which may jump.
    fn wall(&self) -> Timestamp;
    /// Starts a task.
    fn spawn(&self, task: Waiting<()>);
    /// Pauses a task.
    fn sleep(&self, duration: Duration) -> Waiting<()>;
    /// Opens a file of the simulated disk.
    fn open(&self, path: &Path, opening: Opening) -> io::Result<Box<dyn WorldFile>>;
    /// Ends the simulated process that runs now.
    fn fatal(&self) -> !;
}

/// A file of the simulated disk.
pub trait WorldFile {
    /// See [`super::RingFile::write_all_at`].
    fn write_all_at(&self, buf: AlignedBuf, offset: u64) -> Waiting<(io::Result<()>, AlignedBuf)>;
    /// See [`super::RingFile::read_exact_at`].
    fn read_exact_at(&self, len: usize, offset: u64) -> Waiting<io::Result<Bytes>>;
    /// See [`super::RingFile::sync_data`].
    fn sync_data(&self) -> Waiting<io::Result<()>>;
}

thread_local! {
    static WORLD: RefCell<Option<Rc<dyn World>>> = const { RefCell::new(None) };
}

/// Puts this thread into a world until the guard is dropped.
#[must_use]
pub fn enter(world: Rc<dyn World>) -> Inside {
    WORLD.set(Some(world));
    Inside { before: DRIVER.replace(Some(Driver::Simulated)) }
}

/// See [`enter`].
pub struct Inside {
    before: Option<Driver>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        DRIVER.set(self.before);
        WORLD.set(None);
    }
}

/// Whether this thread is inside a world.
pub(crate) fn is_simulated() -> bool {
    DRIVER.get() == Some(Driver::Simulated)
}

/// The world that this thread is inside of.
pub(super) fn world() -> Option<Rc<dyn World>> {
    if is_simulated() { WORLD.with_borrow(Clone::clone) } else { None }
}

/// A doorbell inside a world.
#[derive(Clone, Default)]
pub(super) struct SimulatedBell(Arc<Mutex<BellState>>);

#[derive(Default)]
struct BellState {
    rung: bool,
    waker: Option<Waker>,
}

impl SimulatedBell {
    pub(super) fn pull(&self) {
        let waker = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.rung = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) async fn rung(&self) {
        std::future::poll_fn(|context| {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if std::mem::take(&mut state.rung) {
                return Poll::Ready(());
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// The alarm of a [`super::Timer`] inside a world.
#[derive(Clone, Default)]
pub(super) struct Alarm(Rc<AlarmState>);

#[derive(Default)]
struct AlarmState {
    /// Tells a setting from an earlier one, which must not ring any more.
    setting: Cell<u64>,
    rings: Notify,
}

impl Alarm {
    pub(super) fn set(&self, world: &Rc<dyn World>, after: Duration) {
        let setting = self.0.setting.get() + 1;
        self.0.setting.set(setting);
        let (alarm, pause) = (Rc::clone(&self.0), world.sleep(after));
        world.spawn(Box::pin(async move {
            pause.await;
            if alarm.setting.get() == setting {
                alarm.rings.notify();
            }
        }));
    }

    pub(super) async fn rung(&self) {
        self.0.rings.notified().await;
    }
}
