//! A disk with a volatile cache that can lose its power.
//!
//! ```text
//! server -> ext4 -> loop device -> file on another ext4 -> loop device -> file
//!                   the "disk"     its cache, and what it syncs
//! ```
//!
//! What the upper file system writes without a flush stays in the page cache of the lower one,
//! as it would stay in the cache of a drive; direct writes too. The shutdown request of ext4, put
//! to the lower one, drops all of that and makes every later write, flush and read of it fail
//! with EIO.

use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::machine::{Mount, has, run, skipped, text};

const UPPER_BYTES: u64 = 192 << 20;
const LOWER_BYTES: u64 = 256 << 20;

/// `FS_IOC_SHUTDOWN` without writing the journal out. By Python, because the server's tests are
/// free of `unsafe`.
const SHUTDOWN: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// See the module. Dropped from the top down.
pub(super) struct Disk {
    upper: Option<Mount>,
    lower: Option<Mount>,
    directory: TempDir,
}

impl Disk {
    /// A new disk with an empty file system; `None`, with a message, where that is not possible.
    pub(super) fn new() -> Option<Disk> {
        if !has(&["mkfs.ext4", "mount", "umount", "python3"]) {
            return None;
        }
        Disk::make().map_err(|error| skipped(&error)).ok()
    }

    fn make() -> Result<Disk, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut disk = Disk { upper: None, lower: None, directory };
        make_image(&disk.lower_image(), LOWER_BYTES)?;
        disk.mount_lower()?;
        make_image(&disk.upper_image(), UPPER_BYTES)?;
        disk.mount_upper()?;
        Ok(disk)
    }

    /// For the server's data.
    pub(super) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("upper/data")
    }

    /// Drops what was not flushed. Everything fails from now on.
    pub(super) fn cut_power(&self) {
        let lower = self.lower.as_ref().expect("mounted");
        run("python3", &["-c", SHUTDOWN, text(lower.path())]).expect("shut down");
    }

    /// Power is back: mounts again what is left. Nobody may use the disk any more.
    pub(super) fn restore(&mut self) {
        self.upper = None;
        self.lower = None;
        self.mount_lower().expect("mounted");
        self.mount_upper().expect("mounted");
    }

    /// Makes the next read of a file come from the disk.
    pub(super) fn forget_cached(&self, file: &Path) {
        for path in [file, &self.upper_image()] {
            let file = File::open(path).expect("a file");
            file.sync_all().expect("synced");
            let all = rustix::fs::Advice::DontNeed;
            rustix::fs::fadvise(&file, 0, None, all).expect("given up");
        }
    }

    fn mount_lower(&mut self) -> Result<(), String> {
        let at = self.directory.path().join("lower");
        self.lower = Some(Mount::image(&self.lower_image(), at)?);
        Ok(())
    }

    fn mount_upper(&mut self) -> Result<(), String> {
        let at = self.directory.path().join("upper");
        self.upper = Some(Mount::image(&self.upper_image(), at)?);
        Ok(())
    }

    fn lower_image(&self) -> PathBuf {
        self.directory.path().join("lower.img")
    }

    fn upper_image(&self) -> PathBuf {
        self.directory.path().join("lower/upper.img")
    }
}

/// A file with an empty ext4 in it, synced.
fn make_image(path: &Path, bytes: u64) -> Result<(), String> {
    let file = File::create(path).map_err(|error| error.to_string())?;
    file.set_len(bytes).map_err(|error| error.to_string())?;
    run("mkfs.ext4", &["-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", text(path)])?;
    file.sync_all().map_err(|error| error.to_string())
}
