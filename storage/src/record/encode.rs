//! Records into bytes. The payload is copied once: from the record into the group.

use thalweg_proto::stream::record::{Payload, Record};

use super::{
    CRC_AT, FLAG_CLOSE, FLAG_PRODUCER, FLAG_RETENTION, FLAG_SEQ, KIND_APPEND, KIND_AT, KIND_CREATE,
    KIND_DELETE, KIND_SOFT_DELETE, KIND_SUBSCRIPTION, KIND_TOUCH, KIND_TRIM, LEN_AT,
    RECORD_HEADER_BYTES, encode_config, encode_mark, encode_retention, has_retention,
};
use crate::buffer::AlignedBuf;
use crate::wire::Put;

/// The fixed part of a record.
struct Head<'a> {
    kind: u8,
    flags: u8,
    stream: u64,
    time: u64,
    position: u64,
    data: &'a [u8],
}

/// Bytes that [`encode`] will put.
pub(crate) fn encoded_len(record: &Record) -> usize {
    let mut counted = Counter(0);
    put_fields(record, &mut counted);
    RECORD_HEADER_BYTES + counted.0 + head(record).data.len()
}

/// Appends a record.
pub(crate) fn encode(record: &Record, out: &mut AlignedBuf) {
    let start = out.used();
    let head = head(record);
    // CRC and length come last, when they are known.
    out.put_u64(0);
    out.put(&[head.kind, head.flags, 0, 0]);
    out.put_len(head.data.len());
    out.put_u64(head.stream);
    out.put_u64(head.time);
    out.put_u64(head.position);
    put_fields(record, out);
    out.put(head.data);
    let end = out.used();
    let bytes = &mut out.as_mut()[start..end];
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    assert!((len as usize) == bytes.len() && len <= i32::MAX as u32, "records are below 2 GiB");
    bytes[LEN_AT..KIND_AT].copy_from_slice(&len.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[LEN_AT..]);
    bytes[CRC_AT..LEN_AT].copy_from_slice(&crc.to_le_bytes());
}

fn head(record: &Record) -> Head<'_> {
    let bare = |kind, id: &thalweg_proto::stream::record::StreamId, time: u64| Head {
        kind,
        flags: 0,
        stream: id.0,
        time,
        position: 0,
        data: &[],
    };
    match record {
        Record::Create { id, at, config, payload, close, .. } => Head {
            flags: if *close { FLAG_CLOSE } else { 0 }
                | if has_retention(config) { FLAG_RETENTION } else { 0 },
            position: config.start(),
            data: &payload.bytes,
            ..bare(KIND_CREATE, id, at.0)
        },
        Record::Append { id, at, position, payload, producer, seq, close } => Head {
            flags: if *close { FLAG_CLOSE } else { 0 }
                | if producer.is_some() { FLAG_PRODUCER } else { 0 }
                | if seq.is_some() { FLAG_SEQ } else { 0 },
            position: *position,
            data: &payload.bytes,
            ..bare(KIND_APPEND, id, at.0)
        },
        Record::SoftDelete { id, at } => bare(KIND_SOFT_DELETE, id, at.0),
        Record::Delete { id, at } => bare(KIND_DELETE, id, at.0),
        Record::Touch { id, at } => bare(KIND_TOUCH, id, at.0),
        Record::Trim { id, at, to } => Head { position: *to, ..bare(KIND_TRIM, id, at.0) },
        Record::Subscription { event } => {
            Head { kind: KIND_SUBSCRIPTION, flags: 0, stream: 0, time: 0, position: 0, data: event }
        }
    }
}

/// The fields between the fixed part and the data.
fn put_fields(record: &Record, out: &mut impl Put) {
    match record {
        Record::Create { path, config, payload, .. } => {
            put_cuts(payload, out);
            out.put_str(path.as_str());
            encode_config(config, out);
            if has_retention(config) {
                encode_retention(config, out);
            }
        }
        Record::Append { producer, seq, payload, .. } => {
            put_cuts(payload, out);
            if let Some(mark) = producer {
                encode_mark(mark, out);
            }
            if let Some(seq) = seq {
                out.put_str(seq);
            }
        }
        _ => {}
    }
}

/// Cuts come first, so that `payload_of` finds them without reading the rest.
fn put_cuts(payload: &Payload, out: &mut impl Put) {
    out.put_len(payload.cuts.len());
    for cut in &payload.cuts {
        out.put_u32(*cut);
    }
}

/// Counts instead of writing.
struct Counter(usize);

impl Put for Counter {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}
