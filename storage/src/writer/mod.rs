//! The writing end of a log, without I/O: records in, groups out.
//!
//! ```text
//! append(&Record) -> pending groups -> take_group() -> Group -> (server writes) -> written(Group)
//! ```
//!
//! Invariants: one group is in flight at a time; a group never spans segments; the header of a
//! segment is a write of its own and durable before the first group. Records keep their order.
//! Deliberately absent: retries. A failed write or sync stops the process (I9).

use std::collections::VecDeque;

use thalweg_proto::stream::record::{Record, StreamId};

use crate::buffer::{AlignedBuf, BLOCK_BYTES};
use crate::error::Damage;
use crate::extents::ReadSpan;
use crate::factory::PreparedSegment;
use crate::group::{GROUP_HEADER_BYTES, GroupHeader};
use crate::location::{Location, LogId, LogPosition, Lsn, SegmentRef};
use crate::record;
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::wire::Put;

/// When an append is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// After it was synced.
    #[default]
    Sync,
    /// After it was written; syncs follow on a timer.
    Async,
}

/// Sizes of a log. See [`LogConfig::default`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogConfig {
    /// Bytes of a segment file: a multiple of 4 KiB. A record that does not fit gets a larger
    /// segment of its own.
    pub segment_bytes: u64,
    /// Bytes of a group, unless a single record is larger: a multiple of 4 KiB.
    pub max_group_bytes: usize,
    /// When an append is acknowledged.
    pub durability: Durability,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig {
            segment_bytes: 64 * 1024 * 1024,
            max_group_bytes: 4 * 1024 * 1024,
            durability: Durability::Sync,
        }
    }
}

/// Where a writer goes on: part of what recovery returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResumePoint {
    /// The log.
    pub log: LogId,
    /// Where the next group goes.
    pub position: LogPosition,
    /// The segment that `position` lies in, if it has a header.
    pub segment: Option<PreparedSegment>,
}

/// The writing end of one log.
#[derive(Debug)]
pub struct LogWriter {
    config: LogConfig,
    log: LogId,
    /// The segment being written and the one to be written next.
    current: Option<PreparedSegment>,
    next: Option<PreparedSegment>,
    /// The end of what was written.
    durable: LogPosition,
    /// The last record appended.
    last_lsn: Lsn,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    in_flight: bool,
    pool: Vec<AlignedBuf>,
}

/// A group that still grows. Offsets are relative to its beginning.
#[derive(Debug)]
struct Pending {
    buf: AlignedBuf,
    records: u32,
    payloads: Vec<PendingPayload>,
}

#[derive(Debug)]
struct PendingPayload {
    stream: StreamId,
    position: u64,
    len: u32,
    offset: u32,
    record_len: u32,
}

/// What the server should do next. See [`LogWriter::take_group`].
#[derive(Debug)]
pub enum TakeGroup {
    /// Nothing: no record is waiting, or a group is in flight.
    Nothing,
    /// Provide this segment, at least so large, with [`LogWriter::provide_segment`]; then ask
    /// again.
    NeedSegment {
        /// Its name.
        segment: SegmentRef,
        /// Bytes it must have.
        min_bytes: u64,
    },
    /// Write it.
    Group(Group),
}

/// One write. Give it back with [`LogWriter::written`] when it is as durable as configured.
#[derive(Debug)]
pub struct Group {
    /// The file.
    pub segment: SegmentRef,
    /// Where in the file: a multiple of 4 KiB.
    pub file_offset: u64,
    /// The bytes. The server may take them out for the time of the write (`std::mem::take`) and
    /// should put them back, so that the buffer is reused.
    pub bytes: AlignedBuf,
    /// The last record that is durable once this is written. The header of a new segment is a
    /// group without records: it repeats the number before.
    pub last_lsn: Lsn,
    /// Where payloads will be found, in log order.
    pub placements: Vec<Placement>,
    /// The end of the log after this group.
    end: LogPosition,
}

/// Where a record's payload will be found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placement {
    /// The stream.
    pub stream: StreamId,
    /// What to push into the stream's extents.
    pub span: ReadSpan,
}

/// Buffers kept for reuse: one in flight, one filling.
const POOLED_BUFFERS: usize = 2;

impl LogWriter {
    /// A writer that goes on where recovery found the end.
    #[must_use]
    pub fn new(resume: ResumePoint, config: LogConfig) -> LogWriter {
        assert!(config.segment_bytes.is_multiple_of(BLOCK_BYTES as u64), "segments are blocks");
        assert!(config.segment_bytes >= 2 * BLOCK_BYTES as u64, "a header and a group fit");
        assert!(u32::try_from(config.segment_bytes).is_ok(), "offsets in segments are 32 bits");
        LogWriter {
            config,
            log: resume.log,
            current: resume.segment,
            next: None,
            durable: resume.position,
            last_lsn: resume.position.lsn,
            pending: VecDeque::new(),
            pending_bytes: 0,
            in_flight: false,
            pool: Vec::new(),
        }
    }

    /// Encodes a record into the group that fills. Its number, once durable, is at or below
    /// [`LogWriter::durable_lsn`].
    pub fn append(&mut self, record: &Record) -> Lsn {
        let record_len = record::encoded_len(record);
        let pending = self.pending_with_room(record_len);
        let offset = pending.buf.used() as u32;
        record::encode(record, &mut pending.buf);
        debug_assert_eq!(pending.buf.used() - offset as usize, record_len);
        pending.records += 1;
        if let (Some(stream), Some((position, payload))) = (record.stream_id(), record.payload())
            && !payload.bytes.is_empty()
        {
            let (len, record_len) = (payload.bytes.len() as u32, record_len as u32);
            let payload = PendingPayload { stream, position, len, offset, record_len };
            pending.payloads.push(payload);
        }
        self.pending_bytes += record_len;
        self.last_lsn = self.last_lsn.next();
        self.last_lsn
    }

    /// The next write, if one is due.
    pub fn take_group(&mut self) -> TakeGroup {
        let Some(front) = self.pending.front().filter(|_| !self.in_flight) else {
            return TakeGroup::Nothing;
        };
        let needed = front.buf.len() as u64;
        if let Some(current) = self.current
            && self.durable.file_offset + needed <= current.bytes
        {
            return self.take_pending(current);
        }
        let with_header = SEGMENT_HEADER_BYTES as u64 + needed;
        if let Some(next) = self.next.take_if(|next| with_header <= next.bytes) {
            return TakeGroup::Group(self.begin_segment(next));
        }
        let min_bytes = with_header.max(self.config.segment_bytes);
        TakeGroup::NeedSegment { segment: self.next_segment(), min_bytes }
    }

    /// Hands in a segment, when asked for or ahead of it. A later one replaces an earlier one.
    pub fn provide_segment(&mut self, segment: PreparedSegment) {
        assert_eq!(segment.segment, self.next_segment(), "segments come in order");
        self.next = Some(segment);
    }

    /// The group is written, and synced if the durability asks for it.
    pub fn written(&mut self, group: Group) {
        assert!(self.in_flight, "a group is written once");
        self.in_flight = false;
        self.durable = group.end;
        self.reuse(group.bytes);
    }

    /// The segment that will be needed next: prepare it ahead.
    #[must_use]
    pub fn next_segment(&self) -> SegmentRef {
        let number = match self.current {
            Some(current) => current.segment.number + 1,
            None => self.durable.segment,
        };
        SegmentRef { log: self.log, number }
    }

    /// Whether the next segment is at hand.
    #[must_use]
    pub fn has_next_segment(&self) -> bool {
        self.next.is_some()
    }

    /// Whether a record, and all that waits, can be written now without another segment. While a
    /// group is being written nobody knows.
    #[must_use]
    pub fn has_room(&self, record: &Record) -> bool {
        let Some(current) = self.current.filter(|_| !self.in_flight) else { return false };
        let waiting: usize = self.pending.iter().map(|pending| pending.buf.len()).sum();
        let group = GROUP_HEADER_BYTES + record::encoded_len(record);
        let needed = (waiting + group.next_multiple_of(BLOCK_BYTES)) as u64;
        self.durable.file_offset + needed <= current.bytes
    }

    /// The segment being written.
    #[must_use]
    pub fn current_segment(&self) -> Option<PreparedSegment> {
        self.current
    }

    /// Bytes of records that wait for a write.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Whether a group is being written.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        self.in_flight
    }

    /// The last record appended, durable or not.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        self.last_lsn
    }

    /// The last record of the last written group.
    #[must_use]
    pub fn durable_lsn(&self) -> Lsn {
        self.durable.lsn
    }

    /// The end of the last written group: where a checkpoint begun now starts its replay.
    #[must_use]
    pub fn durable_position(&self) -> LogPosition {
        self.durable
    }

    fn pending_with_room(&mut self, record_len: usize) -> &mut Pending {
        let limit = self.config.max_group_bytes;
        let fits = |pending: &Pending| pending.buf.used() + record_len <= limit;
        if !self.pending.back().is_some_and(fits) {
            let mut buf = self.pool.pop().unwrap_or_default();
            buf.reserve(GROUP_HEADER_BYTES + record_len);
            buf.put(&[0; GROUP_HEADER_BYTES]);
            self.pending.push_back(Pending { buf, records: 0, payloads: Vec::new() });
        }
        let last = self.pending.len() - 1;
        &mut self.pending[last]
    }

    fn begin_segment(&mut self, next: PreparedSegment) -> Group {
        let header = SegmentHeader {
            segment: next.segment,
            durability: self.config.durability,
            salt: next.salt,
            bytes: next.bytes,
            previous_lsn: self.durable.lsn,
            previous_chain: self.durable.chain,
        };
        let mut bytes = self.pool.pop().unwrap_or_default();
        header.encode(&mut bytes);
        self.current = Some(next);
        self.in_flight = true;
        let end = LogPosition {
            segment: next.segment.number,
            file_offset: SEGMENT_HEADER_BYTES as u64,
            ..self.durable
        };
        let (segment, last_lsn) = (next.segment, end.lsn);
        Group { segment, file_offset: 0, bytes, last_lsn, placements: Vec::new(), end }
    }

    fn take_pending(&mut self, current: PreparedSegment) -> TakeGroup {
        let Some(Pending { mut buf, records, payloads }) = self.pending.pop_front() else {
            return TakeGroup::Nothing;
        };
        let payload_len = buf.used() - GROUP_HEADER_BYTES;
        let header = GroupHeader {
            salt: current.salt,
            first_lsn: self.durable.lsn.next(),
            chain: self.durable.chain,
            payload_len: payload_len as u32,
            records,
            durability: self.config.durability,
        };
        let chain = header.seal(buf.as_mut());
        let file_offset = self.durable.file_offset;
        let end = LogPosition {
            segment: current.segment.number,
            file_offset: file_offset + buf.len() as u64,
            lsn: Lsn(self.durable.lsn.0 + u64::from(records)),
            chain,
        };
        self.pending_bytes -= payload_len;
        self.in_flight = true;
        let place = |payload| place(current.segment, file_offset, &payload);
        let placements = payloads.into_iter().map(place).collect();
        let (segment, last_lsn) = (current.segment, end.lsn);
        TakeGroup::Group(Group { segment, file_offset, bytes: buf, last_lsn, placements, end })
    }

    fn reuse(&mut self, mut buf: AlignedBuf) {
        // A buffer that one huge record made is not worth keeping.
        let worth_keeping = buf.capacity() > 0 && buf.capacity() <= 2 * self.config.max_group_bytes;
        if worth_keeping && self.pool.len() < POOLED_BUFFERS {
            buf.clear();
            self.pool.push(buf);
        }
    }
}

fn place(segment: SegmentRef, group_offset: u64, payload: &PendingPayload) -> Placement {
    let PendingPayload { stream, position, len, offset, record_len } = *payload;
    // Segments are below 4 GiB.
    let file_offset = group_offset as u32 + offset;
    let location = Location { segment, file_offset, record_len };
    Placement { stream, span: ReadSpan { position, len, location } }
}

impl Durability {
    pub(crate) fn code(self) -> u32 {
        match self {
            Durability::Sync => 1,
            Durability::Async => 2,
        }
    }

    pub(crate) fn from_code(code: u32) -> Result<Durability, Damage> {
        match code {
            1 => Ok(Durability::Sync),
            2 => Ok(Durability::Async),
            found => Err(Damage::Field { what: "durability", found: found.into() }),
        }
    }
}

#[cfg(test)]
mod tests;
