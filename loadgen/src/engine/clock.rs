//! The run's one clock, and an alarm that is more exact than the runtime's timers.

use std::cell::{Cell, OnceCell};
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime};

use monoio::net::UnixStream;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::Timespec;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

/// Nanoseconds of `CLOCK_MONOTONIC` since the run's origin; the same on every thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    unix_ms: u64,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Clock { origin: Instant::now(), unix_ms: now.as_millis() as u64 }
    }

    pub(crate) fn now_ns(self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since 1970 of a time of this clock.
    pub(crate) fn unix_ms(self, at_ns: u64) -> u64 {
        self.unix_ms + at_ns / 1_000_000
    }

    /// Pauses until a time, to a millisecond: the granularity of the runtime's timers.
    pub(crate) async fn sleep_until(self, at_ns: u64) {
        let now = self.now_ns();
        if at_ns > now {
            monoio::time::sleep(Duration::from_nanos(at_ns - now)).await;
        }
    }
}

/// One turn of the runtime: the other tasks of this thread run, what has been received is taken,
/// and timers that are due fire. The runtime's own shortest pause takes a millisecond.
#[derive(Debug, Default)]
pub(crate) struct Turn(OnceCell<Option<UnixStream>>);

impl Turn {
    pub(crate) async fn take(&self) {
        match self.0.get_or_init(always_writable) {
            Some(stream) if !monoio::utils::is_legacy() => {
                // Done as soon as the ring has looked at it, together with all else that is.
                let _ = stream.writable(false).await;
            }
            // On epoll that would not even be a turn.
            _ => monoio::time::sleep(Duration::ZERO).await,
        }
    }
}

/// A counter that nobody counts up.
fn always_writable() -> Option<UnixStream> {
    let counter = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()?;
    UnixStream::from_std(counter.into()).ok()
}

/// Wakes within some microseconds of the time asked for: a timerfd that fires a little early, and
/// turns of the runtime until it is time.
pub(crate) struct Alarm {
    clock: Clock,
    timer: OwnedFd,
    /// The same descriptor as something that the runtime can wait for.
    waiter: UnixStream,
    /// How long before the time the timer is set to fire.
    early_ns: Cell<u64>,
}

impl Alarm {
    pub(crate) fn new(clock: Clock) -> io::Result<Alarm> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let waiter =
            UnixStream::from_std(std::os::unix::net::UnixStream::from(timer.try_clone()?))?;
        Ok(Alarm { clock, timer, waiter, early_ns: Cell::new(MOST_EARLY_NS) })
    }

    /// Pauses until a time, exactly.
    pub(crate) async fn sleep_until(&self, turn: &Turn, at_ns: u64) -> io::Result<()> {
        let now_ns = self.clock.now_ns();
        let wait_ns = at_ns.saturating_sub(now_ns);
        // Of short pauses only a part may go into turns, which keep a processor busy.
        let early_ns = self.early_ns.get().min(wait_ns / LEAST_ASLEEP);
        self.nap_until(at_ns - early_ns.min(at_ns)).await?;
        if wait_ns > 0 {
            let late_ns = self.clock.now_ns().saturating_sub(at_ns - early_ns);
            self.early_ns.set(next_early(self.early_ns.get(), late_ns));
        }
        while self.clock.now_ns() < at_ns {
            turn.take().await;
        }
        Ok(())
    }

    /// Pauses until about a time: later by what it takes to wake up.
    pub(crate) async fn nap_until(&self, at_ns: u64) -> io::Result<()> {
        loop {
            let now_ns = self.clock.now_ns();
            if at_ns <= now_ns {
                return Ok(());
            }
            let wait_ns = at_ns - now_ns;
            let it_value = Timespec {
                tv_sec: (wait_ns / 1_000_000_000) as i64,
                tv_nsec: (wait_ns % 1_000_000_000) as i64,
            };
            let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
            let spec = Itimerspec { it_interval, it_value };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
            self.waiter.readable(false).await?;
            // Nothing to read: it was woken for another reason, and the loop looks again.
            let _ = rustix::io::read(&self.timer, &mut [0_u8; 8]);
        }
    }
}

/// How early the timer is to fire next time, after it fired so late: a slow wake-up counts at
/// once, and is forgotten slowly.
fn next_early(early_ns: u64, late_ns: u64) -> u64 {
    let wanted = (late_ns + EARLY_MARGIN_NS).min(MOST_EARLY_NS);
    wanted.max(early_ns - early_ns.saturating_sub(wanted) / 64)
}

/// What waking a thread up takes on an idle machine, with room to spare.
const MOST_EARLY_NS: u64 = 400_000;
const EARLY_MARGIN_NS: u64 = 20_000;
/// Of a pause, all but one part in so many is slept.
const LEAST_ASLEEP: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_wake_ups_are_remembered_for_a_while() {
        assert_eq!(next_early(50_000, 200_000), 220_000);
        assert_eq!(next_early(50_000, u64::MAX / 2), MOST_EARLY_NS);
        let mut early_ns = MOST_EARLY_NS;
        (0..10).for_each(|_| early_ns = next_early(early_ns, 30_000));
        assert!(early_ns > 300_000, "{early_ns}");
        (0..1000).for_each(|_| early_ns = next_early(early_ns, 30_000));
        assert!((50_000..51_000).contains(&early_ns), "{early_ns}");
    }
}
