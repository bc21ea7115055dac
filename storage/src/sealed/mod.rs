//! Sealed segments: the bytes of living streams, sorted by stream, out of segments of the log or
//! out of earlier sealed ones.
//!
//! ```text
//! SegmentTable::plan -> Plan -> SealJob::begin -> ids of streams
//!     -> (core: the spans that its streams still have there, a slice at a time)
//!     -> SealJob::copy ... -> SealJob::finish -> Sealed, durable
//!     -> (core: Extents::reseal, a slice at a time) -> SegmentTable::sealed
//! ```
//!
//! Invariants: a sealed segment is never changed, and durable before an index names it; it holds
//! the records of the log as they were, so each is verified alone; its inputs stay until no
//! retained checkpoint names them. So no step needs a record in the log: after a crash the
//! checkpoints name either the old files or the new one, and both are there.
//!
//! Deliberately absent: streams, which only their core knows; threads, clocks and pauses, which
//! the server adds.

mod footer;
mod header;
mod index;
mod job;
mod log_streams;
pub mod plan;
mod reader;
mod releases;
mod source;
mod writer;

use std::path::PathBuf;

use thalweg_proto::stream::record::StreamId;

use crate::error::{Damage, IoFailure};
use crate::location::SegmentRef;

pub use footer::{FOOTER_BYTES, FOOTER_MAGIC, Footer};
pub use header::{SEALED_HEADER_BYTES, SEALED_MAGIC, SEALED_VERSION, SealedHeader};
pub use index::{INDEX_ENTRY_BYTES, IndexEntry, decode_index};
pub use job::{SealJob, Sealed, SealedFacts};
pub use plan::{Plan, Reason};
pub use reader::SealedFile;
pub(crate) use reader::read_footer;
pub use releases::Releases;

/// Called after each piece of I/O with its bytes: the caller may pause, so that others get the
/// disk.
pub type Pace<'a> = &'a mut dyn FnMut(u64);

/// Why a sealed segment cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The disk refused.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// A file does not say what it should.
    #[error("{} at byte {offset}: {damage}", path.display())]
    Damaged {
        /// The segment.
        segment: SegmentRef,
        /// Its file.
        path: PathBuf,
        /// The byte in it.
        offset: u64,
        /// What is wrong there.
        damage: Damage,
    },
    /// A record of a stream cannot be read, so all of the stream stays where it is.
    #[error("stream {} stays in {segment}: {source}", stream.0)]
    Unreadable {
        /// The stream.
        stream: StreamId,
        /// The segment.
        segment: SegmentRef,
        /// Why.
        source: Box<SealError>,
    },
    /// More than a file can hold.
    #[error("{segment} would be longer than 4 GiB")]
    TooLarge {
        /// The file.
        segment: SegmentRef,
    },
}

/// Bytes of records in a chunk, at most; a single record may be longer. Small, because a reader
/// of a part of it reads all of it.
pub const CHUNK_BYTES: u32 = 256 * 1024;
