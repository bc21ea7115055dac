//! The directory as a whole: `FORMAT`, `LAYOUT`, and files that nobody needs.

use std::path::Path;

use thalweg_proto::stream::record::StreamId;

use super::finding::Finding;
use super::relations::Orphaned;
use super::{InspectError, Look};
use crate::data_dir::FORMAT_NAME;
use crate::error::{Damage, IoFailure};
use crate::format::FORMAT_VERSION;
use crate::format_file::FormatFile;
use crate::layout::{CHECKPOINTS_NAME, CoreLayout, LAYOUT_NAME, Layout, checkpoint_name};
use crate::location::LogId;
use crate::repair::{ORPHANED_NAME, QUARANTINE_NAME};

/// Reads `FORMAT`. A newer one is refused: nothing else can be understood.
pub(super) fn format(
    look: Look<'_>,
    findings: &mut Vec<Finding>,
) -> Result<Option<FormatFile>, InspectError> {
    let Some(bytes) = look.read(&look.dir.join(FORMAT_NAME))? else {
        let names = look.list(look.dir)?;
        if !names.iter().any(|name| name == LAYOUT_NAME || LogId::of_dir_name(name).is_some()) {
            return Err(InspectError::NotADataDirectory { path: look.dir.to_owned() });
        }
        findings.push(Finding::damage("format", FORMAT_NAME, 0, "the file is missing"));
        return Ok(None);
    };
    match FormatFile::decode(&bytes) {
        Ok(FormatFile { version: found, created_by, .. }) if found > FORMAT_VERSION => {
            Err(InspectError::Newer { path: look.dir.to_owned(), found, created_by })
        }
        Ok(format) => Ok(Some(format)),
        Err(damage) => {
            findings.push(Finding::damage("format", FORMAT_NAME, 0, damage.to_string()));
            Ok(None)
        }
    }
}

/// Reads `LAYOUT`, or guesses it from the other files. Says whether it could be read. A newer one
/// is refused: with a damaged `FORMAT` it is what tells a newer directory.
pub(super) fn layout(
    look: Look<'_>,
    findings: &mut Vec<Finding>,
) -> Result<(Layout, bool), InspectError> {
    let damage = match look.read(&look.dir.join(LAYOUT_NAME))? {
        Some(bytes) => match Layout::decode(&bytes) {
            Ok(layout) => return Ok((layout, true)),
            Err(Damage::Newer { found, .. }) => {
                let created_by = "an unknown version".to_owned();
                return Err(InspectError::Newer { path: look.dir.to_owned(), found, created_by });
            }
            Err(damage) => damage.to_string(),
        },
        None => "the file is missing".to_owned(),
    };
    let guessed = guess(look)?;
    if !guessed.cores.is_empty() {
        findings.push(Finding::damage("layout", LAYOUT_NAME, 0, damage));
    }
    Ok((guessed, false))
}

/// The layout that the checkpoints and logs suggest. Logs of earlier layouts have no checkpoints;
/// before the first checkpoint of all, every log is in use.
fn guess(look: Look<'_>) -> Result<Layout, IoFailure> {
    let logs = look.logs()?;
    let checkpoints: Vec<(LogId, u64)> = look
        .list(&look.dir.join(CHECKPOINTS_NAME))?
        .iter()
        .filter_map(|name| number_of_checkpoint(name))
        .collect();
    let is_first = logs.iter().map(|log| log.0).eq(0..logs.len() as u32)
        && checkpoints.iter().all(|(log, _)| (log.0 as usize) < logs.len());
    let oldest_is_used = logs.first().is_some_and(|first| {
        checkpoints.is_empty() || checkpoints.iter().any(|(log, _)| log == first)
    });
    let mut cores = Vec::new();
    for log in &logs {
        let of_log = checkpoints.iter().filter(|(of, _)| of == log).map(|(_, number)| *number);
        let mut numbers: Vec<u64> = of_log.collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        match numbers[..] {
            [] if is_first && oldest_is_used => {
                cores.push(CoreLayout { log: *log, newest: 0, previous: None });
            }
            [] => {}
            [newest] => cores.push(CoreLayout { log: *log, newest, previous: Some(0) }),
            [newest, previous, ..] => {
                cores.push(CoreLayout { log: *log, newest, previous: Some(previous) });
            }
        }
    }
    for core in &mut cores {
        // The empty beginning is only good while the log has its first segment.
        let has_first = look.numbers(core.log)?.first() == Some(&1);
        core.previous = core.previous.filter(|number| *number != 0 || has_first && is_first);
    }
    let next_log = logs.last().map_or(0, |last| last.0 + 1);
    Ok(Layout { generation: 1, next_log, cores })
}

/// Files that a start removes.
pub(super) fn leftovers(
    look: Look<'_>,
    layout: &Layout,
    findings: &mut Vec<Finding>,
) -> Result<(), IoFailure> {
    let named = |core: &CoreLayout| {
        let log = core.log;
        let numbers = [Some(core.newest), core.previous].into_iter().flatten();
        numbers.map(move |number| checkpoint_name(log, number))
    };
    let kept: Vec<String> = layout.cores.iter().flat_map(named).collect();
    for name in look.list(&look.dir.join(CHECKPOINTS_NAME))? {
        if name.starts_with("checkpoint-") && !kept.contains(&name) {
            let file = Path::new(CHECKPOINTS_NAME).join(name);
            findings.push(Finding::note("leftover", file, 0, "nothing names this file"));
        }
    }
    Ok(())
}

/// What repairs have noted as lost to forks.
pub(super) fn orphaned(look: Look<'_>) -> Result<Orphaned, IoFailure> {
    let mut orphaned = Orphaned::new();
    let names = look.list(look.dir)?;
    if !names.iter().any(|name| name == QUARANTINE_NAME) {
        return Ok(orphaned);
    }
    let quarantine = look.dir.join(QUARANTINE_NAME);
    for repair in look.list(&quarantine)? {
        let file = quarantine.join(repair).join(ORPHANED_NAME);
        let Ok(Some(bytes)) = look.read(&file) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let numbers = |line: &str| {
            let mut parts = line.split(' ').map(str::parse);
            Some((parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?))
        };
        let ranges = text.lines().filter_map(numbers);
        orphaned.extend(ranges.map(|(id, from, to)| (StreamId(id), from, to)));
    }
    Ok(orphaned)
}

/// Reads log and number back from the name of a checkpoint.
fn number_of_checkpoint(name: &str) -> Option<(LogId, u64)> {
    let (log, digits) = name.strip_prefix("checkpoint-")?.split_once('-')?;
    (digits.len() == 16).then_some(())?;
    Some((LogId(log.parse().ok()?), digits.parse().ok().filter(|number| *number != 0)?))
}
