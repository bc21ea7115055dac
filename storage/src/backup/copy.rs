//! Links and copies, each synced.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{BackupError, Taken};
use crate::error::{IoContext, IoFailure};

/// Takes files from one directory to another, under the same names.
pub(super) struct Copier<'a> {
    from: &'a Path,
    to: &'a Path,
    may_link: bool,
    dirs: BTreeSet<PathBuf>,
    taken: Taken,
}

impl<'a> Copier<'a> {
    pub(super) fn new(from: &'a Path, to: &'a Path, may_link: bool) -> Copier<'a> {
        let dirs = BTreeSet::from([PathBuf::new()]);
        Copier { from, to, may_link, dirs, taken: Taken::default() }
    }

    pub(super) fn taken(&self) -> Taken {
        self.taken
    }

    /// Makes a directory.
    pub(super) fn dir(&mut self, name: &Path) -> Result<(), IoFailure> {
        if self.dirs.insert(name.to_owned()) {
            let path = self.to.join(name);
            fs::create_dir_all(&path).context("create", &path)?;
        }
        Ok(())
    }

    /// A file that does not change any more: linked where that is possible.
    pub(super) fn whole(&mut self, name: &Path) -> Result<(), IoFailure> {
        self.parent(name)?;
        let (from, to) = (self.from.join(name), self.to.join(name));
        if self.may_link && fs::hard_link(&from, &to).is_ok() {
            self.taken.linked_files += 1;
            self.taken.linked_bytes += fs::metadata(&to).context("measure", &to)?.len();
            return Ok(());
        }
        self.copy(name)
    }

    /// A copy, with the file's mode.
    pub(super) fn copy(&mut self, name: &Path) -> Result<(), IoFailure> {
        self.parent(name)?;
        let (from, to) = (self.from.join(name), self.to.join(name));
        let bytes = fs::copy(&from, &to).context("copy", &from)?;
        File::open(&to).and_then(|file| file.sync_all()).context("sync", &to)?;
        self.count(bytes);
        Ok(())
    }

    /// A copy of the first bytes of a file; the rest of its length is zeros.
    pub(super) fn up_to(&mut self, name: &Path, bytes: u64) -> Result<(), BackupError> {
        self.parent(name)?;
        let (from, to) = (self.from.join(name), self.to.join(name));
        let source = File::open(&from).context("open", &from)?;
        let found = source.metadata().context("measure", &from)?.len();
        if found < bytes {
            return Err(BackupError::Short { path: from, needed: bytes, found });
        }
        let mut target = File::create(&to).context("create", &to)?;
        let copied = io::copy(&mut source.take(bytes), &mut target).context("copy", &from)?;
        target.seek(SeekFrom::Start(copied)).context("write", &to)?;
        target.set_len(found).context("write", &to)?;
        target.sync_all().context("sync", &to)?;
        self.count(bytes);
        Ok(())
    }

    /// Copies of all files in a directory, if there is one; its mode is kept too.
    pub(super) fn copies_of(&mut self, dir: &Path) -> Result<(), IoFailure> {
        let from = self.from.join(dir);
        let entries = match fs::read_dir(&from) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.context("list", &from)?,
        };
        self.dir(dir)?;
        let to = self.to.join(dir);
        let mode = fs::metadata(&from).context("measure", &from)?.permissions();
        fs::set_permissions(&to, mode).context("protect", &to)?;
        for entry in entries {
            let entry = entry.context("list", &from)?;
            if entry.file_type().context("measure", &from)?.is_file() {
                self.copy(&dir.join(entry.file_name()))?;
            }
        }
        Ok(())
    }

    /// Makes the names durable.
    pub(super) fn sync_dirs(&self) -> Result<(), IoFailure> {
        for dir in &self.dirs {
            let path = self.to.join(dir);
            File::open(&path).and_then(|dir| dir.sync_all()).context("sync", &path)?;
        }
        Ok(())
    }

    fn parent(&mut self, name: &Path) -> Result<(), IoFailure> {
        match name.parent() {
            Some(parent) => self.dir(parent),
            None => Ok(()),
        }
    }

    fn count(&mut self, bytes: u64) {
        self.taken.copied_files += 1;
        self.taken.copied_bytes += bytes;
    }
}
