//! What has to be known of all streams of a log together, counted when each of them is looked at
//! anyway: with a million streams every look costs.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;

use super::StoredStream;
use crate::location::SegmentRef;

/// See the module.
#[derive(Default)]
pub(super) struct Census {
    segments: HashMap<SegmentRef, SegmentLive, FixedState>,
    /// Whether a stream has places of what was trimmed.
    pub(super) trimmed: bool,
    /// Whether a stream belongs to another core.
    pub(super) misplaced: bool,
}

/// What streams have in a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct SegmentLive {
    /// Bytes that the file must have.
    pub(super) needed: u64,
    /// Bytes of streams.
    pub(super) bytes: u64,
    /// Entries of streams' indexes.
    pub(super) spans: u64,
}

/// For each segment in which a stream has bytes.
pub(super) type Usage = BTreeMap<SegmentRef, SegmentLive>;

impl Census {
    pub(super) fn count(&mut self, stream: &StoredStream) {
        let earliest = stream.state.earliest;
        self.trimmed |= stream.extents.first().is_some_and(|first| first < earliest);
        for span in stream.extents.iter() {
            let end = u64::from(span.location.file_offset) + u64::from(span.location.record_len);
            let live = self.segments.entry(span.location.segment).or_default();
            live.needed = live.needed.max(end);
            live.bytes += u64::from(span.len);
            live.spans += 1;
        }
    }

    pub(super) fn usage(&self) -> Usage {
        self.segments.iter().map(|(segment, live)| (*segment, *live)).collect()
    }
}

impl<'a> FromIterator<&'a StoredStream> for Census {
    fn from_iter<I: IntoIterator<Item = &'a StoredStream>>(streams: I) -> Census {
        let mut census = Census::default();
        streams.into_iter().for_each(|stream| census.count(stream));
        census
    }
}
