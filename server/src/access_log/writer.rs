//! The thread that writes the lines.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use super::{AccessLog, Target};

/// How long lines may wait: cores do not wake the writer, because that would cost them a system
/// call.
const PAUSE: Duration = Duration::from_millis(50);

/// The running thread.
pub struct Writer {
    log: AccessLog,
    target: Target,
    thread: Option<JoinHandle<()>>,
}

type Sink = BufWriter<Box<dyn Write + Send>>;

impl Writer {
    /// Opens the target and starts the thread, unless there is nothing to write to.
    pub fn start(log: &AccessLog, target: &Target) -> io::Result<Writer> {
        let mut writer = Writer { log: log.clone(), target: Target::Off, thread: None };
        writer.change(target)?;
        Ok(writer)
    }

    /// Goes on with this target; a file is opened again, as after it was moved away.
    pub fn change(&mut self, target: &Target) -> io::Result<()> {
        let sink = open(target)?;
        if self.target == *target && self.thread.is_some() {
            // The thread opens it itself, so that no line is written to the old one after this.
            self.log.0.reopen.store(true, Ordering::Release);
            return Ok(());
        }
        self.stop();
        self.target = target.clone();
        if let Some(sink) = sink {
            let (log, target) = (self.log.clone(), target.clone());
            let builder = std::thread::Builder::new().name("access-log".to_owned());
            self.thread = Some(builder.spawn(move || log.write_to(sink, &target))?);
        }
        Ok(())
    }

    /// Writes what is left and ends the thread.
    pub fn stop(&mut self) {
        self.log.0.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            let _ = thread.join();
        }
        self.log.0.stop.store(false, Ordering::Release);
    }
}

fn open(target: &Target) -> io::Result<Option<Sink>> {
    let sink: Box<dyn Write + Send> = match target {
        Target::Off => return Ok(None),
        Target::Stdout => Box::new(io::stdout()),
        Target::File(path) => Box::new(File::options().create(true).append(true).open(path)?),
    };
    Ok(Some(BufWriter::new(sink)))
}

impl AccessLog {
    fn write_to(&self, mut sink: Sink, target: &Target) {
        loop {
            // Before the queue is emptied: what was pushed before the stop is written.
            let stops = self.0.stop.load(Ordering::Acquire);
            if self.0.reopen.swap(false, Ordering::Acquire) {
                match open(target) {
                    Ok(Some(again)) => sink = again,
                    Ok(None) => {}
                    Err(error) => tracing::warn!(%error, "the access log cannot be opened again"),
                }
            }
            self.drain(&mut sink);
            if stops {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn drain(&self, sink: &mut Sink) {
        let mut lines = 0;
        let mut failure = None;
        while let Some(entry) = self.0.queue.pop() {
            lines += 1;
            failure = failure.or(sink.write_all(entry.line().as_bytes()).err());
        }
        if lines == 0 {
            return;
        }
        match failure.or(sink.flush().err()) {
            None => {
                self.0.written.fetch_add(lines, Ordering::Relaxed);
            }
            Some(error) => {
                self.0.dropped.fetch_add(lines, Ordering::Relaxed);
                tracing::warn!(%error, lines, "the access log cannot be written");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use thalweg_proto::time::Timestamp;

    use super::super::{Entry, RequestId};
    use super::*;
    use crate::metrics::Operation;

    fn entry(number: u64) -> Entry {
        Entry {
            at: Timestamp(0),
            id: RequestId::random([0, number]),
            peer: None,
            method: http::Method::GET,
            path: "/".into(),
            protocol: "HTTP/1.1",
            operation: Operation::Read,
            status: 200,
            code: None,
            request_bytes: 0,
            response_bytes: 0,
            took: Duration::ZERO,
            core: 0,
            principal: None,
            trace: None,
        }
    }

    #[test]
    fn everything_pushed_before_the_stop_is_written_and_the_rest_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target::File(dir.path().join("log"));
        let log = AccessLog::default();
        let capacity = log.0.queue.capacity() as u64;
        (0..capacity + 5).for_each(|number| log.push(entry(number)));
        assert_eq!(log.dropped(), 5);
        let mut writer = Writer::start(&log, &target).unwrap();
        writer.stop();
        assert_eq!(log.written(), capacity);
        let text = fs::read_to_string(dir.path().join("log")).unwrap();
        assert_eq!(text.lines().count() as u64, capacity);

        // Moved away, and opened again.
        writer.change(&target).unwrap();
        fs::rename(dir.path().join("log"), dir.path().join("old")).unwrap();
        writer.change(&target).unwrap();
        log.push(entry(7));
        writer.stop();
        let lines = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap().lines().count();
        assert_eq!(lines("old") + lines("log"), text.lines().count() + 1);
        assert!(lines("log") <= 1);
        assert!(Writer::start(&log, &Target::File(dir.path().join("no/such"))).is_err());
    }
}
