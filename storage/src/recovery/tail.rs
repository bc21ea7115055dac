//! Reads a log from a position to its end.
//!
//! The end is where the next group should be and is not. Whether that is a torn tail or damage
//! depends on what follows: synced groups are written one after the other, each after the one
//! before is durable, so a synced one behind the end means that acknowledged data is gone.

use std::path::Path;

use bytes::Bytes;
use thalweg_proto::stream::record::Record;

use super::error::{Corruption, Finding, RecoveryError};
use crate::buffer::BLOCK_BYTES;
use crate::disk::{self, Disk};
use crate::error::{Damage, IoContext, IoFailure};
use crate::factory::PreparedSegment;
use crate::group::{GROUP_HEADER_BYTES, GROUP_MAGIC, GroupHeader};
use crate::location::{Location, LogId, LogPosition, Lsn, SegmentRef};
use crate::record;
use crate::segment::{SEGMENT_HEADER_BYTES, SEGMENT_MAGIC, SegmentHeader};
use crate::writer::Durability;

/// A record with its number and place.
pub(super) struct TailRecord {
    pub(super) lsn: Lsn,
    pub(super) location: Location,
    pub(super) record: Record,
}

/// Where a log ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TailEnd {
    pub(super) position: LogPosition,
    /// The segment of `position`, if it has a header.
    pub(super) segment: Option<PreparedSegment>,
    pub(super) segments: u64,
    pub(super) log_bytes: u64,
    pub(super) torn_bytes: u64,
}

type Sink<'a> = dyn FnMut(TailRecord) -> Result<(), RecoveryError> + 'a;

/// One log being read.
struct Reader<'a> {
    disk: &'a dyn Disk,
    data_dir: &'a Path,
    log: LogId,
    end: TailEnd,
}

/// A segment in memory, with a good header.
struct Segment {
    header: SegmentHeader,
    bytes: Bytes,
}

/// What the file of a segment is.
enum Opened {
    /// It was begun where the log is.
    Begun(Segment),
    /// It was not begun: missing, prepared, or a leftover.
    NotBegun,
}

/// Reads all records after `start` and makes sure that what was read stays: a killed process may
/// have left groups that are written but not synced.
pub(super) fn read_tail(
    (disk, data_dir): (&dyn Disk, &Path),
    log: LogId,
    start: LogPosition,
    sink: &mut Sink<'_>,
) -> Result<TailEnd, RecoveryError> {
    let end = TailEnd { position: start, segment: None, segments: 0, log_bytes: 0, torn_bytes: 0 };
    let mut reader = Reader { disk, data_dir, log, end };
    let mut last = None;
    if start.file_offset > 0 {
        let segment = reader.reopen(start.segment)?;
        reader.read_groups(&segment, sink)?;
        last = Some(segment);
    }
    loop {
        let number = match last {
            Some(_) => reader.end.position.segment + 1,
            None => reader.end.position.segment,
        };
        let Opened::Begun(segment) = reader.open_next(number)? else { break };
        reader.read_groups(&segment, sink)?;
        last = Some(segment);
    }
    if let Some(segment) = &last {
        reader.check_behind(segment)?;
    }
    reader.check_later_segments()?;
    reader.check_next_segment()?;
    Ok(reader.end)
}

impl Reader<'_> {
    /// The segment in which the replay begins: it must be there, begun, and ours.
    fn reopen(&mut self, number: u32) -> Result<Segment, RecoveryError> {
        let name = self.name(number);
        let path = name.path(self.data_dir);
        let Some(bytes) = self.read(number)? else {
            return Err(Corruption::at(path, 0, Finding::Missing));
        };
        match SegmentHeader::decode(&bytes) {
            Ok(header) if header.segment == name => self.begun(header, bytes),
            Ok(header) => {
                Err(Corruption::at(path, 0, Finding::OtherSegment { found: header.segment }))
            }
            Err(damage) => Err(Corruption::at(path, 0, damage)),
        }
    }

    /// The segment after the end, if the log goes on in it.
    fn open_next(&mut self, number: u32) -> Result<Opened, RecoveryError> {
        let Some(bytes) = self.read(number)? else { return Ok(Opened::NotBegun) };
        let position = self.end.position;
        match SegmentHeader::decode(&bytes) {
            Ok(header)
                if header.segment == self.name(number)
                    && header.previous_lsn == position.lsn
                    && header.previous_chain == position.chain =>
            {
                self.end.position.segment = number;
                self.end.position.file_offset = SEGMENT_HEADER_BYTES as u64;
                self.begun(header, bytes).map(Opened::Begun)
            }
            // A file has no header when it gets its name.
            Ok(header) if header.segment != self.name(number) => {
                let path = self.name(number).path(self.data_dir);
                Err(Corruption::at(path, 0, Finding::OtherSegment { found: header.segment }))
            }
            Ok(_) => Ok(Opened::NotBegun),
            Err(damage) => {
                self.check_header_was_torn(number, &bytes, damage)?;
                Ok(Opened::NotBegun)
            }
        }
    }

    /// A header is durable before its first group is written: with a group that follows, whatever
    /// became of those before it, the header was damaged later. Groups of an earlier life of the
    /// file are older than the end.
    fn check_header_was_torn(
        &self,
        number: u32,
        bytes: &Bytes,
        damage: Damage,
    ) -> Result<(), RecoveryError> {
        let groups = bytes.get(SEGMENT_HEADER_BYTES..).unwrap_or_default();
        for (index, block) in groups.chunks(BLOCK_BYTES).enumerate() {
            if !block.starts_with(&GROUP_MAGIC) {
                continue;
            }
            let Ok((group, _)) = GroupHeader::decode(&groups[index * BLOCK_BYTES..]) else {
                continue;
            };
            if group.first_lsn > self.end.position.lsn && group.durability == Durability::Sync {
                return Err(Corruption::at(self.name(number).path(self.data_dir), 0, damage));
            }
        }
        Ok(())
    }

    fn begun(&mut self, header: SegmentHeader, found: Bytes) -> Result<Segment, RecoveryError> {
        let SegmentHeader { segment, bytes, salt, .. } = header;
        // A segment has its full size before it is begun, so no crash makes it shorter.
        if (found.len() as u64) < bytes {
            let path = segment.path(self.data_dir);
            return Err(Corruption::at(path, found.len() as u64, Finding::Missing));
        }
        self.end.segment = Some(PreparedSegment { segment, bytes, salt });
        self.end.segments += 1;
        Ok(Segment { header, bytes: found })
    }

    fn read_groups(&mut self, segment: &Segment, sink: &mut Sink<'_>) -> Result<(), RecoveryError> {
        while let Some((header, chain)) = self.next_group(segment) {
            let offset = self.end.position.file_offset;
            self.read_records(segment, &header, offset, sink)?;
            self.end.log_bytes += header.group_bytes();
            self.end.position.file_offset += header.group_bytes();
            let lsn = self.end.position.lsn.0.saturating_add(header.records.into());
            self.end.position.lsn = Lsn(lsn);
            self.end.position.chain = chain;
        }
        Ok(())
    }

    fn next_group(&self, segment: &Segment) -> Option<(GroupHeader, u32)> {
        let position = &self.end.position;
        let offset = usize::try_from(position.file_offset).ok()?;
        let (header, chain) = GroupHeader::decode(segment.bytes.get(offset..)?).ok()?;
        let follows = header.salt == segment.header.salt
            && header.first_lsn == position.lsn.next()
            && header.chain == position.chain;
        // A segment of 4 GiB cannot be: offsets are 32 bits.
        let in_range = u32::try_from(position.file_offset + header.group_bytes()).is_ok();
        (follows && in_range).then_some((header, chain))
    }

    fn read_records(
        &self,
        segment: &Segment,
        group: &GroupHeader,
        group_at: u64,
        sink: &mut Sink<'_>,
    ) -> Result<(), RecoveryError> {
        let name = segment.header.segment;
        let corrupt =
            |at: usize, damage: Damage| Corruption::at(name.path(self.data_dir), at as u64, damage);
        let mut at = group_at as usize + GROUP_HEADER_BYTES;
        let end = at + group.payload_len as usize;
        for index in 0..group.records {
            let bytes = segment.bytes.slice(at..end);
            let (record, len) = record::decode_at(&bytes).map_err(|damage| corrupt(at, damage))?;
            let lsn = Lsn(group.first_lsn.0.saturating_add(index.into()));
            // Both fit: see `next_group`.
            let (file_offset, record_len) = (at as u32, len as u32);
            let location = Location { segment: name, file_offset, record_len };
            sink(TailRecord { lsn, location, record })?;
            at += len;
        }
        if at != end {
            let left = (end - at) as u64;
            return Err(corrupt(
                at,
                Damage::Field { what: "bytes after the records", found: left },
            ));
        }
        Ok(())
    }

    /// Looks for synced groups behind the end in the last segment.
    fn check_behind(&mut self, segment: &Segment) -> Result<(), RecoveryError> {
        let position = self.end.position;
        let start = usize::try_from(position.file_offset).unwrap_or(usize::MAX);
        let behind = segment.bytes.get(start..).unwrap_or_default();
        for (index, block) in behind.chunks(BLOCK_BYTES).enumerate() {
            let at = index * BLOCK_BYTES;
            if index == 0 && is_our_group(block, segment.header.salt) {
                self.end.torn_bytes = torn_len(behind);
            }
            // Reading only the blocks that begin like a group keeps this linear.
            if !is_our_group(block, segment.header.salt) {
                continue;
            }
            let Ok((group, _)) = GroupHeader::decode(&behind[at..]) else { continue };
            if group.durability == Durability::Sync && group.first_lsn > position.lsn {
                let finding = Finding::LogGoesOn {
                    expected: position.lsn.next(),
                    found: group.first_lsn,
                    at: position.file_offset + at as u64,
                };
                let path = segment.header.segment.path(self.data_dir);
                return Err(Corruption::at(path, position.file_offset, finding));
            }
        }
        Ok(())
    }

    /// Looks for segments that were begun after records that are not there.
    fn check_later_segments(&self) -> Result<(), RecoveryError> {
        let dir = self.log.dir(self.data_dir);
        let position = self.end.position;
        for file in self.disk.list(&dir).context("list", &dir)? {
            let Some(number) = SegmentRef::number_of(&file) else { continue };
            if number < position.segment || self.end.segment.is_some() && number == position.segment
            {
                continue;
            }
            let Some(header) = read_header(self.disk, &dir.join(&file))? else { continue };
            let synced = header.durability == Durability::Sync;
            if synced && header.segment == self.name(number) {
                let (expected, after) = (position.lsn.next(), header.previous_lsn);
                let finding = Finding::SegmentFollows { expected, segment: number, after };
                let path = self.name(position.segment).path(self.data_dir);
                return Err(Corruption::at(path, position.file_offset, finding));
            }
        }
        Ok(())
    }

    /// A segment is made ahead when the one before it is in use, and that one had its full size
    /// before. So where the log would go on there is a file that can hold a header, if there is
    /// one after it.
    fn check_next_segment(&self) -> Result<(), RecoveryError> {
        let dir = self.log.dir(self.data_dir);
        let next = self.end.position.segment + u32::from(self.end.segment.is_some());
        let files = self.disk.list(&dir).context("list", &dir)?;
        let mut later = files.iter().filter_map(|file| SegmentRef::number_of(file));
        if !later.any(|number| number > next) {
            return Ok(());
        }
        let path = self.name(next).path(self.data_dir);
        let found = match self.disk.open(&path) {
            Ok(file) => file.len().context("measure", &path)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(source) => return Err(IoFailure { action: "open", path, source }.into()),
        };
        if found < SEGMENT_HEADER_BYTES as u64 {
            return Err(Corruption::at(path, found, Finding::Missing));
        }
        Ok(())
    }

    /// A whole segment file, synced; `None` if there is none.
    fn read(&self, number: u32) -> Result<Option<Bytes>, IoFailure> {
        let path = self.name(number).path(self.data_dir);
        match disk::read_all(self.disk, &path) {
            Ok(bytes) => {
                self.disk.open(&path).and_then(|file| file.sync()).context("sync", &path)?;
                Ok(Some(bytes.into()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(IoFailure { action: "read", path, source }),
        }
    }

    fn name(&self, number: u32) -> SegmentRef {
        SegmentRef { log: self.log, number }
    }
}

/// Reads the header of a segment file; `None` if it has no good one.
pub(super) fn read_header(
    disk: &dyn Disk,
    path: &Path,
) -> Result<Option<SegmentHeader>, IoFailure> {
    let file = disk.open(path).context("open", path)?;
    let mut block = vec![0; SEGMENT_HEADER_BYTES];
    if file.len().context("measure", path)? < block.len() as u64 {
        return Ok(None);
    }
    file.read_at(&mut block, 0).context("read", path)?;
    if !block.starts_with(&SEGMENT_MAGIC) {
        return Ok(None);
    }
    Ok(SegmentHeader::decode(&block).ok())
}

/// Whether a block begins like a group of this life of the segment.
fn is_our_group(block: &[u8], salt: u64) -> bool {
    block.starts_with(&GROUP_MAGIC) && block.get(8..16) == Some(&salt.to_le_bytes())
}

/// The length that a torn group says it has.
fn torn_len(group: &[u8]) -> u64 {
    let len = group.get(28..32).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let content = GROUP_HEADER_BYTES as u64 + u64::from(len.unwrap_or(0));
    content.next_multiple_of(BLOCK_BYTES as u64).min(group.len() as u64)
}
