//! One log: its newest good checkpoint, then its tail.

use std::path::Path;

use super::census::Census;
use super::files::DataFile;
use super::replay::Replay;
use super::tail::{TailEnd, read_header, read_tail};
use super::{CoreRecovery, RecoveryError, RecoveryStats, StoredStream, StoredSubscriptions};
use crate::checkpoint::{self, Checkpoint};
use crate::disk::{self, Disk};
use crate::error::{Damage, IoContext, IoFailure};
use crate::layout::{CheckpointProgress, CoreLayout, checkpoint_path};
use crate::location::{LogId, LogPosition, Lsn, SegmentRef};
use crate::segments::SegmentTable;
use crate::writer::ResumePoint;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::record::StreamId;

/// What one log holds.
pub(super) struct RecoveredLog {
    pub(super) streams: Vec<StoredStream>,
    pub(super) subscriptions: StoredSubscriptions,
    pub(super) max_stream_id: StreamId,
    pub(super) resume: ResumePoint,
    /// The checkpoint that was good, and the first number that no checkpoint has.
    pub(super) used_checkpoint: u64,
    pub(super) next_checkpoint: u64,
    /// Segments of the log that were begun and are not free for sure.
    pub(super) begun: Vec<SegmentRef>,
    /// First segments of the log tails of the older and the newer retained checkpoint.
    pub(super) older_start: u32,
    pub(super) newer_start: u32,
    pub(super) census: Census,
    /// Whether a checkpoint is kept that was not read: it may name files that nothing else does.
    pub(super) keeps_older: bool,
}

pub(super) fn recover_log(
    disk: &dyn Disk,
    data_dir: &Path,
    core: &CoreLayout,
    is_here: &dyn Fn(&StreamPath) -> bool,
) -> Result<(RecoveredLog, RecoveryStats), RecoveryError> {
    let mut stats = RecoveryStats::default();
    let (used_checkpoint, checkpoint) = newest_good(disk, data_dir, core, &mut stats)?;
    let start = match &checkpoint {
        Some(checkpoint) => checkpoint.start.position,
        None => LogPosition::origin(Lsn(0)),
    };
    let mut replay = Replay::new(data_dir, checkpoint);
    let end = read_tail((disk, data_dir), core.log, start, &mut |next| replay.record(next))?;
    add_to(&mut stats, &end, replay.records);
    let end_path = SegmentRef { log: core.log, number: end.position.segment }.path(data_dir);
    let outcome = replay.finish((&end_path, end.position.file_offset), is_here)?;
    let fell_back = used_checkpoint != core.newest;
    let older = core.previous.filter(|_| !fell_back);
    let older_start = match older {
        Some(number) => start_segment(disk, data_dir, core.log, number)?,
        None => start.segment,
    };
    let log = RecoveredLog {
        streams: outcome.streams,
        subscriptions: outcome.subscriptions,
        max_stream_id: outcome.max_stream_id,
        resume: ResumePoint { log: core.log, position: end.position, segment: end.segment },
        used_checkpoint,
        next_checkpoint: core.newest + 1,
        begun: begun_segments((disk, data_dir), core.log, older_start, &end)?,
        older_start,
        newer_start: start.segment,
        census: outcome.census,
        keeps_older: older.is_some(),
    };
    Ok((log, stats))
}

impl RecoveredLog {
    /// Recovery synced every segment of the tail.
    pub(super) fn progress(&self) -> CheckpointProgress {
        let unsynced_from = self.resume.position.segment;
        CheckpointProgress { next_number: self.next_checkpoint, unsynced_from }
    }

    /// `files` are all that are there, on a server of so many cores.
    pub(super) fn into_core(self, files: &[DataFile], cores: usize) -> CoreRecovery {
        let log = self.resume.log;
        let mut segments = SegmentTable::new(log, cores, self.older_start, self.newer_start);
        for DataFile { segment, bytes, footer } in files {
            let prepared = segment.log == log
                && !segment.is_sealed()
                && self.begun.binary_search(segment).is_err();
            if !prepared {
                segments.found(*segment, *bytes, footer.as_ref(), self.keeps_older);
            }
        }
        for (segment, live) in self.census.usage() {
            segments.found_live(segment, live.bytes, live.spans);
        }
        CoreRecovery { streams: self.streams, resume: self.resume, segments }
    }
}

fn add_to(stats: &mut RecoveryStats, end: &TailEnd, records: u64) {
    stats.segments += end.segments;
    stats.records += records;
    stats.log_bytes += end.log_bytes;
    stats.torn_tail_bytes += end.torn_bytes;
}

/// The newest checkpoint that can be read, with its number. Number 0 is the empty beginning.
fn newest_good(
    disk: &dyn Disk,
    data_dir: &Path,
    core: &CoreLayout,
    stats: &mut RecoveryStats,
) -> Result<(u64, Option<Checkpoint>), RecoveryError> {
    let mut newest_damage = None;
    for number in [Some(core.newest), core.previous].into_iter().flatten() {
        if number == 0 {
            return Ok((0, None));
        }
        match read_checkpoint(disk, data_dir, core.log, number, stats)? {
            Ok(checkpoint) => return Ok((number, Some(checkpoint))),
            Err(damage) => {
                stats.checkpoints_damaged += 1;
                newest_damage.get_or_insert(damage);
            }
        }
    }
    let path = checkpoint_path(data_dir, core.log, core.newest);
    let damage = newest_damage.unwrap_or(Damage::Truncated { needed: 1, found: 0 });
    Err(RecoveryError::NoCheckpoint { path, damage })
}

fn read_checkpoint(
    disk: &dyn Disk,
    data_dir: &Path,
    log: LogId,
    number: u64,
    stats: &mut RecoveryStats,
) -> Result<Result<Checkpoint, Damage>, IoFailure> {
    let path = checkpoint_path(data_dir, log, number);
    let bytes = match disk::read_all(disk, &path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(IoFailure { action: "read", path, source }),
    };
    stats.checkpoint_bytes += bytes.len() as u64;
    Ok(checkpoint::decode(&bytes).and_then(|checkpoint| match checkpoint.start.log {
        found if found == log => Ok(checkpoint),
        found => Err(Damage::Field { what: "log of the checkpoint", found: found.0.into() }),
    }))
}

/// The segment in which the log tail of a checkpoint begins. Of a damaged one: the first, so that
/// nothing is reused on its account.
fn start_segment(
    disk: &dyn Disk,
    data_dir: &Path,
    log: LogId,
    number: u64,
) -> Result<u32, IoFailure> {
    let path = checkpoint_path(data_dir, log, number);
    if number == 0 || !exists(disk, &path)? {
        return Ok(1);
    }
    let file = disk.open(&path).context("open", &path)?;
    let len = file.len().context("measure", &path)?.min(checkpoint::START_CHUNK_BYTES as u64);
    let mut bytes = vec![0; len as usize];
    file.read_at(&mut bytes, 0).context("read", &path)?;
    Ok(checkpoint::decode_start(&bytes).map_or(1, |(_, start, _)| start.position.segment))
}

fn exists(disk: &dyn Disk, path: &Path) -> Result<bool, IoFailure> {
    match disk.open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(IoFailure { action: "open", path: path.to_owned(), source }),
    }
}

/// The segments up to the end of the log that carry their own name, and everything before the
/// oldest retained log tail: a crash between a recycling's steps leaves files without a header.
fn begun_segments(
    (disk, data_dir): (&dyn Disk, &Path),
    log: LogId,
    older_start: u32,
    end: &TailEnd,
) -> Result<Vec<SegmentRef>, IoFailure> {
    let dir = log.dir(data_dir);
    let mut begun = Vec::new();
    for file in disk.list(&dir).context("list", &dir)? {
        let Some(number) = SegmentRef::number_of(&file) else { continue };
        let segment = SegmentRef { log, number };
        if number > end.position.segment {
            continue;
        }
        let header = read_header(disk, &dir.join(&file))?;
        if number < older_start || header.is_some_and(|header| header.segment == segment) {
            begun.push(segment);
        }
    }
    begun.sort_unstable();
    Ok(begun)
}
