//! Names of places: logs, segments, records in them, and the file names they have.
//!
//! Invariant: a log id is never reused, and a segment number is never reused within its log, so a
//! [`SegmentRef`] means the same bytes for as long as anything points to it.

use std::fmt;
use std::path::{Path, PathBuf};

/// Names one log for ever. A core has one log; a change of the number of cores starts new logs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LogId(pub u32);

/// The number of a record in its log: 1 for the first one, without gaps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The number of the next record.
    #[must_use]
    pub fn next(self) -> Lsn {
        Lsn(self.0.saturating_add(1))
    }
}

/// A segment file: one of the log, or a sealed one ([`crate::sealed`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SegmentRef {
    /// Its log.
    pub log: LogId,
    /// Its number in the log, from 1. Sealed segments have numbers of their own, with the highest
    /// bit set: they come after all segments of the log in every order.
    pub number: u32,
}

/// The bit that tells the number of a sealed segment.
const SEALED_BIT: u32 = 1 << 31;

/// Where a record lies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Location {
    /// The file.
    pub segment: SegmentRef,
    /// The first byte of the record in the file.
    pub file_offset: u32,
    /// Bytes of the record, header included: what to read.
    pub record_len: u32,
}

/// The end of a log at some moment: where the next group goes and what it will say about its
/// predecessor. Checkpoints name one as the place where replay starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogPosition {
    /// The number of the segment.
    pub segment: u32,
    /// The offset in the file; 0 when not even the header of the segment is written.
    pub file_offset: u64,
    /// The last record before this place; 0 at the beginning of the log.
    pub lsn: Lsn,
    /// The CRC of the group before this place; 0 at the beginning of the log.
    pub chain: u32,
}

impl LogPosition {
    /// The beginning of a new log whose first record will be `lsn.next()`.
    #[must_use]
    pub fn origin(lsn: Lsn) -> LogPosition {
        LogPosition { segment: 1, file_offset: 0, lsn, chain: 0 }
    }
}

impl fmt::Display for SegmentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dir, index) = (log_dir_name(self.log), self.index());
        match self.is_sealed() {
            false => write!(f, "{dir}/segment-{index:016}.log"),
            true => write!(f, "{dir}/sealed-{index:016}.seg"),
        }
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl SegmentRef {
    /// A sealed segment by its number, without the bit.
    #[must_use]
    pub fn sealed(log: LogId, index: u32) -> SegmentRef {
        SegmentRef { log, number: index | SEALED_BIT }
    }

    /// Whether it is a sealed segment.
    #[must_use]
    pub fn is_sealed(self) -> bool {
        self.number & SEALED_BIT != 0
    }

    /// The number that its file name has.
    #[must_use]
    pub fn index(self) -> u32 {
        self.number & !SEALED_BIT
    }

    /// The path of the segment file in a data directory.
    #[must_use]
    pub fn path(self, data_dir: &Path) -> PathBuf {
        data_dir.join(self.to_string())
    }

    /// Reads the number of a segment of the log back from a file name; `None` for other files.
    #[must_use]
    pub fn number_of(file_name: &str) -> Option<u32> {
        index_of(file_name.strip_prefix("segment-")?.strip_suffix(".log")?)
    }

    /// Reads a segment of either kind back from its file name; `None` for other files.
    #[must_use]
    pub fn of_file_name(log: LogId, file_name: &str) -> Option<SegmentRef> {
        if let Some(number) = SegmentRef::number_of(file_name) {
            return Some(SegmentRef { log, number });
        }
        let index = index_of(file_name.strip_prefix("sealed-")?.strip_suffix(".seg")?)?;
        Some(SegmentRef::sealed(log, index))
    }
}

impl LogId {
    /// The directory of the log's segments in a data directory.
    #[must_use]
    pub fn dir(self, data_dir: &Path) -> PathBuf {
        data_dir.join(log_dir_name(self))
    }

    /// Reads a log id back from a directory name; `None` for other names.
    #[must_use]
    pub fn of_dir_name(name: &str) -> Option<LogId> {
        name.strip_prefix("log-")?.parse().ok().map(LogId)
    }
}

fn index_of(digits: &str) -> Option<u32> {
    (digits.len() == 16).then_some(())?;
    digits.parse().ok().filter(|index| *index != 0 && index & SEALED_BIT == 0)
}

fn log_dir_name(log: LogId) -> String {
    format!("log-{}", log.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_in_and_out() {
        let segment = SegmentRef { log: LogId(3), number: 12 };
        assert_eq!(segment.to_string(), "log-3/segment-0000000000000012.log");
        assert_eq!(SegmentRef::number_of("segment-0000000000000012.log"), Some(12));
        for other in ["segment-12.log", "segment-0000000000000000.log", "LOCK", "segment-x.log"] {
            assert_eq!(SegmentRef::number_of(other), None, "{other}");
        }
        let sealed = SegmentRef::sealed(LogId(3), 7);
        assert!(sealed.is_sealed() && !segment.is_sealed() && sealed > segment);
        assert_eq!(sealed.to_string(), "log-3/sealed-0000000000000007.seg");
        for segment in [segment, sealed] {
            let name = segment.to_string();
            let (_, name) = name.split_once('/').unwrap();
            assert_eq!(SegmentRef::of_file_name(LogId(3), name), Some(segment));
        }
        assert_eq!(SegmentRef::number_of("sealed-0000000000000007.seg"), None);
        for other in ["sealed-0000000000000007.seg.tmp", "sealed-0000000000000000.seg"] {
            assert_eq!(SegmentRef::of_file_name(LogId(3), other), None, "{other}");
        }
        assert_eq!(LogId::of_dir_name("log-7"), Some(LogId(7)));
        assert_eq!(LogId::of_dir_name("checkpoints"), None);
    }
}
