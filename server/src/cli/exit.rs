//! Exit codes that a script can tell apart. `--help` and `docs/cli.md` show the same list.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Anything that no other code names: a server error, a broken answer, a local file.
    Failure = 1,
    /// The command line or the configuration is wrong. clap uses the same code.
    Usage = 2,
    /// 404: there is no such stream.
    NotFound = 3,
    /// 409: closed, other configuration, sequence or expected offset does not match.
    Conflict = 4,
    /// 410: the stream is deleted, or the offset is no longer retained.
    Gone = 5,
    /// 401 or 403: not allowed, or the producer's epoch is stale.
    Unauthorized = 6,
    /// No connection, or it broke and could not be resumed.
    Unreachable = 7,
    /// 400, 413 and other 4xx: the server does not accept this input.
    Refused = 8,
}

impl Exit {
    /// The code of an answer that is not a success.
    #[must_use]
    pub fn of_status(status: u16) -> Exit {
        match status {
            401 | 403 => Exit::Unauthorized,
            404 => Exit::NotFound,
            409 => Exit::Conflict,
            410 => Exit::Gone,
            // Not the input's fault: a later attempt may succeed.
            408 | 429 => Exit::Failure,
            400..=499 => Exit::Refused,
            _ => Exit::Failure,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// The list for `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done (for --follow: the stream was closed)
  1  other failure
  2  wrong usage
  3  not found (404)
  4  conflict (409): closed, other configuration, sequence or offset does not match
  5  gone (410)
  6  unauthorized or forbidden (401, 403)
  7  server unreachable
  8  refused input (400, 413 and other 4xx)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let check = |status, want| assert_eq!(Exit::of_status(status), want, "{status}");
        check(400, Exit::Refused);
        check(401, Exit::Unauthorized);
        check(403, Exit::Unauthorized);
        check(404, Exit::NotFound);
        check(409, Exit::Conflict);
        check(410, Exit::Gone);
        check(413, Exit::Refused);
        check(429, Exit::Failure);
        check(503, Exit::Failure);
    }
}
