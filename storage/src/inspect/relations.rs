//! What streams say about each other: paths are unique, forks inherit what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use thalweg_proto::stream::record::StreamId;

use super::finding::Finding;
use super::replay::FoundStream;
use crate::layout::LAYOUT_NAME;

/// Bytes of forks that a repair found lost, for good.
pub(super) type Orphaned = BTreeSet<(StreamId, u64, u64)>;

pub(super) fn check(
    streams: &BTreeMap<StreamId, FoundStream>,
    orphaned: &Orphaned,
    findings: &mut Vec<Finding>,
) {
    let mut paths = BTreeMap::new();
    for (id, found) in streams {
        let path = &found.stream.state.path;
        if let Some(other) = paths.insert(path, *id) {
            let what = format!("the streams {} and {} both have the path `{path}`", other.0, id.0);
            findings.push(Finding::damage("duplicate-path", LAYOUT_NAME, 0, what));
        }
        check_fork((streams, orphaned), (*id, found), findings);
    }
}

/// Every inherited byte must be there, in the stream that wrote it.
fn check_fork(
    (streams, orphaned): (&BTreeMap<StreamId, FoundStream>, &Orphaned),
    (id, fork): (StreamId, &FoundStream),
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
            let file = Path::new(LAYOUT_NAME);
            let mut finding = if orphaned.contains(&(id, missing, end)) {
                Finding::note("fork", file, 0, format!("{what}: a repair has said so"))
            } else {
                Finding::damage("fork", file, 0, what)
            };
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
