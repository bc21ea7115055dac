//! Random histories with crashes against a model: what was acknowledged is there, what was not is
//! there whole or not at all, in log order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use thalweg_proto::content_type::ContentType;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::StreamState;
use thalweg_proto::stream::config::{Expiry, StreamConfig};
use thalweg_proto::stream::record::{Payload, ProducerMark, Record, StreamId};
use thalweg_proto::stream::retention::Retention;
use thalweg_proto::time::Timestamp;
use thalweg_storage::disk::SplitMix;
use thalweg_storage::{Disk, Durability, Lsn, MemoryDisk};

use crate::faults::FailingDisk;
use crate::world::{World, place, small_config};

type Streams = BTreeMap<StreamId, (StreamState, Vec<u8>)>;

/// One core's streams at the last start and everything appended since.
struct CoreModel {
    base: Streams,
    base_lsn: Lsn,
    history: Vec<Record>,
}

struct Run {
    memory: MemoryDisk,
    world: World,
    random: SplitMix,
    models: Vec<CoreModel>,
    base_events: Vec<Bytes>,
    events: u64,
    totals: Totals,
}

#[derive(Default, Debug)]
struct Totals {
    records: u64,
    crashes: u64,
    relayouts: u64,
    recycled: u64,
    torn_bytes: u64,
    interrupted: u64,
    sealed: u64,
    trims: u64,
}

const DIR: &str = "/data";

#[test]
fn crashes_lose_nothing_acknowledged() {
    let mut sum = Totals::default();
    for seed in 0..60 {
        let result = std::panic::catch_unwind(|| run(seed));
        let Ok(totals) = result else { panic!("seed {seed} failed") };
        sum.records += totals.records;
        sum.crashes += totals.crashes;
        sum.relayouts += totals.relayouts;
        sum.recycled += totals.recycled;
        sum.torn_bytes += totals.torn_bytes;
        sum.interrupted += totals.interrupted;
        sum.sealed += totals.sealed;
        sum.trims += totals.trims;
    }
    // A model test that never gets where it hurts proves nothing.
    println!("{sum:?}");
    assert!(sum.relayouts > 50 && sum.recycled > 25 && sum.torn_bytes > 0 && sum.interrupted > 20);
    assert!(sum.sealed > 100, "{sum:?}");
    assert!(sum.trims > 500);
}

fn run(seed: u64) -> Totals {
    let memory = MemoryDisk::new();
    let mut random = SplitMix(seed);
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let cores = 1 + random.below(3) as usize;
    let config = small_config(durability(&mut random));
    let world = World::open(&disk, Path::new(DIR), cores, config, seed << 32).unwrap();
    let mut run = Run {
        memory,
        world,
        random,
        models: Vec::new(),
        base_events: Vec::new(),
        events: 0,
        totals: Totals::default(),
    };
    run.rebase();
    for _ in 0..1500 {
        run.step();
    }
    run.crash();
    run.totals
}

fn durability(random: &mut SplitMix) -> Durability {
    if random.below(3) == 0 { Durability::Async } else { Durability::Sync }
}

impl Run {
    fn step(&mut self) {
        let core = self.random.below(self.world.cores.len() as u64) as usize;
        match self.random.below(100) {
            0..8 => self.create(),
            8..53 => self.append(core),
            53..58 => self.end_stream(core),
            58..60 => self.trim(core),
            60..63 => self.subscribe(),
            63..83 => self.world.pump(core),
            83..86 => self.world.sync_core(core),
            86..91 => {
                let streams = 1 + self.random.below(4) as usize;
                self.world.seal_step(core, streams);
            }
            91..99 => {
                let streams = 1 + self.random.below(12) as usize;
                self.world.checkpoint_step(core, streams);
            }
            _ => self.crash(),
        }
    }

    fn log(&mut self, core: usize, record: Record) {
        self.totals.records += 1;
        let lsn = self.world.append(core, &record);
        let model = &mut self.models[core];
        model.history.push(record);
        assert_eq!(lsn.0, model.base_lsn.0 + model.history.len() as u64);
    }

    fn create(&mut self) {
        let id = self.world.next_id;
        self.world.next_id += 1;
        let path = StreamPath::new(&format!("stream/{id}")).unwrap();
        let core = place(&path, self.world.cores.len());
        let content_type = ContentType::octet_stream();
        let seconds = (self.random.below(4) == 0).then(|| self.random.below(100));
        let retention = Retention { bytes: None, seconds };
        let config = StreamConfig { content_type, expiry: Expiry::Never, retention, fork: None };
        let payload = self.payload(500);
        let at = Timestamp(id);
        let close = self.random.below(10) == 0;
        self.log(core, Record::Create { id: StreamId(id), at, path, config, payload, close });
    }

    fn append(&mut self, core: usize) {
        let Some(id) = self.pick(core) else { return };
        let state = &self.world.cores[core].streams[&id].state;
        let (position, seq) = (state.tail, state.producers.get("p").map_or(0, |p| p.last_seq + 1));
        let payload = self.payload(3000);
        let producer =
            (self.random.below(2) == 0).then(|| ProducerMark { id: "p".into(), epoch: 1, seq });
        let seq = (self.random.below(4) == 0).then(|| format!("{position:09}").into());
        let close = self.random.below(30) == 0;
        let at = Timestamp(position);
        self.log(core, Record::Append { id, at, position, payload, producer, seq, close });
    }

    fn end_stream(&mut self, core: usize) {
        let Some(id) = self.pick(core) else { return };
        let at = Timestamp(self.random.below(1000));
        let record = match self.random.below(5) {
            0 => Record::Touch { id, at },
            1 => Record::SoftDelete { id, at },
            _ => Record::Delete { id, at },
        };
        self.log(core, record);
    }

    /// Up to the end of a record that is durable, as a shard does.
    fn trim(&mut self, core: usize) {
        let Some(id) = self.pick(core) else { return };
        let stream = &self.world.cores[core].streams[&id];
        let tail = stream.extents.end().unwrap_or(0);
        let wanted = self.random.below(tail + 1);
        let to = if wanted == tail { Some(tail) } else { stream.extents.boundary_before(wanted) };
        let Some(to) = to.filter(|to| *to > stream.state.earliest) else { return };
        self.totals.trims += 1;
        self.log(core, Record::Trim { id, at: Timestamp(tail), to });
    }

    fn subscribe(&mut self) {
        self.events += 1;
        let event = Bytes::copy_from_slice(&self.events.to_le_bytes());
        self.log(0, Record::Subscription { event });
    }

    fn pick(&mut self, core: usize) -> Option<StreamId> {
        let streams = &self.world.cores[core].streams;
        let index = self.random.below(streams.len().max(1) as u64) as usize;
        streams.keys().nth(index).copied()
    }

    fn payload(&mut self, max: u64) -> Payload {
        // Now and then a record that is larger than a segment.
        let huge = self.random.below(200) == 0;
        let len = if huge { 40_000 } else { self.random.below(max) };
        let fill = self.random.next_u64();
        let bytes = (0..len).map(|at| (fill >> (at % 8 * 8)) as u8 ^ at as u8).collect();
        let cuts = if len > 100 { vec![10, 50] } else { Vec::new() };
        Payload { bytes, cuts }
    }

    /// Power loss or a killed process, perhaps with writes in flight, perhaps again while starting.
    fn crash(&mut self) {
        self.totals.crashes += 1;
        self.totals.recycled += self.world.recycled;
        self.totals.sealed += self.world.sealed;
        for core in 0..self.world.cores.len() {
            if self.random.below(2) == 0
                && let Some(group) = self.world.take(core)
            {
                self.world.write(&group);
            }
        }
        let safe: Vec<Lsn> = self.world.cores.iter().map(|core| core.safe_lsn).collect();
        if self.random.below(3) > 0 {
            self.memory.crash(self.random.next_u64());
        }
        let cores = match self.random.below(3) {
            0 => 1 + self.random.below(4) as usize,
            _ => self.world.cores.len(),
        };
        self.interrupted_start();
        let config = small_config(durability(&mut self.random));
        let disk: Arc<dyn Disk> = Arc::new(self.memory.clone());
        let salt = self.random.next_u64() >> 1;
        let world = World::open(&disk, Path::new(DIR), cores, config, salt);
        self.world = world.unwrap_or_else(|error| panic!("{error}"));
        self.totals.relayouts += u64::from(self.world.stats.relayout);
        self.totals.torn_bytes += self.world.stats.torn_tail_bytes;
        self.compare(&safe);
        self.rebase();
    }

    fn interrupted_start(&mut self) {
        while self.random.below(2) == 0 {
            let changes_left = Arc::new(AtomicU64::new(self.random.below(40)));
            let disk: Arc<dyn Disk> =
                Arc::new(FailingDisk { inner: self.memory.clone(), changes_left });
            let cores = 1 + self.random.below(4) as usize;
            let config = small_config(Durability::Sync);
            if let Err(error) = World::open(&disk, Path::new(DIR), cores, config, 0) {
                assert!(error.to_string().contains("killed"), "{error}");
                self.totals.interrupted += 1;
            }
            self.memory.crash(self.random.next_u64());
        }
    }

    /// Each core's streams must be those after some prefix of its history that has everything
    /// acknowledged.
    fn compare(&self, safe: &[Lsn]) {
        let found = self.world.contents();
        let found_events = self.world.events();
        let mut known = BTreeSet::new();
        for (core, (model, safe)) in self.models.iter().zip(safe).enumerate() {
            let acknowledged = (safe.0 - model.base_lsn.0) as usize;
            let ids: BTreeSet<StreamId> = model.ids();
            let mine: Streams = found
                .iter()
                .filter(|(id, _)| ids.contains(id))
                .map(|(id, s)| (*id, s.clone()))
                .collect();
            let matches = |count: &usize| {
                let (streams, events) = model.after(*count);
                let events: Vec<_> = self.base_events.iter().cloned().chain(events).collect();
                streams == mine && (core != 0 || events == found_events)
            };
            let count = (acknowledged..=model.history.len()).find(matches);
            assert!(count.is_some(), "core {core}: no prefix from {acknowledged} on matches");
            known.extend(ids);
        }
        assert!(found.keys().all(|id| known.contains(id)), "streams out of nowhere");
    }

    fn rebase(&mut self) {
        let contents = self.world.contents();
        let model = |core: &crate::world::Core| CoreModel {
            base: core.streams.keys().map(|id| (*id, contents[id].clone())).collect(),
            base_lsn: core.writer.last_lsn(),
            history: Vec::new(),
        };
        self.models = self.world.cores.iter().map(model).collect();
        self.base_events = self.world.events();
    }
}

impl CoreModel {
    fn ids(&self) -> BTreeSet<StreamId> {
        let appended = self.history.iter().filter_map(Record::stream_id);
        self.base.keys().copied().chain(appended).collect()
    }

    fn after(&self, count: usize) -> (Streams, Vec<Bytes>) {
        let mut streams = self.base.clone();
        let mut events = Vec::new();
        for record in &self.history[..count] {
            match record {
                Record::Create { id, payload, .. } => {
                    let state = StreamState::created_by(record).unwrap();
                    streams.insert(*id, (state, payload.bytes.to_vec()));
                }
                Record::Delete { id, .. } => {
                    streams.remove(id);
                }
                Record::Subscription { event } => events.push(event.clone()),
                _ => {
                    let (state, content) = streams.get_mut(&record.stream_id().unwrap()).unwrap();
                    let earliest = state.earliest;
                    state.apply(record);
                    content.drain(..(state.earliest - earliest) as usize);
                    if let Some((_, payload)) = record.payload() {
                        content.extend_from_slice(&payload.bytes);
                    }
                }
            }
        }
        (streams, events)
    }
}
