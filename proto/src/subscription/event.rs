//! Events: every change of the subscription state as one self-contained value.
//!
//! An event holds everything that chance, the clock or a stream's tail contributed, so that
//! applying it later gives the same state. In the log it is JSON: `{"v":1,"id":...,"change":...}`.
//! A newer server reads every older version; an unknown version is an error, never skipped.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::config::Config;
use super::wire::{self, Position};
use crate::offset::Offset;
use crate::path::StreamPath;
use crate::time::Timestamp;

/// The version that [`Event::encode`] writes.
const VERSION: u32 = 1;

/// One change of one subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// The subscription's id.
    pub id: Arc<str>,
    /// What happened to it.
    pub change: Change,
}

/// What happened to a subscription. Changes about a wake are about the current one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// It comes to be, with its links.
    Created {
        /// When.
        #[serde(with = "wire::timestamp")]
        at: Timestamp,
        /// The public URL of the stream root, for the URLs that workers get.
        base_url: Box<str>,
        /// Where its generations begin.
        generation: u64,
        /// What was asked for.
        config: Config,
        /// Explicit streams, and existing ones that match the pattern.
        links: Vec<NewLink>,
    },
    /// It is gone, with every wake and lease.
    Deleted,
    /// Streams are linked, or linked ones become explicit.
    Linked {
        /// Which.
        links: Vec<NewLink>,
    },
    /// An explicit link is removed; the link stays if the pattern matches.
    ExplicitRemoved {
        /// The stream.
        #[serde(with = "wire::path")]
        path: StreamPath,
    },
    /// A link is removed because its stream is gone.
    Unlinked {
        /// The stream.
        #[serde(with = "wire::path")]
        path: StreamPath,
    },
    /// A wake begins.
    WakeIssued(WakeIssued),
    /// A postponed delivery begins, or one that was never handed over begins anew.
    AttemptStarted {
        /// When the lease ends (webhook).
        #[serde(with = "wire::maybe_timestamp")]
        lease_until: Option<Timestamp>,
    },
    /// A delivery failed and another is scheduled.
    AttemptFailed {
        /// Failures in a row.
        failures: u32,
        /// When the next attempt is due.
        #[serde(with = "wire::timestamp")]
        next_attempt_at: Timestamp,
    },
    /// The webhook took the wake, or the wake event is in its stream.
    Delivered,
    /// A worker took the lease (pull-wake).
    Claimed {
        /// Who.
        #[serde(with = "wire::name")]
        worker: Arc<str>,
        /// When the lease ends without a sign of life.
        #[serde(with = "wire::timestamp")]
        lease_until: Timestamp,
    },
    /// A sign of life.
    LeaseExtended {
        /// When the lease ends without another.
        #[serde(with = "wire::timestamp")]
        lease_until: Timestamp,
    },
    /// Cursors move forward.
    Acked {
        /// To where.
        acks: Vec<Position>,
    },
    /// The wake is done, released or expired.
    WakeEnded,
}

/// The beginning of a wake.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WakeIssued {
    /// The new generation.
    pub generation: u64,
    /// Unique for ever.
    #[serde(with = "wire::name")]
    pub wake_id: Arc<str>,
    /// When.
    #[serde(with = "wire::timestamp")]
    pub at: Timestamp,
    /// The stream that gave the reason, or the next one in turn.
    #[serde(with = "wire::path")]
    pub stream: StreamPath,
    /// Webhook: pending streams and their tails, acked when the receiver answers `done`.
    pub snapshot: Vec<Position>,
    /// Webhook: when the lease ends; absent while the first attempt is postponed.
    #[serde(with = "wire::maybe_timestamp")]
    pub lease_until: Option<Timestamp>,
    /// Failures in a row that this wake inherits.
    pub failures: u32,
    /// When the first attempt is due, if not at once.
    #[serde(with = "wire::maybe_timestamp")]
    pub due: Option<Timestamp>,
}

/// A link as it begins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewLink {
    /// The stream.
    #[serde(with = "wire::path")]
    pub path: StreamPath,
    /// Named by the client rather than matched.
    pub explicit: bool,
    /// Where its cursor begins, if it was not linked before.
    #[serde(with = "wire::offset")]
    pub acked: Offset,
    /// The tail known then.
    #[serde(with = "wire::offset")]
    pub tail: Offset,
}

/// Why stored bytes are not an event or a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// Not the JSON it should be.
    Malformed(String),
    /// Written by a newer server.
    UnknownVersion(u32),
}

#[derive(Serialize, Deserialize)]
struct Envelope<C> {
    v: u32,
    #[serde(with = "wire::name")]
    id: Arc<str>,
    change: C,
}

impl Event {
    /// The bytes for the log.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let envelope = Envelope { v: VERSION, id: self.id.clone(), change: &self.change };
        encode_json(&envelope)
    }

    /// Reads what [`encode`](Event::encode) wrote, now or in an older version.
    pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
        check_version(bytes, VERSION)?;
        let envelope: Envelope<Change> = decode_json(bytes)?;
        Ok(Event { id: envelope.id, change: envelope.change })
    }
}

/// Serialises a value that has no way to fail: string keys only, no floats.
pub(super) fn encode_json<T: Serialize>(value: &T) -> Bytes {
    match serde_json::to_vec(value) {
        Ok(json) => json.into(),
        Err(error) => unreachable!("subscription state is always JSON: {error}"),
    }
}

pub(super) fn decode_json<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))
}

/// Looks at the version before anything else: the rest may have another shape.
pub(super) fn check_version(bytes: &[u8], newest: u32) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let Version { v } = decode_json(bytes)?;
    if v == 0 || v > newest { Err(DecodeError::UnknownVersion(v)) } else { Ok(()) }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Malformed(why) => write!(f, "malformed subscription data: {why}"),
            DecodeError::UnknownVersion(version) => {
                write!(f, "subscription data of version {version}, this server knows {VERSION}")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_pinned() {
        let path = StreamPath::new("events/a").unwrap();
        let check = |change: Change, want: &str| {
            let event = Event { id: "s".into(), change };
            let bytes = event.encode();
            assert_eq!(std::str::from_utf8(&bytes).unwrap(), want);
            assert_eq!(Event::decode(&bytes).unwrap(), event);
        };
        check(Change::Deleted, r#"{"v":1,"id":"s","change":{"kind":"deleted"}}"#);
        check(
            Change::Acked {
                acks: vec![Position {
                    path: path.clone(),
                    offset: Offset { epoch: 1, position: 42 },
                }],
            },
            r#"{"v":1,"id":"s","change":{"kind":"acked","acks":[{"p":"events/a","o":"0000000000000001_0000000000000042"}]}}"#,
        );
        check(
            Change::WakeIssued(WakeIssued {
                generation: 7,
                wake_id: "w_1".into(),
                at: Timestamp(5),
                stream: path,
                snapshot: vec![],
                lease_until: Some(Timestamp(6)),
                failures: 0,
                due: None,
            }),
            r#"{"v":1,"id":"s","change":{"kind":"wake_issued","generation":7,"wake_id":"w_1","at":5,"stream":"events/a","snapshot":[],"lease_until":6,"failures":0,"due":null}}"#,
        );
    }

    #[test]
    fn other_versions_are_refused() {
        let check = |json: &str, want: DecodeError| {
            assert_eq!(Event::decode(json.as_bytes()), Err(want), "{json}");
        };
        check(r#"{"v":2,"surprise":1}"#, DecodeError::UnknownVersion(2));
        check(r#"{"v":0}"#, DecodeError::UnknownVersion(0));
        assert!(matches!(Event::decode(b"nonsense"), Err(DecodeError::Malformed(_))));
    }
}
