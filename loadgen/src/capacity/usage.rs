//! What the server's process uses during a trial, read from `/proc`.
//!
//! Only the measured part counts: set-up, warm-up and drain are seen on the board and left out.
//! Invariant: a server that cannot be watched (it ended, or is another user's) gives no figures,
//! never zeros.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::live::{Board, Phase};

/// What a process used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU seconds per second: 1.0 is one core.
    pub cpu: f64,
    /// The same of the thread that used most.
    pub busiest_thread: f64,
    /// Threads that used at least a tenth of what the busiest did.
    pub busy_threads: u32,
    /// Largest resident memory.
    pub rss_bytes: u64,
}

/// A process as it stands.
#[derive(Clone, Debug, Default, PartialEq)]
struct Snapshot {
    /// CPU ticks by thread.
    threads: BTreeMap<u32, u64>,
    rss_bytes: u64,
}

/// Watches a process in the background.
#[derive(Debug)]
pub struct Watch {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<Option<Usage>>>,
}

impl Watch {
    /// Watches from now on. `board` says when the measured part runs.
    #[must_use]
    pub fn start(pid: u32, board: Board) -> Watch {
        let done = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&done);
        let watched = thread::Builder::new().name("watch".to_owned());
        let thread = watched.spawn(move || watch(&process(pid), &board, &seen));
        Watch { done, thread: thread.ok() }
    }

    /// What was used in the measured part, as far as it was seen.
    #[must_use]
    pub fn finish(mut self) -> Option<Usage> {
        self.done.store(true, Ordering::Relaxed);
        self.thread.take()?.join().ok()?
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

/// Whether the process can be watched, so that a wrong number is said before the first trial.
#[must_use]
pub fn can_watch(pid: u32) -> bool {
    Snapshot::read(&process(pid)).is_some()
}

fn process(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

fn watch(process: &Path, board: &Board, done: &AtomicBool) -> Option<Usage> {
    let mut measured = Measured::default();
    while !done.load(Ordering::Relaxed) {
        let running = board.phase() == Phase::Running;
        if running && let Some(snapshot) = Snapshot::read(process) {
            measured.add(Instant::now(), snapshot);
        }
        thread::sleep(EVERY);
    }
    measured.usage()
}

/// The first and the latest of a run's snapshots.
#[derive(Default)]
struct Measured {
    first: Option<(Instant, Snapshot)>,
    last: Option<(Instant, Snapshot)>,
    rss_bytes: u64,
}

impl Measured {
    fn add(&mut self, now: Instant, snapshot: Snapshot) {
        self.rss_bytes = self.rss_bytes.max(snapshot.rss_bytes);
        if self.first.is_none() {
            self.first = Some((now, snapshot.clone()));
        }
        self.last = Some((now, snapshot));
    }

    fn usage(&self) -> Option<Usage> {
        let ((begin, first), (end, last)) = (self.first.as_ref()?, self.last.as_ref()?);
        let seconds = (*end - *begin).as_secs_f64();
        if seconds < SHORTEST.as_secs_f64() {
            return None;
        }
        let used = last.threads.iter().map(|(thread, ticks)| {
            let before = first.threads.get(thread).copied().unwrap_or(0);
            ticks.saturating_sub(before) as f64 / TICKS_PER_SECOND / seconds
        });
        let used: Vec<f64> = used.collect();
        let busiest_thread = used.iter().copied().fold(0.0, f64::max);
        let busy = used.iter().filter(|cpu| **cpu > 0.0 && **cpu >= busiest_thread / 10.0).count();
        Some(Usage {
            cpu: used.iter().sum(),
            busiest_thread,
            busy_threads: u32::try_from(busy).unwrap_or(u32::MAX),
            rss_bytes: self.rss_bytes,
        })
    }
}

impl Snapshot {
    fn read(process: &Path) -> Option<Snapshot> {
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(process.join("task")).ok()?.flatten() {
            let thread = entry.file_name().to_str().and_then(|name| name.parse().ok());
            // A thread may end between the listing and the reading.
            let stat = fs::read_to_string(entry.path().join("stat")).ok();
            if let (Some(thread), Some(ticks)) = (thread, stat.as_deref().and_then(ticks)) {
                threads.insert(thread, ticks);
            }
        }
        let status = fs::read_to_string(process.join("status")).ok()?;
        Some(Snapshot { threads, rss_bytes: resident(&status)? })
    }
}

/// User and system time from a `stat` line. The name in parentheses may contain anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(UTIME_AFTER_NAME);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

const EVERY: Duration = Duration::from_millis(100);
/// CPU time comes in hundredths of a second; below this the figures would be mostly rounding.
const SHORTEST: Duration = Duration::from_millis(500);
/// What Linux shows to programs, whatever its timer does.
const TICKS_PER_SECOND: f64 = 100.0;
/// `utime` is the 14th field, and the name is the second.
const UTIME_AFTER_NAME: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 99 1000 10";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (a) S 1"), None);
        assert_eq!(ticks(""), None);
        assert_eq!(resident("VmHWM:\t 9 kB\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    fn figures_are_differences() {
        let snapshot = |ticks: [u64; 3], rss_bytes| Snapshot {
            threads: (1..4).zip(ticks).collect(),
            rss_bytes,
        };
        let begin = Instant::now();
        let mut measured = Measured::default();
        measured.add(begin, snapshot([100, 100, 5], 10));
        assert_eq!(measured.usage(), None, "too short");
        measured.add(begin + Duration::from_secs(5), snapshot([120, 100, 5], 30));
        measured.add(begin + Duration::from_secs(10), snapshot([600, 300, 5], 20));
        let want = Usage { cpu: 0.7, busiest_thread: 0.5, busy_threads: 2, rss_bytes: 30 };
        assert_eq!(measured.usage(), Some(want));
    }

    #[test]
    fn this_process() {
        let own = std::process::id();
        assert!(can_watch(own));
        assert!(!can_watch(u32::MAX));
        let snapshot = Snapshot::read(&process(own)).expect("readable");
        assert!(snapshot.rss_bytes > 0 && !snapshot.threads.is_empty(), "{snapshot:?}");
        assert_eq!(Watch::start(own, Board::default()).finish(), None, "nothing ran");
    }
}
