//! Which column is which, and one row by their names.
//!
//! Invariant: a [`Sample`] has numbers, or there is none and an error that names the column, the
//! value and what would be right.

use csv::ByteRecord;

/// Positions of the columns that are used.
pub(super) struct Columns {
    time_stamp: usize,
    elapsed: usize,
    label: usize,
    response_code: Option<usize>,
    response_message: Option<usize>,
    success: Option<usize>,
    failure_message: Option<usize>,
    bytes: Option<usize>,
    sent_bytes: Option<usize>,
    all_threads: Option<usize>,
    latency: Option<usize>,
    connect: Option<usize>,
    latency_us: Option<usize>,
    /// Columns of the first row: a row with fewer is not whole.
    count: usize,
}

/// One row.
pub(super) struct Sample<'a> {
    /// Milliseconds since 1970.
    pub(super) start_ms: u64,
    pub(super) elapsed_ns: u64,
    pub(super) label: &'a str,
    pub(super) response_code: &'a str,
    pub(super) response_message: &'a str,
    pub(super) success: bool,
    pub(super) failure_message: &'a str,
    pub(super) bytes: u64,
    pub(super) sent_bytes: u64,
    pub(super) all_threads: u64,
    pub(super) latency_ns: Option<u64>,
    pub(super) connect_ns: u64,
}

impl Columns {
    /// By the first row; also the delimiter, which JMeter lets its users choose. In words what is
    /// wrong with it otherwise.
    pub(super) fn of(header: &[u8]) -> Result<(Columns, u8), String> {
        let header = header.strip_prefix("\u{feff}".as_bytes()).unwrap_or(header);
        let text = String::from_utf8_lossy(header);
        if text.starts_with("<?xml") || text.starts_with("<testResults") {
            return Err("it is XML: let JMeter write CSV \
                        (jmeter.save.saveservice.output_format=csv)"
                .to_owned());
        }
        let count = |delimiter: u8| header.iter().filter(|byte| **byte == delimiter).count();
        let delimiter = [b',', b';', b'\t', b'|'].into_iter().rev().max_by_key(|d| count(*d));
        let delimiter = delimiter.unwrap_or(b',');
        let names: Vec<&str> =
            text.split(char::from(delimiter)).map(|name| name.trim_matches('"')).collect();
        let find = |name: &str| names.iter().position(|column| *column == name);
        let need = |name: &str| {
            let shown: String = text.chars().take(80).collect();
            find(name).ok_or_else(|| {
                format!("its first row has to name the column {name}, but is: {shown}")
            })
        };
        let columns = Columns {
            time_stamp: need("timeStamp")?,
            elapsed: need("elapsed")?,
            label: need("label")?,
            response_code: find("responseCode"),
            response_message: find("responseMessage"),
            success: find("success"),
            failure_message: find("failureMessage"),
            bytes: find("bytes"),
            sent_bytes: find("sentBytes"),
            all_threads: find("allThreads"),
            latency: find("Latency"),
            connect: find("Connect"),
            latency_us: find("latency_us"),
            count: names.len(),
        };
        Ok((columns, delimiter))
    }

    /// A row, or in words what is wrong with it.
    pub(super) fn sample<'a>(&self, record: &'a ByteRecord) -> Result<Sample<'a>, String> {
        if record.len() < self.count {
            return Err(format!("it has {} columns, not {}", record.len(), self.count));
        }
        let text = |at: usize| std::str::from_utf8(record.get(at).unwrap_or_default());
        let text = |at: Option<usize>| at.and_then(|at| text(at).ok()).unwrap_or_default();
        let number = |name: &str, at: usize| {
            let value = text(Some(at));
            let parsed = value.parse::<u64>();
            parsed.map_err(|_| format!("{name} has to be a whole number, not {value:?}"))
        };
        let optional = |name: &str, at: Option<usize>| match at {
            Some(at) if !text(Some(at)).is_empty() => number(name, at).map(Some),
            _ => Ok(None),
        };
        let elapsed_ms = number("elapsed", self.elapsed)?;
        let elapsed_ns = optional("latency_us", self.latency_us)?
            .map_or_else(|| elapsed_ms.saturating_mul(NS_PER_MS), |us| us.saturating_mul(1000));
        Ok(Sample {
            start_ms: number("timeStamp", self.time_stamp)?,
            elapsed_ns,
            label: text(Some(self.label)),
            response_code: text(self.response_code),
            response_message: text(self.response_message),
            success: self.success.is_none_or(|at| text(Some(at)) == "true"),
            failure_message: text(self.failure_message),
            bytes: optional("bytes", self.bytes)?.unwrap_or(0),
            sent_bytes: optional("sentBytes", self.sent_bytes)?.unwrap_or(0),
            all_threads: optional("allThreads", self.all_threads)?.unwrap_or(0),
            latency_ns: optional("Latency", self.latency)?.map(|ms| ms.saturating_mul(NS_PER_MS)),
            connect_ns: optional("Connect", self.connect)?.unwrap_or(0).saturating_mul(NS_PER_MS),
        })
    }
}

const NS_PER_MS: u64 = 1_000_000;
