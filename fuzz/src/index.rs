//! Index decoding: the places of a stream's bytes, as a checkpoint stores them. What is accepted
//! must be an index: ascending, without overlaps, and its look-ups agree with a plain search.

use bytes::Bytes;
use thalweg_proto::content_type::ContentType;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::StreamState;
use thalweg_proto::stream::config::{Expiry, StreamConfig};
use thalweg_proto::stream::record::{Payload, Record, StreamId};
use thalweg_proto::stream::retention::Retention;
use thalweg_proto::time::Timestamp;
use thalweg_storage::checkpoint::{CHUNK_HEADER_BYTES, decode};
use thalweg_storage::{CheckpointEncoder, CheckpointStart, Extents, LogId, LogPosition, Lsn};

use super::checkpoint::{chunk, round_trip};
use super::input::Input;

const KIND_STREAMS: u32 = 2;
/// Two counts of nothing: the end of a stream without bytes.
const NO_EXTENTS: usize = 8;

pub fn check(data: &[u8]) {
    let mut input = Input(data);
    let (from, max) = (input.u64(), u64::from(input.u16()));
    let Ok(checkpoint) = decode(&with_extents(input.0)) else { return };
    round_trip(&checkpoint);
    let extents = &checkpoint.streams[0].stream.extents;
    let mut end = 0;
    for span in extents.iter() {
        assert!(span.position >= end && span.len > 0, "{span:?} after {end}");
        end = span.position + u64::from(span.len);
    }
    assert_eq!(extents.iter().count(), extents.len());
    for from in [0, from, end.saturating_sub(1), end, u64::MAX] {
        look_up(extents, from, max);
    }
}

fn look_up(extents: &Extents, from: u64, max: u64) {
    let until = from.saturating_add(max.max(1));
    let end = |span: &thalweg_storage::ReadSpan| span.position + u64::from(span.len);
    let want: Vec<_> =
        extents.iter().filter(|span| end(span) > from && span.position < until).collect();
    let found: Vec<_> = extents.covering(from, max).collect();
    assert_eq!(found, want, "from {from}, {max} bytes");
}

/// A checkpoint of one stream whose index is `bytes`.
fn with_extents(bytes: &[u8]) -> Vec<u8> {
    let position = LogPosition::origin(Lsn(0));
    let start = CheckpointStart { log: LogId(0), position, max_stream_id: StreamId(1) };
    let mut encoder = CheckpointEncoder::begin(start);
    encoder.add(&a_stream(), &Extents::default(), Lsn(1), Lsn(1));
    let chunks = encoder.finish(Lsn(1), None).chunks;
    let [first, streams, last] = &chunks[..] else { panic!("{} chunks", chunks.len()) };
    let stream = &streams[CHUNK_HEADER_BYTES..streams.len() - NO_EXTENTS];
    let streams = chunk(1, KIND_STREAMS, &[stream, bytes].concat());
    [first, &streams[..], last].concat()
}

fn a_stream() -> StreamState {
    let content_type = ContentType::octet_stream();
    let record = Record::Create {
        id: StreamId(1),
        at: Timestamp(1),
        path: StreamPath::new("s").expect("a path"),
        config: StreamConfig {
            content_type,
            expiry: Expiry::Never,
            retention: Retention::default(),
            fork: None,
        },
        payload: Payload { bytes: Bytes::new(), cuts: Vec::new() },
        close: false,
    };
    StreamState::created_by(&record).expect("a creation")
}
