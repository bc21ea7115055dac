//! A core's numbers at one moment, as plain data that may leave its thread.

use std::borrow::Cow;

use smallvec::{SmallVec, smallvec};
use thalweg_proto::time::Timestamp;

use super::families::{self, Family};
use super::histogram::Counted;
use super::{CLASSES, Metrics, Named, Operation};
use crate::conn::deadlines::Phase;
use crate::core::Core;
use crate::shed::Kind;
use crate::shed::gate::ALL;

/// The labels of a sample.
pub(super) type Labels = SmallVec<[(&'static str, Cow<'static, str>); 3]>;

/// One number with its labels.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// Of which metric.
    pub family: Family,
    /// Its labels.
    pub labels: Labels,
    /// The number.
    pub value: Value,
}

/// A number, or several.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Of a counter.
    Counter(f64),
    /// Of a gauge.
    Gauge(f64),
    /// Of a histogram.
    Histogram(Counted),
}

/// All samples of one core, without the label that names it.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    /// Which core.
    pub core: usize,
    /// Its samples.
    pub samples: Vec<Sample>,
}

impl Sample {
    /// A counter or a gauge, as the family says.
    #[must_use]
    pub fn new(family: Family, labels: Labels, value: f64) -> Sample {
        let value = match family.kind {
            families::Kind::Counter => Value::Counter(value),
            _ => Value::Gauge(value),
        };
        Sample { family, labels, value }
    }
}

impl Snapshot {
    /// What a core has counted, and what it holds now.
    #[must_use]
    pub fn of(core: &Core) -> Snapshot {
        let mut samples = Vec::with_capacity(96);
        requests(&core.metrics, &mut samples);
        counters(&core.metrics, &mut samples);
        compaction(core, &mut samples);
        histograms(core, &mut samples);
        load(core, &mut samples);
        connections(&core.metrics, &mut samples);
        core_gauges(core, &mut samples);
        shard(core, &mut samples);
        Snapshot { core: core.id, samples }
    }
}

fn requests(metrics: &Metrics, samples: &mut Vec<Sample>) {
    const NAMES: [&str; CLASSES] = ["2xx", "3xx", "4xx", "5xx"];
    for operation in Operation::ALL {
        let by_class = &metrics.requests[operation as usize];
        for (class, count) in NAMES.into_iter().zip(by_class) {
            // What never happened needs no line, but each operation has one from the start.
            if count.get() > 0 || class == "2xx" {
                let labels = smallvec![
                    ("operation", Cow::from(operation.name())),
                    ("status", Cow::from(class)),
                ];
                samples.push(Sample::new(families::REQUESTS, labels, count.get() as f64));
            }
        }
    }
    named(families::REFUSALS, "code", &metrics.refusals, samples);
}

fn named(family: Family, label: &'static str, counts: &Named, samples: &mut Vec<Sample>) {
    for (name, count) in counts.get() {
        let labels = smallvec![(label, Cow::from(name))];
        samples.push(Sample::new(family, labels, count as f64));
    }
}

fn connections(metrics: &Metrics, samples: &mut Vec<Sample>) {
    let (tls, http2) = (&metrics.tls, &metrics.http2);
    for (version, resumed, count) in tls.done() {
        let labels = smallvec![("version", Cow::from(version)), ("resumed", Cow::from(resumed))];
        samples.push(Sample::new(families::TLS_HANDSHAKES, labels, count as f64));
    }
    named(families::TLS_FAILURES, "reason", &tls.failures, samples);
    named(families::HTTP2_GOAWAYS, "reason", &http2.goaways, samples);
    for (family, value) in [
        (families::HTTP2_CONNECTIONS, http2.connections.get() as u64),
        (families::HTTP2_STREAMS, http2.streams.get() as u64),
        (families::HTTP2_OPENED, http2.opened.get()),
        (families::HTTP2_STREAMS_OPENED, http2.streams_opened.get()),
        (families::HTTP2_RESETS, http2.client_resets.get()),
        (families::HTTP2_LANE_FRAMES, http2.lane_frames.get()),
    ] {
        samples.push(Sample::new(family, Labels::new(), value as f64));
    }
    for (family, codes) in [
        (families::HTTP2_CONNECTION_ERRORS, &metrics.http2_connection_errors),
        (families::HTTP2_STREAM_ERRORS, &metrics.http2_stream_errors),
    ] {
        for (code, count) in codes.counted() {
            let labels = smallvec![("code", Cow::from(code))];
            samples.push(Sample::new(family, labels, count as f64));
        }
    }
}

fn counters(metrics: &Metrics, samples: &mut Vec<Sample>) {
    for (family, counter) in [
        (families::RESPONSE_BYTES, &metrics.response_bytes),
        (families::ACCEPTED, &metrics.accepted),
        (families::TURNED_AWAY, &metrics.turned_away),
        (families::ACCEPT_ERRORS, &metrics.accept_errors),
        (families::FRAMES, &metrics.frames),
        (families::FRAME_BYTES, &metrics.frame_bytes),
        (families::FANOUT_PAGES, &metrics.fanout_pages),
        (families::FANOUT_RESTS, &metrics.fanout_rests),
        (families::LOG_READ_BYTES, &metrics.log_read_bytes),
        (families::SEGMENTS_MADE, &metrics.segments_made),
        (families::SEGMENTS_RECYCLED, &metrics.segments_recycled),
        (families::SEGMENTS_REMOVED, &metrics.segments_removed),
        (families::SEGMENT_FAILURES, &metrics.segment_failures),
        (families::CHECKPOINTS, &metrics.checkpoints),
        (families::CHECKPOINT_FAILURES, &metrics.checkpoint_failures),
        (families::MESSAGES, &metrics.messages),
        (families::ACCESS_WITHDRAWN, &metrics.access_withdrawn),
    ] {
        samples.push(Sample::new(family, Labels::new(), counter.get() as f64));
    }
}

fn compaction(core: &Core, samples: &mut Vec<Sample>) {
    let counters = &core.compaction.counters;
    let queue = core.compaction_queue() as f64;
    samples.push(Sample::new(families::COMPACTION_QUEUE, Labels::new(), queue));
    for (family, counter) in [
        (families::SEGMENTS_SEALED, &counters.segments_sealed),
        (families::SEGMENTS_COMPACTED, &counters.segments_compacted),
        (families::COMPACTION_READ, &counters.bytes_read),
        (families::COMPACTION_WRITTEN, &counters.bytes_written),
        (families::COMPACTION_RECLAIMED, &counters.bytes_reclaimed),
        (families::COMPACTION_FAILURES, &counters.failures),
    ] {
        samples.push(Sample::new(family, Labels::new(), counter.get() as f64));
    }
}

fn load(core: &Core, samples: &mut Vec<Sample>) {
    for phase in Phase::ALL {
        let labels = smallvec![("deadline", Cow::from(phase.name()))];
        let passed = core.deadlines.passed(phase) as f64;
        samples.push(Sample::new(families::DEADLINES, labels, passed));
    }
    for kind in Kind::ALL {
        let labels: Labels = smallvec![("kind", Cow::from(kind.name()))];
        let admitted = f64::from(core.shed.admitted(kind)) / f64::from(ALL);
        samples.push(Sample::new(families::ADMITTED, labels.clone(), admitted));
        samples.push(Sample::new(families::SHED, labels, core.shed.refused(kind) as f64));
    }
}

fn histograms(core: &Core, samples: &mut Vec<Sample>) {
    let metrics = &core.metrics;
    for (family, counted) in [
        (families::DELAY_SECONDS, core.shed.delay.counted()),
        (families::APPEND_SECONDS, metrics.append.counted()),
        (families::TLS_SECONDS, metrics.tls.took.counted()),
        (families::FANOUT_SECONDS, metrics.fanout.counted()),
        (families::GROUP_SECONDS, metrics.group_write.counted()),
        (families::SYNC_SECONDS, metrics.sync.counted()),
        (families::GROUP_RECORDS, metrics.group_records.counted()),
        (families::GROUP_BYTES, metrics.group_bytes.counted()),
    ] {
        let value = Value::Histogram(counted);
        samples.push(Sample { family, labels: Labels::new(), value });
    }
}

fn core_gauges(core: &Core, samples: &mut Vec<Sample>) {
    let long_polls = core.metrics.long_polls.get();
    let sse = core.fanout.readers().saturating_sub(long_polls);
    for (kind, count) in [("sse", sse), ("long_poll", long_polls)] {
        let labels = smallvec![("kind", Cow::from(kind))];
        samples.push(Sample::new(families::READERS, labels, count as f64));
    }
    let last_checkpoint = core.metrics.last_checkpoint.get().as_secs_f64();
    let installed = core.metrics.checkpoint_installed.get();
    if installed != Timestamp::default() {
        let seconds = installed.0 as f64 / 1000.0;
        samples.push(Sample::new(families::CHECKPOINT_TIME, Labels::new(), seconds));
    }
    let sends = core.crowd.sends();
    for (family, value) in [
        (families::CONNECTIONS, core.connections.get() as f64),
        (families::FANOUT_WAITING, core.fanout.ready.len() as f64),
        (families::FANOUT_WINDOW_BYTES, core.fanout.window_bytes() as f64),
        (families::SEGMENTS_FREE, core.free_segments() as f64),
        (families::CHECKPOINT_SECONDS, last_checkpoint),
        (families::REPLAY_BYTES, core.replay_bytes() as f64),
        (families::RING_CALLS, sends.calls as f64),
        (families::RING_OPERATIONS, sends.operations as f64),
        (families::RING_SENDS, sends.under_way as f64),
        (families::RING_OVERFLOWS, sends.overflows as f64),
        (families::OUTBOX_DEPTH, core.outbox_depth() as f64),
    ] {
        samples.push(Sample::new(family, Labels::new(), value));
    }
}

fn shard(core: &Core, samples: &mut Vec<Sample>) {
    let facts = core.shard_facts();
    let mut push = |family: Family, value: u64| {
        samples.push(Sample::new(family, Labels::new(), value as f64));
    };
    push(families::STREAMS, facts.streams);
    push(families::TRIMS, facts.counters.trims);
    push(families::TRIMMED_BYTES, facts.counters.trimmed_bytes);
    push(families::APPENDED_RECORDS, facts.counters.appended_records);
    push(families::APPENDED_BYTES, facts.counters.appended_bytes);
    push(families::HOT_TAIL_BYTES, facts.hot_bytes);
    push(families::HOT_TAIL_HITS, facts.counters.hot_reads);
    push(families::HOT_TAIL_MISSES, facts.counters.cold_reads);
    push(families::READ_CACHE_BYTES, facts.history_bytes);
    push(families::READ_CACHE_HITS, facts.history.hits);
    push(families::READ_CACHE_MISSES, facts.history.misses);
    push(families::READ_CACHE_EVICTIONS, facts.history.evictions);
    push(families::READS_HELD_BYTES, facts.held_bytes);
    push(families::PENDING_RECORDS, facts.pending_records);
    push(families::PENDING_BYTES, facts.pending_bytes);
    push(families::SEGMENTS, facts.segments);
    push(families::SEGMENTS_LIVE_BYTES, facts.live_bytes);
    push(families::DISK_FULL, u64::from(facts.disk_full));
}
