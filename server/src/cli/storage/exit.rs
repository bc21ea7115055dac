//! How `thalweg storage` ends. `--help` and `docs/cli.md` show the same list.

use std::fmt::Display;
use std::process::ExitCode;

use thalweg_storage::IoFailure;
use thalweg_storage::backup::BackupError;
use thalweg_storage::data_dir::DataDirError;
use thalweg_storage::inspect::InspectError;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Exit {
    /// Done; sound.
    Ok = 0,
    /// Damage was found.
    Damaged = 1,
    /// The command line is wrong, or asks for what cannot be. clap uses the same code.
    Usage = 2,
    /// The directory could not be read or written.
    Failed = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// The list for `--help`.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  done, and what was read is sound
  1  damage was found; what is printed says where
  2  wrong usage, or it cannot be done with this directory
  3  a file could not be read or written";

/// Why a command could not do its work.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) message: String,
}

impl Failure {
    /// The user asked for what cannot be.
    pub(super) fn usage(message: impl Display) -> Failure {
        Failure { exit: Exit::Usage, message: message.to_string() }
    }

    /// The disk or the server did not let it be done.
    pub(super) fn failed(message: impl Display) -> Failure {
        Failure { exit: Exit::Failed, message: message.to_string() }
    }

    /// Something is damaged.
    pub(super) fn damaged(message: impl Display) -> Failure {
        Failure { exit: Exit::Damaged, message: message.to_string() }
    }
}

impl From<IoFailure> for Failure {
    fn from(error: IoFailure) -> Failure {
        Failure::failed(error)
    }
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Failure {
        match error {
            InspectError::Io(_) => Failure::failed(error),
            _ => Failure::usage(error),
        }
    }
}

impl From<DataDirError> for Failure {
    fn from(error: DataDirError) -> Failure {
        match error {
            DataDirError::Io(_) => Failure::failed(error),
            _ => Failure::usage(error),
        }
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Failure {
        match error {
            BackupError::Io(_) => Failure::failed(error),
            BackupError::Inspect(error) => Failure::from(error),
            BackupError::DataDir(error) => Failure::from(error),
            BackupError::Checkpoint { .. }
            | BackupError::Short { .. }
            | BackupError::Damaged { .. } => Failure::damaged(error),
            _ => Failure::usage(error),
        }
    }
}
