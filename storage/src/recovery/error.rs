//! Why a server does not start: which file, which byte, what was found, what to do.

use std::path::PathBuf;

use crate::error::{Damage, IoFailure};
use crate::location::Lsn;

/// Why recovery gave up. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The disk refused.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// Acknowledged data is damaged.
    #[error(transparent)]
    Corrupt(#[from] Box<Corruption>),
    /// `LAYOUT` is damaged.
    #[error("{}: {damage}; restore it from a backup of the same moment", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
    },
    /// There are logs, but no `LAYOUT` that says whose.
    #[error("{} is missing, but {} has segments; restore it from a backup", path.display(), log.display())]
    LayoutMissing {
        /// The file.
        path: PathBuf,
        /// A directory with segments.
        log: PathBuf,
    },
    /// No checkpoint is left to start from.
    #[error(
        "{}: {damage}; there is no good older checkpoint to fall back to: restore the data \
         directory from a backup",
        path.display()
    )]
    NoCheckpoint {
        /// The newest checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// Damage to data that was acknowledged.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} at byte {offset}: {finding}; acknowledged data is damaged: keep a copy of the directory, \
     look at it with `thalweg storage verify`, and restore from a backup or a replica",
    file.display()
)]
pub struct Corruption {
    /// The file.
    pub file: PathBuf,
    /// The byte in it.
    pub offset: u64,
    /// What was found there.
    pub finding: Finding,
}

/// What recovery found that cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Finding {
    /// Bytes that do not say what they should.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// The log ends here, but synced records follow behind it.
    #[error("record {} should be here and is not, but record {found} follows at byte {at}", expected.0)]
    LogGoesOn {
        /// The record that should be here.
        expected: Lsn,
        /// The first record found behind it.
        found: Lsn,
        /// Where that one is.
        at: u64,
    },
    /// The log ends here, but a later segment has been begun.
    #[error("record {} should be here and is not, but segment {segment} was begun after record {after}", expected.0)]
    SegmentFollows {
        /// The record that should be here.
        expected: Lsn,
        /// The later segment.
        segment: u32,
        /// The last record before it.
        after: Lsn,
    },
    /// The file is not there, but streams have bytes in it or the log begins in it.
    #[error("the file is missing or too short")]
    Missing,
    /// The header names another file.
    #[error("the header is that of {found}")]
    OtherSegment {
        /// What it names.
        found: crate::location::SegmentRef,
    },
    /// A record is about a stream that nobody created.
    #[error("the record is about stream {id}, which was never created")]
    UnknownStream {
        /// The stream.
        id: u64,
    },
    /// A stream is created that exists.
    #[error("the record creates stream {id}, which exists")]
    CreatedTwice {
        /// The stream.
        id: u64,
    },
    /// A record does not begin where its stream ends.
    #[error("the record appends to stream {id} at {position}, but the stream ends at {tail}")]
    NotAtTail {
        /// The stream.
        id: u64,
        /// Where the record begins.
        position: u64,
        /// Where the stream ends.
        tail: u64,
    },
    /// A record drops more than there is.
    #[error("the record drops stream {id} up to {to}, which is behind its end")]
    TrimBeyondTail {
        /// The stream.
        id: u64,
        /// The first position to be kept.
        to: u64,
    },
    /// The places of a stream's bytes have a gap.
    #[error("not every byte of stream {id} has a place")]
    Gap {
        /// The stream.
        id: u64,
    },
}

impl Corruption {
    pub(super) fn at(file: PathBuf, offset: u64, finding: impl Into<Finding>) -> RecoveryError {
        Box::new(Corruption { file, offset, finding: finding.into() }).into()
    }
}
