//! Fields that records and checkpoints share: configurations, paths, producer marks.

use thalweg_proto::content_type::ContentType;
use thalweg_proto::offset::Offset;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::config::{Expiry, ForkOrigin, Inherited, StreamConfig};
use thalweg_proto::stream::record::{ProducerMark, StreamId};
use thalweg_proto::stream::retention::Retention;
use thalweg_proto::time::Timestamp;

use crate::error::Damage;
use crate::wire::{Fields, Put};

const EXPIRY_NEVER: u8 = 0;
const EXPIRY_TTL: u8 = 1;
const EXPIRY_AT: u8 = 2;

const LIMITS_BYTES: u8 = 1;
const LIMITS_AGE: u8 = 2;

/// The least bytes of a run of inherited bytes: an empty path, id, end.
const INHERITED_MIN_BYTES: usize = 4 + 8 + 8;

pub(crate) fn encode_config(config: &StreamConfig, out: &mut impl Put) {
    out.put_str(config.content_type.as_str());
    let (tag, value) = match config.expiry {
        Expiry::Never => (EXPIRY_NEVER, 0),
        Expiry::Ttl { seconds } => (EXPIRY_TTL, seconds),
        Expiry::At(instant) => (EXPIRY_AT, instant.0),
    };
    out.put_u8(tag);
    out.put_u64(value);
    out.put_u8(u8::from(config.fork.is_some()));
    if let Some(fork) = &config.fork {
        encode_fork(fork, out);
    }
}

pub(crate) fn decode_config(fields: &mut Fields<'_>) -> Result<StreamConfig, Damage> {
    let text = fields.str("content type")?;
    let content_type = ContentType::parse(text).ok_or(Damage::Text { what: "content type" })?;
    let (tag, value) = (fields.u8()?, fields.u64()?);
    let expiry = match tag {
        EXPIRY_NEVER => Expiry::Never,
        EXPIRY_TTL => Expiry::Ttl { seconds: value },
        EXPIRY_AT => Expiry::At(Timestamp(value)),
        found => return Err(Damage::Field { what: "expiry", found: found.into() }),
    };
    let fork = match fields.flag("fork flag")? {
        true => Some(Box::new(decode_fork(fields)?)),
        false => None,
    };
    Ok(StreamConfig { content_type, expiry, retention: Retention::default(), fork })
}

/// Whether the configuration has what version 1 did not know.
pub(crate) fn has_retention(config: &StreamConfig) -> bool {
    config.retention != Retention::default() || config.earliest() != 0
}

/// What version 1 did not know, behind the configuration.
pub(crate) fn encode_retention(config: &StreamConfig, out: &mut impl Put) {
    let Retention { bytes, seconds } = config.retention;
    let limits = if bytes.is_some() { LIMITS_BYTES } else { 0 }
        | if seconds.is_some() { LIMITS_AGE } else { 0 };
    out.put_u8(limits);
    out.put_u64(bytes.unwrap_or(0));
    out.put_u64(seconds.unwrap_or(0));
    out.put_u64(config.earliest());
}

pub(crate) fn decode_retention(
    fields: &mut Fields<'_>,
    config: &mut StreamConfig,
) -> Result<(), Damage> {
    let limits = fields.u8()?;
    if limits & !(LIMITS_BYTES | LIMITS_AGE) != 0 {
        return Err(Damage::Field { what: "retention", found: limits.into() });
    }
    let (bytes, seconds, from) = (fields.u64()?, fields.u64()?, fields.u64()?);
    config.retention = Retention {
        bytes: (limits & LIMITS_BYTES != 0).then_some(bytes),
        seconds: (limits & LIMITS_AGE != 0).then_some(seconds),
    };
    match &mut config.fork {
        Some(fork) if fork.lineage.last().is_some_and(|last| from <= last.end) => {
            fork.inherits_from = from;
        }
        _ if from != 0 => return Err(Damage::Field { what: "first position", found: from }),
        _ => {}
    }
    Ok(())
}

fn encode_fork(fork: &ForkOrigin, out: &mut impl Put) {
    out.put_str(fork.source.as_str());
    out.put_u64(fork.source_id.0);
    out.put_u8(u8::from(fork.requested_offset.is_some()));
    if let Some(offset) = fork.requested_offset {
        out.put_u64(offset.epoch);
        out.put_u64(offset.position);
    }
    out.put_u64(fork.sub_offset);
    out.put_u8(u8::from(fork.inherited_expiry));
    out.put_len(fork.lineage.len());
    for run in &fork.lineage {
        out.put_str(run.path.as_str());
        out.put_u64(run.id.0);
        out.put_u64(run.end);
    }
}

fn decode_fork(fields: &mut Fields<'_>) -> Result<ForkOrigin, Damage> {
    let source = decode_path(fields)?;
    let source_id = StreamId(fields.u64()?);
    let requested_offset = match fields.flag("fork offset flag")? {
        true => Some(Offset { epoch: fields.u64()?, position: fields.u64()? }),
        false => None,
    };
    let sub_offset = fields.u64()?;
    let inherited_expiry = fields.flag("inherited expiry flag")?;
    let count = fields.count(INHERITED_MIN_BYTES)?;
    let mut lineage = Vec::with_capacity(count);
    for _ in 0..count {
        let path = decode_path(fields)?;
        lineage.push(Inherited { path, id: StreamId(fields.u64()?), end: fields.u64()? });
    }
    Ok(ForkOrigin {
        source,
        source_id,
        requested_offset,
        sub_offset,
        inherited_expiry,
        inherits_from: 0,
        lineage,
    })
}

pub(crate) fn decode_path(fields: &mut Fields<'_>) -> Result<StreamPath, Damage> {
    let text = fields.str("stream path")?;
    StreamPath::new(text).map_err(|_| Damage::Text { what: "stream path" })
}

pub(crate) fn encode_mark(mark: &ProducerMark, out: &mut impl Put) {
    out.put_str(&mark.id);
    out.put_u64(mark.epoch);
    out.put_u64(mark.seq);
}

pub(crate) fn decode_mark(fields: &mut Fields<'_>) -> Result<ProducerMark, Damage> {
    let id = fields.str("producer id")?.into();
    Ok(ProducerMark { id, epoch: fields.u64()?, seq: fields.u64()? })
}
