//! Sums over what an inspection found.

use std::collections::BTreeMap;

use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::Lifecycle;
use thalweg_proto::stream::record::StreamId;

use super::{Inspection, LogReport, SegmentReport, SegmentState};
use crate::location::SegmentRef;

/// How the space is used.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Streams, forks and deleted ones with forks included.
    pub streams: u64,
    /// Of these, forks.
    pub forks: u64,
    /// Of these, closed.
    pub closed: u64,
    /// Of these, deleted but kept for their forks.
    pub soft_deleted: u64,
    /// Bytes of all streams, inherited ones not counted.
    pub stream_bytes: u64,
    /// Places of bytes in all streams.
    pub places: u64,
    /// Bytes that cannot be read.
    pub lost_bytes: u64,
    /// What was written, as far as the files tell.
    pub written: Written,
    /// The segment files.
    pub segments: Vec<SegmentUse>,
    /// The largest streams, largest first.
    pub largest: Vec<LargeStream>,
}

/// What was written to the logs that are there, and again when segments were sealed and compacted.
///
/// Numbers of files count from 1 and are never used twice, so they tell how many there were; what
/// is gone counts as large as what is left. What was written to logs of earlier numbers of cores
/// whose directories are gone is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Written {
    /// Bytes of groups.
    pub log_bytes: u64,
    /// Bytes of sealed segments.
    pub sealed_bytes: u64,
}

/// How a segment file is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentUse {
    /// Which.
    pub segment: SegmentRef,
    /// What it is.
    pub state: SegmentState,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes up to the end of its last record.
    pub used_bytes: u64,
    /// Records in it.
    pub records: u64,
    /// Bytes of records that streams name.
    pub live_bytes: u64,
    /// How many of them.
    pub live_places: u64,
}

/// A stream that has many bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LargeStream {
    /// Its id.
    pub id: StreamId,
    /// Its path.
    pub path: StreamPath,
    /// Its own bytes.
    pub bytes: u64,
    /// Places of them.
    pub places: u64,
}

impl Inspection {
    /// How the space is used; with so many of the largest streams.
    #[must_use]
    pub fn stats(&self, largest: usize) -> Stats {
        let mut stats = Stats::default();
        let mut live: BTreeMap<SegmentRef, (u64, u64)> = BTreeMap::new();
        let mut sizes = Vec::with_capacity(self.streams.len());
        for (id, found) in &self.streams {
            let state = &found.stream.state;
            stats.streams += 1;
            stats.forks += u64::from(state.config.fork.is_some());
            stats.closed += u64::from(state.closed.is_some());
            stats.soft_deleted += u64::from(state.lifecycle == Lifecycle::SoftDeleted);
            stats.places += found.stream.extents.len() as u64;
            stats.lost_bytes += found.lost.iter().map(|(from, to)| to - from).sum::<u64>();
            let mut bytes = 0;
            for span in found.stream.extents.iter() {
                bytes += u64::from(span.len);
                let (live_bytes, places) = live.entry(span.location.segment).or_default();
                *live_bytes += u64::from(span.location.record_len);
                *places += 1;
            }
            stats.stream_bytes += bytes;
            sizes.push((bytes, *id));
        }
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let large = sizes.iter().take(largest).filter_map(|(bytes, id)| {
            let stream = &self.streams.get(id)?.stream;
            let (path, places) = (stream.state.path.clone(), stream.extents.len() as u64);
            Some(LargeStream { id: *id, path, bytes: *bytes, places })
        });
        stats.largest = large.collect();
        for log in &self.logs {
            let Written { log_bytes, sealed_bytes } = Written::of(log);
            stats.written.log_bytes += log_bytes;
            stats.written.sealed_bytes += sealed_bytes;
        }
        for report in self.logs.iter().flat_map(|log| &log.segments) {
            let (live_bytes, live_places) = live.get(&report.segment).copied().unwrap_or_default();
            stats.segments.push(SegmentUse {
                segment: report.segment,
                state: report.state,
                file_bytes: report.file_bytes,
                used_bytes: report.end,
                records: report.records,
                live_bytes,
                live_places,
            });
        }
        stats
    }
}

impl Written {
    /// Bytes written for each byte of the logs; `None` if there are none.
    #[must_use]
    pub fn amplification(&self) -> Option<f64> {
        let Written { log_bytes, sealed_bytes } = *self;
        (log_bytes > 0).then(|| 1.0 + sealed_bytes as f64 / log_bytes as f64)
    }

    fn of(log: &LogReport) -> Written {
        let of_state = |state| log.segments.iter().filter(move |report| report.state == state);
        let sum = |state, of: fn(&SegmentReport) -> u64| {
            estimate(of_state(state).map(|report| (report.segment.index(), of(report))))
        };
        Written {
            log_bytes: sum(SegmentState::Begun, |report| report.end),
            sealed_bytes: sum(SegmentState::Sealed, |report| report.file_bytes),
        }
    }
}

/// The bytes of files numbered from 1, given those that are left.
fn estimate(left: impl Iterator<Item = (u32, u64)>) -> u64 {
    let (mut newest, mut count, mut bytes, mut others) = ((0, 0), 0, 0, 0);
    for (number, size) in left {
        count += 1;
        bytes += size;
        if number > newest.0 {
            others = newest.1.max(others);
            newest = (number, size);
        } else {
            others = size.max(others);
        }
    }
    // The newest one may be hardly begun: a full one says more about those that are gone.
    let typical = if others > 0 { others } else { newest.1 };
    bytes + u64::from(newest.0).saturating_sub(count) * typical
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_gone_count_as_those_that_are_left() {
        let check = |left: &[(u32, u64)], want| assert_eq!(estimate(left.iter().copied()), want);
        check(&[], 0);
        check(&[(1, 10)], 10);
        check(&[(1, 64), (2, 10)], 74);
        check(&[(4, 64), (5, 10)], 4 * 64 + 10);
        check(&[(5, 10), (4, 64)], 4 * 64 + 10);
        check(&[(3, 7)], 21);
        let written = Written { log_bytes: 100, sealed_bytes: 96 };
        assert_eq!(written.amplification(), Some(1.96));
        assert_eq!(Written::default().amplification(), None);
    }
}
