//! The run's one clock, and an alarm that is more exact than the runtime's timers.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use monoio::net::UnixStream;
use rustix::fs::Timespec;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, clock_gettime,
    timerfd_create, timerfd_settime,
};

/// Nanoseconds of `CLOCK_MONOTONIC`: the same on every thread, and in every process of the machine,
/// so that others can judge our messages too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Milliseconds since 1970 at this clock's zero.
    unix_ms: u64,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let clock = Clock { unix_ms: 0 };
        let unix_ms = (now.as_millis() as u64).saturating_sub(clock.now_ns() / 1_000_000);
        Clock { unix_ms }
    }

    pub(crate) fn now_ns(self) -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
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

/// A timerfd: wakes within some ten microseconds of the time asked for.
pub(crate) struct Alarm {
    clock: Clock,
    timer: OwnedFd,
    /// The same descriptor as something that the runtime can wait for.
    waiter: UnixStream,
}

impl Alarm {
    pub(crate) fn new(clock: Clock) -> io::Result<Alarm> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let waiter =
            UnixStream::from_std(std::os::unix::net::UnixStream::from(timer.try_clone()?))?;
        Ok(Alarm { clock, timer, waiter })
    }

    /// Pauses until a time.
    pub(crate) async fn sleep_until(&self, at_ns: u64) -> io::Result<()> {
        loop {
            let now = self.clock.now_ns();
            if at_ns <= now {
                return Ok(());
            }
            let wait = at_ns - now;
            let it_value = Timespec {
                tv_sec: (wait / 1_000_000_000) as i64,
                tv_nsec: (wait % 1_000_000_000) as i64,
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
