//! The run's one clock, and an alarm that is more exact than the runtime's timers.

use std::cell::OnceCell;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use monoio::net::UnixStream;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::Timespec;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, clock_gettime,
    timerfd_create, timerfd_settime,
};

use crate::user::Now;

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

impl Now for Clock {
    fn now_unix_ms(&self) -> u64 {
        self.unix_ms(self.now_ns())
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
}

impl Alarm {
    pub(crate) fn new(clock: Clock) -> io::Result<Alarm> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let waiter =
            UnixStream::from_std(std::os::unix::net::UnixStream::from(timer.try_clone()?))?;
        Ok(Alarm { clock, timer, waiter })
    }

    /// Pauses until a time, exactly.
    pub(crate) async fn sleep_until(&self, turn: &Turn, at_ns: u64) -> io::Result<()> {
        let wait_ns = at_ns.saturating_sub(self.clock.now_ns());
        self.nap_until(at_ns - early_ns(wait_ns)).await?;
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

/// How long before the end of a pause its timer fires. Turns keep a processor busy, so a short
/// pause has only a part for them.
fn early_ns(wait_ns: u64) -> u64 {
    (wait_ns / LEAST_ASLEEP).min(MOST_EARLY_NS)
}

/// More than waking up takes, also behind a short job of another thread; less than the scheduler's
/// slice, so that who is awake by then is still running when it is time.
const MOST_EARLY_NS: u64 = 1_000_000;
/// Of a pause, all but one part in so many is slept.
const LEAST_ASLEEP: u64 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_of_a_pause_is_slept() {
        let check = |wait_ns, want| assert_eq!(early_ns(wait_ns), want, "{wait_ns}");
        check(0, 0);
        check(1_000_000, 50_000);
        check(20_000_000, MOST_EARLY_NS);
        check(u64::MAX, MOST_EARLY_NS);
    }

    #[test]
    fn an_alarm_never_fires_early() {
        let late = crate::net::block_on(async {
            let clock = Clock::start();
            let (alarm, turn) = (Alarm::new(clock).unwrap(), Turn::default());
            let mut late = Vec::new();
            for pause_ns in [0, 1, 20_000, 300_000, 3_000_000] {
                let at_ns = clock.now_ns() + pause_ns;
                alarm.sleep_until(&turn, at_ns).await.unwrap();
                late.push(clock.now_ns().checked_sub(at_ns));
            }
            late
        });
        assert!(late.unwrap().iter().all(Option::is_some));
    }
}
