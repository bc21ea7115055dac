//! The segment files that are there, for the table of each core.

use std::path::Path;

use crate::disk::Disk;
use crate::error::{IoContext, IoFailure};
use crate::location::{LogId, SegmentRef};
use crate::sealed::{self, Footer};

/// A segment file.
pub(super) struct DataFile {
    pub(super) segment: SegmentRef,
    pub(super) bytes: u64,
    /// Of a sealed segment, if it is good: a damaged one does not keep a server from starting.
    pub(super) footer: Option<Footer>,
}

/// The segments of all logs, prepared ones included.
pub(super) fn list_files(disk: &dyn Disk, data_dir: &Path) -> Result<Vec<DataFile>, IoFailure> {
    let mut files = Vec::new();
    for log in logs(disk, data_dir)? {
        let dir = log.dir(data_dir);
        for name in disk.list(&dir).context("list", &dir)? {
            let Some(segment) = SegmentRef::of_file_name(log, &name) else { continue };
            let path = dir.join(&name);
            let bytes = disk.open(&path).and_then(|file| file.len()).context("measure", &path)?;
            let footer = match segment.is_sealed() {
                true => sealed::read_footer(disk, &path, segment)?,
                false => None,
            };
            files.push(DataFile { segment, bytes, footer });
        }
    }
    Ok(files)
}

/// The logs that have a directory.
pub(super) fn logs(disk: &dyn Disk, data_dir: &Path) -> Result<Vec<LogId>, IoFailure> {
    let names = disk.list(data_dir).context("list", data_dir)?;
    Ok(names.iter().filter_map(|name| LogId::of_dir_name(name)).collect())
}
