//! What an inspection found: where, what, and which bytes of which streams it concerns.

use std::fmt;
use std::path::PathBuf;

use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::record::StreamId;

/// Whether something is wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Worth knowing; nothing that was acknowledged is missing because of it.
    Note,
    /// Bytes that should be good are not.
    Damage,
}

/// One thing found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Whether it is damage.
    pub severity: Severity,
    /// A fixed word for programs, such as `group`.
    pub kind: &'static str,
    /// The file, relative to the data directory.
    pub file: PathBuf,
    /// The byte in it.
    pub offset: u64,
    /// What is there, in words.
    pub what: String,
    /// Bytes of streams that cannot be read because of it.
    pub affected: Vec<Affected>,
}

/// Bytes of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Affected {
    /// The stream.
    pub id: StreamId,
    /// Its path, if it is known.
    pub path: Option<StreamPath>,
    /// The position of the first byte.
    pub from: u64,
    /// The position after the last byte.
    pub to: u64,
}

impl Finding {
    pub(crate) fn damage(
        kind: &'static str,
        file: impl Into<PathBuf>,
        offset: u64,
        what: impl fmt::Display,
    ) -> Finding {
        let (file, what) = (file.into(), what.to_string());
        Finding { severity: Severity::Damage, kind, file, offset, what, affected: Vec::new() }
    }

    pub(crate) fn note(
        kind: &'static str,
        file: impl Into<PathBuf>,
        offset: u64,
        what: impl fmt::Display,
    ) -> Finding {
        Finding { severity: Severity::Note, ..Finding::damage(kind, file, offset, what) }
    }

    /// Whether records of a log are missing, which may have been the last ones of their streams:
    /// nothing tells what they were.
    #[must_use]
    pub fn loses_records(&self) -> bool {
        let kinds = ["header", "group", "cut-off", "missing-records", "missing-file", "short-file"];
        self.severity == Severity::Damage && kinds.contains(&self.kind)
    }

    /// Whether a fork misses bytes that it inherits.
    #[must_use]
    pub fn is_orphaned(&self) -> bool {
        self.severity == Severity::Damage && self.kind == "fork"
    }

    /// Adds bytes of a stream, to the last ones if they follow them.
    pub(crate) fn affects(&mut self, id: StreamId, from: u64, to: u64) {
        if let Some(last) = self.affected.last_mut()
            && last.id == id
            && last.to == from
        {
            last.to = to;
            return;
        }
        self.affected.push(Affected { id, path: None, from, to });
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.file.display(), self.offset, self.what)
    }
}

impl fmt::Display for Affected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "stream `{path}`")?,
            None => write!(f, "stream {}", self.id.0)?,
        }
        write!(f, ", bytes {} to {}", self.from, self.to)
    }
}
