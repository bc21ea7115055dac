//! Takes a sample of how late the core is, again and again.
//!
//! No more is counted than the time for which the core's thread has worked meanwhile. When others
//! have its CPU the core is late too; but refusing requests would not give the CPU back, and on a
//! busy machine nearly everything would be refused to no use.

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
    let mut pause = DELAY_SAMPLE_PAUSE;
    loop {
        let (began, worked) = (core.clock.instant(), rt::cpu_time());
        wait(timer.as_ref(), pause).await;
        let now = core.clock.instant();
        let worked = rt::cpu_time().saturating_sub(worked);
        let late = (now - began).saturating_sub(pause + grain).min(worked);
        let delay = late.max(core.backlog_age(now));
        let limits = core.limits.get();
        let is_late = core.shed.sample(delay, limits.shed_delay, limits.shed_target);
        pause = if is_late { LATE_SAMPLE_PAUSE } else { DELAY_SAMPLE_PAUSE };
    }
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
