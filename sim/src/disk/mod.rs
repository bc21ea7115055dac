//! The disk of the simulated machine: what is in its cache, what is on its platters, and what goes
//! wrong with it.
//!
//! Invariants: what was synced survives every power cut; of what was not, any choice of 512-byte
//! sectors does, in any order; changes of directories survive in order up to some point after the
//! last sync of a directory. A failed sync drops what it should have written, and the next one
//! succeeds, as on Linux. Everything is a function of the seed.
//!
//! Deliberately absent: time. Whoever uses the disk waits before and after.

mod content;
mod faults;
mod handle;
mod power;
mod ring;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use faults::Faults;
pub(crate) use handle::{Handle, Life};
pub(crate) use ring::RingAccess;

use crate::random::Random;
use content::Content;

/// The unit in which a write is torn.
pub(crate) const SECTOR_BYTES: usize = 512;

/// The disk. Clones share it.
#[derive(Clone)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

pub(crate) struct State {
    now: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    /// Changes of directories since the last sync, in order.
    unsynced: Vec<Change>,
    files: BTreeMap<u64, Content>,
    next_file: u64,
    in_flight: BTreeMap<u64, InFlight>,
    next_write: u64,
    pub(crate) faults: Faults,
    pub(crate) random: Random,
    /// Of every operation, for the trace.
    digest: u64,
    pub(crate) counts: Counts,
    /// A write or sync through the ring has failed in this life.
    pub(crate) log_failed: bool,
    /// Where the newest write through the ring began, for each file.
    last_written: BTreeMap<u64, usize>,
}

/// What the disk did, for the summary.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    /// Operations of any kind.
    pub operations: u64,
    /// Errors that were made up.
    pub errors: u64,
    /// Operations refused for lack of space.
    pub full: u64,
    /// Reads that were given other bytes.
    pub misdirected: u64,
    /// Bits that were flipped.
    pub flipped: u64,
    /// Sectors that a power cut took back.
    pub lost_sectors: u64,
    /// Changes of directories that a power cut took back.
    pub lost_changes: u64,
}

/// A write through the ring that has begun and not ended.
struct InFlight {
    file: u64,
    offset: usize,
    bytes: Vec<u8>,
    synced: bool,
    direct: bool,
}

#[derive(Clone)]
enum Change {
    Link(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
}

impl SimDisk {
    pub(crate) fn new(random: Random) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(State {
            now: BTreeMap::new(),
            durable: BTreeMap::new(),
            unsynced: Vec::new(),
            files: BTreeMap::new(),
            next_file: 0,
            in_flight: BTreeMap::new(),
            next_write: 0,
            faults: Faults::default(),
            random,
            digest: 0,
            counts: Counts::default(),
            log_failed: false,
            last_written: BTreeMap::new(),
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that stands for all that was done so far.
    pub(crate) fn digest(&self) -> u64 {
        self.lock().digest
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }
}

impl State {
    /// Notes an operation for the digest.
    fn note(&mut self, what: &str, path: &Path, numbers: [u64; 2]) {
        self.counts.operations += 1;
        let mut digest = self.digest;
        let bytes = what.bytes().chain(path.as_os_str().as_encoded_bytes().iter().copied());
        for byte in bytes {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        for number in numbers {
            digest = (digest ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        }
        self.digest = digest;
    }

    /// Where the newest write of each log file began.
    pub(crate) fn last_writes(&self) -> BTreeMap<String, usize> {
        let begin = |(path, file): (&PathBuf, &u64)| {
            Some((path.to_str()?.to_owned(), *self.last_written.get(file)?))
        };
        self.now.iter().filter_map(begin).collect()
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        let found = self.now.get(path).copied();
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, path.display().to_string()))
    }

    fn create(&mut self, path: &Path) -> u64 {
        let file = self.next_file;
        self.next_file += 1;
        self.files.insert(file, Content::default());
        self.change(Change::Link(path.to_owned(), file));
        file
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.unsynced.push(change);
    }

    fn content(&mut self, file: u64) -> &mut Content {
        self.files.entry(file).or_default()
    }

    /// A sync has failed: of what it should have made durable, some is and some is not.
    fn lose_unsynced(&mut self, file: u64) {
        let State { files, random, counts, .. } = self;
        counts.lost_sectors += files.entry(file).or_default().settle(random);
    }

    /// The names in a directory.
    fn list(&self, dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for path in self.now.keys() {
            let Ok(rest) = path.strip_prefix(dir) else { continue };
            names.extend(rest.iter().next().and_then(|name| name.to_str()).map(str::to_owned));
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    fn sync_dir(&mut self, dir: &Path) {
        // A journal commits in order: everything up to the last change of this directory.
        let Some(last) = self.unsynced.iter().rposition(|change| change.is_in(dir)) else { return };
        let changes: Vec<Change> = self.unsynced.drain(..=last).collect();
        for change in changes {
            change.apply(&mut self.durable);
        }
    }
}

impl Change {
    fn apply(&self, entries: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Change::Link(path, file) => {
                entries.insert(path.clone(), *file);
            }
            Change::Rename(from, to) => {
                if let Some(file) = entries.remove(from) {
                    entries.insert(to.clone(), file);
                }
            }
            Change::Unlink(path) => {
                entries.remove(path);
            }
        }
    }

    fn is_in(&self, dir: &Path) -> bool {
        let path = match self {
            Change::Link(path, _) | Change::Rename(_, path) | Change::Unlink(path) => path,
        };
        path.parent() == Some(dir)
    }
}
