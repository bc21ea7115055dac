//! Puts a backup back.

use std::path::Path;

use super::copy::Copier;
use super::{BACKUP_NAME, BackupError, KEYS_NAME, Taken, prepare_target};
use crate::data_dir::FORMAT_NAME;
use crate::disk::{self, Disk, ReadOnlyDisk, RealDisk};
use crate::error::IoContext;
use crate::inspect::{Severity, inspect};
use crate::layout::{CHECKPOINTS_NAME, LAYOUT_NAME};
use crate::location::LogId;

/// Verifies a backup, then copies it to a directory that does not exist or is empty. `LAYOUT`
/// comes last: without it, nothing that was copied is taken for a data directory.
pub fn restore(from: &Path, to: &Path, progress: &dyn Fn(u64)) -> Result<Taken, BackupError> {
    let disk = ReadOnlyDisk;
    if disk.open(&from.join(BACKUP_NAME)).is_err() {
        return Err(BackupError::NotWhole { path: from.to_owned() });
    }
    let found = inspect(&disk, from, progress)?;
    let damages = found.findings.iter().filter(|finding| finding.severity == Severity::Damage);
    let damages: Vec<_> = damages.collect();
    if let Some(first) = damages.first() {
        let (path, first) = (from.to_owned(), first.to_string());
        return Err(BackupError::Damaged { path, first, damages: damages.len() });
    }
    prepare_target(from, to)?;
    // Never linked: the server would write into the backup.
    let mut copier = Copier::new(from, to, false);
    copier.dir(Path::new(CHECKPOINTS_NAME))?;
    let names = disk.list(from).context("list", from)?;
    for name in &names {
        if LogId::of_dir_name(name).is_some() || name == CHECKPOINTS_NAME || name == KEYS_NAME {
            copier.copies_of(Path::new(name))?;
        }
    }
    copier.copy(Path::new(FORMAT_NAME))?;
    copier.sync_dirs()?;
    let layout = from.join(LAYOUT_NAME);
    let bytes = disk::read_all(&disk, &layout).context("read", &layout)?;
    disk::replace(&RealDisk, to, LAYOUT_NAME, &bytes).context("write", &to.join(LAYOUT_NAME))?;
    Ok(copier.taken())
}
