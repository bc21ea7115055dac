//! The runtime seam: everything that names monoio. The rest of the server knows sockets, files,
//! tasks and a doorbell, so that the runtime can be changed in this folder alone.
//!
//! What monoio's open bugs ask of its users holds here: no operation that owns a buffer is ever
//! dropped while the kernel works on it, except by closing its socket first; accepting happens
//! in a task that is never cancelled; nothing loops on yields.

mod file;
mod net;
mod sends;
pub mod simulated;
mod sys;
mod timer;

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use thalweg_proto::time::Timestamp;

pub use file::{Opening, RingFile};
pub use net::{Bell, BellRope, BellSeat, Listener, Socket, SocketReader, SocketWriter, bell};
pub use sends::{SENDS_PER_CALL, Sends, SendsReady};
pub use sys::{Completion, SendRing, SendStats, SocketHandle, shutdown, trim_memory};
pub use timer::Timer;

/// Which kernel interface drives a core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Driver {
    /// io_uring.
    IoUring,
    /// epoll: the same code on the fallback driver.
    Epoll,
    /// None: a simulated world, see [`simulated`].
    Simulated,
}

impl Driver {
    /// The name that flags, banners and metrics use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Driver::IoUring => "io_uring",
            Driver::Epoll => "epoll",
            Driver::Simulated => "simulated",
        }
    }
}

/// Submission entries of a core's ring. Deep, because one event wakes every reader of a stream
/// and their writes should leave in few submissions.
const RING_ENTRIES: u32 = 4096;
/// Completion entries: every connected reader may complete at once.
const COMPLETION_ENTRIES: u32 = 4 * RING_ENTRIES;
/// Ring memory is charged against RLIMIT_MEMLOCK and released late after a process ends.
const RING_ATTEMPTS: u32 = 20;
const RING_RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Tries to set up the rings that a core needs.
pub fn probe_io_uring() -> io::Result<()> {
    let runtime = uring_runtime()?;
    SendRing::new(SENDS_PER_CALL)?;
    drop(runtime);
    Ok(())
}

thread_local! {
    static DRIVER: Cell<Option<Driver>> = const { Cell::new(None) };
}

/// What drives this thread.
fn driver() -> Option<Driver> {
    DRIVER.get()
}

/// Runs a future to completion on this thread, with the driver given.
pub fn block_on<F: Future>(driver: Driver, future: F) -> io::Result<F::Output> {
    DRIVER.set(Some(driver));
    match driver {
        Driver::IoUring => Ok(with_ring_memory(uring_runtime)?.block_on(future)),
        Driver::Epoll => {
            let builder = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new();
            Ok(builder.enable_timer().build()?.block_on(future))
        }
        Driver::Simulated => Err(io::Error::other("a simulated world runs its own tasks")),
    }
}

/// Sets a ring up, if need be when the memory of an earlier process is released.
fn with_ring_memory<T>(set_up: impl Fn() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..RING_ATTEMPTS {
        if let Ok(ring) = set_up() {
            return Ok(ring);
        }
        std::thread::sleep(RING_RETRY_PAUSE);
    }
    set_up()
}

type UringRuntime = monoio::Runtime<monoio::time::TimeDriver<monoio::IoUringDriver>>;

fn uring_runtime() -> io::Result<UringRuntime> {
    let mut ring = io_uring::IoUring::builder();
    ring.setup_coop_taskrun()
        .setup_taskrun_flag()
        .setup_single_issuer()
        .setup_cqsize(COMPLETION_ENTRIES);
    monoio::RuntimeBuilder::<monoio::IoUringDriver>::new()
        .with_entries(RING_ENTRIES)
        .uring_builder(ring)
        .enable_timer()
        .build()
}

/// Starts a task on this core. It runs until it ends; nobody waits for it.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    match simulated::world() {
        None => drop(monoio::spawn(task)),
        Some(world) => world.spawn(Box::pin(task)),
    }
}

/// Pauses a task. The granularity is a millisecond.
pub async fn sleep(duration: Duration) {
    match simulated::world() {
        None => monoio::time::sleep(duration).await,
        Some(world) => world.sleep(duration).await,
    }
}

/// Now, monotonic. For [`crate::clock`] alone, as is [`wall`].
#[must_use]
pub(crate) fn instant() -> Instant {
    simulated::world().map_or_else(Instant::now, |world| world.instant())
}

/// Now, UTC.
#[must_use]
pub(crate) fn wall() -> Timestamp {
    if let Some(world) = simulated::world() {
        return world.wall();
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// For how long this thread has had a CPU.
#[must_use]
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Stops the process at once, because what it would say from here on could be wrong. The caller
/// has logged why.
pub fn fatal() -> ! {
    match simulated::world() {
        None => std::process::abort(),
        Some(world) => world.fatal(),
    }
}
