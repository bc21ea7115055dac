//! A sample log back to a result: ours, or one that JMeter wrote.
//!
//! Columns are found by the names in the first row, in any order; all but `timeStamp`, `elapsed`
//! and `label` may be missing. Our own column `latency_us` gives the times if it is there, whole
//! milliseconds otherwise.
//!
//! Invariant: a row that cannot be read is counted and named in a note, never guessed. A last row
//! without a line end was cut, so its numbers may be too: it is left out.
//!
//! Deliberately absent: what a log does not say. Deliveries in it are operations, because they may
//! be a part of all; there are no groups, no lateness and no service times.

use std::io::Read as _;
use std::path::Path;

use csv::ByteRecord;

use super::super::ReadError;
use crate::result::{Note, RunResult};

mod collect;
mod columns;

use collect::Collector;
use columns::Columns;

/// Reads a sample log in CSV.
///
/// # Errors
///
/// If it cannot be read at all, or its first row does not name the columns that matter.
pub fn read_jtl(path: &Path) -> Result<RunResult, ReadError> {
    let io = |source| ReadError::Io { path: path.to_owned(), source };
    let mut file = std::io::BufReader::new(Watch::new(std::fs::File::open(path).map_err(io)?));
    let header = first_line(&mut file).map_err(io)?;
    let wrong = |found| ReadError::NotJtl { path: path.to_owned(), found };
    let (columns, delimiter) = Columns::of(&header).map_err(wrong)?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(file);
    let mut rows = Rows { columns, collector: Collector::default(), skipped: 0, first: None };
    let (mut record, mut last) = (ByteRecord::new(), ByteRecord::new());
    // One row behind: whether a row is the last, and cut, is known only at the end.
    let mut any = false;
    while reader.read_byte_record(&mut record).map_err(|error| csv_error(path, error))? {
        if any {
            rows.take(&last);
        }
        std::mem::swap(&mut record, &mut last);
        any = true;
    }
    let whole = reader.get_ref().get_ref().ends_with_line();
    if any && whole {
        rows.take(&last);
    }
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Ok(rows.finish(name.unwrap_or_default(), any && !whole))
}

/// What was read so far.
struct Rows {
    columns: Columns,
    collector: Collector,
    skipped: u64,
    /// The first row that could not be read, in words.
    first: Option<String>,
}

impl Rows {
    fn take(&mut self, record: &ByteRecord) {
        match self.columns.sample(record) {
            Ok(sample) => self.collector.add(&sample),
            Err(wrong) => {
                self.skipped += 1;
                let line = record.position().map_or(0, |position| position.line() + 1);
                self.first.get_or_insert_with(|| format!("line {line}: {wrong}"));
            }
        }
    }

    fn finish(self, name: String, cut: bool) -> RunResult {
        let mut result = self.collector.finish(name);
        let mut note = |code: &str, text: String| {
            result.notes.push(Note { warning: true, code: code.to_owned(), text });
        };
        if cut {
            let text = "the last row of the log has no line end: it was cut, and is left out";
            note("cut-row", text.to_owned());
        }
        if let Some(first) = self.first {
            let text = format!("{} rows could not be read and are left out; {first}", self.skipped);
            note("unreadable-rows", text);
        }
        let mut notes = crate::result::notes::notes(&result);
        result.notes.append(&mut notes);
        result
    }
}

/// The first line without its end, at most 64 KiB of it.
fn first_line(file: &mut impl std::io::BufRead) -> std::io::Result<Vec<u8>> {
    let mut line = Vec::new();
    std::io::BufRead::read_until(&mut file.take(64 * 1024), b'\n', &mut line)?;
    Ok(line.trim_ascii_end().to_vec())
}

fn csv_error(path: &Path, error: csv::Error) -> ReadError {
    let text = error.to_string();
    let source = match error.into_kind() {
        csv::ErrorKind::Io(source) => source,
        _ => std::io::Error::other(text),
    };
    ReadError::Io { path: path.to_owned(), source }
}

/// Remembers the last byte that was read.
struct Watch<R> {
    inner: R,
    last: u8,
}

impl<R> Watch<R> {
    fn new(inner: R) -> Watch<R> {
        Watch { inner, last: b'\n' }
    }

    fn ends_with_line(&self) -> bool {
        self.last == b'\n'
    }
}

impl<R: std::io::Read> std::io::Read for Watch<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(last) = buffer[..count].last() {
            self.last = *last;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
