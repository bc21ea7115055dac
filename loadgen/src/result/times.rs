//! A distribution of times: an HDR histogram of nanoseconds with three significant digits.
//!
//! Invariant: merging two loses nothing, and neither does writing one and reading it back (the
//! V2 format of HdrHistogram, compressed, base64). A distribution that is only kept, one per label
//! and second, is packed: a few hundred bytes instead of a hundred thousand.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// Times in nanoseconds, up to an hour; what is longer counts as an hour.
#[derive(Clone, Debug)]
pub struct Times(Form);

#[derive(Clone, Debug)]
enum Form {
    Open(Histogram<u64>),
    /// Base64, checked: what [`Times::to_base64`] gives.
    Packed(Box<str>),
}

const HIGHEST_NS: u64 = 3_600_000_000_000;

impl Default for Times {
    fn default() -> Times {
        Times::new()
    }
}

impl Times {
    /// None yet. It grows with the longest time that it is given.
    #[must_use]
    pub fn new() -> Times {
        Times(Form::Open(empty()))
    }

    /// Adds one.
    pub fn record(&mut self, ns: u64) {
        self.record_n(ns, 1);
    }

    /// Adds the same several times.
    pub fn record_n(&mut self, ns: u64, count: u64) {
        // It grows by itself, and an hour is always within what it can grow to.
        let _ = self.open().record_n(ns.min(HIGHEST_NS), count);
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Times) {
        let _ = self.open().add(&*other.histogram());
    }

    /// Forgets all, keeps its memory.
    pub fn clear(&mut self) {
        self.open().reset();
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.histogram().is_empty()
    }

    /// The time that `percentile` (0 to 100) of them do not exceed, in nanoseconds; 0 if there
    /// are none.
    #[must_use]
    pub fn percentile(&self, percentile: f64) -> u64 {
        let histogram = self.histogram();
        // A histogram answers with the upper end of a bucket, which may lie above the maximum.
        histogram.value_at_percentile(percentile).min(histogram.max())
    }

    /// The shortest, in nanoseconds.
    #[must_use]
    pub fn min(&self) -> u64 {
        let histogram = self.histogram();
        if histogram.is_empty() { 0 } else { histogram.min() }
    }

    /// The longest, in nanoseconds.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.histogram().max()
    }

    /// The mean, in nanoseconds. Say percentiles where there is a choice.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.histogram().mean()
    }

    /// The standard deviation, in nanoseconds.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        self.histogram().stdev()
    }

    /// How many do not exceed `ns`, to the histogram's resolution.
    #[must_use]
    pub fn count_up_to(&self, ns: u64) -> u64 {
        let histogram = self.histogram();
        if histogram.is_empty() { 0 } else { histogram.count_between(0, ns.min(HIGHEST_NS)) }
    }

    /// The histogram itself, for file formats and curves.
    #[must_use]
    pub fn histogram(&self) -> Cow<'_, Histogram<u64>> {
        match &self.0 {
            Form::Open(histogram) => Cow::Borrowed(histogram),
            Form::Packed(text) => Cow::Owned(unpack(text).unwrap_or_else(empty)),
        }
    }

    /// From a histogram of nanoseconds.
    #[must_use]
    pub fn from_histogram(mut histogram: Histogram<u64>) -> Times {
        histogram.auto(true);
        Times(Form::Open(histogram))
    }

    /// The same in little memory; unpacked again each time it is asked.
    #[must_use]
    pub fn packed(&self) -> Times {
        Times(Form::Packed(self.to_base64().into()))
    }

    /// HdrHistogram's V2 format, compressed, base64: what stands in `.hlog` files.
    #[must_use]
    pub fn to_base64(&self) -> String {
        match &self.0 {
            Form::Packed(text) => text.to_string(),
            Form::Open(histogram) => {
                let mut out = Vec::new();
                // Writing to memory cannot fail.
                let _ = V2DeflateSerializer::new().serialize(histogram, &mut out);
                STANDARD.encode(out)
            }
        }
    }

    /// The opposite.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Times> {
        unpack(text).map(Times::from_histogram)
    }

    fn open(&mut self) -> &mut Histogram<u64> {
        if let Form::Packed(text) = &self.0 {
            self.0 = Form::Open(unpack(text).unwrap_or_else(empty));
        }
        match &mut self.0 {
            Form::Open(histogram) => histogram,
            Form::Packed(_) => unreachable!("it was opened above"),
        }
    }
}

impl PartialEq for Times {
    fn eq(&self, other: &Times) -> bool {
        self.histogram() == other.histogram()
    }
}

fn empty() -> Histogram<u64> {
    let histogram = Histogram::new(3);
    let mut histogram = histogram.unwrap_or_else(|_| unreachable!("three digits are allowed"));
    histogram.auto(true);
    histogram
}

fn unpack(text: &str) -> Option<Histogram<u64>> {
    let bytes = STANDARD.decode(text).ok()?;
    let mut histogram = Deserializer::new().deserialize(&mut bytes.as_slice()).ok()?;
    histogram.auto(true);
    Some(histogram)
}

impl Serialize for Times {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64())
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Times, D::Error> {
        let text = String::deserialize(deserializer)?;
        match unpack(&text) {
            Some(_) => Ok(Times(Form::Packed(text.into()))),
            None => Err(serde::de::Error::custom("not a histogram")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_and_writing_lose_nothing() {
        let (mut low, mut high) = (Times::new(), Times::new());
        (1..=1000).for_each(|ms| low.record(ms * 1_000_000));
        high.record(u64::MAX);
        low.merge(&high);
        assert_eq!(low.count(), 1001);
        assert!(low.max() >= HIGHEST_NS);
        let near = |ns: u64, ms: f64| (ns as f64 / 1e6 / ms - 1.0).abs() < 1e-3;
        assert!(near(low.percentile(50.0), 501.0), "{}", low.percentile(50.0));
        assert_eq!(Times::from_base64(&low.to_base64()).as_ref(), Some(&low));
        let mut packed = low.packed();
        assert_eq!((packed.count(), packed.max()), (low.count(), low.max()));
        packed.record(5);
        assert_eq!((packed.count(), packed.min()), (1002, 5));
        assert_eq!(Times::from_base64("x"), None);
    }

    #[test]
    fn none() {
        let none = Times::new();
        assert_eq!(
            (none.min(), none.max(), none.percentile(99.0), none.count_up_to(5)),
            (0, 0, 0, 0)
        );
    }
}
