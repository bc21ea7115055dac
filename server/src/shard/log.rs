//! The shard's end of the log: numbered records in, durable numbers out.

use std::collections::BTreeMap;

use thalweg_proto::stream::record::Record;
use thalweg_storage::{
    Extents, Group, LogId, LogPosition, LogWriter, Lsn, Placement, PreparedSegment, SegmentRef,
    SegmentTable, TakeGroup,
};

/// Where records go.
pub enum Log {
    /// To segment files.
    Durable {
        /// What is written next.
        writer: Box<LogWriter>,
        /// Which segments still hold something.
        segments: SegmentTable,
        /// What was deleted, until it is certain that the deletion is synced.
        deleted: Deleted,
    },
    /// Nowhere (`durability = "memory"`): every record counts as durable at once.
    Memory {
        /// The newest record.
        last: Lsn,
    },
}

/// Extents of deleted streams, by whether the newest checkpoint began after the deletion.
#[derive(Default)]
pub struct Deleted {
    before_begin: Vec<Extents>,
    since_begin: Vec<Extents>,
    /// Bytes of all of them in each segment.
    bytes: BTreeMap<SegmentRef, u64>,
}

impl Log {
    /// A log on segment files.
    #[must_use]
    pub fn durable_log(writer: LogWriter, segments: SegmentTable) -> Log {
        Log::Durable { writer: Box::new(writer), segments, deleted: Deleted::default() }
    }

    /// Whether records survive the process.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        matches!(self, Log::Durable { .. })
    }

    /// Takes a record; returns its number.
    pub fn append(&mut self, record: &Record) -> Lsn {
        match self {
            Log::Durable { writer, .. } => writer.append(record),
            Log::Memory { last } => {
                *last = last.next();
                *last
            }
        }
    }

    /// The newest record.
    #[must_use]
    pub fn last(&self) -> Lsn {
        match self {
            Log::Durable { writer, .. } => writer.last_lsn(),
            Log::Memory { last } => *last,
        }
    }

    /// The newest durable record.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        match self {
            Log::Durable { writer, .. } => writer.durable_lsn(),
            Log::Memory { last } => *last,
        }
    }

    /// Records that wait for a write or are being written.
    #[must_use]
    pub fn pending_records(&self) -> u64 {
        self.last().0 - self.durable().0
    }

    /// Bytes that wait for a write.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        match self {
            Log::Durable { writer, .. } => writer.pending_bytes(),
            Log::Memory { .. } => 0,
        }
    }

    /// The next write, if one is due.
    pub fn take_group(&mut self) -> TakeGroup {
        match self {
            Log::Durable { writer, .. } => writer.take_group(),
            Log::Memory { .. } => TakeGroup::Nothing,
        }
    }

    /// A group is as durable as configured.
    pub fn written(&mut self, group: Group) {
        if let Log::Durable { writer, segments, .. } = self {
            if let Some(current) = writer.current_segment() {
                segments.started(current.segment, current.bytes);
            }
            writer.written(group);
        }
    }

    /// A payload has its place in the log.
    pub fn placed(&mut self, placement: &Placement) {
        if let Log::Durable { segments, .. } = self {
            segments.record_written(placement.span.location.segment, placement.span.len);
        }
    }

    /// Whether a record can be written now without another segment.
    #[must_use]
    pub fn has_room(&self, record: &Record) -> bool {
        match self {
            Log::Durable { writer, .. } => writer.has_room(record),
            Log::Memory { .. } => true,
        }
    }

    /// The next segment, unless it is at hand.
    #[must_use]
    pub fn wants_segment(&self) -> Option<SegmentRef> {
        match self {
            Log::Durable { writer, .. } if !writer.has_next_segment() => {
                Some(writer.next_segment())
            }
            _ => None,
        }
    }

    /// Segments that nobody needs any more.
    pub fn take_free(&mut self) -> Vec<SegmentRef> {
        match self {
            Log::Durable { segments, .. } => segments.take_free(usize::MAX),
            Log::Memory { .. } => Vec::new(),
        }
    }

    /// A prepared segment. Ignored if it is not the next one any more.
    pub fn provide_segment(&mut self, segment: PreparedSegment) {
        if let Log::Durable { writer, .. } = self
            && segment.segment == writer.next_segment()
        {
            writer.provide_segment(segment);
        }
    }

    /// A stream is gone for good. Its space is given up once a checkpoint that began later is
    /// installed: only then is its deletion certainly synced, whatever the durability.
    pub fn forget(&mut self, extents: Extents) {
        if let Log::Durable { deleted, .. } = self
            && !extents.is_empty()
        {
            for span in extents.iter() {
                *deleted.bytes.entry(span.location.segment).or_default() += u64::from(span.len);
            }
            deleted.since_begin.push(extents);
        }
    }

    /// A checkpoint begins.
    pub fn checkpoint_begins(&mut self) {
        if let Log::Durable { segments, deleted, .. } = self {
            deleted.before_begin.append(&mut deleted.since_begin);
            segments.checkpoint_begins();
        }
    }

    /// What the segments hold.
    pub fn segment_table(&mut self) -> Option<&mut SegmentTable> {
        match self {
            Log::Durable { segments, .. } => Some(segments),
            Log::Memory { .. } => None,
        }
    }

    /// Bytes that only wait for checkpoints before their space can be used again.
    #[must_use]
    pub fn waiting_bytes(&self) -> u64 {
        let Log::Durable { writer, segments, deleted } = self else { return 0 };
        segments.waiting_bytes(writer.durable_position().segment, &deleted.bytes)
    }

    /// How many segments hold something, and how many bytes in them some stream still has.
    #[must_use]
    pub fn segments(&self) -> (u64, u64) {
        match self {
            Log::Durable { segments, .. } => {
                segments.iter().fold((0, 0), |(count, sum), (_, used)| (count + 1, sum + used.live))
            }
            Log::Memory { .. } => (0, 0),
        }
    }

    /// Which log it is.
    #[must_use]
    pub fn id(&self) -> LogId {
        match self {
            Log::Durable { writer, .. } => writer.next_segment().log,
            Log::Memory { .. } => LogId(0),
        }
    }

    /// The end of what is durable: where a checkpoint begun now starts its replay.
    #[must_use]
    pub fn position(&self) -> Option<LogPosition> {
        match self {
            Log::Durable { writer, .. } => Some(writer.durable_position()),
            Log::Memory { .. } => None,
        }
    }

    /// A checkpoint that starts its replay in `segment` is installed.
    pub fn checkpoint_installed(&mut self, segment: u32) {
        if let Log::Durable { segments, deleted, .. } = self {
            for extents in deleted.before_begin.drain(..) {
                segments.record_deleted(&extents);
            }
            deleted.bytes.clear();
            for span in deleted.since_begin.iter().flat_map(Extents::iter) {
                *deleted.bytes.entry(span.location.segment).or_default() += u64::from(span.len);
            }
            segments.checkpoint_installed(segment);
        }
    }
}
