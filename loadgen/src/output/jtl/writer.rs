//! From the engine's threads to the file.
//!
//! Invariant: between a thread of the engine and the disk lies a queue without a bound; handing
//! rows over never waits. If the disk is full, rows are taken and counted as lost, and
//! [`JtlWriter::finish`] says so.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::HEADER;
use super::pages::Pages;
use super::row::{JtlRow, MAX_ROW};

/// The thread that writes a log.
#[derive(Debug)]
pub struct JtlWriter {
    sink: JtlSink,
    thread: JoinHandle<io::Result<u64>>,
    /// The file, if it was not there before.
    new: Option<PathBuf>,
}

impl JtlWriter {
    /// Begins a log. What was in the file before stays until there is a row, or the log ends.
    ///
    /// # Errors
    ///
    /// If the file cannot be made, or the thread cannot be started.
    pub fn create(path: &Path) -> io::Result<(JtlWriter, JtlSink)> {
        let new = fs::symlink_metadata(path).is_err().then(|| path.to_owned());
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        let (sender, receiver) = channel();
        let sink = JtlSink { sender, queue: Arc::default() };
        let queue = Arc::clone(&sink.queue);
        let thread = std::thread::Builder::new()
            .name("jtl".to_owned())
            .spawn(move || Log::new(file).run(&receiver, &queue))?;
        Ok((JtlWriter { sink: sink.clone(), thread, new }, sink))
    }

    /// Writes what was handed over until now, and ends the log. Says how many rows it has.
    ///
    /// # Errors
    ///
    /// If rows could not be written: how many, and why.
    pub fn finish(self) -> io::Result<u64> {
        // A thread that is gone already has its own error.
        let _ = self.sink.sender.send(Message::Finish);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the writer panicked")))
    }

    /// Ends the log of a run that was not made: without a row, the file is as it was before.
    pub fn abandon(self) {
        let _ = self.sink.sender.send(Message::Abandon);
        if let (Ok(Ok(0)), Some(new)) = (self.thread.join(), self.new) {
            // It is empty, and of no use.
            let _ = fs::remove_file(new);
        }
    }
}

/// Where threads of the engine send their rows.
#[derive(Clone, Debug)]
pub struct JtlSink {
    pub(super) sender: Sender<Message>,
    pub(super) queue: Arc<Queue>,
}

impl JtlSink {
    /// Bytes that wait for the disk.
    #[must_use]
    pub fn queued_bytes(&self) -> u64 {
        self.queue.bytes.load(Ordering::Relaxed)
    }

    /// The most bytes that ever waited: if it is large, the disk was too slow for this log.
    #[must_use]
    pub fn high_water_bytes(&self) -> u64 {
        self.queue.high_water.load(Ordering::Relaxed)
    }

    pub(super) fn send(&self, rows: Rows) {
        let length = rows.bytes.len() as u64;
        let queued = self.queue.bytes.fetch_add(length, Ordering::Relaxed) + length;
        self.queue.high_water.fetch_max(queued, Ordering::Relaxed);
        // The writer is gone only after the end, when nothing more is logged.
        let _ = self.sender.send(Message::Rows(rows));
    }

    /// The other end of the queue has them.
    pub(super) fn taken(&self, rows: &Rows) {
        self.queue.bytes.fetch_sub(rows.bytes.len() as u64, Ordering::Relaxed);
    }
}

/// One thread's rows, before they are handed over.
#[derive(Debug)]
pub struct JtlBuffer {
    sink: JtlSink,
    rows: Rows,
}

impl JtlBuffer {
    /// Of one thread.
    #[must_use]
    pub fn new(sink: JtlSink) -> JtlBuffer {
        JtlBuffer { sink, rows: Rows::new() }
    }

    /// Adds a row, and hands all over when there are enough.
    pub fn push(&mut self, row: &JtlRow<'_>) {
        row.format(&mut self.rows.bytes);
        self.rows.ends.push(self.rows.bytes.len() as u32);
        if self.rows.bytes.len() >= HAND_OVER {
            self.flush();
        }
    }

    /// Hands over what there is. To be called a few times a second.
    pub fn flush(&mut self) {
        if !self.rows.ends.is_empty() {
            let rows = std::mem::replace(&mut self.rows, Rows::new());
            self.sink.send(rows);
        }
    }
}

impl Drop for JtlBuffer {
    fn drop(&mut self) {
        self.flush();
    }
}

#[derive(Debug)]
pub(super) enum Message {
    Rows(Rows),
    Finish,
    Abandon,
}

/// Whole rows, and where each ends: a row may have line ends within.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) bytes: Vec<u8>,
    pub(super) ends: Vec<u32>,
}

impl Rows {
    fn new() -> Rows {
        Rows {
            bytes: Vec::with_capacity(HAND_OVER + MAX_ROW),
            ends: Vec::with_capacity(HAND_OVER / 128),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    bytes: AtomicU64,
    high_water: AtomicU64,
}

/// The writer's side.
struct Log {
    file: File,
    pages: Pages,
    rows: u64,
    /// Bytes in the file, all of them whole rows.
    written: u64,
    failed: Option<io::Error>,
}

impl Log {
    fn new(file: File) -> Log {
        let mut pages = Pages::default();
        pages.push(HEADER.as_bytes());
        Log { file, pages, rows: 0, written: 0, failed: None }
    }

    fn run(mut self, receiver: &Receiver<Message>, queue: &Queue) -> io::Result<u64> {
        loop {
            match receiver.recv() {
                Ok(Message::Rows(rows)) => {
                    self.take(&rows);
                    queue.bytes.fetch_sub(rows.bytes.len() as u64, Ordering::Relaxed);
                }
                Ok(Message::Abandon) if self.rows == 0 => return Ok(0),
                Ok(Message::Finish | Message::Abandon) | Err(_) => break,
            }
        }
        self.pages.release();
        self.write();
        match self.failed {
            None => Ok(self.rows),
            Some(error) => {
                let text = format!("of {} rows, not all were written: {error}", self.rows);
                Err(io::Error::new(error.kind(), text))
            }
        }
    }

    fn take(&mut self, rows: &Rows) {
        self.rows += rows.ends.len() as u64;
        if self.failed.is_some() {
            return;
        }
        let mut begin = 0;
        for end in &rows.ends {
            let end = *end as usize;
            self.pages.push(&rows.bytes[begin..end]);
            begin = end;
        }
        self.write();
    }

    /// Writes what is ready. After an error the file is cut back to whole rows, and stays so.
    fn write(&mut self) {
        let ready = self.pages.ready();
        if self.written == 0 && !ready.is_empty() {
            // It may be a pipe; then there is nothing to cut.
            let _ = self.file.set_len(0);
        }
        if self.failed.is_none()
            && let Err(error) = self.file.write_all(ready)
        {
            let _ = self.file.set_len(self.written);
            self.failed = Some(error);
        }
        self.written += ready.len() as u64;
        self.pages.written();
    }
}

/// Bytes of rows that a thread hands over at once.
const HAND_OVER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::super::row::tests::ROW;
    use super::*;

    #[test]
    fn every_row_of_every_thread_arrives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jtl");
        let (writer, sink) = JtlWriter::create(&path).unwrap();
        std::thread::scope(|scope| {
            for group_number in 1..=3 {
                let mut buffer = JtlBuffer::new(sink.clone());
                scope.spawn(move || {
                    for user in 1..=5000 {
                        buffer.push(&JtlRow { group_number, user, label: "a\nb", ..ROW });
                        if user % 700 == 0 {
                            buffer.flush();
                        }
                    }
                });
            }
        });
        assert_eq!(writer.finish().unwrap(), 15_000);
        assert_eq!(sink.queued_bytes(), 0);
        assert!(sink.high_water_bytes() > 0);
        let mut reader = csv::Reader::from_path(&path).unwrap();
        let mut threads: Vec<String> =
            reader.records().map(|row| row.unwrap()[5].to_owned()).collect();
        threads.sort();
        threads.dedup();
        assert_eq!(threads.len(), 15_000);
    }

    #[test]
    fn a_full_disk_is_an_error_at_the_end() {
        let (writer, sink) = JtlWriter::create(Path::new("/dev/full")).unwrap();
        let mut buffer = JtlBuffer::new(sink);
        (0..3).for_each(|_| buffer.push(&ROW));
        drop(buffer);
        let error = writer.finish().unwrap_err().to_string();
        assert!(error.contains("of 3 rows, not all were written"), "{error}");
    }

    #[test]
    fn a_run_that_was_not_made_leaves_the_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jtl");
        let (writer, _sink) = JtlWriter::create(&path).unwrap();
        assert!(path.exists(), "whether it can be written is known before the run");
        writer.abandon();
        assert!(!path.exists());

        let old = "x".repeat(20_000);
        std::fs::write(&path, &old).unwrap();
        JtlWriter::create(&path).unwrap().0.abandon();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), old);

        let (writer, sink) = JtlWriter::create(&path).unwrap();
        JtlBuffer::new(sink).push(&ROW);
        writer.abandon();
        let log = std::fs::read_to_string(&path).unwrap();
        assert!(log.starts_with(HEADER) && log.lines().count() == 2, "{log}");

        std::fs::write(&path, &old).unwrap();
        JtlWriter::create(&path).unwrap().0.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), HEADER);
    }

    #[test]
    fn without_a_request_there_is_a_header() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jtl");
        let (writer, _sink) = JtlWriter::create(&path).unwrap();
        assert_eq!(writer.finish().unwrap(), 0);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), HEADER);
    }
}
