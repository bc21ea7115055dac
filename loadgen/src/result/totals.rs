//! Sums over labels, each defined once: thresholds, notes and summaries say the same.

use super::{DeliveryResult, OperationResult, RunResult, Times};

impl OperationResult {
    /// All that ended.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.succeeded + self.failed
    }
}

impl DeliveryResult {
    /// Whether every reader had every message, once, whole and in order.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let faults = [self.lost, self.duplicated, self.reordered, self.damaged];
        faults.iter().all(|count| *count == 0) && self.failed_readers == 0
    }

    /// Whether nothing can be said about deliveries, although there should have been some.
    #[must_use]
    pub fn is_unjudged(&self) -> bool {
        self.expected == 0 && self.unjudged > 0
    }
}

impl RunResult {
    /// Length of the measured part, seconds; never zero.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.meta.duration_ms.max(1) as f64 / 1e3
    }

    /// Times of all operations together. A transaction counts only by its steps.
    #[must_use]
    pub fn operation_times(&self) -> Times {
        sum(self.plain_operations().map(|operation| &operation.times))
    }

    /// Times of all deliveries together.
    #[must_use]
    pub fn delivery_times(&self) -> Times {
        sum(self.deliveries.iter().map(|delivery| &delivery.times))
    }

    /// Times until the last reader had a message, of all deliveries together.
    #[must_use]
    pub fn last_reader_times(&self) -> Times {
        sum(self.deliveries.iter().map(|delivery| &delivery.last_reader))
    }

    /// What the run is about: deliveries if there are any, operations otherwise.
    #[must_use]
    pub fn main_times(&self) -> Times {
        if self.deliveries.is_empty() { self.operation_times() } else { self.delivery_times() }
    }

    /// Operations without those that are sums of others.
    pub fn plain_operations(&self) -> impl Iterator<Item = &OperationResult> {
        self.operations.iter().filter(|operation| operation.kind != TRANSACTION)
    }
}

/// All of them in one.
pub(crate) fn sum<'a>(all: impl Iterator<Item = &'a Times>) -> Times {
    let mut sum = Times::new();
    all.for_each(|times| sum.merge(times));
    sum
}

/// [`OperationResult::kind`] of what only sums up its steps.
const TRANSACTION: &str = "transaction";
