//! The last few samples of a core's delay, and their median.
//!
//! The next sample is taken a fixed time after the last one has come back. So a stall, however
//! long, is one late sample among several that are not; a core that is always late has no others.

use std::time::Duration;

use crate::config::limits::DELAY_SAMPLES;

/// See the module.
#[derive(Default)]
pub struct Window {
    samples: [Duration; DELAY_SAMPLES],
    count: usize,
}

impl Window {
    /// Adds a sample. Their median, when there are enough; then it begins anew.
    pub fn push(&mut self, delay: Duration) -> Option<Duration> {
        self.samples[self.count] = delay;
        self.count += 1;
        if self.count < DELAY_SAMPLES {
            return None;
        }
        self.count = 0;
        self.samples.sort_unstable();
        Some(self.samples[DELAY_SAMPLES / 2])
    }
}

const _: () = assert!(DELAY_SAMPLES % 2 == 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stalls_do_not_count_and_a_queue_does() {
        let check = |late: usize, want_ms: u64| {
            let mut window = Window::default();
            // Twice: the second window knows nothing of the first.
            for _ in 0..2 {
                for sample in 0..DELAY_SAMPLES - 1 {
                    let delay = if sample < late { 300 } else { 1 };
                    assert_eq!(window.push(Duration::from_millis(delay)), None);
                }
                let last = Duration::from_millis(if late == DELAY_SAMPLES { 300 } else { 1 });
                assert_eq!(window.push(last), Some(Duration::from_millis(want_ms)), "{late}");
            }
        };
        check(0, 1);
        check(1, 1);
        check(DELAY_SAMPLES / 2, 1);
        check(DELAY_SAMPLES / 2 + 1, 300);
        check(DELAY_SAMPLES, 300);
    }
}
