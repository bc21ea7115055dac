//! A record as a line of text and as JSON.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use thalweg_proto::stream::config::{Expiry, StreamConfig};
use thalweg_proto::stream::record::{Payload, ProducerMark, Record};
use thalweg_proto::time::Timestamp;
use thalweg_storage::inspect::LoggedRecord;

use super::text::time;

/// The record as JSON. `with_payload` adds the data: text if it is UTF-8, base64 otherwise.
pub(super) fn json(logged: &LoggedRecord, with_payload: bool) -> Value {
    let LoggedRecord { lsn, location, record, .. } = logged;
    let mut value = json!({
        "file": location.segment.to_string(),
        "offset": location.file_offset,
        "bytes": location.record_len,
        "record": lsn.map(|lsn| lsn.0),
        "kind": kind(record),
        "stream": record.stream_id().map(|id| id.0),
        "at": at(record).map(time),
    });
    if let Some((position, payload)) = record.payload() {
        value["position"] = position.into();
        add_payload(&mut value, payload, with_payload);
    }
    match record {
        Record::Create { path, config, close, .. } => {
            value["path"] = path.as_str().into();
            value["config"] = config_json(config);
            value["close"] = (*close).into();
        }
        Record::Append { producer, seq, close, .. } => {
            value["producer"] = producer.as_ref().map(producer_json).into();
            value["seq"] = seq.as_deref().into();
            value["close"] = (*close).into();
        }
        Record::Trim { to, .. } => value["to"] = (*to).into(),
        Record::Subscription { event } => value["length"] = event.len().into(),
        _ => {}
    }
    value
}

/// The record as a line.
pub(super) fn line(logged: &LoggedRecord, with_payload: bool) -> String {
    let LoggedRecord { lsn, location, record, .. } = logged;
    let number = lsn.map_or("?".to_owned(), |lsn| lsn.to_string());
    let mut line = format!("{:>10} @{:<10} {}", number, location.file_offset, kind(record));
    if let Some(id) = record.stream_id() {
        let _ = write!(line, " stream {}", id.0);
    }
    match record {
        Record::Create { path, config, close, .. } => {
            let _ = write!(line, " `{path}` {}", config.content_type.as_str());
            if let Some(fork) = &config.fork {
                let _ = write!(line, " fork of `{}` up to {}", fork.source, config.start());
            }
            line.push_str(if *close { " close" } else { "" });
        }
        Record::Append { producer, seq, close, .. } => {
            if let Some(ProducerMark { id, epoch, seq }) = producer {
                let _ = write!(line, " producer {id:?}/{epoch}/{seq}");
            }
            if let Some(seq) = seq {
                let _ = write!(line, " seq {seq:?}");
            }
            line.push_str(if *close { " close" } else { "" });
        }
        Record::Trim { to, .. } => {
            let _ = write!(line, " up to {to}");
        }
        Record::Subscription { event } => {
            let _ = write!(line, " {} bytes", event.len());
        }
        _ => {}
    }
    if let Some((position, payload)) = record.payload() {
        let _ = write!(line, " bytes {position} to {}", position + payload.bytes.len() as u64);
        if with_payload {
            let _ = write!(line, " {:?}", String::from_utf8_lossy(&payload.bytes));
        }
    }
    line.push('\n');
    line
}

/// What is fixed when a stream is created.
pub(super) fn config_json(config: &StreamConfig) -> Value {
    let expiry = match config.expiry {
        Expiry::Never => Value::Null,
        Expiry::Ttl { seconds } => json!({ "ttl": seconds }),
        Expiry::At(instant) => json!({ "at": time(instant) }),
    };
    let lineage: Vec<Value> = config
        .lineage()
        .iter()
        .map(|run| json!({ "path": run.path.as_str(), "stream": run.id.0, "to": run.end }))
        .collect();
    json!({
        "content_type": config.content_type.as_str(),
        "expiry": expiry,
        "retention": { "bytes": config.retention.bytes, "seconds": config.retention.seconds },
        "forked_from": config.fork.as_ref().map(|fork| fork.source.as_str()),
        "inherited": lineage,
    })
}

pub(super) fn producer_json(mark: &ProducerMark) -> Value {
    json!({ "id": &*mark.id, "epoch": mark.epoch, "seq": mark.seq })
}

fn add_payload(value: &mut Value, payload: &Payload, with_payload: bool) {
    value["length"] = payload.bytes.len().into();
    if !with_payload {
        return;
    }
    match std::str::from_utf8(&payload.bytes) {
        Ok(text) => value["data"] = text.into(),
        Err(_) => value["data_base64"] = STANDARD.encode(&payload.bytes).into(),
    }
}

fn kind(record: &Record) -> &'static str {
    match record {
        Record::Create { .. } => "create",
        Record::Append { .. } => "append",
        Record::SoftDelete { .. } => "soft-delete",
        Record::Delete { .. } => "delete",
        Record::Touch { .. } => "touch",
        Record::Trim { .. } => "trim",
        Record::Subscription { .. } => "subscription",
    }
}

fn at(record: &Record) -> Option<Timestamp> {
    match record {
        Record::Create { at, .. }
        | Record::Append { at, .. }
        | Record::SoftDelete { at, .. }
        | Record::Delete { at, .. }
        | Record::Touch { at, .. }
        | Record::Trim { at, .. } => Some(*at),
        Record::Subscription { .. } => None,
    }
}
