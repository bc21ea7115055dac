//! A data directory as a server that was killed leaves it, without a server.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use thalweg::router;
use thalweg_proto::content_type::ContentType;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::StreamState;
use thalweg_proto::stream::config::{Expiry, StreamConfig};
use thalweg_proto::stream::record::{Payload, Record, StreamId};
use thalweg_proto::stream::retention::Retention;
use thalweg_proto::time::Timestamp;
use thalweg_storage::{
    CheckpointEncoder, CheckpointFile, CheckpointStart, Disk, DiskFile, Extents, LayoutFile,
    LogConfig, LogWriter, Lsn, PreparedSegment, RealDisk, SegmentRef, StoredStream, TakeGroup,
    data_dir, recover,
};

use super::RecoveryArgs;
use crate::Failure;

/// Data of one append of the history, at most.
const APPEND_BYTES: usize = 64 * 1024;
/// Data of one append behind the checkpoint.
const TAIL_APPEND_BYTES: usize = 100;
/// Groups are written when so much waits.
const PENDING_BYTES: usize = 4 << 20;
/// The first stream id, as if made in 2023.
const FIRST_ID: u64 = 1_700_000_000_000_000;

/// One core's log and streams.
struct Core {
    writer: LogWriter,
    streams: Vec<StoredStream>,
    file: Option<(SegmentRef, Arc<dyn DiskFile>)>,
    tail_bytes: u64,
}

/// The path of a stream: in no order, as paths with ids in them are.
pub(super) fn path_of(index: u64) -> String {
    format!("bench/users/{:016x}/inbox", index.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Fills the directory. Returns the number of records.
pub(super) fn fill(dir: &Path, args: &RecoveryArgs) -> Result<u64, Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    data_dir::check_format(&*disk, dir, "bench")?;
    let place = |path: &StreamPath| router::owner(path, args.cores);
    let recovery = recover(&disk, dir, args.cores, &place)?;
    let mut cores: Vec<Core> = recovery
        .cores
        .into_iter()
        .map(|core| Core {
            writer: LogWriter::new(core.resume, LogConfig::default()),
            streams: Vec::new(),
            file: None,
            tail_bytes: 0,
        })
        .collect();
    let per_stream = (args.history_mib << 20) / args.streams.max(1);
    for index in 0..args.streams {
        let path = StreamPath::new(&path_of(index)).map_err(|error| error.to_string())?;
        let core = &mut cores[place(&path)];
        core.create(StreamId(FIRST_ID + index), path);
        let mut left = per_stream as usize;
        while left > 0 {
            let len = left.min(APPEND_BYTES);
            core.append(core.streams.len() - 1, len);
            left -= len;
        }
        if core.writer.pending_bytes() > PENDING_BYTES {
            core.pump(dir)?;
        }
    }
    for (index, core) in cores.iter_mut().enumerate() {
        core.pump(dir)?;
        core.checkpoint(&recovery.layout, index, StreamId(FIRST_ID + args.streams))?;
        let mut stream = 0;
        while core.tail_bytes < args.tail_mib << 20 && !core.streams.is_empty() {
            stream = (stream + 7919) % core.streams.len();
            core.append(stream, TAIL_APPEND_BYTES);
            if core.writer.pending_bytes() > PENDING_BYTES {
                core.tail_bytes += core.pump(dir)?;
            }
        }
        core.pump(dir)?;
        if let Some((_, file)) = core.file.take() {
            file.sync()?;
        }
    }
    Ok(cores.iter().map(|core| core.writer.last_lsn().0).sum())
}

impl Core {
    fn create(&mut self, id: StreamId, path: StreamPath) {
        let content_type =
            ContentType::parse("application/json").unwrap_or_else(ContentType::octet_stream);
        let record = Record::Create {
            id,
            at: Timestamp(id.0 / 1000),
            path,
            config: StreamConfig {
                content_type,
                expiry: Expiry::Never,
                retention: Retention::default(),
                fork: None,
            },
            payload: Payload::default(),
            close: false,
        };
        let last_lsn = self.writer.append(&record);
        if let Some(state) = StreamState::created_by(&record) {
            self.streams.push(StoredStream { state, extents: Extents::default(), last_lsn });
        }
    }

    /// One JSON message.
    fn append(&mut self, stream: usize, len: usize) {
        let stream = &mut self.streams[stream];
        let mut bytes = vec![b'x'; len];
        if let [first, .., last, comma] = &mut bytes[..] {
            (*first, *last, *comma) = (b'"', b'"', b',');
        }
        let record = Record::Append {
            id: stream.state.id,
            at: stream.state.created,
            position: stream.state.tail,
            payload: Payload { bytes: Bytes::from(bytes), cuts: Vec::new() },
            producer: None,
            seq: None,
            close: false,
        };
        stream.last_lsn = self.writer.append(&record);
        stream.state.apply(&record);
    }

    /// Writes everything that waits; returns how many bytes that was. Not synced group by group:
    /// nobody is told that it is durable.
    fn pump(&mut self, dir: &Path) -> Result<u64, Failure> {
        let mut written = 0;
        loop {
            match self.writer.take_group() {
                TakeGroup::Nothing => return Ok(written),
                TakeGroup::NeedSegment { segment, min_bytes } => {
                    let file = RealDisk.create(&segment.path(dir))?;
                    // A hole instead of zeros: what is measured is not the writing.
                    file.write_at(&[0], min_bytes - 1)?;
                    let salt = 1 + u64::from(segment.number);
                    let bytes = min_bytes;
                    self.writer.provide_segment(PreparedSegment { segment, bytes, salt });
                }
                TakeGroup::Group(mut group) => {
                    let file = match &self.file {
                        Some((segment, file)) if *segment == group.segment => Arc::clone(file),
                        _ => {
                            if let Some((_, file)) = self.file.take() {
                                file.sync()?;
                            }
                            let file = RealDisk.open(&group.segment.path(dir))?;
                            self.file = Some((group.segment, Arc::clone(&file)));
                            file
                        }
                    };
                    file.write_at(group.bytes.as_ref(), group.file_offset)?;
                    written += group.bytes.as_ref().len() as u64;
                    for placement in std::mem::take(&mut group.placements) {
                        let by_id = |stream: &StoredStream| stream.state.id;
                        let found = self.streams.binary_search_by_key(&placement.stream, by_id);
                        let stream = found.ok().and_then(|at| self.streams.get_mut(at));
                        let placed = stream.is_some_and(|it| it.extents.push(placement.span));
                        if !placed {
                            return Err("a record without a stream".into());
                        }
                    }
                    self.writer.written(group);
                }
            }
        }
    }

    fn checkpoint(
        &mut self,
        layout: &Arc<LayoutFile>,
        core: usize,
        max_stream_id: StreamId,
    ) -> Result<(), Failure> {
        let position = self.writer.durable_position();
        let log = self.writer.next_segment().log;
        let mut encoder =
            CheckpointEncoder::begin(CheckpointStart { log, position, max_stream_id });
        let mut file = CheckpointFile::create(layout, core)?;
        let durable: Lsn = self.writer.durable_lsn();
        for stream in &self.streams {
            encoder.add(&stream.state, &stream.extents, stream.last_lsn, durable);
            for chunk in encoder.take_chunks() {
                file.write(&chunk)?;
            }
        }
        let finished = encoder.finish(self.writer.last_lsn(), None);
        file.install(&finished, position)?;
        Ok(())
    }
}
