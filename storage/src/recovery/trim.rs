//! What retention has dropped.
//!
//! A checkpoint may still have the places of bytes that a later record drops, and their segments
//! may be gone by then: nobody needs them, unless a fork reads them. So their places are dropped
//! again here, before anybody looks for the files.

use std::collections::HashSet;

use thalweg_proto::stream::record::StreamId;

use super::StoredStream;
use super::log::RecoveredLog;

/// Drops the places of what no stream and no fork reads.
pub(super) fn drop_trimmed(logs: &mut [RecoveredLog]) {
    let is_trimmed = |stream: &StoredStream| {
        stream.extents.first().is_some_and(|first| first < stream.state.earliest)
    };
    let mut trimmed = logs.iter().flat_map(|log| &log.streams).filter(|stream| is_trimmed(stream));
    if trimmed.next().is_none() {
        return;
    }
    let sources: HashSet<StreamId> = logs
        .iter()
        .flat_map(|log| &log.streams)
        .filter_map(|stream| stream.state.config.fork.as_ref().map(|fork| fork.source_id))
        .collect();
    for stream in logs.iter_mut().flat_map(|log| &mut log.streams) {
        if is_trimmed(stream) && !sources.contains(&stream.state.id) {
            let _ = stream.extents.drop_before(stream.state.earliest);
        }
    }
}
