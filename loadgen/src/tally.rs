//! What all readers of a run count together: deliveries, their latencies, and for each message
//! the time until the last reader had it.
//!
//! Invariant: `delivered` counts each message once per reader, whatever the server repeats; so
//! `expected - delivered` is what was lost.

use hdrhistogram::Histogram;

/// Latencies in nanoseconds, up to an hour, at three significant digits.
pub type Latencies = Histogram<u64>;

/// An empty histogram of latencies.
#[must_use]
pub fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, HIGHEST_NS, 3).unwrap_or_else(|_| {
        unreachable!("the bounds are constants that a histogram accepts: see the test")
    })
}

/// The counts of one run.
#[derive(Clone, Debug)]
pub struct Tally {
    /// The run that is being judged.
    pub run: u64,
    /// Publish to delivery, each message once per reader.
    pub delivery: Latencies,
    /// Messages received, each once per reader.
    pub delivered: u64,
    /// Messages that a reader had already.
    pub duplicated: u64,
    /// Messages that came after one with a higher number.
    pub reordered: u64,
    /// Messages of this run that were cut or garbled.
    pub damaged: u64,
    /// Messages of other runs.
    pub foreign: u64,
    /// Answers that ended and were taken up again where they ended.
    pub resumed: u64,
    /// Readers that gave up.
    pub failed_readers: u64,
    messages: Vec<Message>,
}

#[derive(Clone, Copy, Default, Debug)]
struct Message {
    deliveries: u32,
    slowest_ns: u64,
}

impl Tally {
    /// For a run of so many messages.
    #[must_use]
    pub fn new(run: u64, messages: u32) -> Tally {
        Tally {
            run,
            delivery: latencies(),
            delivered: 0,
            duplicated: 0,
            reordered: 0,
            damaged: 0,
            foreign: 0,
            resumed: 0,
            failed_readers: 0,
            messages: vec![Message::default(); messages as usize],
        }
    }

    /// Messages of the run.
    #[must_use]
    pub fn messages(&self) -> u32 {
        self.messages.len() as u32
    }

    /// Counts the first arrival of a message at a reader.
    pub fn deliver(&mut self, sequence: u32, latency_ns: u64) {
        self.delivered += 1;
        self.delivery.saturating_record(latency_ns);
        if let Some(message) = self.messages.get_mut(sequence as usize) {
            message.deliveries += 1;
            message.slowest_ns = message.slowest_ns.max(latency_ns);
        }
    }

    /// For each message that all of `readers` have: the time until the last one had it.
    #[must_use]
    pub fn last_reader(&self, readers: u32) -> Latencies {
        let mut out = latencies();
        let complete = self.messages.iter().filter(|message| message.deliveries == readers);
        complete.for_each(|message| out.saturating_record(message.slowest_ns));
        out
    }
}

const HIGHEST_NS: u64 = 3_600_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_reader_counts() {
        let mut tally = Tally::new(1, 3);
        for (sequence, latency) in [(0, 10), (0, 30), (1, 40), (2, 5), (2, u64::MAX)] {
            tally.deliver(sequence, latency);
        }
        assert_eq!(tally.delivered, 5);
        let last = tally.last_reader(2);
        assert_eq!((last.len(), last.min()), (2, 30));
        assert!(last.max() >= HIGHEST_NS);
    }
}
