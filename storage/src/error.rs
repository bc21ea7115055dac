//! Errors that more than one part of the engine reports.
//!
//! Damage is a fact about bytes, found by pure code; whoever read the bytes adds the file.

use std::io;
use std::path::{Path, PathBuf};

use crate::location::Lsn;

/// Bytes that do not say what they should. Offsets are relative to the bytes that were looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Damage {
    /// Fewer bytes than the structure needs.
    #[error("{needed} bytes are needed, {found} are there")]
    Truncated {
        /// Bytes needed.
        needed: u64,
        /// Bytes found.
        found: u64,
    },
    /// A checksum does not match.
    #[error("the CRC32C of the {what} is {found:#010x}, stored is {stored:#010x}")]
    Checksum {
        /// The structure.
        what: &'static str,
        /// The stored sum.
        stored: u32,
        /// The sum of the bytes found.
        found: u32,
    },
    /// A field holds a value that this version never writes.
    #[error("the {what} is {found}, which this version never writes")]
    Field {
        /// The field.
        what: &'static str,
        /// Its value.
        found: u64,
    },
    /// A newer version of the format.
    #[error(
        "the {what} is {found}; this binary reads up to {}: use the version that wrote it",
        crate::format::FORMAT_VERSION
    )]
    Newer {
        /// The version of which file.
        what: &'static str,
        /// Its value.
        found: u32,
    },
    /// A text field is not what it should be: not UTF-8, not a path, not a content type.
    #[error("the {what} is malformed")]
    Text {
        /// The field.
        what: &'static str,
    },
    /// The record is another one than the one that was looked for.
    #[error("found stream {found_stream} at {found_position}, looked for {stream} at {position}")]
    OtherRecord {
        /// The id of the stream that was looked for.
        stream: u64,
        /// The position that was looked for.
        position: u64,
        /// The id of the stream found.
        found_stream: u64,
        /// The position found.
        found_position: u64,
    },
}

/// A failed operation on a file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct IoFailure {
    /// What was tried: `open`, `read`, `write`, ...
    pub action: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Why a blocking storage operation outside of recovery failed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk refused.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// A checkpoint was installed for a core that the layout does not have.
    #[error("the layout has {cores} cores; there is no core {core}")]
    NoSuchCore {
        /// The core named.
        core: usize,
        /// The cores of the layout.
        cores: usize,
    },
    /// A checkpoint must not know more than its log.
    #[error("the checkpoint needs record {needs}, durable is {durable}: install it later")]
    CheckpointAhead {
        /// What must be durable first.
        needs: Lsn,
        /// What is.
        durable: Lsn,
    },
}

/// Adds what was tried on which file to an I/O error.
pub(crate) trait IoContext<T> {
    /// Names the action and the file.
    fn context(self, action: &'static str, path: &Path) -> Result<T, IoFailure>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, IoFailure> {
        self.map_err(|source| IoFailure { action, path: path.to_owned(), source })
    }
}
