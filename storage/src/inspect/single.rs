//! One stream's records, and one checkpoint's streams, for whoever wants to see them.

use std::path::{Path, PathBuf};

use super::finding::Finding;
use super::replay::FoundStream;
use super::{InspectError, LoggedRecord, Look, base, directory};
use crate::disk::Disk;
use crate::location::{Location, LogId};
use crate::record;

/// Hands out the records that hold a stream's bytes, in their order. What cannot be read is a
/// finding.
pub fn read_records(
    disk: &dyn Disk,
    dir: &Path,
    stream: &FoundStream,
    sink: &mut dyn FnMut(LoggedRecord),
) -> Result<Vec<Finding>, InspectError> {
    let look = Look { disk, dir, progress: &|_| {} };
    let mut findings = Vec::new();
    for span in stream.stream.extents.iter() {
        let Location { segment, file_offset, record_len } = span.location;
        let file = PathBuf::from(segment.to_string());
        let damage = |offset: u64, what: &dyn std::fmt::Display| {
            let mut finding = Finding::damage("record", file.clone(), offset, what);
            finding.affects(
                stream.stream.state.id,
                span.position,
                span.position + u64::from(span.len),
            );
            finding
        };
        let Some(mut view) = look.view(&segment.path(dir))? else {
            findings.push(damage(0, &"the file is missing"));
            continue;
        };
        let bytes = view.bytes(file_offset.into(), record_len.into())?;
        let mut at = 0;
        while at < bytes.len() {
            let offset = u64::from(file_offset) + at as u64;
            match record::decode_at(&bytes.slice(at..)) {
                Ok((record, len)) => {
                    let location =
                        Location { segment, file_offset: offset as u32, record_len: len as u32 };
                    sink(LoggedRecord { lsn: None, location, record, in_tail: false });
                    at += len;
                }
                Err(error) => {
                    findings.push(damage(offset, &error));
                    break;
                }
            }
        }
    }
    Ok(findings)
}

/// The streams of a checkpoint: the newest of a log, or the one with this number.
pub fn read_checkpoint(
    disk: &dyn Disk,
    dir: &Path,
    log: LogId,
    number: Option<u64>,
) -> Result<(Vec<FoundStream>, Vec<Finding>), InspectError> {
    let look = Look { disk, dir, progress: &|_| {} };
    let mut findings = Vec::new();
    directory::format(look, &mut findings)?;
    let (layout, _) = directory::layout(look, &mut findings)?;
    let core = layout.cores.iter().position(|core| core.log == log);
    let number = number.or(core.map(|core| layout.cores[core].newest));
    let Some(number) = number.filter(|number| *number != 0) else {
        let known = layout.cores.iter().filter(|core| core.newest != 0);
        let known: Vec<String> = known.map(|core| core.log.0.to_string()).collect();
        let known = format!("checkpoints of the logs [{}]", known.join(", "));
        return Err(InspectError::NoSuchLog { path: dir.to_owned(), log, known });
    };
    findings.clear();
    let streams = base::read_streams(look, log, number, &mut findings)?;
    let found = |stream| FoundStream { core: core.unwrap_or(0), stream, lost: Vec::new() };
    Ok((streams.into_iter().map(found).collect(), findings))
}
