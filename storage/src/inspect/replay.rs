//! Records onto streams, where some may be missing.
//!
//! As recovery does it, through `StreamState::apply`. Where recovery gives up, this remembers what
//! is missing and goes on: a stream whose bytes have a gap keeps what lies behind it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use thalweg_proto::stream::StreamState;
use thalweg_proto::stream::record::{Record, StreamId};

use super::finding::Finding;
use super::log::{LoggedRecord, Visitor};
use crate::checkpoint::CheckpointedStream;
use crate::extents::{Extents, ReadSpan};
use crate::location::{Location, Lsn};
use crate::recovery::{StoredStream, StoredSubscriptions};

/// A stream as it was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundStream {
    /// The number of its core in the layout.
    pub core: usize,
    /// State and places of bytes. The places may have gaps.
    pub stream: StoredStream,
    /// Bytes that cannot be read, ascending.
    pub lost: Vec<(u64, u64)>,
}

impl FoundStream {
    /// Whether nothing in a place can be read.
    #[must_use]
    pub fn is_lost(&self, span: &ReadSpan) -> bool {
        let end = span.position + u64::from(span.len);
        self.lost.iter().any(|(from, to)| *from <= span.position && end <= *to)
    }
}

/// The streams of one log while its tail is read.
pub(super) struct Replay {
    core: usize,
    streams: BTreeMap<StreamId, Known>,
    /// Streams that were not created before their records: their `Delete` must follow.
    unknown: BTreeMap<StreamId, Unknown>,
    pub(super) subscriptions: StoredSubscriptions,
    snapshot_lsn: Lsn,
    pub(super) max_stream_id: StreamId,
    pub(super) records: u64,
    /// What was found in the log, and the streams' part in it.
    pub(super) findings: Vec<Finding>,
    /// The last finding that says that records are missing.
    missing: Option<usize>,
}

struct Known {
    stream: StoredStream,
    placed: Lsn,
}

struct Unknown {
    first: Location,
    ranges: Vec<(u64, u64)>,
}

impl Replay {
    pub(super) fn new(core: usize) -> Replay {
        Replay {
            core,
            streams: BTreeMap::new(),
            unknown: BTreeMap::new(),
            subscriptions: StoredSubscriptions::default(),
            snapshot_lsn: Lsn(0),
            max_stream_id: StreamId(0),
            records: 0,
            findings: Vec::new(),
            missing: None,
        }
    }

    /// Begins with what a checkpoint has.
    pub(super) fn begin(
        &mut self,
        streams: Vec<CheckpointedStream>,
        subscriptions: (Option<Bytes>, Vec<Bytes>),
        snapshot_lsn: Lsn,
        max_stream_id: StreamId,
    ) {
        self.snapshot_lsn = snapshot_lsn;
        self.max_stream_id = max_stream_id;
        let (snapshot, events) = subscriptions;
        self.subscriptions = StoredSubscriptions { snapshot, events };
        for CheckpointedStream { stream, placed } in streams {
            let id = stream.state.id;
            self.max_stream_id = self.max_stream_id.max(id);
            self.streams.insert(id, Known { stream, placed });
        }
    }

    fn apply(&mut self, logged: LoggedRecord) {
        self.records += 1;
        let LoggedRecord { lsn, location, record, .. } = logged;
        let Some(id) = record.stream_id() else {
            if let Record::Subscription { event } = &record
                && lsn.is_none_or(|lsn| lsn > self.snapshot_lsn)
            {
                self.subscriptions.events.push(Bytes::copy_from_slice(event));
            }
            return;
        };
        self.max_stream_id = self.max_stream_id.max(id);
        match &record {
            Record::Delete { .. } => {
                self.streams.remove(&id);
                self.unknown.remove(&id);
            }
            Record::Create { .. } => self.create(id, &record, lsn, location),
            _ => self.change(id, &record, lsn, location),
        }
    }

    fn create(&mut self, id: StreamId, record: &Record, lsn: Option<Lsn>, location: Location) {
        if let Some(known) = self.streams.get(&id) {
            if lsn.is_some_and(|lsn| lsn > known.stream.last_lsn) {
                let what = format!("the record creates stream {}, which exists", id.0);
                self.found(Finding::damage("record", file_of(location), offset_of(location), what));
            }
            return self.place(id, record, lsn, location);
        }
        let Some(state) = StreamState::created_by(record) else { return };
        let last_lsn = lsn.unwrap_or_default();
        let stream = StoredStream { state, extents: Extents::default(), last_lsn };
        self.streams.insert(id, Known { stream, placed: Lsn(0) });
        self.place(id, record, lsn, location);
    }

    fn change(&mut self, id: StreamId, record: &Record, lsn: Option<Lsn>, location: Location) {
        let range = record.payload().map(|(at, data)| (at, at + data.bytes.len() as u64));
        let Some(known) = self.streams.get_mut(&id) else {
            let unknown = Unknown { first: location, ranges: Vec::new() };
            let unknown = self.unknown.entry(id).or_insert(unknown);
            return unknown.ranges.extend(range.filter(|(from, to)| from < to));
        };
        let state = &mut known.stream.state;
        let is_new = match (lsn, range) {
            (Some(lsn), _) => lsn > known.stream.last_lsn,
            // Found among damaged bytes: its place in the stream says whether it is known.
            (None, Some((from, to))) => from < to && from >= state.tail,
            (None, None) => true,
        };
        if is_new {
            if let Record::Trim { to, .. } = record
                && *to > state.tail
            {
                let (tail, id) = (state.tail, id.0);
                let what = format!(
                    "the record drops stream {id} up to {to}, but the stream ends at {tail}"
                );
                let file = file_of(location);
                return self.found(Finding::damage("record", file, offset_of(location), what));
            }
            match range {
                Some((from, _)) if from < state.tail => {
                    let (tail, id) = (state.tail, id.0);
                    let what = format!(
                        "the record appends to stream {id} at {from}, but the stream ends at {tail}"
                    );
                    let file = file_of(location);
                    return self.found(Finding::damage("record", file, offset_of(location), what));
                }
                // What lies between is missing; the places tell.
                Some((from, _)) => state.tail = from,
                None => {}
            }
            state.apply(record);
            known.stream.last_lsn = lsn.unwrap_or(known.stream.last_lsn);
        }
        self.place(id, record, lsn, location);
    }

    /// Remembers where the record's bytes are, unless the checkpoint knew.
    fn place(&mut self, id: StreamId, record: &Record, lsn: Option<Lsn>, location: Location) {
        let (Some(known), Some((position, payload))) =
            (self.streams.get_mut(&id), record.payload())
        else {
            return;
        };
        if payload.bytes.is_empty() || lsn.is_some_and(|lsn| lsn <= known.placed) {
            return;
        }
        let expected = known.stream.extents.end().unwrap_or(first_needed(&known.stream));
        let len = payload.bytes.len() as u32;
        let pushed = known.stream.extents.push(ReadSpan { position, len, location });
        if pushed && position > expected {
            self.gap(id, (expected, position), location);
        }
    }

    fn gap(&mut self, id: StreamId, (from, to): (u64, u64), location: Location) {
        let finding = match self.missing {
            Some(index) => &mut self.findings[index],
            None => {
                let what = "bytes of the stream have no place";
                let (file, offset) = (file_of(location), offset_of(location));
                self.findings.push(Finding::damage("gap", file, offset, what));
                let last = self.findings.len() - 1;
                &mut self.findings[last]
            }
        };
        finding.affects(id, from, to);
    }

    fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The streams; what is left over is a finding. `end` is where the log ends.
    pub(super) fn finish(&mut self, end: (&Path, u64)) -> Vec<FoundStream> {
        for (id, unknown) in std::mem::take(&mut self.unknown) {
            let what = format!("the record is about stream {}, which was never created", id.0);
            let (file, offset) = (file_of(unknown.first), offset_of(unknown.first));
            let mut finding = Finding::damage("unknown-stream", file, offset, what);
            for (from, to) in unknown.ranges {
                finding.affects(id, from, to);
            }
            self.found(finding);
        }
        let mut found = Vec::with_capacity(self.streams.len());
        for (id, known) in std::mem::take(&mut self.streams) {
            let stream = known.stream;
            let lost = gaps(&stream);
            // Gaps between places were noticed when they came to be; not one at the end.
            if let Some(last) = lost.last().filter(|(_, to)| *to == stream.state.tail) {
                if self.missing.is_none() {
                    let what = "bytes of the stream have no place";
                    self.found(Finding::damage("gap", end.0, end.1, what));
                    self.missing = Some(self.findings.len() - 1);
                }
                if let Some(index) = self.missing {
                    self.findings[index].affects(id, last.0, last.1);
                }
            }
            found.push(FoundStream { core: self.core, stream, lost });
        }
        found
    }
}

impl Visitor for Replay {
    fn record(&mut self, record: LoggedRecord) {
        if record.in_tail {
            self.apply(record);
        }
    }

    fn finding(&mut self, finding: &Finding) {
        self.findings.push(finding.clone());
        if finding.severity == super::Severity::Damage {
            self.missing = Some(self.findings.len() - 1);
        }
    }
}

/// The first position that must have a place: what retention has dropped need not.
pub(crate) fn first_needed(stream: &StoredStream) -> u64 {
    stream.state.start().max(stream.state.earliest)
}

/// The bytes of a stream that have no place.
pub(crate) fn gaps(stream: &StoredStream) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let needed = first_needed(stream);
    let mut at = stream.extents.first().map_or(needed, |first| first.min(needed));
    for span in stream.extents.iter() {
        if span.position > at {
            gaps.push((at, span.position));
        }
        at = span.position + u64::from(span.len);
    }
    if at < stream.state.tail {
        gaps.push((at, stream.state.tail));
    }
    gaps
}

fn file_of(location: Location) -> PathBuf {
    PathBuf::from(location.segment.to_string())
}

fn offset_of(location: Location) -> u64 {
    location.file_offset.into()
}
