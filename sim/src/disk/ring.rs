//! The disk as a core has it through its driver: operations that take virtual time.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thalweg::rt::Opening;
use thalweg::rt::simulated::{Waiting, WorldFile};
use thalweg_storage::AlignedBuf;

use super::content::Fate;
use super::{InFlight, Life, SimDisk};
use crate::executor::{Executor, Sleep};
use crate::random::Random;

/// What a process needs to use the disk through its driver.
#[derive(Clone)]
pub(crate) struct RingAccess {
    pub(crate) disk: SimDisk,
    pub(crate) life: Arc<Life>,
    pub(crate) executor: Rc<Executor>,
    /// Decides how long things take.
    pub(crate) random: Rc<RefCell<Random>>,
    /// The disk is slow: a thousand times, now and then.
    pub(crate) slow: bool,
}

#[derive(Clone)]
struct RingFile {
    access: RingAccess,
    file: u64,
    path: PathBuf,
    synced: bool,
    direct: bool,
}

impl RingAccess {
    pub(crate) fn open(&self, path: &Path, opening: Opening) -> io::Result<Box<dyn WorldFile>> {
        if self.life.is_over() {
            return Err(io::Error::other("the simulated process is dead"));
        }
        let mut state = self.disk.lock();
        state.note("ring open", path, [0; 2]);
        let file = state.find(path)?;
        let (synced, direct) = match opening {
            Opening::Read => (false, false),
            Opening::Write { synced, direct } => (synced, direct),
        };
        let (access, path) = (self.clone(), path.to_owned());
        Ok(Box::new(RingFile { access, file, path, synced, direct }))
    }

    fn pause(&self) -> Sleep {
        let mut random = self.random.borrow_mut();
        let mut micros = match random.below(10) {
            0..6 => random.between(10, 120),
            6..9 => random.between(100, 1_000),
            _ => random.between(1_000, 20_000),
        };
        if self.slow && random.chance(1, 50) {
            micros *= 1_000;
        }
        drop(random);
        Sleep::new(&self.executor, Duration::from_micros(micros))
    }

    /// Between the end of an operation and the task that hears of it.
    fn completion(&self) -> Sleep {
        let micros = self.random.borrow_mut().below(50);
        Sleep::new(&self.executor, Duration::from_micros(micros))
    }
}

impl RingFile {
    fn begin_write(&self, bytes: &[u8], offset: u64) -> u64 {
        let mut state = self.access.disk.lock();
        state.note("ring write", &self.path, [offset, bytes.len() as u64]);
        let number = state.next_write;
        state.next_write += 1;
        let write = InFlight {
            file: self.file,
            offset: offset as usize,
            bytes: bytes.to_vec(),
            synced: self.synced,
            direct: self.direct,
        };
        state.in_flight.insert(number, write);
        number
    }

    fn end_write(&self, number: u64) -> io::Result<()> {
        let mut state = self.access.disk.lock();
        // Gone with the power.
        let Some(write) = state.in_flight.remove(&number) else { return Ok(()) };
        state.note("ring written", &self.path, [write.offset as u64, write.bytes.len() as u64]);
        if write.direct && state.faults.no_direct {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let failed = state.fail_write();
        let failed = if write.synced { failed.and_then(|()| state.fail_sync()) } else { failed };
        state.last_written.insert(write.file, write.offset);
        if let Err(error) = failed {
            state.log_failed = true;
            let fate = Fate::choose(&mut state.random);
            state.write_in_part(&write, fate);
            let mut random = state.random.clone();
            let lost = state.content(write.file).settle(&mut random);
            state.random = random;
            state.counts.lost_sectors += lost;
            return Err(error);
        }
        let content = state.content(write.file);
        content.write(&write.bytes, write.offset);
        if write.synced {
            content.sync_range(write.offset..write.offset + write.bytes.len());
        }
        Ok(())
    }

    fn read(&self, len: usize, offset: u64) -> io::Result<Bytes> {
        let mut state = self.access.disk.lock();
        state.note("ring read", &self.path, [offset, len as u64]);
        state.fail_read()?;
        let chance = state.faults.misdirect;
        if let Some(other) = state.misdirected(chance, self.file, len) {
            return Ok(other.into());
        }
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let range = start..start.saturating_add(len);
        let found = state.content(self.file).read(range).ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Bytes::copy_from_slice(found))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.access.disk.lock();
        state.note("ring sync", &self.path, [0; 2]);
        if let Err(error) = state.fail_sync() {
            state.log_failed = true;
            state.lose_unsynced(self.file);
            return Err(error);
        }
        state.content(self.file).sync();
        Ok(())
    }
}

impl WorldFile for RingFile {
    fn write_all_at(&self, buf: AlignedBuf, offset: u64) -> Waiting<(io::Result<()>, AlignedBuf)> {
        let file = self.clone();
        Box::pin(async move {
            let number = file.begin_write(buf.as_ref(), offset);
            file.access.pause().await;
            let result = file.end_write(number);
            file.access.completion().await;
            (result, buf)
        })
    }

    fn read_exact_at(&self, len: usize, offset: u64) -> Waiting<io::Result<Bytes>> {
        let file = self.clone();
        Box::pin(async move {
            file.access.pause().await;
            let result = file.read(len, offset);
            file.access.completion().await;
            result
        })
    }

    fn sync_data(&self) -> Waiting<io::Result<()>> {
        let file = self.clone();
        Box::pin(async move {
            file.access.pause().await;
            let result = file.sync();
            file.access.completion().await;
            result
        })
    }
}
