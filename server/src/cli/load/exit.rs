//! How `thalweg load` ends. `--help` and `docs/cli.md` show the same list.

use std::fmt::Display;
use std::process::ExitCode;

use thalweg_loadgen::LoadError;
use thalweg_loadgen::plan::PlanError;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Exit {
    /// Done, and all that was to hold holds.
    Passed = 0,
    /// A threshold does not hold, deliveries were faulty, or something became worse.
    Failed = 1,
    /// The command line or the plan is wrong. clap uses the same code.
    Usage = 2,
    /// The run could not be made, or a file could not be read or written.
    NotMade = 3,
    /// Stopped before its end.
    Interrupted = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// The list for `--help`.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  all thresholds hold, and every delivery was as it should be
  1  they do not; or no load holds (capacity), or something became worse (compare)
  2  wrong usage, or the plan is refused
  3  the run could not be made, or a file could not be read or written
  4  stopped before its end: what was measured until then was reported";

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

    /// The machine, the network or the server did not let it be done.
    pub(super) fn not_made(message: impl Display) -> Failure {
        Failure { exit: Exit::NotMade, message: message.to_string() }
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Failure {
        Failure::usage(error)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Failure {
        match error {
            LoadError::Url { .. } | LoadError::Refused(_) => Failure::usage(error),
            _ => Failure::not_made(error),
        }
    }
}
