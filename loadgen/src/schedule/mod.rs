//! When things happen and which: the arrivals of an open group, the lives of the users of a closed
//! one, pauses, and the choice of streams and sizes.
//!
//! Invariant: everything follows from the plan and its seed. Times are nanoseconds from the begin
//! of the group, or of the caller's clock where a function takes `now_ns`.
//!
//! Deliberately absent: clocks, sleeping, and any state that two threads share.

mod arrivals;
mod choice;
mod pacer;
mod rng;
mod size;
mod users;

pub use arrivals::{OpenSchedule, duration_ns, total};
pub use choice::Chooser;
pub use pacer::Pacer;
pub use rng::{Rng, iteration_rng, schedule_rng, timer_rng, user_rng};
pub use size::Sizer;
pub use users::{lives, most_users, users_at, users_duration_ns};

pub(crate) fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
