//! Records of streams, written anew into a log of their own: good bytes of damaged files, and
//! whatever another version should read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use thalweg_proto::stream::record::{Record, StreamId};

use crate::disk::Disk;
use crate::error::{IoContext, IoFailure};
use crate::extents::ReadSpan;
use crate::factory::{SegmentFactory, SegmentRequest};
use crate::inspect::{FoundStream, Look, salvage};
use crate::location::{LogId, LogPosition, Lsn, SegmentRef};
use crate::writer::{Durability, Group, LogConfig, LogWriter, ResumePoint, TakeGroup};

/// Where the records of streams now lie, by stream and position.
pub(crate) type Places = BTreeMap<(StreamId, u64), ReadSpan>;

/// Bytes of a segment for rewritten records, and of a group.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;
const GROUP_BYTES: usize = 256 * 1024;

/// Writes what streams have in files that `is_meant`, and can be read, into a log in a directory.
/// `change` sees every record.
pub(crate) fn rewrite<'a>(
    from: Look<'_>,
    (disk, dir): (&Arc<dyn Disk>, &Path),
    log: LogId,
    streams: impl Iterator<Item = &'a FoundStream>,
    is_meant: &dyn Fn(SegmentRef) -> bool,
    change: &dyn Fn(Record) -> Record,
) -> Result<Places, IoFailure> {
    let position = LogPosition::origin(Lsn(0));
    let resume = ResumePoint { log, position, segment: None };
    let config = LogConfig {
        segment_bytes: SEGMENT_BYTES,
        max_group_bytes: GROUP_BYTES,
        durability: Durability::Sync,
    };
    let mut work = Rewrite {
        from,
        disk,
        dir,
        change,
        factory: SegmentFactory::new(Arc::clone(disk), dir),
        writer: LogWriter::new(resume, config),
        places: Places::new(),
    };
    for found in streams {
        for span in found.stream.extents.iter() {
            if is_meant(span.location.segment) && !found.is_lost(&span) {
                work.span(found.stream.state.id, &span)?;
            }
        }
    }
    work.write_groups()?;
    Ok(work.places)
}

struct Rewrite<'a> {
    from: Look<'a>,
    change: &'a dyn Fn(Record) -> Record,
    disk: &'a Arc<dyn Disk>,
    dir: &'a Path,
    factory: SegmentFactory,
    writer: LogWriter,
    places: Places,
}

impl Rewrite<'_> {
    fn span(&mut self, stream: StreamId, span: &ReadSpan) -> Result<(), IoFailure> {
        let location = span.location;
        let path = location.segment.path(self.from.dir);
        let Some(mut view) = self.from.view(&path)? else { return Ok(()) };
        let bytes = view.bytes(location.file_offset.into(), location.record_len.into())?;
        let range = span.position..span.position + u64::from(span.len);
        for found in salvage(&bytes) {
            let of = found.record.stream_id();
            let is_meant = found.record.payload().is_some_and(|(at, _)| range.contains(&at));
            if of == Some(stream) && is_meant {
                self.writer.append(&(self.change)(found.record));
            }
        }
        if self.writer.pending_bytes() >= GROUP_BYTES {
            self.write_groups()?;
        }
        Ok(())
    }

    fn write_groups(&mut self) -> Result<(), IoFailure> {
        loop {
            match self.writer.take_group() {
                TakeGroup::Nothing => return Ok(()),
                TakeGroup::Group(group) => self.write(group)?,
                TakeGroup::NeedSegment { segment, min_bytes: bytes } => {
                    let dir = segment.log.dir(self.dir);
                    self.disk.create_dir(&dir).context("create", &dir)?;
                    // The file is new and zero: any salt tells its groups from what was there.
                    let salt = u64::from(segment.log.0) << 32 | u64::from(segment.number);
                    let request = SegmentRequest { segment, bytes, salt, recycle: None };
                    self.writer.provide_segment(self.factory.prepare(request)?);
                }
            }
        }
    }

    fn write(&mut self, group: Group) -> Result<(), IoFailure> {
        let path = group.segment.path(self.dir);
        let file = self.disk.open(&path).context("open", &path)?;
        file.write_at(group.bytes.as_ref(), group.file_offset).context("write", &path)?;
        file.sync().context("sync", &path)?;
        for placement in &group.placements {
            self.places.insert((placement.stream, placement.span.position), placement.span);
        }
        self.writer.written(group);
        Ok(())
    }
}
