//! The data directory as a whole: who uses it, and in which format it is.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::disk::{self, Disk};
use crate::error::{IoContext, IoFailure};
use crate::format::FORMAT_VERSION;
use crate::format_file::{FormatDamage, FormatFile};

/// The file that a running server holds locked.
pub const LOCK_NAME: &str = "LOCK";
/// The file that says which format the directory has.
pub const FORMAT_NAME: &str = "FORMAT";

/// Held for as long as a process uses a data directory; the system releases it when the process
/// ends, however it ends.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The disk refused.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// Another process uses it.
    #[error(
        "{} is in use by process {pid}; stop it, or give this one another data directory",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// What the holder wrote into `LOCK`.
        pid: String,
    },
    /// A newer version wrote it.
    #[error(
        "{} has format {found} (created by {created_by}); this binary reads up to {FORMAT_VERSION}: \
         use a newer one, or `thalweg storage downgrade` of that version",
        path.display()
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The program that gave it this format.
        created_by: String,
    },
    /// `FORMAT` cannot be believed.
    #[error(
        "{} is damaged: {damage}; `thalweg storage repair` writes it anew from what the other \
         files say, or restore a backup",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        damage: FormatDamage,
    },
}

impl DataDirLock {
    /// The process that has the directory locked, as it wrote into `LOCK`. Looks without touching
    /// the lock, so that a server that starts at this moment does not notice.
    #[must_use]
    pub fn holder(data_dir: &Path) -> Option<String> {
        let path = data_dir.join(LOCK_NAME);
        let inode = std::fs::metadata(&path).ok()?.ino();
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        let pid = std::fs::read_to_string(&path).ok()?.trim().to_owned();
        // `1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF`: what follows the last colon of the
        // sixth field is the inode. Devices are numbered differently on some file systems.
        let is_held = locks.lines().any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let file = fields.get(5).and_then(|file| file.rsplit(':').next());
            fields.get(1) == Some(&"FLOCK") && file == Some(inode.to_string().as_str())
        });
        is_held.then_some(pid)
    }

    /// Creates the directory if needed and locks it for this process.
    pub fn acquire(data_dir: &Path) -> Result<DataDirLock, DataDirError> {
        std::fs::create_dir_all(data_dir).context("create", data_dir)?;
        let path = data_dir.join(LOCK_NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).context("open", &path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).context("read", &path)?;
                let pid = pid.trim().to_owned();
                return Err(DataDirError::InUse { path: data_dir.to_owned(), pid });
            }
            Err(errno) => {
                let failed: io::Result<()> = Err(errno.into());
                failed.context("lock", &path)?;
            }
        }
        file.set_len(0).context("write", &path)?;
        file.rewind().context("write", &path)?;
        writeln!(file, "{}", std::process::id()).context("write", &path)?;
        Ok(DataDirLock { _file: file })
    }
}

/// Checks that this version can read the directory; writes `FORMAT` into a new one. `created_by`
/// is one line such as `thalweg 0.1.0`.
pub fn check_format(
    disk: &dyn Disk,
    data_dir: &Path,
    created_by: &str,
) -> Result<(), DataDirError> {
    let path = data_dir.join(FORMAT_NAME);
    disk.create_dir(data_dir).context("create", data_dir)?;
    let bytes = match disk::read_all(disk, &path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = FormatFile::text_of_new(created_by);
            disk::replace(disk, data_dir, FORMAT_NAME, text.as_bytes()).context("write", &path)?;
            return Ok(());
        }
        Err(source) => return Err(IoFailure { action: "read", path, source }.into()),
    };
    match FormatFile::decode(&bytes) {
        Ok(FormatFile { version: found, created_by, .. }) if found > FORMAT_VERSION => {
            Err(DataDirError::Newer { path: data_dir.to_owned(), found, created_by })
        }
        Ok(_) => Ok(()),
        Err(damage) => Err(DataDirError::Damaged { path, damage }),
    }
}

/// Says in `FORMAT` that the directory has this version's format from now on, before anything is
/// written that an earlier version cannot read; and gives the file a checksum, if it has none. A
/// directory without the file stays without it.
pub(crate) fn upgrade_format(disk: &dyn Disk, data_dir: &Path) -> Result<(), IoFailure> {
    let path = data_dir.join(FORMAT_NAME);
    let bytes = match disk::read_all(disk, &path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(IoFailure { action: "read", path, source }),
    };
    let upgraded = FormatFile::decode(&bytes)
        .ok()
        .and_then(|found| found.text_of_upgraded(&bytes, THIS_PROGRAM));
    match upgraded {
        Some(text) => {
            disk::replace(disk, data_dir, FORMAT_NAME, text.as_bytes()).context("write", &path)
        }
        None => Ok(()),
    }
}

/// What an upgraded directory names as its writer.
const THIS_PROGRAM: &str = concat!("thalweg ", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let lock = DataDirLock::acquire(dir.path()).unwrap();
        let error = DataDirLock::acquire(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("process {};", std::process::id())), "{error}");
        assert_eq!(DataDirLock::holder(dir.path()), Some(std::process::id().to_string()));
        drop(lock);
        assert_eq!(DataDirLock::holder(dir.path()), None);
        DataDirLock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn newer_formats_are_refused() {
        let check = |content: &str, want: Result<(), &str>| {
            let disk = MemoryDisk::new();
            let file = disk.create(Path::new("/d/FORMAT")).unwrap();
            file.write_at(content.as_bytes(), 0).unwrap();
            let got = check_format(&disk, Path::new("/d"), "thalweg 0.1.0");
            match (got, want) {
                (Ok(()), Ok(())) => {}
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (got, want) => panic!("{content:?}: got {got:?}, want {want:?}"),
            }
        };
        let newer = "format = 3\ncreated-by = thalweg 9.0\n";
        check("format = 1\ncreated-by = thalweg 0.1.0\n", Ok(()));
        check("format = 2\ncreated-by = thalweg 0.2.0\nupgraded-from = 1, x\n", Ok(()));
        check(&format!("{newer}crc32c = 54f5fb3f\n"), Err("format 3 (created by thalweg 9.0)"));
        check(newer, Err("/d/FORMAT is damaged: it says format 3"));
        check("format = 0\n", Err("instead of"));
        check("", Err("`thalweg storage repair`"));
        let disk = MemoryDisk::new();
        check_format(&disk, Path::new("/d"), "thalweg 0.1.0").unwrap();
        check_format(&disk, Path::new("/d"), "thalweg 0.1.1").unwrap();
    }

    #[test]
    fn a_file_without_a_checksum_gets_one() {
        let (disk, dir) = (MemoryDisk::new(), Path::new("/d"));
        let file = disk.create(&dir.join(FORMAT_NAME)).unwrap();
        file.write_at(b"format = 2\ncreated-by = thalweg 0.1.0\n", 0).unwrap();
        upgrade_format(&disk, dir).unwrap();
        let found = disk::read_all(&disk, &dir.join(FORMAT_NAME)).unwrap();
        let want = b"format = 2\ncreated-by = thalweg 0.1.0\ncrc32c = cd2f8839\n";
        assert_eq!(found, want);
    }

    #[test]
    fn an_upgrade_names_both_versions() {
        let (disk, dir) = (MemoryDisk::new(), Path::new("/d"));
        let content = || String::from_utf8(disk::read_all(&disk, &dir.join(FORMAT_NAME)).unwrap());
        upgrade_format(&disk, dir).unwrap();
        assert!(disk.open(&dir.join(FORMAT_NAME)).is_err(), "nothing to upgrade");
        let file = disk.create(&dir.join(FORMAT_NAME)).unwrap();
        file.write_at(b"format = 1\ncreated-by = thalweg 0.0.9\n", 0).unwrap();
        for _ in 0..2 {
            upgrade_format(&disk, dir).unwrap();
            let want = format!(
                "format = 2\ncreated-by = {THIS_PROGRAM}\nupgraded-from = 1, thalweg 0.0.9\ncrc32c = "
            );
            let found = content().unwrap();
            assert!(found.starts_with(&want), "{found}");
        }
        check_format(&disk, dir, "thalweg 0.1.1").unwrap();
    }
}
