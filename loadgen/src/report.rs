//! Results as text. Percentiles come from a histogram; nothing is averaged.

use std::fmt;
use std::time::Duration;

use crate::tally::Latencies;

/// What a report says about a distribution of times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Percentiles {
    /// How many values there are.
    pub count: u64,
    /// The median.
    pub p50: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The 99.9th percentile.
    pub p99_9: Duration,
    /// The largest.
    pub max: Duration,
}

impl Percentiles {
    /// Of a histogram in nanoseconds.
    #[must_use]
    pub fn of(latencies: &Latencies) -> Percentiles {
        let at = |quantile| Duration::from_nanos(latencies.value_at_quantile(quantile));
        Percentiles {
            count: latencies.len(),
            p50: at(0.5),
            p99: at(0.99),
            p99_9: at(0.999),
            max: Duration::from_nanos(latencies.max()),
        }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return f.write_str("no values");
        }
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let Percentiles { p50, p99, p99_9, max, .. } = *self;
        let (p50, p99, p99_9, max) = (ms(p50), ms(p99), ms(p99_9), ms(max));
        write!(f, "p50 {p50:.3} ms, p99 {p99:.3} ms, p99.9 {p99_9:.3} ms, max {max:.3} ms")
    }
}

/// What came of a fan-out run.
#[derive(Clone, PartialEq, Debug)]
pub struct FanoutReport {
    /// Readers that were set up.
    pub readers: u32,
    /// Messages that were to be published.
    pub messages: u32,
    /// Bytes of each.
    pub payload_bytes: usize,
    /// Messages per second that were intended.
    pub rate: f64,
    /// Messages per second that were sent.
    pub achieved_rate: f64,
    /// From the first connection to the last reader's confirmation.
    pub setup: Duration,
    /// Deliveries that should have happened: acknowledged messages times readers.
    pub expected: u64,
    /// Deliveries that happened, each message once per reader.
    pub delivered: u64,
    /// The difference.
    pub lost: u64,
    /// Deliveries of what a reader had already.
    pub duplicated: u64,
    /// Deliveries after one with a higher number.
    pub reordered: u64,
    /// Messages that arrived cut or garbled.
    pub damaged: u64,
    /// Answers that ended and were taken up again where they ended.
    pub resumed: u64,
    /// Readers that gave up.
    pub failed_readers: u64,
    /// Messages that the server did not acknowledge.
    pub refused: u64,
    /// Publish to delivery.
    pub delivery: Percentiles,
    /// Publish to the delivery to the last reader, for messages that all readers got.
    pub last_reader: Percentiles,
    /// Publish to acknowledgement.
    pub acknowledgement: Percentiles,
    /// Intended to actual start of a send: the generator's own error.
    pub lateness: Percentiles,
}

impl FanoutReport {
    /// Whether every reader got every message once, in order.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let faults = [self.lost, self.duplicated, self.reordered, self.damaged, self.refused];
        faults.iter().all(|count| *count == 0) && self.failed_readers == 0
    }
}

impl fmt::Display for FanoutReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FanoutReport { readers, messages, payload_bytes, rate, .. } = self;
        writeln!(f, "{readers} SSE readers, {messages} messages of {payload_bytes} bytes")?;
        let (setup, achieved) = (self.setup.as_secs_f64(), self.achieved_rate);
        writeln!(f, "set-up          {setup:.2} s")?;
        writeln!(f, "rate            {achieved:.2} of {rate:.2} messages/s")?;
        writeln!(f, "delivered       {} of {}", self.delivered, self.expected)?;
        let FanoutReport { lost, duplicated, reordered, damaged, .. } = self;
        writeln!(
            f,
            "faults          {lost} lost, {duplicated} duplicated, {reordered} reordered, \
             {damaged} damaged"
        )?;
        let FanoutReport { refused, failed_readers, resumed, .. } = self;
        writeln!(
            f,
            "                {refused} refused, {failed_readers} readers failed, {resumed} resumed"
        )?;
        writeln!(f, "delivery        {}", self.delivery)?;
        writeln!(f, "last reader     {}", self.last_reader)?;
        writeln!(f, "acknowledgement {}", self.acknowledgement)?;
        write!(f, "send lateness   {}", self.lateness)
    }
}

/// What came of an append run.
#[derive(Clone, PartialEq, Debug)]
pub struct AppendReport {
    /// Connections, each with one request under way.
    pub connections: usize,
    /// Streams that they took turns on.
    pub streams: usize,
    /// Bytes of each message.
    pub payload_bytes: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// Appends that were acknowledged.
    pub acknowledged: u64,
    /// Appends that were refused.
    pub refused: u64,
    /// Connections that broke.
    pub broken: u64,
    /// Send to acknowledgement. Closed loop: a stall is one slow value, not many.
    pub latency: Percentiles,
}

impl AppendReport {
    /// Acknowledged appends per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.acknowledged as f64 / self.elapsed.as_secs_f64()
    }
}

impl fmt::Display for AppendReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AppendReport { connections, streams, payload_bytes, .. } = self;
        writeln!(f, "{connections} connections, {streams} streams, {payload_bytes} bytes")?;
        let seconds = self.elapsed.as_secs_f64();
        writeln!(f, "acknowledged {} in {seconds:.2} s", self.acknowledged)?;
        writeln!(f, "rate         {:.0} appends/s", self.rate())?;
        writeln!(f, "faults       {} refused, {} connections broke", self.refused, self.broken)?;
        write!(f, "latency      {}", self.latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::latencies;

    #[test]
    fn percentiles() {
        let mut values = latencies();
        assert_eq!(Percentiles::of(&values).to_string(), "no values");
        for ms in 1..=1000 {
            values.saturating_record(ms * 1_000_000);
        }
        let got = Percentiles::of(&values);
        let near = |time: Duration, ms: f64| (time.as_secs_f64() * 1e3 / ms - 1.0).abs() < 1e-3;
        assert!(near(got.p50, 500.0) && near(got.p99, 990.0), "{got}");
        assert!(near(got.p99_9, 999.0) && near(got.max, 1000.0), "{got}");
    }
}
