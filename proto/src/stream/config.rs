//! What is fixed when a stream is created.

use crate::content_type::ContentType;
use crate::offset::Offset;
use crate::path::StreamPath;
use crate::stream::record::StreamId;
use crate::stream::retention::Retention;
use crate::time::Timestamp;

/// When a stream goes away by itself (section 5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Expiry {
    /// Never.
    #[default]
    Never,
    /// After so many idle seconds: `Stream-TTL`.
    Ttl {
        /// The window.
        seconds: u64,
    },
    /// At an instant: `Stream-Expires-At`.
    At(Timestamp),
}

/// The configuration that an idempotent PUT is compared with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamConfig {
    /// The content type given at creation, or inherited from the fork's source.
    pub content_type: ContentType,
    /// The expiry given at creation, or inherited from the fork's source.
    pub expiry: Expiry,
    /// The retention given at creation; a fork inherits none.
    pub retention: Retention,
    /// Where the first bytes come from, for a fork.
    pub fork: Option<Box<ForkOrigin>>,
}

/// A fork's source and the bytes it inherits (section 4.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForkOrigin {
    /// `Stream-Forked-From`, relative to the base path.
    pub source: StreamPath,
    /// The source's incarnation: it counts this fork as a reference.
    pub source_id: StreamId,
    /// `Stream-Fork-Offset` as requested; `None` when the header was absent.
    pub requested_offset: Option<Offset>,
    /// `Stream-Fork-Sub-Offset`; 0 when the header was absent.
    pub sub_offset: u64,
    /// Whether the expiry was taken from the source, not asked for.
    pub inherited_expiry: bool,
    /// The first position that the source still had when the fork was made.
    pub inherits_from: u64,
    /// Who wrote which of the inherited bytes: ascending, contiguous from position 0, never
    /// empty; the last one's `end` is the fork point. The last one is not the direct source when
    /// the fork point lies in what the source itself inherited.
    pub lineage: Vec<Inherited>,
}

/// A run of inherited bytes, `(previous end .. end]`, written by one stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inherited {
    /// The stream's path when the fork was made: its owner core follows from it.
    pub path: StreamPath,
    /// The stream that holds the bytes; also the epoch of offsets in this run.
    pub id: StreamId,
    /// The position after the last inherited byte.
    pub end: u64,
}

impl StreamConfig {
    /// The position of the stream's first own byte: 0, or the fork point.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.lineage().last().map_or(0, |last| last.end)
    }

    /// The first position of the stream when it was created.
    #[must_use]
    pub fn earliest(&self) -> u64 {
        self.fork.as_ref().map_or(0, |fork| fork.inherits_from)
    }

    /// The inherited runs; empty unless the stream is a fork.
    #[must_use]
    pub fn lineage(&self) -> &[Inherited] {
        self.fork.as_ref().map_or(&[], |fork| &fork.lineage)
    }
}
