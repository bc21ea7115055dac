//! What can be wrong with a file that a result is read from.

use std::io;
use std::path::PathBuf;

use crate::result::RESULT_FORMAT;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not a sample log.
    #[error("{}: not a sample log: {found}", path.display())]
    NotJtl {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// It is not a result.
    #[error("{}: not a result: {found}", path.display())]
    NotResult {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// It is a result of another version of this program.
    #[error("{}: format {found}, but this program reads format {RESULT_FORMAT}", path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
}
