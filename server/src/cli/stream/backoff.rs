//! How long to wait before the next attempt.

use std::time::Duration;

use rand::Rng;

use super::failure::Failure;

/// Doubling waits with jitter, started over by every success.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The attempt succeeded.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Attempts that failed since the last success.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts a failure and waits; what the server asks for wins over our own schedule.
    pub(super) async fn wait(&mut self, failure: Option<&Failure>) {
        let asked = failure.and_then(Failure::retry_after_seconds).map(Duration::from_secs);
        let wait = asked.map_or_else(|| self.own_wait(), |asked| asked.min(LONGEST_ASKED));
        self.failures += 1;
        tokio::time::sleep(wait).await;
    }

    fn own_wait(&self) -> Duration {
        let longest = (FIRST * 2u32.saturating_pow(self.failures.min(16))).min(LONGEST);
        // Half fixed, half random: clients that failed together don't return together.
        longest.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
const LONGEST_ASKED: Duration = Duration::from_secs(300);
