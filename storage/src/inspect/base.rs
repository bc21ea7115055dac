//! Where the replay of a log begins: its checkpoints, as far as they are good.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use thalweg_proto::stream::record::StreamId;

use super::Look;
use super::finding::Finding;
use crate::checkpoint::{self, CheckpointedStream, SalvagedCheckpoint};
use crate::error::{Damage, IoFailure};
use crate::layout::{CHECKPOINTS_NAME, CoreLayout, checkpoint_name};
use crate::location::{LogId, LogPosition, Lsn};
use crate::recovery::StoredStream;

/// A checkpoint that the layout names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointReport {
    /// The log.
    pub log: LogId,
    /// Its number.
    pub number: u64,
    /// Bytes of the file; `None` if there is none.
    pub file_bytes: Option<u64>,
    /// Whether all of it is good.
    pub is_good: bool,
    /// Whether the streams were taken from it.
    pub is_used: bool,
    /// Streams that could be read.
    pub streams: u64,
    /// Places of their bytes.
    pub places: u64,
    /// Where the replay begins.
    pub start: Option<LogPosition>,
    /// The last record when it was finished.
    pub last_lsn: Option<Lsn>,
}

/// What the replay begins with.
pub(super) struct Base {
    pub(super) start: LogPosition,
    pub(super) streams: Vec<CheckpointedStream>,
    pub(super) subscriptions: Option<Bytes>,
    pub(super) events: Vec<Bytes>,
    pub(super) last_lsn: Lsn,
    pub(super) max_stream_id: StreamId,
}

/// Reads the checkpoints of a core: the newest good one; of damaged ones, what is good in them.
pub(super) fn load(
    look: Look<'_>,
    core: &CoreLayout,
    reports: &mut Vec<CheckpointReport>,
    findings: &mut Vec<Finding>,
) -> Result<Base, IoFailure> {
    let mut read: Vec<SalvagedCheckpoint> = Vec::new();
    let mut base: Option<Base> = None;
    for number in [Some(core.newest), core.previous].into_iter().flatten() {
        if number == 0 {
            // The empty beginning of a log has no file and cannot be damaged.
            base = base.or_else(|| Some(Base::empty()));
            continue;
        }
        let (file_bytes, found) = read_one(look, core.log, number)?;
        let is_used = base.is_none() && found.is_whole();
        report_damages(core.log, number, &found.damages, findings);
        reports.push(CheckpointReport {
            log: core.log,
            number,
            file_bytes,
            is_good: found.is_whole(),
            is_used,
            streams: found.streams.len() as u64,
            places: found.streams.iter().map(|known| known.stream.extents.len() as u64).sum(),
            start: found.start.map(|start| start.position),
            last_lsn: found.last_lsn,
        });
        if is_used {
            base = Some(Base::of(found));
        } else if base.is_none() {
            read.push(found);
        }
    }
    Ok(base.unwrap_or_else(|| Base::of_parts(read)))
}

/// The streams of one checkpoint, as far as they can be read.
pub(super) fn read_streams(
    look: Look<'_>,
    log: LogId,
    number: u64,
    findings: &mut Vec<Finding>,
) -> Result<Vec<StoredStream>, IoFailure> {
    let (_, found) = read_one(look, log, number)?;
    report_damages(log, number, &found.damages, findings);
    Ok(found.streams.into_iter().map(|known| known.stream).collect())
}

fn read_one(
    look: Look<'_>,
    log: LogId,
    number: u64,
) -> Result<(Option<u64>, SalvagedCheckpoint), IoFailure> {
    let path = look.dir.join(file_name(log, number));
    let Some(bytes) = look.read(&path)? else {
        let damages = vec![(0, Damage::Truncated { needed: 1, found: 0 })];
        return Ok((None, SalvagedCheckpoint { damages, ..SalvagedCheckpoint::default() }));
    };
    let mut found = checkpoint::salvage(&bytes);
    if let Some(start) = found.start.filter(|start| start.log != log) {
        let what = "log of the checkpoint";
        found = SalvagedCheckpoint::default();
        found.damages.push((0, Damage::Field { what, found: start.log.0.into() }));
    }
    Ok((Some(bytes.len() as u64), found))
}

fn report_damages(log: LogId, number: u64, damages: &[(u64, Damage)], findings: &mut Vec<Finding>) {
    for (offset, damage) in damages {
        let file = file_name(log, number);
        findings.push(Finding::damage("checkpoint", file, *offset, damage));
    }
}

fn file_name(log: LogId, number: u64) -> PathBuf {
    Path::new(CHECKPOINTS_NAME).join(checkpoint_name(log, number))
}

impl Base {
    fn empty() -> Base {
        Base {
            start: LogPosition::origin(Lsn(0)),
            streams: Vec::new(),
            subscriptions: None,
            events: Vec::new(),
            last_lsn: Lsn(0),
            max_stream_id: StreamId(0),
        }
    }

    fn of(found: SalvagedCheckpoint) -> Base {
        let empty = Base::empty();
        Base {
            start: found.start.map_or(empty.start, |start| start.position),
            streams: found.streams,
            subscriptions: found.subscriptions,
            events: found.events,
            last_lsn: found.last_lsn.unwrap_or_default(),
            max_stream_id: found.start.map_or(StreamId(0), |start| start.max_stream_id),
        }
    }

    /// No checkpoint is whole: of each stream the newest that can be read, and the longest tail.
    fn of_parts(read: Vec<SalvagedCheckpoint>) -> Base {
        let mut base = Base::empty();
        let starts = read.iter().filter_map(|found| found.start);
        if let Some(oldest) = starts.min_by_key(|start| start.position.lsn) {
            base.start = oldest.position;
        }
        let mut streams: BTreeMap<StreamId, CheckpointedStream> = BTreeMap::new();
        for found in read {
            let max = found.start.map_or(StreamId(0), |start| start.max_stream_id);
            base.max_stream_id = base.max_stream_id.max(max);
            // Newest first.
            if base.subscriptions.is_none() && found.subscriptions.is_some() {
                base.subscriptions = found.subscriptions;
                base.events = found.events;
                base.last_lsn = found.last_lsn.unwrap_or_default();
            }
            for known in found.streams {
                streams.entry(known.stream.state.id).or_insert(known);
            }
        }
        base.streams = streams.into_values().collect();
        base
    }
}
