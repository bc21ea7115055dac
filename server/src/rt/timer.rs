//! A timer finer than the driver's own, whose granularity is a millisecond.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::Driver;
use super::simulated::{self, Alarm, World};

/// One alarm that can be set again and again. Not on epoll, which cannot wait for it without
/// blocking the core.
pub struct Timer(Backend);

enum Backend {
    Ring { alarm: OwnedFd, ring: monoio::fs::File },
    Simulated(Rc<dyn World>, Alarm),
}

impl Timer {
    /// A timer, on a core that runs on the ring.
    pub fn new() -> io::Result<Option<Timer>> {
        if let Some(world) = simulated::world() {
            return Ok(Some(Timer(Backend::Simulated(world, Alarm::default()))));
        }
        if super::driver() != Some(Driver::IoUring) {
            return Ok(None);
        }
        let alarm = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        let ring = monoio::fs::File::from_std(File::from(alarm.try_clone()?))?;
        Ok(Some(Timer(Backend::Ring { alarm, ring })))
    }

    /// Rings after so long, and not when it was to ring before.
    pub fn set(&self, after: Duration) -> io::Result<()> {
        let alarm = match &self.0 {
            Backend::Ring { alarm, .. } => alarm,
            Backend::Simulated(world, alarm) => {
                alarm.set(world, after);
                return Ok(());
            }
        };
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec {
            tv_sec: after.as_secs().cast_signed(),
            tv_nsec: after.subsec_nanos().into(),
        };
        let once = Itimerspec { it_interval: zero, it_value: value };
        timerfd_settime(alarm.as_fd(), TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    /// Waits until it rings.
    pub async fn rung(&self) -> io::Result<()> {
        match &self.0 {
            Backend::Ring { ring, .. } => {
                let (result, _) = ring.read_at(vec![0; 8], 0).await;
                result.map(drop)
            }
            Backend::Simulated(_, alarm) => {
                alarm.rung().await;
                Ok(())
            }
        }
    }
}
