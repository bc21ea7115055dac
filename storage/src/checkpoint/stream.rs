//! One stream in a checkpoint.

use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::config::StreamConfig;
use thalweg_proto::stream::producer::Producers;
use thalweg_proto::stream::record::{ProducerMark, StreamId};
use thalweg_proto::stream::retention::{AgeMark, Ages};
use thalweg_proto::stream::{Closure, Lifecycle, StreamState};
use thalweg_proto::time::Timestamp;

use crate::error::Damage;
use crate::extents::Extents;
use crate::location::Lsn;
use crate::record::{
    decode_config, decode_mark, decode_path, decode_retention, encode_config, encode_mark,
    encode_retention, has_retention,
};
use crate::recovery::StoredStream;
use crate::wire::{Fields, Put};

/// A stream as a checkpoint has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointedStream {
    /// The stream; its state is complete up to `last_lsn`.
    pub stream: StoredStream,
    /// Its extents are complete up to this record, which may be an earlier one.
    pub placed: Lsn,
}

const CLOSED_NOT: u8 = 0;
const CLOSED: u8 = 1;
const CLOSED_BY_PRODUCER: u8 = 2;
const LIVE: u8 = 0;
const SOFT_DELETED: u8 = 1;

/// The least bytes of a producer: an empty id, epoch, sequence.
const PRODUCER_MIN_BYTES: usize = 4 + 8 + 8;
/// Bytes of a mark of age.
const AGE_MARK_BYTES: usize = 8 + 8;
/// The first version whose streams have a retention.
const RETENTION_SINCE: u32 = 2;

pub(super) fn encode(
    state: &StreamState,
    extents: &Extents,
    (last_lsn, placed): (Lsn, Lsn),
    version: u32,
    out: &mut impl Put,
) {
    out.put_u64(last_lsn.0);
    out.put_u64(placed.0);
    out.put_u64(state.id.0);
    out.put_u64(state.created.0);
    out.put_u64(state.last_access.0);
    out.put_u64(state.tail);
    out.put_u8(match state.lifecycle {
        Lifecycle::Live => LIVE,
        Lifecycle::SoftDeleted => SOFT_DELETED,
    });
    out.put_str(state.path.as_str());
    encode_config(&state.config, out);
    if version >= RETENTION_SINCE {
        let retention = has_retention(&state.config);
        out.put_u8(retention.into());
        if retention {
            encode_retention(&state.config, out);
        }
        out.put_u64(state.earliest);
        encode_ages(state.ages.as_deref(), out);
    }
    match &state.closed {
        None => out.put_u8(CLOSED_NOT),
        Some(Closure { by: None }) => out.put_u8(CLOSED),
        Some(Closure { by: Some(mark) }) => {
            out.put_u8(CLOSED_BY_PRODUCER);
            encode_mark(mark, out);
        }
    }
    out.put_u8(state.last_seq.is_some().into());
    if let Some(seq) = &state.last_seq {
        out.put_str(seq);
    }
    out.put_len(state.producers.len());
    for (id, producer) in state.producers.iter() {
        out.put_str(id);
        out.put_u64(producer.epoch);
        out.put_u64(producer.last_seq);
    }
    extents.encode(out);
}

pub(super) fn decode(fields: &mut Fields<'_>, version: u32) -> Result<CheckpointedStream, Damage> {
    let (last_lsn, placed) = (Lsn(fields.u64()?), Lsn(fields.u64()?));
    let id = StreamId(fields.u64()?);
    let (created, last_access) = (Timestamp(fields.u64()?), Timestamp(fields.u64()?));
    let tail = fields.u64()?;
    let lifecycle = match fields.u8()? {
        LIVE => Lifecycle::Live,
        SOFT_DELETED => Lifecycle::SoftDeleted,
        found => return Err(Damage::Field { what: "lifecycle", found: found.into() }),
    };
    let path: StreamPath = decode_path(fields)?;
    let mut config: StreamConfig = decode_config(fields)?;
    let (mut earliest, mut ages) = (0, None);
    if version >= RETENTION_SINCE {
        if fields.flag("retention flag")? {
            decode_retention(fields, &mut config)?;
        }
        earliest = fields.u64()?;
        ages = decode_ages(fields)?;
    }
    let closed = decode_closed(fields)?;
    let last_seq = match fields.flag("Stream-Seq flag")? {
        true => Some(fields.str("Stream-Seq")?.into()),
        false => None,
    };
    let producers = decode_producers(fields)?;
    let extents = Extents::decode(fields)?;
    if tail < config.start() {
        return Err(Damage::Field { what: "tail of the stream", found: tail });
    }
    if !(config.earliest()..=tail).contains(&earliest) {
        return Err(Damage::Field { what: "beginning of the stream", found: earliest });
    }
    let state = StreamState {
        id,
        path,
        created,
        config,
        earliest,
        tail,
        ages,
        closed,
        last_seq,
        producers,
        last_access,
        lifecycle,
    };
    Ok(CheckpointedStream { stream: StoredStream { state, extents, last_lsn }, placed })
}

fn encode_ages(ages: Option<&Ages>, out: &mut impl Put) {
    out.put_u8(ages.is_some().into());
    let Some(ages) = ages else { return };
    out.put_u64(ages.interval_ms());
    out.put_len(ages.marks().len());
    for mark in ages.marks() {
        out.put_u64(mark.at.0);
        out.put_u64(mark.position);
    }
}

fn decode_ages(fields: &mut Fields<'_>) -> Result<Option<Box<Ages>>, Damage> {
    if !fields.flag("age flag")? {
        return Ok(None);
    }
    let interval_ms = fields.u64()?;
    let count = fields.count(AGE_MARK_BYTES)?;
    let mut marks = Vec::with_capacity(count);
    for _ in 0..count {
        marks.push(AgeMark { at: Timestamp(fields.u64()?), position: fields.u64()? });
    }
    let damage = Damage::Field { what: "order of the marks of age", found: count as u64 };
    Ages::from_parts(interval_ms, marks).map(|ages| Some(Box::new(ages))).ok_or(damage)
}

fn decode_closed(fields: &mut Fields<'_>) -> Result<Option<Closure>, Damage> {
    match fields.u8()? {
        CLOSED_NOT => Ok(None),
        CLOSED => Ok(Some(Closure { by: None })),
        CLOSED_BY_PRODUCER => Ok(Some(Closure { by: Some(decode_mark(fields)?) })),
        found => Err(Damage::Field { what: "closed flag", found: found.into() }),
    }
}

fn decode_producers(fields: &mut Fields<'_>) -> Result<Producers, Damage> {
    let mut producers = Producers::default();
    for _ in 0..fields.count(PRODUCER_MIN_BYTES)? {
        let id = fields.str("producer id")?.into();
        producers.accept(&ProducerMark { id, epoch: fields.u64()?, seq: fields.u64()? });
    }
    Ok(producers)
}
