//! The append-log engine: how records become bytes, where the bytes lie, and how a server finds
//! all of it again after a crash.
//!
//! ```text
//! Record --append--> LogWriter --take_group--> Group --(server: ring write)--> written(Group)
//!                        |                       |                                  |
//!                        | NeedSegment           | placements                       | durable_lsn
//!                        v                       v                                  v
//!                  SegmentFactory           Extents (where a stream's bytes lie)   replies
//!
//! CheckpointEncoder --chunks--> CheckpointFile --install--> LAYOUT        recover() reads it all
//! SegmentTable --Plan--> SealJob --Sealed--> Extents         full segments, sorted by stream
//! ```
//!
//! The hot path does no I/O: this crate decides bytes and places, the server moves them. Blocking
//! I/O through [`Disk`] happens at start-up and on helper threads only: recovery, preparing
//! segments, checkpoint files, sealing.
//!
//! Invariants: bytes that were acknowledged are never rewritten; recovery uses
//! `StreamState::apply`, the same code that ran live; damage is reported with file and offset,
//! never skipped. `docs/format.md` describes every byte.
//!
//! Deliberately absent: sockets, clocks, randomness (salts are arguments), caches, `unsafe`.
#![forbid(unsafe_code)]

pub mod backup;
pub mod buffer;
pub mod checkpoint;
pub mod data_dir;
pub mod disk;
pub mod downgrade;
pub mod error;
pub mod extents;
pub mod factory;
pub mod format;
pub mod format_file;
pub mod group;
pub mod hold;
pub mod inspect;
pub mod layout;
pub mod location;
#[doc(hidden)]
pub mod parallel;
pub mod planted;
pub mod record;
pub mod recovery;
pub mod repair;
mod rewrite;
pub mod sealed;
pub mod segment;
pub mod segments;
mod wire;
pub mod writer;

pub use buffer::AlignedBuf;
pub use checkpoint::{CheckpointEncoder, CheckpointFile, CheckpointStart, FinishedCheckpoint};
pub use data_dir::DataDirLock;
pub use disk::{Disk, DiskFile, MemoryDisk, ReadOnlyDisk, RealDisk};
pub use error::{Damage, IoFailure, StorageError};
pub use extents::{Extents, ReadSpan, Resealed};
pub use factory::{PreparedSegment, SegmentFactory, SegmentRequest};
pub use hold::{FileHold, Held};
pub use layout::LayoutFile;
pub use location::{Location, LogId, LogPosition, Lsn, SegmentRef};
pub use recovery::{
    CoreRecovery, Recovery, RecoveryError, RecoveryStats, StoredStream, StoredSubscriptions,
    recover, recover_on,
};
pub use sealed::{Plan, SealError, SealJob, Sealed};
pub use segments::{SegmentTable, SegmentUse};
pub use writer::{Durability, Group, LogConfig, LogWriter, Placement, ResumePoint, TakeGroup};
