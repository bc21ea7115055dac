//! Bytes into records. Arbitrary bytes give an error, never a panic.

use bytes::Bytes;
use thalweg_proto::stream::record::{Payload, Record, StreamId};
use thalweg_proto::time::Timestamp;

use super::{
    FLAG_CLOSE, FLAG_PRODUCER, FLAG_RETENTION, FLAG_SEQ, KIND_APPEND, KIND_CREATE, KIND_DELETE,
    KIND_SOFT_DELETE, KIND_SUBSCRIPTION, KIND_TOUCH, KIND_TRIM, LEN_AT, RECORD_HEADER_BYTES,
    decode_config, decode_mark, decode_path, decode_retention,
};
use crate::error::Damage;
use crate::planted::{self, Bug};
use crate::wire::Fields;

/// The fixed part of a verified record.
struct Head {
    len: usize,
    kind: u8,
    flags: u8,
    data_len: usize,
    stream: StreamId,
    at: Timestamp,
    position: u64,
}

/// Reads the record at the beginning of `bytes`, which may go on behind it. Returns the record,
/// its payload sharing the memory of `bytes`, and its length.
pub fn decode_at(bytes: &Bytes) -> Result<(Record, usize), Damage> {
    let head = verify(bytes)?;
    let data_at = head.len - head.data_len;
    let data = bytes.slice(data_at..head.len);
    let mut fields = Fields::new(&bytes[RECORD_HEADER_BYTES..data_at]);
    let record = decode_fields(&head, &mut fields, data)?;
    fields.finish("length of the record's fields")?;
    Ok((record, head.len))
}

/// Verifies a record read back from where a [`crate::ReadSpan`] says, and gives its payload
/// without copying. `stream` and `position` are what the caller looked for.
pub fn payload_of(bytes: &Bytes, stream: StreamId, position: u64) -> Result<Payload, Damage> {
    payload_at(bytes, stream, position).map(|(payload, _)| payload)
}

/// The same, with the length of the record: `bytes` may go on behind it.
pub(super) fn payload_at(
    bytes: &Bytes,
    stream: StreamId,
    position: u64,
) -> Result<(Payload, usize), Damage> {
    let head = verify(bytes)?;
    if !matches!(head.kind, KIND_CREATE | KIND_APPEND) {
        return Err(Damage::Field { what: "kind of a record with data", found: head.kind.into() });
    }
    if (head.stream, head.position) != (stream, position) {
        return Err(Damage::OtherRecord {
            stream: stream.0,
            position,
            found_stream: head.stream.0,
            found_position: head.position,
        });
    }
    let data_at = head.len - head.data_len;
    let cuts = decode_cuts(&mut Fields::new(&bytes[RECORD_HEADER_BYTES..data_at]))?;
    Ok((Payload { bytes: bytes.slice(data_at..head.len), cuts }, head.len))
}

/// Checks length and CRC and reads the fixed part.
fn verify(bytes: &[u8]) -> Result<Head, Damage> {
    let mut fields = Fields::new(bytes);
    let (stored, len) = (fields.u32()?, fields.u32()? as usize);
    let Some(record) = bytes.get(..len) else {
        return Err(Damage::Truncated { needed: len as u64, found: bytes.len() as u64 });
    };
    if len < RECORD_HEADER_BYTES {
        return Err(Damage::Field { what: "length of the record", found: len as u64 });
    }
    let found = crc32c::crc32c(&record[LEN_AT..]);
    if stored != found && !planted::is(Bug::IgnoreCrc) {
        return Err(Damage::Checksum { what: "record", stored, found });
    }
    let (kind, flags) = (fields.u8()?, fields.u8()?);
    let zero = fields.u16()?;
    let data_len = fields.u32()? as usize;
    let (stream, at) = (StreamId(fields.u64()?), Timestamp(fields.u64()?));
    let position = fields.u64()?;
    if zero != 0 || data_len > len - RECORD_HEADER_BYTES {
        return Err(Damage::Field { what: "length of the record's data", found: data_len as u64 });
    }
    if position.checked_add(data_len as u64).is_none() {
        return Err(Damage::Field { what: "position of the record", found: position });
    }
    Ok(Head { len, kind, flags, data_len, stream, at, position })
}

fn decode_fields(head: &Head, fields: &mut Fields<'_>, data: Bytes) -> Result<Record, Damage> {
    let Head { stream: id, at, position, .. } = *head;
    let allowed = match head.kind {
        KIND_CREATE => FLAG_CLOSE | FLAG_RETENTION,
        KIND_APPEND => FLAG_CLOSE | FLAG_PRODUCER | FLAG_SEQ,
        _ => 0,
    };
    if head.flags & !allowed != 0 {
        return Err(Damage::Field { what: "flags of the record", found: head.flags.into() });
    }
    let close = head.flags & FLAG_CLOSE != 0;
    let has_data = matches!(head.kind, KIND_CREATE | KIND_APPEND | KIND_SUBSCRIPTION);
    if !has_data && head.data_len != 0 {
        return Err(Damage::Field { what: "data length", found: head.data_len as u64 });
    }
    Ok(match head.kind {
        KIND_CREATE => {
            let payload = Payload { cuts: decode_cuts(fields)?, bytes: data };
            let path = decode_path(fields)?;
            let mut config = decode_config(fields)?;
            if head.flags & FLAG_RETENTION != 0 {
                decode_retention(fields, &mut config)?;
            }
            if config.start() != position {
                return Err(Damage::Field { what: "position of the creation", found: position });
            }
            Record::Create { id, at, path, config, payload, close }
        }
        KIND_APPEND => {
            let payload = Payload { cuts: decode_cuts(fields)?, bytes: data };
            let has = |flag| head.flags & flag != 0;
            let producer = has(FLAG_PRODUCER).then(|| decode_mark(fields)).transpose()?;
            let seq = has(FLAG_SEQ).then(|| fields.str("Stream-Seq")).transpose()?.map(Into::into);
            Record::Append { id, at, position, payload, producer, seq, close }
        }
        KIND_SOFT_DELETE => Record::SoftDelete { id, at },
        KIND_DELETE => Record::Delete { id, at },
        KIND_TOUCH => Record::Touch { id, at },
        KIND_TRIM => Record::Trim { id, at, to: position },
        KIND_SUBSCRIPTION => Record::Subscription { event: data },
        found => return Err(Damage::Field { what: "kind of the record", found: found.into() }),
    })
}

fn decode_cuts(fields: &mut Fields<'_>) -> Result<Vec<u32>, Damage> {
    let count = fields.count(size_of::<u32>())?;
    (0..count).map(|_| fields.u32()).collect()
}
