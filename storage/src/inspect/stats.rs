//! Sums over what an inspection found.

use std::collections::BTreeMap;

use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::Lifecycle;
use thalweg_proto::stream::record::StreamId;

use super::{Inspection, SegmentState};
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
    /// The segment files.
    pub segments: Vec<SegmentUse>,
    /// The largest streams, largest first.
    pub largest: Vec<LargeStream>,
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
