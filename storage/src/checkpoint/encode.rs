//! Makes a checkpoint, a slice of streams at a time.

use bytes::Bytes;
use thalweg_proto::stream::StreamState;
use thalweg_proto::stream::record::StreamId;

use super::{chunk, stream};
use crate::extents::Extents;
use crate::format::FORMAT_VERSION;
use crate::location::{LogId, LogPosition, Lsn};
use crate::wire::Put;

/// What is known when a checkpoint begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckpointStart {
    /// The log of the core.
    pub log: LogId,
    /// [`crate::LogWriter::durable_position`] of this moment: replay starts here.
    pub position: LogPosition,
    /// The largest stream id ever given out on this server, as far as this core knows. Ids are
    /// epochs of offsets: they are never given out again, even if the stream is long gone.
    pub max_stream_id: StreamId,
}

/// Turns the streams of a core into a checkpoint while the core goes on.
#[derive(Debug)]
pub struct CheckpointEncoder {
    version: u32,
    start: CheckpointStart,
    chunks: Vec<Bytes>,
    next_index: u32,
    streams: Vec<u8>,
    stream_count: u64,
    bytes: u64,
}

/// A whole checkpoint, except for the chunks that were taken before.
#[derive(Clone, Debug)]
pub struct FinishedCheckpoint {
    /// The last chunks.
    pub chunks: Vec<Bytes>,
    /// Where replay will start. After the installation:
    /// `SegmentTable::checkpoint_installed(start.segment)`.
    pub start: LogPosition,
    /// The checkpoint may be installed when this record is durable.
    pub needs: Lsn,
    /// How many streams it has.
    pub streams: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Bytes of the first chunk, header included.
pub(crate) const START_CHUNK_BYTES: usize = chunk::CHUNK_HEADER_BYTES + 8 + 4 * 4 + 3 * 8;
/// A chunk of streams is cut when it is longer than this.
const CHUNK_TARGET_BYTES: usize = 256 * 1024;

impl CheckpointEncoder {
    /// Begins a checkpoint of a core.
    #[must_use]
    pub fn begin(start: CheckpointStart) -> CheckpointEncoder {
        CheckpointEncoder::begin_version(FORMAT_VERSION, start)
    }

    /// The same for an earlier version, which knows everything that is in the streams.
    pub(crate) fn begin_version(version: u32, start: CheckpointStart) -> CheckpointEncoder {
        let mut encoder = CheckpointEncoder {
            version,
            start,
            chunks: Vec::new(),
            next_index: 0,
            streams: chunk::begin(),
            stream_count: 0,
            bytes: 0,
        };
        let mut body = chunk::begin();
        body.put(&chunk::CHECKPOINT_MAGIC);
        body.put_u32(version);
        body.put_u32(start.log.0);
        body.put_u32(start.position.segment);
        body.put_u32(start.position.chain);
        body.put_u64(start.position.file_offset);
        body.put_u64(start.position.lsn.0);
        body.put_u64(start.max_stream_id.0);
        encoder.push(body, chunk::KIND_START);
        encoder
    }

    /// Adds a stream as it is now. `last_lsn` is the last record that was applied to `state`;
    /// `placed` is [`crate::LogWriter::durable_lsn`]: the placements of everything up to there
    /// have been pushed into `extents`.
    ///
    /// Every stream that lived when the checkpoint began and still lives must be added once.
    pub fn add(&mut self, state: &StreamState, extents: &Extents, last_lsn: Lsn, placed: Lsn) {
        let version = self.version;
        stream::encode(state, extents, (last_lsn, placed), version, &mut self.streams);
        self.stream_count += 1;
        if self.streams.len() >= CHUNK_TARGET_BYTES {
            self.cut();
        }
    }

    /// The chunks made since the last call: to be written while more are made.
    pub fn take_chunks(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.chunks)
    }

    /// Ends the checkpoint. `last_lsn` is [`crate::LogWriter::last_lsn`] of this moment;
    /// `subscriptions` is a snapshot that contains every subscription event up to there.
    #[must_use]
    pub fn finish(self, last_lsn: Lsn, subscriptions: Option<&[u8]>) -> FinishedCheckpoint {
        self.finish_with_events(last_lsn, subscriptions, &[])
    }

    /// As [`CheckpointEncoder::finish`], with events that are not in the snapshot: recovery cannot
    /// fold them into it.
    pub(crate) fn finish_with_events(
        mut self,
        last_lsn: Lsn,
        subscriptions: Option<&[u8]>,
        events: &[Bytes],
    ) -> FinishedCheckpoint {
        self.cut();
        let snapshots = subscriptions.map(|bytes| (bytes, chunk::KIND_SUBSCRIPTIONS)).into_iter();
        let events = events.iter().map(|bytes| (&bytes[..], chunk::KIND_SUBSCRIPTION_EVENT));
        for (bytes, kind) in snapshots.chain(events) {
            let mut body = chunk::begin();
            body.put(bytes);
            self.push(body, kind);
        }
        let mut body = chunk::begin();
        body.put_u64(self.stream_count);
        body.put_u64(last_lsn.0);
        self.push(body, chunk::KIND_END);
        FinishedCheckpoint {
            chunks: self.chunks,
            start: self.start.position,
            needs: last_lsn,
            streams: self.stream_count,
            bytes: self.bytes,
        }
    }

    fn cut(&mut self) {
        if self.streams.len() > chunk::CHUNK_HEADER_BYTES {
            let streams = std::mem::replace(&mut self.streams, chunk::begin());
            self.push(streams, chunk::KIND_STREAMS);
        }
    }

    fn push(&mut self, mut body: Vec<u8>, kind: u32) {
        chunk::seal(&mut body, self.next_index, kind);
        self.next_index += 1;
        self.bytes += body.len() as u64;
        self.chunks.push(body.into());
    }
}
