//! Index decoding: the places of a stream's bytes, as a checkpoint stores them, and the index of a
//! sealed segment. What is accepted must be an index: ascending, without overlaps, and its look-ups
//! agree with a plain search.

use std::path::Path;

use bytes::Bytes;
use thalweg_proto::content_type::ContentType;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::StreamState;
use thalweg_proto::stream::config::{Expiry, StreamConfig};
use thalweg_proto::stream::record::{Payload, Record, StreamId};
use thalweg_proto::stream::retention::Retention;
use thalweg_proto::time::Timestamp;
use thalweg_storage::checkpoint::{CHUNK_HEADER_BYTES, decode};
use thalweg_storage::sealed::{
    FOOTER_BYTES, FOOTER_MAGIC, INDEX_ENTRY_BYTES, IndexEntry, SEALED_MAGIC, SEALED_VERSION,
    SealedFile,
};
use thalweg_storage::{
    CheckpointEncoder, CheckpointStart, Disk, Extents, LogId, LogPosition, Lsn, MemoryDisk,
    SegmentRef,
};

use super::checkpoint::{chunk, round_trip};
use super::input::Input;

const KIND_STREAMS: u32 = 2;
/// Two counts of nothing: the end of a stream without bytes.
const NO_EXTENTS: usize = 8;

pub fn check(data: &[u8]) {
    sealed(&mut Input(data));
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

/// A sealed segment with a good header and footer, whose records and index are any bytes.
fn sealed(input: &mut Input<'_>) {
    let record_bytes = usize::from(input.u16());
    let mut file = sealed_block(&SEALED_MAGIC, &[]);
    file.extend(input.bytes(record_bytes));
    let (index_at, index) = (file.len() as u64, input.0);
    let index = &index[..index.len() / INDEX_ENTRY_BYTES * INDEX_ENTRY_BYTES];
    file.extend_from_slice(index);
    file.resize(file.len().next_multiple_of(FOOTER_BYTES), 0);
    let chunks = (index.len() / INDEX_ENTRY_BYTES) as u64;
    let numbers = [index_at, chunks, chunks, chunks].map(u64::to_le_bytes).concat();
    let crc = crc32c::crc32c(index).to_le_bytes();
    file.extend(sealed_block(&FOOTER_MAGIC, &[&crc[..], &numbers].concat()));

    let (disk, dir) = (MemoryDisk::new(), Path::new("/data"));
    let segment = SegmentRef::sealed(LogId(0), 1);
    let path = segment.path(dir);
    disk.create(&path).and_then(|it| it.write_at(&file, 0)).expect("written");
    let mut file = SealedFile::open(&disk, dir, segment).expect("a good header and footer");
    let Ok(entries) = file.index(&mut |_| {}) else { return };
    let place = |entry: &IndexEntry| (entry.stream, entry.position);
    assert!(entries.is_sorted_by(|a, b| place(a) < place(b)));
    let mut seen = 0;
    let _ = file.verify(&mut |_, _| seen += 1);
    assert_eq!(seen, entries.len());
}

/// Magic, version, log 0, number 1, these fields, zeros, CRC.
fn sealed_block(magic: &[u8], fields: &[u8]) -> Vec<u8> {
    let numbers = [SEALED_VERSION, 0, 1].map(u32::to_le_bytes).concat();
    let mut block = [magic, &numbers, fields].concat();
    block.resize(FOOTER_BYTES - 4, 0);
    let crc = crc32c::crc32c(&block);
    block.extend_from_slice(&crc.to_le_bytes());
    block
}
