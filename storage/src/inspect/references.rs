//! Every place that a stream names: the record must be there, whole, and be the stream's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use thalweg_proto::stream::record::StreamId;

use super::Look;
use super::finding::Finding;
use super::lost::LOST_MAGIC;
use super::replay::FoundStream;
use crate::error::{Damage, IoFailure};
use crate::extents::ReadSpan;
use crate::location::SegmentRef;
use crate::record::{RECORD_HEADER_BYTES, payload_of};

/// A place and the stream that names it.
struct Reference {
    stream: StreamId,
    span: ReadSpan,
}

/// Reads every record that a stream names. What cannot be read is added to its `lost`.
pub(super) fn check(
    look: Look<'_>,
    streams: &mut BTreeMap<StreamId, FoundStream>,
    findings: &mut Vec<Finding>,
) {
    let mut references: Vec<Reference> = Vec::new();
    for (id, found) in streams.iter() {
        let spans = found.stream.extents.iter();
        references.extend(spans.map(|span| Reference { stream: *id, span }));
    }
    references.sort_unstable_by_key(|reference| {
        let location = reference.span.location;
        (location.segment, location.file_offset, reference.stream, reference.span.position)
    });
    for group in references.chunk_by(|a, b| a.span.location.segment == b.span.location.segment) {
        let Some(first) = group.first() else { continue };
        let before = findings.len();
        if let Err(error) = check_file(look, first.span.location.segment, group, findings) {
            let file = PathBuf::from(first.span.location.segment.to_string());
            let mut finding = Finding::damage("unreadable", file, 0, error);
            affects_all(&mut finding, group);
            findings.push(finding);
        }
        for finding in &findings[before..] {
            for affected in &finding.affected {
                if let Some(found) = streams.get_mut(&affected.id) {
                    found.lost.push((affected.from, affected.to));
                }
            }
        }
    }
    for found in streams.values_mut() {
        merge(&mut found.lost);
    }
}

fn check_file(
    look: Look<'_>,
    segment: SegmentRef,
    references: &[Reference],
    findings: &mut Vec<Finding>,
) -> Result<(), IoFailure> {
    let file = PathBuf::from(segment.to_string());
    let Some(mut view) = look.view(&segment.path(look.dir))? else {
        let mut finding = Finding::damage("missing-file", file, 0, "the file is missing");
        affects_all(&mut finding, references);
        findings.push(finding);
        return Ok(());
    };
    if view.bytes(0, LOST_MAGIC.len() as u64)?.starts_with(&LOST_MAGIC) {
        let what = "bytes that were lost before: their place is kept, reading them is an error";
        let mut finding = Finding::note("lost", file, 0, what);
        affects_all(&mut finding, references);
        findings.push(finding);
        return Ok(());
    }
    for reference in references {
        let ReadSpan { position, len, location } = reference.span;
        let at = u64::from(location.file_offset);
        let bytes = view.bytes(at, location.record_len.into())?;
        if let Err((offset, damage)) = check_span(&bytes, reference) {
            let mut finding = Finding::damage("record", file.clone(), at + offset, damage);
            finding.affects(reference.stream, position, position + u64::from(len));
            findings.push(finding);
        }
    }
    Ok(())
}

/// A span holds one record, or several consecutive ones of the stream.
fn check_span(bytes: &Bytes, reference: &Reference) -> Result<(), (u64, Damage)> {
    let ReadSpan { position, len, location } = reference.span;
    let needed = u64::from(location.record_len);
    if (bytes.len() as u64) < needed {
        return Err((0, Damage::Truncated { needed, found: bytes.len() as u64 }));
    }
    let (mut at, mut taken) = (0, 0);
    while at < bytes.len() {
        let record = bytes.slice(at..);
        let payload = payload_of(&record, reference.stream, position + taken)
            .map_err(|damage| (at as u64, damage))?;
        taken += payload.bytes.len() as u64;
        at += record_len(&record).max(RECORD_HEADER_BYTES);
    }
    if taken != u64::from(len) {
        let what = "number of bytes of the stream in this place";
        return Err((0, Damage::Field { what, found: taken }));
    }
    Ok(())
}

/// The length that a verified record says it has.
fn record_len(record: &[u8]) -> usize {
    let len = record.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    len.unwrap_or(0) as usize
}

fn affects_all(finding: &mut Finding, references: &[Reference]) {
    let mut ranges: Vec<(StreamId, u64, u64)> = references
        .iter()
        .map(|Reference { stream, span }| {
            (*stream, span.position, span.position + u64::from(span.len))
        })
        .collect();
    ranges.sort_unstable();
    for (stream, from, to) in ranges {
        finding.affects(stream, from, to);
    }
}

/// Sorts ranges and joins those that touch.
fn merge(ranges: &mut Vec<(u64, u64)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, last| {
        let touches = next.0 <= last.1;
        if touches {
            last.1 = last.1.max(next.1);
        }
        touches
    });
}
