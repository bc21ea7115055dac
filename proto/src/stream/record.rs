//! What the log stores: every change of a stream's state as one self-contained record.
//!
//! One record is atomic: an append's bytes, its producer triple, its `Stream-Seq` and the closed
//! flag are together in it, so that a crash keeps all of them or none (section 5.2.1, "Atomicity
//! Requirements"). How records become bytes is the storage crate's business.

use bytes::Bytes;

use super::config::StreamConfig;
use crate::path::StreamPath;
use crate::time::Timestamp;

/// Names one incarnation of a stream on a server, for ever: also the epoch of its offsets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId(pub u64);

/// An accepted producer triple (section 5.2.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProducerMark {
    /// `Producer-Id`.
    pub id: Box<str>,
    /// `Producer-Epoch`.
    pub epoch: u64,
    /// `Producer-Seq`.
    pub seq: u64,
}

/// Data in the form in which readers get it, with the places where a page may end.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Payload {
    /// The bytes. JSON: each message followed by a comma.
    pub bytes: Bytes,
    /// Ends of messages inside `bytes` where a page of a long JSON batch may end, ascending, the
    /// end of `bytes` not among them. Empty unless the batch is longer than a page.
    pub cuts: Vec<u32>,
}

/// A change of state. `apply` is the only code that acts on one, live and in recovery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// A stream comes to be, with its initial content.
    Create {
        /// Its identity.
        id: StreamId,
        /// When.
        at: Timestamp,
        /// Where.
        path: StreamPath,
        /// Content type, expiry, fork origin.
        config: StreamConfig,
        /// Initial content, possibly empty.
        payload: Payload,
        /// Whether it is created closed.
        close: bool,
    },
    /// Bytes are appended, or the stream is closed, or both.
    Append {
        /// The stream.
        id: StreamId,
        /// When.
        at: Timestamp,
        /// The position of the first byte.
        position: u64,
        /// The bytes; empty for a close without data.
        payload: Payload,
        /// The producer that sent it, if any.
        producer: Option<ProducerMark>,
        /// Its `Stream-Seq`, if any.
        seq: Option<Box<str>>,
        /// Whether the stream is closed by it.
        close: bool,
    },
    /// The stream was deleted while forks still read its bytes.
    SoftDelete {
        /// The stream.
        id: StreamId,
        /// When.
        at: Timestamp,
    },
    /// The stream is gone and its space may be reused.
    Delete {
        /// The stream.
        id: StreamId,
        /// When.
        at: Timestamp,
    },
    /// A read moved the sliding expiry. Written now and then, not for each read.
    Touch {
        /// The stream.
        id: StreamId,
        /// The time of the newest read.
        at: Timestamp,
    },
    /// The beginning of the stream was dropped: retention.
    Trim {
        /// The stream.
        id: StreamId,
        /// When.
        at: Timestamp,
        /// The first position that is kept.
        to: u64,
    },
    /// A change of the subscription state, encoded by `subscription::event`.
    Subscription {
        /// The event.
        event: Bytes,
    },
}

impl Record {
    /// The stream that the record is about; `None` for subscription events.
    #[must_use]
    pub fn stream_id(&self) -> Option<StreamId> {
        match self {
            Record::Create { id, .. }
            | Record::Append { id, .. }
            | Record::SoftDelete { id, .. }
            | Record::Delete { id, .. }
            | Record::Touch { id, .. }
            | Record::Trim { id, .. } => Some(*id),
            Record::Subscription { .. } => None,
        }
    }

    /// The data that the record carries, with its position in the stream.
    #[must_use]
    pub fn payload(&self) -> Option<(u64, &Payload)> {
        match self {
            Record::Create { payload, config, .. } => Some((config.start(), payload)),
            Record::Append { payload, position, .. } => Some((*position, payload)),
            _ => None,
        }
    }
}
