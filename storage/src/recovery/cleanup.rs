//! What every file is good for: streams' bytes must be there, leftovers must go.

use std::path::Path;

use super::census::Usage;
use super::error::{Corruption, Finding, RecoveryError};
use super::files::logs;
use super::log::RecoveredLog;
use crate::disk::Disk;
use crate::error::{IoContext, IoFailure};
use crate::factory::REPLACEMENT;
use crate::layout::{CHECKPOINTS_NAME, Layout, checkpoint_name};
use crate::location::SegmentRef;

/// Makes sure that every segment is there in which a stream has bytes.
pub(super) fn check_segments(
    disk: &dyn Disk,
    data_dir: &Path,
    logs: &[RecoveredLog],
) -> Result<Usage, RecoveryError> {
    let mut usage = Usage::new();
    for (segment, live) in logs.iter().flat_map(|log| log.census.usage()) {
        let all = usage.entry(segment).or_default();
        all.needed = all.needed.max(live.needed);
    }
    for (segment, live) in &usage {
        let path = segment.path(data_dir);
        let found = match disk.open(&path) {
            Ok(file) => file.len().context("measure", &path)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(source) => return Err(IoFailure { action: "open", path, source }.into()),
        };
        if found < live.needed {
            return Err(Corruption::at(path, found, Finding::Missing));
        }
    }
    Ok(usage)
}

/// Removes what nothing refers to: unfinished files, checkpoints that are not named, and, if no
/// checkpoint is left that was not read, segments of earlier layouts without live bytes. Otherwise
/// that one may still need them, and the cores find out together when they can go.
pub(super) fn remove_leftovers(
    disk: &dyn Disk,
    data_dir: &Path,
    layout: &Layout,
    usage: &Usage,
) -> Result<(), IoFailure> {
    let all_read = layout.cores.iter().all(|core| core.previous.is_none());
    for log in logs(disk, data_dir)? {
        let earlier = layout.cores.iter().all(|core| core.log != log);
        let dir = log.dir(data_dir);
        for file in disk.list(&dir).context("list", &dir)? {
            let segment = SegmentRef::of_file_name(log, &file);
            let unused = segment.is_some_and(|segment| !usage.contains_key(&segment));
            let unfinished = file.ends_with(".seg.tmp") || file.ends_with(REPLACEMENT);
            if unfinished || (unused && earlier && all_read) {
                remove(disk, &dir.join(file))?;
            }
        }
    }
    let named = |core: &crate::layout::CoreLayout| {
        let log = core.log;
        let numbers = [Some(core.newest), core.previous].into_iter().flatten();
        numbers.map(move |number| checkpoint_name(log, number))
    };
    let kept: Vec<String> = layout.cores.iter().flat_map(named).collect();
    let dir = data_dir.join(CHECKPOINTS_NAME);
    for file in disk.list(&dir).context("list", &dir)? {
        if file.starts_with("checkpoint-") && !kept.contains(&file) {
            remove(disk, &dir.join(file))?;
        }
    }
    Ok(())
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<(), IoFailure> {
    disk.remove(path).context("remove", path)
}
