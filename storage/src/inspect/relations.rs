//! What streams say about each other: paths are unique, forks inherit what is there.

use std::collections::BTreeMap;
use std::path::Path;

use thalweg_proto::stream::record::StreamId;

use super::finding::Finding;
use super::replay::FoundStream;
use crate::layout::LAYOUT_NAME;

pub(super) fn check(streams: &BTreeMap<StreamId, FoundStream>, findings: &mut Vec<Finding>) {
    let mut paths = BTreeMap::new();
    for (id, found) in streams {
        let path = &found.stream.state.path;
        if let Some(other) = paths.insert(path, *id) {
            let what = format!("the streams {} and {} both have the path `{path}`", other.0, id.0);
            findings.push(Finding::damage("duplicate-path", LAYOUT_NAME, 0, what));
        }
        check_fork(streams, *id, found, findings);
    }
}

/// Every inherited byte must be there, in the stream that wrote it.
fn check_fork(
    streams: &BTreeMap<StreamId, FoundStream>,
    id: StreamId,
    fork: &FoundStream,
    findings: &mut Vec<Finding>,
) {
    let mut from = fork.stream.state.config.earliest();
    for run in fork.stream.state.config.lineage() {
        let (begin, end) = (from, run.end);
        from = end.max(begin);
        if begin >= end {
            continue;
        }
        let there = streams.get(&run.id).map_or(0, |source| source.stream.state.tail);
        if there < end {
            let missing = begin.max(there);
            let what = format!(
                "fork `{}` inherits bytes {missing} to {end} of stream `{}` ({}), which are not there",
                fork.stream.state.path, run.path, run.id.0
            );
            let mut finding = Finding::damage("fork", Path::new(LAYOUT_NAME), 0, what);
            finding.affects(id, missing, end);
            findings.push(finding);
        }
        let lost = streams.get(&run.id).map_or(&[][..], |source| &source.lost);
        let lost = lost.iter().map(|lost| (lost.0.max(begin), lost.1.min(end)));
        for (lost_from, lost_to) in lost.filter(|(from, to)| from < to) {
            let what = format!(
                "fork `{}` inherits bytes that stream `{}` has lost",
                fork.stream.state.path, run.path
            );
            let mut finding = Finding::note("fork", Path::new(LAYOUT_NAME), 0, what);
            finding.affects(id, lost_from, lost_to);
            findings.push(finding);
        }
    }
}
