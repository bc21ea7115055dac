//! Takes a sample of how late the core is, again and again.
//!
//! Time in which the core's thread could have run and did not, because others had its CPU, is taken
//! off: refusing requests would not give it back, and on a busy machine everything would be refused.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::Duration;

use crate::config::limits::{DELAY_SAMPLE_PAUSE, LATE_SAMPLE_PAUSE};
use crate::core::Core;
use crate::rt::{self, Timer};

/// Samples for ever. Not in a simulation, where no core is late by itself.
pub async fn run(core: Rc<Core>) {
    if rt::simulated::is_simulated() {
        return;
    }
    // Without the ring there is the driver's own timer, which is late by up to a millisecond.
    let timer = Timer::new().ok().flatten();
    let grain = if timer.is_some() { Duration::ZERO } else { Duration::from_millis(1) };
    let starvation = Starvation::of_this_thread();
    let mut pause = DELAY_SAMPLE_PAUSE;
    loop {
        let (began, starved) = (core.clock.instant(), starvation.so_far());
        wait(timer.as_ref(), pause).await;
        let now = core.clock.instant();
        let starved = starvation.so_far().saturating_sub(starved);
        let late = (now - began).saturating_sub(pause + grain + starved);
        let delay = late.max(core.backlog_age(now));
        let limits = core.limits.get();
        let is_late = core.shed.sample(delay, limits.shed_delay, limits.shed_target);
        pause = if is_late { LATE_SAMPLE_PAUSE } else { DELAY_SAMPLE_PAUSE };
    }
}

/// How long a thread has waited for a CPU.
struct Starvation(Option<File>);

impl Starvation {
    fn of_this_thread() -> Starvation {
        Starvation(File::open("/proc/thread-self/schedstat").ok())
    }

    /// Zero if the kernel does not say.
    fn so_far(&self) -> Duration {
        let mut text = [0; 96];
        let read = self.0.as_ref().and_then(|file| file.read_at(&mut text, 0).ok()).unwrap_or(0);
        Duration::from_nanos(waited_ns(&text[..read]).unwrap_or(0))
    }
}

/// The second of three numbers: time on the CPU, time waiting for it, turns.
fn waited_ns(schedstat: &[u8]) -> Option<u64> {
    std::str::from_utf8(schedstat).ok()?.split_whitespace().nth(1)?.parse().ok()
}

async fn wait(timer: Option<&Timer>, pause: Duration) {
    if let Some(timer) = timer
        && timer.set(pause).is_ok()
        && timer.rung().await.is_ok()
    {
        return;
    }
    rt::sleep(pause).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_without_a_cpu() {
        assert_eq!(waited_ns(b"263184 1234 7\n"), Some(1234));
        for bad in ["", "12", "a b c"] {
            assert_eq!(waited_ns(bad.as_bytes()), None, "{bad}");
        }
        assert!(waited_ns(&std::fs::read("/proc/thread-self/schedstat").unwrap()).is_some());
    }
}
