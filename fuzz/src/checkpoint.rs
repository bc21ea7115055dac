//! Checkpoint decoding: any bytes, and chunks of any bytes whose frames are right.

use thalweg_storage::CheckpointEncoder;
use thalweg_storage::checkpoint::{CHUNK_HEADER_BYTES, Checkpoint, decode};
use thalweg_storage::format::{FORMAT_VERSION, OLDEST_FORMAT_VERSION};

use super::input::Input;

const KIND_START: u32 = 1;
const KIND_END: u32 = 5;

pub fn check(data: &[u8]) {
    let _ = decode(data);
    let mut input = Input(data);
    let mut file = match input.u8() {
        0 => a_start(FORMAT_VERSION),
        1 => a_start(OLDEST_FORMAT_VERSION),
        _ => Vec::new(),
    };
    let mut index = u32::from(!file.is_empty());
    let mut streams = 0;
    while !input.is_empty() {
        let kind = u32::from(input.u8() % 7);
        let len = usize::from(input.u16());
        let mut body = input.bytes(len).to_vec();
        if kind == KIND_END && !body.is_empty() {
            // The count of streams, which nobody guesses.
            streams = body[0];
            body = [u64::from(streams).to_le_bytes(), [0; 8]].concat();
        }
        file.extend(chunk(index, kind, &body));
        index += 1;
    }
    if let Ok(checkpoint) = decode(&file) {
        assert_eq!(checkpoint.streams.len(), usize::from(streams));
        round_trip(&checkpoint);
    }
}

/// What was read can be written, and reads the same.
pub(super) fn round_trip(checkpoint: &Checkpoint) {
    let mut encoder = CheckpointEncoder::begin(checkpoint.start);
    for stored in &checkpoint.streams {
        let stream = &stored.stream;
        encoder.add(&stream.state, &stream.extents, stream.last_lsn, stored.placed);
    }
    let subscriptions = checkpoint.subscriptions.as_deref();
    let mut chunks = encoder.take_chunks();
    chunks.extend(encoder.finish(checkpoint.last_lsn, subscriptions).chunks);
    let again = decode(&chunks.concat()).expect("what was just written");
    // Events are not written again by this way, and an earlier version is not written any more.
    let (events, version) = (checkpoint.events.clone(), checkpoint.version);
    assert_eq!(Checkpoint { version, events, ..again }, *checkpoint);
}

/// A first chunk as a real checkpoint of this version has it.
fn a_start(version: u32) -> Vec<u8> {
    let mut body = empty()[0][CHUNK_HEADER_BYTES..].to_vec();
    // Behind the magic.
    body[8..12].copy_from_slice(&version.to_le_bytes());
    chunk(0, KIND_START, &body)
}

/// The chunks of a checkpoint without streams.
pub(super) fn empty() -> Vec<bytes::Bytes> {
    use thalweg_proto::stream::record::StreamId;
    use thalweg_storage::{CheckpointStart, LogId, LogPosition, Lsn};
    let position = LogPosition::origin(Lsn(0));
    let start = CheckpointStart { log: LogId(0), position, max_stream_id: StreamId(9) };
    CheckpointEncoder::begin(start).finish(Lsn(0), None).chunks
}

/// A chunk: CRC, length, index, kind, body.
pub(super) fn chunk(index: u32, kind: u32, body: &[u8]) -> Vec<u8> {
    let mut chunk = vec![0; 4];
    for field in [body.len() as u32, index, kind] {
        chunk.extend_from_slice(&field.to_le_bytes());
    }
    assert_eq!(chunk.len(), CHUNK_HEADER_BYTES);
    chunk.extend_from_slice(body);
    let crc = crc32c::crc32c(&chunk[4..]);
    chunk[..4].copy_from_slice(&crc.to_le_bytes());
    chunk
}
