//! A server without sockets: cores with streams, writers and segments over a disk, as far as
//! storage is concerned.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::StreamState;
use thalweg_proto::stream::record::{Record, StreamId};
use thalweg_storage::checkpoint::CheckpointStart;
use thalweg_storage::record::SpanRecords;
use thalweg_storage::recovery::{RecoveryStats, StoredSubscriptions};
use thalweg_storage::sealed::Releases;
use thalweg_storage::{
    CheckpointEncoder, CheckpointFile, Disk, Durability, Extents, FinishedCheckpoint, Group,
    LayoutFile, LogConfig, LogWriter, Lsn, Recovery, RecoveryError, SegmentFactory, SegmentRef,
    SegmentRequest, SegmentTable, StoredStream, TakeGroup, recover,
};

use crate::sealing::Sealing;

pub(crate) struct Core {
    pub(crate) writer: LogWriter,
    pub(crate) streams: BTreeMap<StreamId, StoredStream>,
    /// Deleted, the `Delete` not yet durable.
    doomed: BTreeMap<StreamId, (Extents, Lsn)>,
    /// Trimmed, the `Trim` not yet durable: up to which position.
    trimmed: Vec<(StreamId, u64, Lsn)>,
    pub(crate) segments: SegmentTable,
    free: Vec<SegmentRef>,
    pub(crate) checkpoint: Option<RunningCheckpoint>,
    finished: Option<FinishedCheckpoint>,
    pub(crate) sealing: Option<Sealing>,
    /// Async: written and not yet synced.
    unsynced: Vec<SegmentRef>,
    /// Everything up to here survives a crash.
    pub(crate) safe_lsn: Lsn,
}

pub(crate) struct RunningCheckpoint {
    encoder: CheckpointEncoder,
    todo: Vec<StreamId>,
}

pub(crate) struct World {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) cores: Vec<Core>,
    layout: Arc<LayoutFile>,
    pub(crate) config: LogConfig,
    pub(crate) subscriptions: StoredSubscriptions,
    pub(crate) next_id: u64,
    pub(crate) stats: RecoveryStats,
    pub(crate) recycled: u64,
    pub(crate) sealed: u64,
    releases: Releases,
    salt: u64,
}

pub(crate) fn small_config(durability: Durability) -> LogConfig {
    LogConfig { segment_bytes: 32 * 1024, max_group_bytes: 8 * 1024, durability }
}

/// FNV-1a over the path, so that another number of cores moves most streams.
pub(crate) fn place(path: &StreamPath, cores: usize) -> usize {
    let hash = path.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    (hash >> 32) as usize % cores
}

impl World {
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        dir: &std::path::Path,
        cores: usize,
        config: LogConfig,
        salt: u64,
    ) -> Result<World, RecoveryError> {
        let recovery = recover(disk, dir, cores, &|path| place(path, cores))?;
        let Recovery { cores, layout, subscriptions, max_stream_id, stats } = recovery;
        let core = |core: thalweg_storage::CoreRecovery| Core {
            safe_lsn: core.resume.position.lsn,
            writer: LogWriter::new(core.resume, config),
            streams: core.streams.into_iter().map(|stream| (stream.state.id, stream)).collect(),
            doomed: BTreeMap::new(),
            trimmed: Vec::new(),
            segments: core.segments,
            free: Vec::new(),
            checkpoint: None,
            finished: None,
            sealing: None,
            unsynced: Vec::new(),
        };
        Ok(World {
            releases: Releases::new(cores.len()),
            sealed: 0,
            disk: Arc::clone(disk),
            dir: dir.to_owned(),
            cores: cores.into_iter().map(core).collect(),
            layout,
            config,
            subscriptions,
            next_id: max_stream_id.0 + 1,
            stats,
            recycled: 0,
            salt,
        })
    }

    /// Applies and appends, as a shard does.
    pub(crate) fn append(&mut self, core: usize, record: &Record) -> Lsn {
        let core = &mut self.cores[core];
        let lsn = core.writer.append(record);
        let Some(id) = record.stream_id() else {
            let Record::Subscription { event } = record else { unreachable!() };
            self.subscriptions.events.push(event.clone());
            return lsn;
        };
        match record {
            Record::Create { .. } => {
                let state = StreamState::created_by(record).unwrap();
                let stream = StoredStream { state, extents: Extents::default(), last_lsn: lsn };
                core.streams.insert(id, stream);
            }
            Record::Delete { .. } => {
                let stream = core.streams.remove(&id).unwrap();
                core.doomed.insert(id, (stream.extents, lsn));
            }
            _ => {
                let stream = core.streams.get_mut(&id).unwrap();
                stream.state.apply(record);
                stream.last_lsn = lsn;
            }
        }
        if let Record::Trim { to, .. } = record {
            core.trimmed.push((id, *to, lsn));
        }
        lsn
    }

    /// The next write of a core, with its segment prepared.
    pub(crate) fn take(&mut self, core: usize) -> Option<Group> {
        loop {
            match self.cores[core].writer.take_group() {
                TakeGroup::Nothing => return None,
                TakeGroup::Group(group) => return Some(group),
                TakeGroup::NeedSegment { segment, min_bytes } => {
                    self.salt += 1;
                    let recycle = self.cores[core].free.pop();
                    self.recycled += u64::from(recycle.is_some());
                    let factory = SegmentFactory::new(Arc::clone(&self.disk), &self.dir);
                    let request =
                        SegmentRequest { segment, bytes: min_bytes, salt: self.salt, recycle };
                    let prepared = factory.prepare(request).unwrap();
                    self.cores[core].writer.provide_segment(prepared);
                }
            }
        }
    }

    /// Writes without syncing.
    pub(crate) fn write(&self, group: &Group) {
        let file = self.disk.open(&group.segment.path(&self.dir)).unwrap();
        file.write_at(group.bytes.as_ref(), group.file_offset).unwrap();
    }

    fn sync(&self, segment: SegmentRef) {
        self.disk.open(&segment.path(&self.dir)).unwrap().sync().unwrap();
    }

    /// Writes everything that waits.
    pub(crate) fn pump(&mut self, core: usize) {
        while let Some(group) = self.take(core) {
            self.write(&group);
            if self.config.durability == Durability::Sync {
                self.sync(group.segment);
                self.cores[core].safe_lsn = group.last_lsn;
            } else {
                self.cores[core].unsynced.push(group.segment);
            }
            self.finish_write(core, group);
        }
    }

    fn finish_write(&mut self, core: usize, group: Group) {
        let core = &mut self.cores[core];
        for placement in &group.placements {
            core.segments.record_written(placement.span.location.segment, placement.span.len);
            let living = core.streams.get_mut(&placement.stream).map(|stream| &mut stream.extents);
            let doomed = core.doomed.get_mut(&placement.stream).map(|(extents, _)| extents);
            assert!(living.or(doomed).unwrap().push(placement.span));
        }
        let current = core.writer.current_segment().unwrap();
        core.segments.started(current.segment, current.bytes);
        core.writer.written(group);
        if self.config.durability == Durability::Sync {
            core.bury(core.writer.durable_lsn());
        }
    }

    /// The timer of asynchronous durability.
    pub(crate) fn sync_core(&mut self, core: usize) {
        for segment in std::mem::take(&mut self.cores[core].unsynced) {
            self.sync(segment);
        }
        let core = &mut self.cores[core];
        core.safe_lsn = core.writer.durable_lsn();
        core.bury(core.safe_lsn);
    }

    /// A step of a checkpoint: begin, add some streams, finish, install.
    pub(crate) fn checkpoint_step(&mut self, core: usize, streams: usize) {
        let max_stream_id = StreamId(self.next_id - 1);
        let log = self.layout.layout().cores[core].log;
        let this = &mut self.cores[core];
        if let Some(finished) = this.finished.take() {
            let durable = this.writer.durable_position();
            if durable.lsn < finished.needs {
                this.finished = Some(finished);
                return;
            }
            let file = CheckpointFile::create(&self.layout, core).unwrap();
            file.install(&finished, durable).unwrap();
            this.segments.checkpoint_installed(finished.start.segment);
            this.free.extend(this.segments.take_free(2));
            self.remove_obsolete(core);
            return;
        }
        let Some(mut running) = this.checkpoint.take() else {
            let position = this.writer.durable_position();
            this.segments.checkpoint_begins();
            let start = CheckpointStart { log, position, max_stream_id };
            let todo = this.streams.keys().copied().collect();
            let encoder = CheckpointEncoder::begin(start);
            this.checkpoint = Some(RunningCheckpoint { encoder, todo });
            return;
        };
        for _ in 0..streams {
            let Some(id) = running.todo.pop() else { break };
            if let Some(StoredStream { state, extents, last_lsn }) = this.streams.get(&id) {
                running.encoder.add(state, extents, *last_lsn, this.writer.durable_lsn());
            }
        }
        if running.todo.is_empty() {
            let snapshot = (core == 0).then(|| snapshot(&self.subscriptions));
            let last_lsn = this.writer.last_lsn();
            this.finished = Some(running.encoder.finish(last_lsn, snapshot.as_deref()));
        } else {
            this.checkpoint = Some(running);
        }
    }

    /// Removes what a core does not need any more.
    pub(crate) fn remove_obsolete(&mut self, core: usize) {
        let segments = &mut self.cores[core].segments;
        let log = segments.log();
        for (segment, _) in segments.take_obsolete() {
            if self.releases.release(core, log, segment) {
                self.disk.remove(&segment.path(&self.dir)).unwrap();
            }
        }
    }

    /// A whole checkpoint of a core, at once.
    pub(crate) fn checkpoint(&mut self, core: usize) {
        self.pump(core);
        for _ in 0..3 {
            self.checkpoint_step(core, usize::MAX);
        }
        assert!(self.cores[core].checkpoint.is_none() && self.cores[core].finished.is_none());
    }

    /// A stream's own bytes that are kept, read back span by span.
    pub(crate) fn read(&self, stream: &StoredStream) -> Vec<u8> {
        self.try_read(stream).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// The same, or what is wrong with them.
    pub(crate) fn try_read(&self, stream: &StoredStream) -> Result<Vec<u8>, String> {
        let mut content = Vec::new();
        for span in stream.extents.iter() {
            let file = self.disk.open(&span.location.segment.path(&self.dir)).unwrap();
            let mut bytes = vec![0; span.location.record_len as usize];
            file.read_at(&mut bytes, span.location.file_offset.into()).unwrap();
            let mut end = span.position;
            for record in SpanRecords::new(bytes.into(), stream.state.id, span.position) {
                let bytes = record.map_err(|damage| damage.to_string())?.payload.bytes;
                let skipped = stream.state.earliest.saturating_sub(end) as usize;
                content.extend_from_slice(&bytes[skipped.min(bytes.len())..]);
                end += bytes.len() as u64;
            }
            assert_eq!(end, span.end());
        }
        Ok(content)
    }

    /// All streams with their bytes.
    pub(crate) fn contents(&self) -> BTreeMap<StreamId, (StreamState, Vec<u8>)> {
        let streams = self.cores.iter().flat_map(|core| core.streams.values());
        let content = |stream: &StoredStream| (stream.state.clone(), self.read(stream));
        streams.map(|stream| (stream.state.id, content(stream))).collect()
    }

    /// Every subscription event ever, in order.
    pub(crate) fn events(&self) -> Vec<Bytes> {
        let snapshot = self.subscriptions.snapshot.iter().flat_map(|bytes| bytes.chunks(8));
        let snapshot = snapshot.map(Bytes::copy_from_slice);
        snapshot.chain(self.subscriptions.events.iter().cloned()).collect()
    }
}

impl Core {
    /// Gives the space of streams back whose deletion is safe.
    fn bury(&mut self, safe: Lsn) {
        self.doomed.retain(|_, (extents, lsn)| {
            if *lsn <= safe {
                self.segments.record_deleted(extents);
            }
            *lsn > safe
        });
        for (id, to, lsn) in std::mem::take(&mut self.trimmed) {
            match self.streams.get_mut(&id) {
                Some(_) if lsn > safe => self.trimmed.push((id, to, lsn)),
                Some(stream) => self.segments.record_deleted(&stream.extents.drop_before(to)),
                None => {}
            }
        }
    }
}

/// Events are 8 bytes long in these tests: a snapshot is all of them.
fn snapshot(subscriptions: &StoredSubscriptions) -> Bytes {
    let snapshot = subscriptions.snapshot.iter().flatten();
    snapshot.chain(subscriptions.events.iter().flatten()).copied().collect()
}
