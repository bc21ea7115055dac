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
    if !logs.iter().any(|log| log.census.trimmed) {
        return;
    }
    let sources: HashSet<StreamId> = logs
        .iter()
        .flat_map(|log| &log.streams)
        .filter_map(|stream| stream.state.config.fork.as_ref().map(|fork| fork.source_id))
        .collect();
    let is_read = |stream: &StoredStream| sources.contains(&stream.state.id);
    for log in logs.iter_mut().filter(|log| log.census.trimmed) {
        for stream in log.streams.iter_mut().filter(|stream| !is_read(stream)) {
            let _ = stream.extents.drop_before(stream.state.earliest);
        }
        let misplaced = log.census.misplaced;
        log.census = log.streams.iter().collect();
        log.census.misplaced = misplaced;
    }
}
