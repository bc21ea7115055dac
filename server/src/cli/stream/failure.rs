//! Why a command failed, in words for a person and as an exit code for a script.

use std::io;

use thiserror::Error;

use crate::cli::exit::Exit;

/// The end of a command that did not succeed.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The server answered, and not with a success.
    #[error("{request}: {status}{detail}")]
    Answer {
        /// Method and URL.
        request: String,
        /// The status code.
        status: u16,
        /// The server's reason, with a separator in front; or nothing.
        detail: String,
        /// Seconds to wait, if the server said so.
        retry_after: Option<u64>,
    },
    /// There was no answer, or it broke off.
    #[error("{request}: {reason}")]
    Unreachable {
        /// Method and URL.
        request: String,
        /// The chain of causes.
        reason: String,
    },
    /// The answer does not follow the protocol.
    #[error("{request}: the server's answer is not understood: {reason}")]
    Protocol {
        /// Method and URL.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The command line does not make sense.
    #[error("{0}")]
    Usage(String),
    /// The data to send is not what it claims to be.
    #[error("{0}")]
    Input(String),
    /// A local file, stdin or stdout.
    #[error("{what}: {error}")]
    Local {
        /// Which one.
        what: String,
        /// The operating system's words.
        error: io::Error,
    },
}

impl Failure {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Failure::Answer { status, .. } => Exit::of_status(*status),
            Failure::Unreachable { .. } => Exit::Unreachable,
            Failure::Usage(_) => Exit::Usage,
            Failure::Input(_) => Exit::Refused,
            Failure::Protocol { .. } | Failure::Local { .. } => Exit::Failure,
        }
    }

    /// The reader of our stdout has left.
    pub(super) fn is_broken_pipe(&self) -> bool {
        matches!(self, Failure::Local { error, .. } if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Whether the same request may succeed later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Failure::Unreachable { .. } => true,
            Failure::Answer { status, .. } => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// How long the server asks to be left alone.
    pub(super) fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Failure::Answer { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
