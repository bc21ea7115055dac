//! HdrHistogram's own files.
//!
//! `.hgrm`: a percentile distribution as text, in milliseconds, one file per distribution; the
//! usual plotters open several at once. `.hlog`: a histogram per second and label, compressed, V2,
//! with the label as its tag; values in nanoseconds, which is what readers of such logs expect.
//!
//! Deliberately absent: reading them. A result has all that is in them.

use std::io;
use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};

use crate::result::{RunResult, Times};

/// Each distribution of a run with the name of its file: `publish.hgrm` for an operation,
/// `tail.hgrm` and `tail-last-reader.hgrm` for deliveries, and `lateness.hgrm`. Empty ones are
/// left out.
#[must_use]
pub fn hgrm_files(result: &RunResult) -> Vec<(String, String)> {
    let operations =
        result.operations.iter().map(|operation| (file_name(&operation.label), &operation.times));
    let deliveries = result.deliveries.iter().flat_map(|delivery| {
        let name = file_name(&delivery.label);
        [(format!("{name}-last-reader"), &delivery.last_reader), (name, &delivery.times)]
    });
    let lateness = std::iter::once(("lateness".to_owned(), &result.lateness));
    let mut files: Vec<(String, String)> = Vec::new();
    for (name, times) in operations.chain(deliveries).chain(lateness) {
        if !times.is_empty() {
            let taken = |name: &str| files.iter().any(|(file, _)| file == name);
            let mut file = format!("{name}.hgrm");
            for number in 2.. {
                if !taken(&file) {
                    break;
                }
                file = format!("{name}-{number}.hgrm");
            }
            files.push((file, hgrm(times)));
        }
    }
    files
}

/// A percentile distribution as HdrHistogram's tools print it, in milliseconds.
#[must_use]
pub fn hgrm(times: &Times) -> String {
    let histogram = times.histogram();
    let mut out = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut total = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        total += step.count_since_last_iteration();
        let value = ms(step.value_iterated_to().min(histogram.max()) as f64);
        let quantile = step.quantile_iterated_to();
        out.push_str(&format!("{value:12.3} {quantile:2.12} {total:10}"));
        if quantile < 1.0 {
            out.push_str(&format!(" {:14.2}", 1.0 / (1.0 - quantile)));
        }
        out.push('\n');
    }
    out.push_str(&foot(&histogram));
    out
}

fn foot(histogram: &Histogram<u64>) -> String {
    let (mean, deviation) = (ms(histogram.mean()), ms(histogram.stdev()));
    let (max, total) = (ms(histogram.max() as f64), histogram.len());
    // Three significant digits take 2048 values of the first bucket; each further bucket doubles
    // the largest value.
    let buckets = (histogram.high() / SUB_BUCKETS).checked_ilog2().map_or(1, |log| log + 2);
    format!(
        "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]\n\
         #[Max     = {max:12.3}, Total count    = {total:12}]\n\
         #[Buckets = {buckets:12}, SubBuckets     = {SUB_BUCKETS:12}]\n"
    )
}

/// All intervals as an HdrHistogram interval log.
///
/// # Errors
///
/// If a histogram cannot be written; it comes from one that could be read.
pub fn hlog(result: &RunResult) -> io::Result<Vec<u8>> {
    let started = UNIX_EPOCH + Duration::from_millis(result.meta.started_unix_ms);
    let (mut out, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let mut builder = IntervalLogWriterBuilder::new();
    builder
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(&format!("{}: times in nanoseconds, by label", result.meta.plan))
        .with_start_time(started)
        .with_base_time(started)
        .with_max_value_divisor(1e6);
    let mut log = builder.begin_log_with(&mut out, &mut serializer)?;
    for interval in &result.intervals {
        let begin = Duration::from_millis(interval.at_ms);
        let length = Duration::from_millis(interval.length_ms);
        let tag = tag(&interval.label);
        let histogram = interval.times.histogram();
        log.write_histogram(&histogram, begin, length, Tag::new(&tag)).map_err(
            |error| match error {
                IntervalLogWriterError::IoError(error) => error,
                IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
            },
        )?;
    }
    Ok(out)
}

/// A label as a tag: those have no spaces, commas and line ends.
fn tag(label: &str) -> String {
    label.replace(|c: char| c == ',' || c.is_whitespace() || c.is_control(), "_")
}

/// A label as the name of a file: letters, digits, `.`, `_` and `-`, no dot at the front.
fn file_name(label: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = label.chars().take(MOST_NAME).map(plain).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "unnamed".to_owned() } else { name.to_owned() }
}

fn ms(ns: f64) -> f64 {
    ns / 1e6
}

/// What HdrHistogram's tools use.
const TICKS_PER_HALF_DISTANCE: u32 = 5;
const SUB_BUCKETS: u64 = 2048;
/// Characters of a label in the name of a file.
const MOST_NAME: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::fixture::example;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn a_log_is_read_back() {
        let mut result = example();
        result.intervals[0].label = "a label, with\nall".to_owned();
        let log = hlog(&result).unwrap();
        let mut intervals = result.intervals.iter();
        let mut times = 0;
        for entry in IntervalLogIterator::new(&log) {
            match entry.unwrap() {
                LogEntry::StartTime(time) | LogEntry::BaseTime(time) => {
                    assert_eq!(time.as_millis() as u64, result.meta.started_unix_ms);
                    times += 1;
                }
                LogEntry::Interval(got) => {
                    let interval = intervals.next().unwrap();
                    assert_eq!(got.tag().unwrap().as_str(), tag(&interval.label));
                    assert_eq!(got.start_timestamp().as_millis() as u64, interval.at_ms);
                    assert_eq!(got.duration().as_millis() as u64, interval.length_ms);
                    let read = Times::from_base64(got.encoded_histogram()).unwrap();
                    assert_eq!(read, interval.times);
                }
            }
        }
        assert_eq!((times, intervals.count()), (2, 0));
    }

    #[test]
    fn a_distribution() {
        let mut times = Times::new();
        (1..=1000).for_each(|us| times.record(us * 1000));
        let text = hgrm(&times);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "       Value     Percentile TotalCount 1/(1-Percentile)");
        assert_eq!(lines[1], "");
        assert_eq!(lines[2], "       0.001 0.000000000000          1           1.00");
        let last = lines.iter().rfind(|line| !line.starts_with('#')).unwrap();
        assert!(last.trim_start().starts_with("1.00"), "{last}");
        assert_eq!(last.split_whitespace().skip(1).collect::<Vec<_>>(), ["1.000000000000", "1000"]);
        assert!(text.contains("#[Mean    =        0.5"), "{text}");
        assert!(text.contains("Total count    =         1000]\n"), "{text}");
        // Values and counts rise, and the percentile is that of the histogram.
        let mut before = (0.0, 0);
        for line in lines[2..].iter().filter(|line| !line.starts_with('#')) {
            let fields: Vec<f64> =
                line.split_whitespace().map(|field| field.parse().unwrap()).collect();
            let expected = ms(times.percentile(fields[1] * 100.0) as f64);
            assert!((fields[0] - expected).abs() < 0.0011, "{line}: {expected}");
            assert!(fields[0] >= before.0 && fields[2] as u64 >= before.1, "{line}");
            before = (fields[0], fields[2] as u64);
        }
    }

    #[test]
    fn each_distribution_has_its_file() {
        let mut result = example();
        result.operations[1].label = "../publish".to_owned();
        result.operations[0].label = "-publish".to_owned();
        let names: Vec<String> = hgrm_files(&result).into_iter().map(|file| file.0).collect();
        let expected = ["-publish.hgrm", "-publish-2.hgrm", "tail-last-reader.hgrm", "tail.hgrm"];
        assert_eq!(names[..4], expected);
        assert_eq!(names[4], "lateness.hgrm");
        result.lateness = Times::new();
        assert_eq!(hgrm_files(&result).len(), 4);
    }
}
