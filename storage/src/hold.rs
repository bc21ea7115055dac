//! Keeps files where they are while a backup takes them.
//!
//! Invariant: while held, no file of the data directory is removed, renamed or written anew
//! through this; what should have been removed is removed when the hold ends. A process that ends
//! meanwhile leaves files that the next start removes.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::Disk;

/// See the module. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct FileHold {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    is_held: bool,
    deferred: Vec<PathBuf>,
}

/// A hold in force; it ends when this is dropped.
pub struct Held {
    hold: FileHold,
    disk: Arc<dyn Disk>,
}

impl FileHold {
    /// Holds files from now on; `None` if somebody else does.
    #[must_use]
    pub fn hold(&self, disk: &Arc<dyn Disk>) -> Option<Held> {
        let mut state = self.lock();
        if state.is_held {
            return None;
        }
        state.is_held = true;
        Some(Held { hold: self.clone(), disk: Arc::clone(disk) })
    }

    /// Removes a file now, or when the hold ends.
    pub fn remove(&self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if state.is_held {
            state.deferred.push(path.to_owned());
            return Ok(());
        }
        disk.remove(path)
    }

    /// Does something to a file that is not needed any more; not while files are held.
    pub(crate) fn unless_held<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let state = self.lock();
        // Locked until the work is done: a hold begins before or after it.
        (!state.is_held).then(work)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.hold.lock();
        state.is_held = false;
        for path in std::mem::take(&mut state.deferred) {
            // What cannot be removed now is removed at the next start.
            let _ = self.disk.remove(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn removals_wait() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let (first, second) = (Path::new("/d/a"), Path::new("/d/b"));
        for path in [first, second] {
            disk.create(path).unwrap();
        }
        let hold = FileHold::default();
        let held = hold.hold(&disk).unwrap();
        assert!(hold.hold(&disk).is_none(), "one at a time");
        assert_eq!(hold.unless_held(|| ()), None);
        hold.remove(&*disk, first).unwrap();
        assert!(disk.open(first).is_ok(), "not yet");
        drop(held);
        assert!(disk.open(first).is_err());
        hold.remove(&*disk, second).unwrap();
        assert!(disk.open(second).is_err());
        assert_eq!(hold.unless_held(|| 1), Some(1));
    }
}
