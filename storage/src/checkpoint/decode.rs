//! Reads a checkpoint file back. All of it is good, or it is damaged.

use bytes::Bytes;
use thalweg_proto::stream::record::StreamId;

use super::chunk;
use super::encode::CheckpointStart;
use super::stream::{self, CheckpointedStream};
use crate::error::Damage;
use crate::format::check_version;
use crate::location::{LogId, LogPosition, Lsn};
use crate::wire::Fields;

/// A checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// The version of the format that it was written in.
    pub version: u32,
    /// Log, place where replay starts, largest stream id.
    pub start: CheckpointStart,
    /// The streams, in no particular order.
    pub streams: Vec<CheckpointedStream>,
    /// The subscription snapshot, which contains every event up to `last_lsn`.
    pub subscriptions: Option<Bytes>,
    /// Events that came after the snapshot and before `last_lsn`.
    pub events: Vec<Bytes>,
    /// The last record when the checkpoint was finished.
    pub last_lsn: Lsn,
}

/// Reads a whole file.
pub fn decode(bytes: &[u8]) -> Result<Checkpoint, Damage> {
    let (version, start, mut rest) = decode_start(bytes)?;
    let (mut streams, mut subscriptions, mut events) = (Vec::new(), None, Vec::new());
    for index in 1.. {
        let (kind, body) = chunk::open(rest, index)?;
        rest = &rest[chunk::CHUNK_HEADER_BYTES + body.len()..];
        let mut fields = Fields::new(body);
        match kind {
            chunk::KIND_STREAMS => {
                while fields.remaining() > 0 {
                    streams.push(stream::decode(&mut fields, version)?);
                }
            }
            chunk::KIND_SUBSCRIPTIONS => subscriptions = Some(Bytes::copy_from_slice(body)),
            chunk::KIND_SUBSCRIPTION_EVENT => events.push(Bytes::copy_from_slice(body)),
            chunk::KIND_END => {
                let (count, last_lsn) = (fields.u64()?, Lsn(fields.u64()?));
                fields.finish("length of the last chunk")?;
                Fields::new(rest).finish("bytes after the last chunk")?;
                if count != streams.len() as u64 {
                    return Err(Damage::Field { what: "number of streams", found: count });
                }
                return Ok(Checkpoint { version, start, streams, subscriptions, events, last_lsn });
            }
            found => return Err(Damage::Field { what: "kind of the chunk", found: found.into() }),
        }
    }
    Err(Damage::Truncated { needed: 1, found: 0 })
}

/// Reads only the first chunk, at the beginning of `bytes`: the version, what it says, and what
/// follows.
pub(crate) fn decode_start(bytes: &[u8]) -> Result<(u32, CheckpointStart, &[u8]), Damage> {
    let (kind, body) = chunk::open(bytes, 0)?;
    let rest = &bytes[chunk::CHUNK_HEADER_BYTES + body.len()..];
    let mut fields = Fields::new(body);
    if kind != chunk::KIND_START || fields.take(8)? != chunk::CHECKPOINT_MAGIC {
        return Err(Damage::Text { what: "magic of the checkpoint" });
    }
    let version = fields.u32()?;
    check_version("checkpoint version", version)?;
    let log = LogId(fields.u32()?);
    let (segment, chain) = (fields.u32()?, fields.u32()?);
    let (file_offset, lsn) = (fields.u64()?, Lsn(fields.u64()?));
    let position = LogPosition { segment, file_offset, lsn, chain };
    let max_stream_id = StreamId(fields.u64()?);
    fields.finish("length of the first chunk")?;
    Ok((version, CheckpointStart { log, position, max_stream_id }, rest))
}
