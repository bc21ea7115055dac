//! OTLP export: metrics, and spans of a share of the requests, to a collector over HTTP.
//!
//! It has a thread and a small runtime of its own. Metrics are asked of the cores as a scrape asks
//! for them; spans come through a bounded queue that cores never wait at. A collector that does
//! not answer is told of in the log once, and counted.
//!
//! Deliberately absent: logs, which go where the service manager puts them; retries, because the
//! next export has the same counters with newer values.

mod export;
mod metrics;
mod spans;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
pub use export::Exporter;
pub use spans::Span;

use crate::config::limits::SPAN_QUEUE;

/// Where cores put spans. Cheap to clone.
#[derive(Clone)]
pub struct Spans(Arc<Queue>);

struct Queue {
    waiting: ArrayQueue<Span>,
    dropped: AtomicU64,
}

impl Default for Spans {
    fn default() -> Spans {
        let waiting = ArrayQueue::new(SPAN_QUEUE);
        Spans(Arc::new(Queue { waiting, dropped: AtomicU64::new(0) }))
    }
}

impl Spans {
    /// Adds a span. Never waits.
    pub fn push(&self, span: Span) {
        if self.0.waiting.push(span).is_err() {
            self.drop(1);
        }
    }

    /// At most so many of those that wait.
    fn take(&self, most: usize) -> Vec<Span> {
        std::iter::from_fn(|| self.0.waiting.pop()).take(most).collect()
    }

    /// So many are lost.
    fn drop(&self, count: u64) {
        self.0.dropped.fetch_add(count, Ordering::Relaxed);
    }

    fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

/// What the exporter counts, for metrics. Cheap to clone.
#[derive(Clone, Default)]
pub struct Counts(Arc<Counted>);

#[derive(Default)]
struct Counted {
    /// Of metrics, then of spans; those that went well, then the others.
    exports: [[AtomicU64; 2]; 2],
    spans: AtomicU64,
}

/// What is exported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Signal {
    Metrics,
    Traces,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Signal::Metrics => "metrics",
            Signal::Traces => "traces",
        }
    }
}

impl Counts {
    fn exported(&self, signal: Signal, well: bool) {
        self.0.exports[signal as usize][usize::from(!well)].fetch_add(1, Ordering::Relaxed);
    }

    /// Each signal and result, as labels, with its count.
    pub fn exports(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        [Signal::Metrics, Signal::Traces].into_iter().flat_map(|signal| {
            let counts = ["ok", "failed"].into_iter().zip(&self.0.exports[signal as usize]);
            counts
                .map(move |(result, count)| (signal.name(), result, count.load(Ordering::Relaxed)))
        })
    }

    /// Spans that were exported.
    #[must_use]
    pub fn spans(&self) -> u64 {
        self.0.spans.load(Ordering::Relaxed)
    }
}

/// What of the telemetry the rest of the server sees. Cheap to clone.
#[derive(Clone, Default)]
pub struct Telemetry {
    /// What is counted.
    pub counts: Counts,
    /// Where spans go; `None`: none are wanted.
    pub spans: Option<Spans>,
}

impl Telemetry {
    /// Spans that were lost.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.spans.as_ref().map_or(0, Spans::dropped)
    }
}
