//! Records onto streams: `StreamState::apply`, and the places of the bytes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use foldhash::fast::FixedState;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::StreamState;
use thalweg_proto::stream::record::{Record, StreamId};

use super::census::Census;
use super::error::{Corruption, Finding, RecoveryError};
use super::tail::TailRecord;
use super::{StoredStream, StoredSubscriptions};
use crate::checkpoint::{Checkpoint, CheckpointedStream};
use crate::extents::{Extents, ReadSpan};
use crate::location::{Location, Lsn};
use crate::planted::{self, Bug};

/// The streams of one log while its tail is replayed.
pub(super) struct Replay<'a> {
    data_dir: &'a Path,
    /// In the order in which they came; `None` for those that were deleted.
    streams: Vec<Option<CheckpointedStream>>,
    /// Where they are in it. Nobody but this process chooses ids.
    by_id: HashMap<StreamId, u32, FixedState>,
    /// Streams that were deleted before the checkpoint came to them, with the place of the first
    /// record that we saw of each: their `Delete` must follow.
    unknown: BTreeMap<StreamId, Location>,
    subscriptions: StoredSubscriptions,
    /// Subscription events up to here are in the snapshot.
    snapshot_lsn: Lsn,
    max_stream_id: StreamId,
    pub(super) records: u64,
}

/// What replay arrived at.
pub(super) struct Outcome {
    pub(super) streams: Vec<StoredStream>,
    pub(super) subscriptions: StoredSubscriptions,
    pub(super) max_stream_id: StreamId,
    pub(super) census: Census,
}

impl<'a> Replay<'a> {
    /// Begins with a checkpoint, or with nothing.
    pub(super) fn new(data_dir: &'a Path, checkpoint: Option<Checkpoint>) -> Replay<'a> {
        let mut replay = Replay {
            data_dir,
            streams: Vec::new(),
            by_id: HashMap::default(),
            unknown: BTreeMap::new(),
            subscriptions: StoredSubscriptions::default(),
            snapshot_lsn: Lsn(0),
            max_stream_id: StreamId(0),
            records: 0,
        };
        if let Some(checkpoint) = checkpoint {
            replay.max_stream_id = checkpoint.start.max_stream_id;
            replay.snapshot_lsn = checkpoint.last_lsn;
            let Checkpoint { subscriptions: snapshot, events, streams, .. } = checkpoint;
            replay.subscriptions = StoredSubscriptions { snapshot, events };
            replay.by_id.reserve(streams.len());
            for (index, stored) in (0..).zip(&streams) {
                let id = stored.stream.state.id;
                replay.max_stream_id = replay.max_stream_id.max(id);
                replay.by_id.insert(id, index);
            }
            replay.streams = streams.into_iter().map(Some).collect();
        }
        replay
    }

    fn get_mut(&mut self, id: StreamId) -> Option<&mut CheckpointedStream> {
        let index = *self.by_id.get(&id)?;
        self.streams.get_mut(index as usize)?.as_mut()
    }

    fn remove(&mut self, id: StreamId) {
        let index = self.by_id.remove(&id);
        if let Some(slot) = index.and_then(|index| self.streams.get_mut(index as usize)) {
            *slot = None;
        }
    }

    fn insert(&mut self, stream: CheckpointedStream) {
        // As many streams as fit into an index do not fit into memory.
        let index = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
        self.by_id.insert(stream.stream.state.id, index);
        self.streams.push(Some(stream));
    }

    /// Applies the next record of the log.
    pub(super) fn record(&mut self, next: TailRecord) -> Result<(), RecoveryError> {
        self.records += 1;
        let TailRecord { lsn, location, mut record } = next;
        if let Record::Append { producer, .. } = &mut record
            && planted::is(Bug::DropProducer)
        {
            *producer = None;
        }
        let Some(id) = record.stream_id() else {
            if let Record::Subscription { event } = &record
                && lsn > self.snapshot_lsn
            {
                // A slice of the segment would keep all of the segment in memory.
                let event = bytes::Bytes::copy_from_slice(event);
                self.subscriptions.events.push(event);
            }
            return Ok(());
        };
        self.max_stream_id = self.max_stream_id.max(id);
        match &record {
            Record::Delete { .. } => {
                self.remove(id);
                self.unknown.remove(&id);
                Ok(())
            }
            Record::Create { .. } => self.create(id, &record, lsn, location),
            _ => self.change(id, &record, lsn, location),
        }
    }

    fn create(
        &mut self,
        id: StreamId,
        record: &Record,
        lsn: Lsn,
        location: Location,
    ) -> Result<(), RecoveryError> {
        if let Some(known) = self.get_mut(id) {
            if lsn > known.stream.last_lsn {
                return Err(self.corrupt(location, Finding::CreatedTwice { id: id.0 }));
            }
            return self.place(id, record, lsn, location);
        }
        let Some(state) = StreamState::created_by(record) else { return Ok(()) };
        let stream = StoredStream { state, extents: Extents::default(), last_lsn: lsn };
        self.insert(CheckpointedStream { stream, placed: Lsn(0) });
        self.place(id, record, lsn, location)
    }

    fn change(
        &mut self,
        id: StreamId,
        record: &Record,
        lsn: Lsn,
        location: Location,
    ) -> Result<(), RecoveryError> {
        let Some(known) = self.get_mut(id) else {
            self.unknown.entry(id).or_insert(location);
            return Ok(());
        };
        if lsn > known.stream.last_lsn {
            let tail = known.stream.state.tail;
            if let Some((position, _)) = record.payload()
                && position != tail
            {
                let finding = Finding::NotAtTail { id: id.0, position, tail };
                return Err(self.corrupt(location, finding));
            }
            if let Record::Trim { to, .. } = record
                && *to > tail
            {
                return Err(self.corrupt(location, Finding::TrimBeyondTail { id: id.0, to: *to }));
            }
            known.stream.state.apply(record);
            known.stream.last_lsn = lsn;
        }
        self.place(id, record, lsn, location)
    }

    /// Remembers where the record's bytes are, unless the checkpoint knew.
    fn place(
        &mut self,
        id: StreamId,
        record: &Record,
        lsn: Lsn,
        location: Location,
    ) -> Result<(), RecoveryError> {
        let (Some(known), Some((position, payload))) = (self.get_mut(id), record.payload()) else {
            return Ok(());
        };
        if lsn <= known.placed || payload.bytes.is_empty() {
            return Ok(());
        }
        let len = payload.bytes.len() as u32;
        match known.stream.extents.push(ReadSpan { position, len, location }) {
            true => Ok(()),
            false => Err(self.corrupt(location, Finding::Gap { id: id.0 })),
        }
    }

    /// The streams, checked: each known, each with a place for every byte. `end` is the file and
    /// offset at which the log ends.
    pub(super) fn finish(
        self,
        end: (&Path, u64),
        is_here: &dyn Fn(&StreamPath) -> bool,
    ) -> Result<Outcome, RecoveryError> {
        if let Some((id, location)) = self.unknown.iter().next() {
            return Err(self.corrupt(*location, Finding::UnknownStream { id: id.0 }));
        }
        let mut census = Census::default();
        let mut streams = Vec::with_capacity(self.by_id.len());
        for CheckpointedStream { stream, .. } in self.streams.into_iter().flatten() {
            let state = &stream.state;
            if !stream.extents.covers(state.start(), state.earliest, state.tail) {
                let finding = Finding::Gap { id: state.id.0 };
                return Err(Corruption::at(end.0.to_owned(), end.1, finding));
            }
            census.misplaced |= !is_here(&state.path);
            census.count(&stream);
            streams.push(stream);
        }
        // They nearly always are already: checkpoints have them so, and ids grow.
        if !streams.is_sorted_by_key(|stream| stream.state.id) {
            streams.sort_unstable_by_key(|stream| stream.state.id);
        }
        let Replay { subscriptions, max_stream_id, .. } = self;
        Ok(Outcome { streams, subscriptions, max_stream_id, census })
    }

    fn corrupt(&self, location: Location, finding: Finding) -> RecoveryError {
        let path = location.segment.path(self.data_dir);
        Corruption::at(path, location.file_offset.into(), finding)
    }
}
