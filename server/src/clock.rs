//! The one place that reads the clock. Everything else gets `now` as an argument.

use std::cell::Cell;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use thalweg_proto::http1::encode::imf_fixdate;
use thalweg_proto::time::Timestamp;

/// Wall-clock time of one core, and the `Date` field that goes with it.
pub struct Clock {
    date: Cell<(u64, [u8; 29])>,
}

impl Clock {
    /// A clock.
    #[must_use]
    pub fn new() -> Clock {
        Clock { date: Cell::new((u64::MAX, [b' '; 29])) }
    }

    /// Now, UTC.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Now, monotonic, for deadlines.
    #[must_use]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// The `Date` field of an instant; formatted once a second.
    #[must_use]
    pub fn date(&self, now: Timestamp) -> [u8; 29] {
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
