//! Takes a data directory as of one moment, and puts it back.
//!
//! ```text
//! Cut: the layout, and each core's log up to a position, all of one moment
//!   -> newest checkpoint of each core
//!   -> the files in which its streams have bytes, and the log behind it, up to the position
//!   -> FORMAT, keys, LAYOUT, BACKUP
//! ```
//!
//! Files that never change are linked where they can be; the segment that a core writes is copied
//! up to the position of the cut. Invariant: `BACKUP` is written last, so that a backup that has
//! it is whole. Deliberately absent: how a running server is asked for a cut.

mod copy;
mod restore;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::checkpoint::{self, Checkpoint};
use crate::data_dir::{self, DataDirError, FORMAT_NAME};
use crate::disk::{self, Disk, RealDisk};
use crate::error::{Damage, IoContext, IoFailure};
use crate::inspect::InspectError;
use crate::layout::{CHECKPOINTS_NAME, CoreLayout, Layout, checkpoint_path};
use crate::location::{LogPosition, SegmentRef};
use copy::Copier;
pub use restore::restore;

/// The file that says that a backup is whole.
pub const BACKUP_NAME: &str = "BACKUP";
/// The directory of the server's private keys.
pub const KEYS_NAME: &str = "keys";

/// One moment of a data directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Generation and next log id of the layout.
    pub generation: u64,
    /// The next log id that was never used.
    pub next_log: u32,
    /// The cores in order: log and checkpoints, and the end of the log.
    pub cores: Vec<(CoreLayout, LogPosition)>,
}

/// What was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// Files that are linked: the backup shares them with the data directory.
    pub linked_files: u64,
    /// Their bytes.
    pub linked_bytes: u64,
    /// Files that were copied.
    pub copied_files: u64,
    /// Their bytes.
    pub copied_bytes: u64,
}

/// Why a backup could not be taken or put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The disk refused.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// The source cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The source cannot be read.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The target is in use.
    #[error("{} is not empty: name a directory that does not exist or is empty", path.display())]
    NotEmpty {
        /// The target.
        path: PathBuf,
    },
    /// One of the two lies in the other.
    #[error("{} lies in {}: choose a place outside of it", inner.display(), outer.display())]
    Nested {
        /// The inner one.
        inner: PathBuf,
        /// The outer one.
        outer: PathBuf,
    },
    /// A checkpoint is damaged.
    #[error(
        "{}: {damage}; look at the directory with `thalweg storage verify`",
        path.display()
    )]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
    },
    /// A segment is shorter than the cut says.
    #[error(
        "{} has {found} bytes, the log goes on to byte {needed}; look at the directory with \
         `thalweg storage verify`",
        path.display()
    )]
    Short {
        /// The file.
        path: PathBuf,
        /// Bytes that there should be.
        needed: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// Not a whole backup.
    #[error(
        "{} is not a whole backup: it has no file {BACKUP_NAME}; take it again",
        path.display()
    )]
    NotWhole {
        /// The directory.
        path: PathBuf,
    },
    /// The backup is damaged.
    #[error(
        "{} is damaged: {first} ({damages} findings in all; `thalweg storage verify` lists them); \
         restore another one",
        path.display()
    )]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// The first finding.
        first: String,
        /// How many there are.
        damages: usize,
    },
}

/// Takes a backup. Files must stay where they are meanwhile: the server is stopped and the
/// directory locked, or a running server holds them. `made_by` and `made_at` go into `BACKUP`.
pub fn take(
    from: &Path,
    to: &Path,
    cut: &Cut,
    (made_by, made_at): (&str, &str),
    may_link: bool,
) -> Result<Taken, BackupError> {
    prepare_target(from, to)?;
    let mut copier = Copier::new(from, to, may_link);
    let mut wanted = BTreeSet::new();
    for (core, position) in &cut.cores {
        wanted.extend(segments_of(from, core, *position)?);
        if core.newest != 0 {
            let path = checkpoint_path(Path::new(""), core.log, core.newest);
            copier.whole(&path)?;
        }
        copier.dir(&core.log.dir(Path::new("")))?;
    }
    copier.dir(Path::new(CHECKPOINTS_NAME))?;
    for segment in &wanted {
        let end = cut
            .cores
            .iter()
            .find(|(core, position)| core.log == segment.log && position.segment == segment.number);
        let name = PathBuf::from(segment.to_string());
        match end {
            Some((_, position)) => copier.up_to(&name, position.file_offset)?,
            None => copier.whole(&name)?,
        }
    }
    copier.copies_of(Path::new(KEYS_NAME))?;
    copier.copy(Path::new(FORMAT_NAME))?;
    let core = |(core, _): &(CoreLayout, LogPosition)| CoreLayout { previous: None, ..*core };
    let (generation, next_log) = (cut.generation, cut.next_log);
    let layout = Layout { generation, next_log, cores: cut.cores.iter().map(core).collect() };
    copier.sync_dirs()?;
    // The layout is written by this version.
    data_dir::upgrade_format(&RealDisk, to)?;
    layout.store(&RealDisk, to)?;
    let text = describe(cut, (made_by, made_at));
    disk::replace(&RealDisk, to, BACKUP_NAME, text.as_bytes())
        .context("write", &to.join(BACKUP_NAME))?;
    Ok(copier.taken())
}

/// The segments that the newest checkpoint of a core and the log behind it need.
fn segments_of(
    from: &Path,
    core: &CoreLayout,
    position: LogPosition,
) -> Result<BTreeSet<SegmentRef>, BackupError> {
    let mut wanted = BTreeSet::new();
    let mut first = 1;
    if let Some(checkpoint) = read_checkpoint(from, core)? {
        first = checkpoint.start.position.segment;
        for known in &checkpoint.streams {
            wanted.extend(known.stream.extents.iter().map(|span| span.location.segment));
        }
    }
    // Offset 0: the segment was not begun.
    let last = position.segment.saturating_sub(u32::from(position.file_offset == 0));
    wanted.extend((first..=last).map(|number| SegmentRef { log: core.log, number }));
    Ok(wanted)
}

fn read_checkpoint(from: &Path, core: &CoreLayout) -> Result<Option<Checkpoint>, BackupError> {
    if core.newest == 0 {
        return Ok(None);
    }
    let path = checkpoint_path(from, core.log, core.newest);
    let disk: &dyn Disk = &crate::disk::ReadOnlyDisk;
    let bytes = disk::read_all(disk, &path).context("read", &path)?;
    match checkpoint::decode(&bytes) {
        Ok(checkpoint) => Ok(Some(checkpoint)),
        Err(damage) => Err(BackupError::Checkpoint { path, damage }),
    }
}

/// Refuses targets that are in use, and creates the directory.
pub fn prepare_target(from: &Path, to: &Path) -> Result<(), BackupError> {
    std::fs::create_dir_all(to).context("create", to)?;
    if RealDisk.list(to).context("list", to)?.iter().any(|_| true) {
        return Err(BackupError::NotEmpty { path: to.to_owned() });
    }
    let outer = std::fs::canonicalize(from).context("find", from)?;
    let inner = std::fs::canonicalize(to).context("find", to)?;
    for (inner, outer) in [(&inner, &outer), (&outer, &inner)] {
        if inner.starts_with(outer) {
            let (inner, outer) = (inner.clone(), outer.clone());
            return Err(BackupError::Nested { inner, outer });
        }
    }
    Ok(())
}

/// Copies the private keys of a server, which are not part of the format.
pub fn copy_keys(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut copier = Copier::new(from, to, false);
    copier.copies_of(Path::new(KEYS_NAME))?;
    Ok(copier.sync_dirs()?)
}

fn describe(cut: &Cut, (made_by, made_at): (&str, &str)) -> String {
    let mut text = format!("made-by = {made_by}\nmade-at = {made_at}\n");
    for (core, position) in &cut.cores {
        let LogPosition { segment, file_offset, lsn, .. } = position;
        let log = core.log.0;
        text.push_str(&format!(
            "log-{log} = up to record {lsn}, segment {segment}, byte {file_offset}\n"
        ));
    }
    text
}
