//! Every place that a stream names: the record must be there, whole, and be the stream's.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use thalweg_proto::stream::record::StreamId;

use super::Look;
use super::finding::Finding;
use super::groups::salvage;
use super::lost::LOST_MAGIC;
use super::replay::FoundStream;
use crate::error::{Damage, IoFailure};
use crate::extents::ReadSpan;
use crate::location::SegmentRef;
use crate::record::SpanRecords;

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
        let location = reference.span.location;
        let at = u64::from(location.file_offset);
        let bytes = view.bytes(at, location.record_len.into())?;
        for bad in check_span(&bytes, reference) {
            let mut finding = Finding::damage("record", file.clone(), at + bad.offset, bad.damage);
            finding.affects(reference.stream, bad.from, bad.to);
            findings.push(finding);
        }
    }
    Ok(())
}

/// Bytes of a span that cannot be read.
struct Bad {
    offset: u64,
    from: u64,
    to: u64,
    damage: Damage,
}

/// A span holds one record, or several consecutive ones of the stream. Those behind a damaged one
/// are found again by what they say about themselves.
fn check_span(bytes: &Bytes, reference: &Reference) -> Vec<Bad> {
    let ReadSpan { position, len, location } = reference.span;
    let end = position + u64::from(len);
    let mut found = Vec::new();
    let (mut offset, mut at) = (0, position);
    while at < end {
        let rest = bytes.slice(offset.min(bytes.len())..);
        let needed = u64::from(location.record_len);
        let mut records = SpanRecords::new(rest.clone(), reference.stream, at);
        let damage = loop {
            match records.next() {
                Some(Ok(record)) => at += record.payload.bytes.len() as u64,
                Some(Err(damage)) => break damage,
                None if (bytes.len() as u64) < needed => {
                    break Damage::Truncated { needed, found: bytes.len() as u64 };
                }
                None => {
                    let what = "number of bytes of the stream in this place";
                    break Damage::Field { what, found: at - position };
                }
            }
            if at >= end {
                return found;
            }
        };
        let bad_at = offset + records.at();
        let next = next_good(bytes, bad_at + 1, reference.stream, at..end);
        let (to, next_offset) = next.unwrap_or((end, bytes.len()));
        found.push(Bad { offset: bad_at as u64, from: at, to, damage });
        (at, offset) = (to, next_offset);
    }
    found
}

/// The next record of a stream in damaged bytes: its position and its place.
fn next_good(
    bytes: &Bytes,
    from: usize,
    stream: StreamId,
    range: Range<u64>,
) -> Option<(u64, usize)> {
    let rest = bytes.slice(from.min(bytes.len())..);
    salvage(&rest).iter().find_map(|found| {
        let (position, _) = found.record.payload()?;
        let is_ours = found.record.stream_id() == Some(stream);
        (is_ours && range.contains(&position)).then_some((position, from + found.offset))
    })
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
