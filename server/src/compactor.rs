//! The compactor: one thread that seals full segments and rewrites sealed ones, for all cores, at
//! a bounded rate.
//!
//! Invariant: one job is under way at a time, whoever asked for it; the others wait in line. So
//! its memory is that of one job: the window over its inputs (a segment of up to 64 MiB whole,
//! 256 KiB for each sealed one), and some 80 bytes for each chunk of its output.
//!
//! Deliberately absent: streams. A core says which bytes are worth copying, and its index is what
//! changes. [`Desk`] has no thread and no clock: a simulation calls it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::setpriority_process;
use thalweg_proto::stream::record::StreamId;
use thalweg_storage::sealed::{Pace, Releases};
use thalweg_storage::{
    Disk, FileHold, LogId, Placement, Plan, SealError, SealJob, Sealed, SegmentFactory, SegmentRef,
};

use crate::mailbox::message::{Message, Note};
use crate::mailbox::{CoreId, Post};

/// Something for the compactor to do.
pub enum Task {
    /// Open the inputs. Answers [`Done::Streams`], when it is this core's turn.
    Begin(Plan),
    /// Copy these spans. Answers [`Done::Copied`].
    Copy(Vec<Placement>),
    /// Make the file durable. Answers [`Done::Sealed`], and ends the job.
    Finish,
    /// A core whose log is this one does not need these files any more. No answer.
    Release(LogId, Vec<SegmentRef>),
}

/// What came of it, for the core that asked.
#[derive(Debug)]
pub enum Done {
    /// The streams that have had bytes in the inputs.
    Streams(Vec<StreamId>),
    /// The spans are copied.
    Copied,
    /// The new file is durable.
    Sealed(Box<Sealed>),
    /// The job has ended without a file.
    Failed(Box<SealError>),
}

/// The sending end. Cheap to clone.
#[derive(Clone)]
pub struct Compactor {
    tasks: mpsc::Sender<(CoreId, Task)>,
}

/// Does the work, one task at a time.
pub struct Desk {
    disk: Arc<dyn Disk>,
    data_dir: PathBuf,
    factory: SegmentFactory,
    releases: Releases,
    job: Option<(CoreId, SealJob)>,
    waiting: VecDeque<(CoreId, Plan)>,
}

/// The compactor gives way to everybody else who wants a CPU.
const NICENESS: i32 = 10;

impl Compactor {
    /// Starts a thread that works at `desk`; it moves at most so many bytes a second, reads and
    /// writes together, 0 for no bound.
    pub fn start(mut desk: Desk, bytes_per_second: u64, post: Post) -> std::io::Result<Compactor> {
        let (compactor, inbox) = Compactor::new();
        let mut throttle = Throttle { bytes_per_second, free_at: Instant::now() };
        std::thread::Builder::new().name("compactor".to_owned()).spawn(move || {
            // It works without, too.
            let _ = setpriority_process(Some(rustix::thread::gettid()), NICENESS);
            while let Ok((core, task)) = inbox.recv() {
                for (core, done) in desk.work(core, task, &mut |bytes| throttle.moved(bytes)) {
                    post.send_from_outside(core, Message::Tell(Note::Compactor(done)));
                }
            }
        })?;
        Ok(compactor)
    }

    /// A sending end, and where its tasks arrive: for whoever runs a [`Desk`] without a thread.
    #[must_use]
    pub fn new() -> (Compactor, mpsc::Receiver<(CoreId, Task)>) {
        let (tasks, inbox) = mpsc::channel();
        (Compactor { tasks }, inbox)
    }

    /// Hands over something to do.
    pub fn send(&self, core: CoreId, task: Task) {
        // Without a log there is nobody at the other end, and nothing to do.
        let _ = self.tasks.send((core, task));
    }
}

impl Desk {
    /// A desk for a server of so many cores.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, data_dir: &Path, cores: usize) -> Desk {
        Desk {
            factory: SegmentFactory::new(Arc::clone(&disk), data_dir),
            disk,
            data_dir: data_dir.to_owned(),
            releases: Releases::new(cores),
            job: None,
            waiting: VecDeque::new(),
        }
    }

    /// The same, leaving files where they are while a backup takes them.
    #[must_use]
    pub fn with_hold(self, hold: FileHold) -> Desk {
        Desk { factory: self.factory.with_hold(hold), ..self }
    }

    /// Does a task and returns the answers, to the core that asked and perhaps to one that waited
    /// for its turn. `pace` is called after each piece of I/O.
    #[must_use]
    pub fn work(&mut self, core: CoreId, task: Task, pace: Pace<'_>) -> Vec<(CoreId, Done)> {
        let mut answers = Vec::new();
        match task {
            Task::Begin(plan) => self.waiting.push_back((core, plan)),
            Task::Copy(spans) => answers.extend(self.copy(core, &spans, pace)),
            Task::Finish => answers.extend(self.finish(core, pace)),
            Task::Release(log, files) => self.release(core, log, &files),
        }
        while self.job.is_none()
            && let Some((core, plan)) = self.waiting.pop_front()
        {
            let begun = SealJob::begin(&self.disk, &self.data_dir, &plan.inputs, plan.output, pace);
            answers.push((
                core,
                match begun {
                    Ok((job, ids)) => {
                        self.job = Some((core, job));
                        Done::Streams(ids)
                    }
                    Err(error) => Done::Failed(Box::new(error)),
                },
            ));
        }
        answers
    }

    fn copy(
        &mut self,
        core: CoreId,
        spans: &[Placement],
        pace: Pace<'_>,
    ) -> Option<(CoreId, Done)> {
        let (_, job) = self.job.as_mut().filter(|(owner, _)| *owner == core)?;
        match job.copy(spans, pace) {
            Ok(()) => Some((core, Done::Copied)),
            Err(error) => {
                let (_, job) = self.job.take()?;
                job.abort();
                Some((core, Done::Failed(Box::new(error))))
            }
        }
    }

    fn finish(&mut self, core: CoreId, pace: Pace<'_>) -> Option<(CoreId, Done)> {
        let (_, job) = self.job.take_if(|(owner, _)| *owner == core)?;
        Some((
            core,
            match job.finish(pace) {
                Ok(sealed) => Done::Sealed(Box::new(sealed)),
                Err(error) => Done::Failed(Box::new(error)),
            },
        ))
    }

    fn release(&mut self, core: CoreId, log: LogId, files: &[SegmentRef]) {
        for segment in files {
            if self.releases.release(core, log, *segment)
                && let Err(error) = self.factory.remove(*segment)
            {
                tracing::warn!(%error, "a segment that nobody needs could not be removed");
            }
        }
    }
}

/// Spreads I/O over time.
struct Throttle {
    bytes_per_second: u64,
    /// When what was moved so far has had its time.
    free_at: Instant,
}

impl Throttle {
    fn moved(&mut self, bytes: u64) {
        if self.bytes_per_second == 0 {
            return;
        }
        let now = Instant::now();
        let time = Duration::from_secs(bytes).div_f64(self.bytes_per_second as f64);
        self.free_at = self.free_at.max(now) + time;
        std::thread::sleep(self.free_at - now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thalweg_storage::MemoryDisk;
    use thalweg_storage::sealed::Reason;

    fn plan(log: u32, inputs: Vec<SegmentRef>) -> Plan {
        Plan { inputs, output: SegmentRef::sealed(LogId(log), 1), reason: Reason::Full }
    }

    #[test]
    fn one_job_at_a_time() {
        let mut desk = Desk::new(Arc::new(MemoryDisk::new()), Path::new("/data"), 3);
        let mut work = |core, task| {
            let done = desk.work(core, task, &mut |_| {});
            let name = |done| match done {
                Done::Streams(ids) => format!("{} streams", ids.len()),
                Done::Copied => "copied".to_owned(),
                Done::Sealed(sealed) => format!("{} chunks", sealed.chunks.len()),
                Done::Failed(error) => error.to_string(),
            };
            done.into_iter().map(|(core, done)| (core, name(done))).collect::<Vec<_>>()
        };
        let says = |core, text: &str| (core, text.to_owned());
        assert_eq!(work(0, Task::Begin(plan(1, Vec::new()))), [says(0, "0 streams")]);
        assert_eq!(work(1, Task::Begin(plan(2, Vec::new()))), [], "it waits for its turn");
        let missing = SegmentRef { log: LogId(3), number: 1 };
        assert_eq!(work(2, Task::Begin(plan(3, vec![missing]))), []);
        assert_eq!(work(1, Task::Copy(Vec::new())), [], "not its turn");
        assert_eq!(work(0, Task::Copy(Vec::new())), [says(0, "copied")]);
        let ended = [says(0, "0 chunks"), says(1, "0 streams")];
        assert_eq!(work(0, Task::Finish), ended);
        let ended = work(1, Task::Finish);
        assert_eq!(ended[0], says(1, "0 chunks"));
        assert!(ended[1].1.starts_with("cannot open /data/log-3/segment-"), "{}", ended[1].1);
        assert_eq!(work(0, Task::Begin(plan(1, Vec::new()))), [says(0, "0 streams")]);
    }
}
