//! The one place that asks for the time. Everything else gets `now` as an argument.

use std::cell::Cell;
use std::time::{Duration, Instant};

use thalweg_proto::http1::encode::imf_fixdate;
use thalweg_proto::time::Timestamp;

use crate::rt;

/// How often a core looks at its deadlines, live answers and expiries.
pub const TICK: Duration = Duration::from_millis(100);

/// Wall-clock time of one core, and the `Date` field that goes with it.
pub struct Clock {
    date: Cell<(u64, [u8; 29])>,
    tick: Cell<(Instant, Timestamp)>,
}

impl Clock {
    /// A clock.
    #[must_use]
    pub fn new() -> Clock {
        Clock {
            date: Cell::new((u64::MAX, [b' '; 29])),
            tick: Cell::new((rt::instant(), rt::wall())),
        }
    }

    /// Now, UTC.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        rt::wall()
    }

    /// Now, monotonic, for deadlines.
    #[must_use]
    pub fn instant(&self) -> Instant {
        rt::instant()
    }

    /// About now, never too early between two ticks: for the deadlines that every request sets
    /// several times. Reading the clock would cost more than setting them.
    #[must_use]
    pub fn about(&self) -> Instant {
        self.tick.get().0 + TICK
    }

    /// Looks at the clock for [`Clock::about`] and [`Clock::date`], every [`TICK`].
    #[must_use]
    pub fn tick(&self) -> Instant {
        let now = rt::instant();
        self.tick.set((now, rt::wall()));
        now
    }

    /// The `Date` field as of the last tick; formatted once a second.
    #[must_use]
    pub fn date(&self) -> [u8; 29] {
        let now = self.tick.get().1;
        let (second, text) = self.date.get();
        if second == now.seconds() {
            return text;
        }
        let text = imf_fixdate(now);
        self.date.set((now.seconds(), text));
        text
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}
