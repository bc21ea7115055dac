//! Sealed segments of a log: header, index, footer, and every record of every chunk.

use std::path::PathBuf;

use super::Look;
use super::finding::Finding;
use super::log::{LoggedRecord, SegmentReport, SegmentState, Visitor};
use crate::error::IoFailure;
use crate::location::{Location, SegmentRef};
use crate::record;
use crate::sealed::{FOOTER_BYTES, Footer, IndexEntry, SealError, SealedFile};

/// Reads a sealed segment.
pub(super) fn check(
    look: Look<'_>,
    segment: SegmentRef,
    findings: &mut Vec<Finding>,
    visitor: &mut dyn Visitor,
) -> Result<SegmentReport, IoFailure> {
    let mut report = SegmentReport {
        segment,
        file_bytes: 0,
        state: SegmentState::Sealed,
        groups: 0,
        records: 0,
        record_bytes: 0,
        end: 0,
    };
    let mut found = Vec::new();
    let mut good: Vec<IndexEntry> = Vec::new();
    match SealedFile::open(look.disk, look.dir, segment) {
        Err(error) => found.push(finding("sealed", segment, &error)),
        Ok(mut file) => {
            report.file_bytes = file.file_bytes();
            report.end = file.file_bytes();
            (look.progress)(file.file_bytes());
            let read = file.verify(&mut |entry, checked| match checked {
                Ok(()) => {
                    report.records += u64::from(entry.records);
                    report.record_bytes += u64::from(entry.record_bytes);
                    good.push(*entry);
                }
                Err(error) => found.push(finding("record", segment, &error)),
            });
            found.extend(read.err().map(|error| finding("sealed", segment, &error)));
            found.extend(padding(look, segment, file.footer())?);
        }
    }
    if visitor.wants_sealed() {
        for entry in good {
            show(look, segment, &entry, visitor)?;
        }
    }
    for finding in found {
        visitor.finding(&finding);
        findings.push(finding);
    }
    Ok(report)
}

/// What lies between the index and the footer is zero.
fn padding(
    look: Look<'_>,
    segment: SegmentRef,
    footer: &Footer,
) -> Result<Option<Finding>, IoFailure> {
    let Some(mut view) = look.view(&segment.path(look.dir))? else { return Ok(None) };
    let from = footer.index_at.saturating_add(footer.index_bytes());
    let to = view.len().saturating_sub(FOOTER_BYTES as u64);
    let bytes = view.bytes(from, to.saturating_sub(from))?;
    let wrong = bytes.iter().position(|byte| *byte != 0);
    Ok(wrong.map(|at| {
        let file = PathBuf::from(segment.to_string());
        Finding::damage("sealed", file, from + at as u64, "zeros before the footer are not zero")
    }))
}

/// Hands out the records of a good chunk.
fn show(
    look: Look<'_>,
    segment: SegmentRef,
    entry: &IndexEntry,
    visitor: &mut dyn Visitor,
) -> Result<(), IoFailure> {
    let Some(mut view) = look.view(&segment.path(look.dir))? else { return Ok(()) };
    let bytes = view.bytes(entry.file_offset.into(), entry.record_bytes.into())?;
    let mut at = 0;
    while at < bytes.len() {
        let Ok((record, len)) = record::decode_at(&bytes.slice(at..)) else { break };
        // Both fit: the file is shorter than 4 GiB.
        let (file_offset, record_len) = (entry.file_offset + at as u32, len as u32);
        let location = Location { segment, file_offset, record_len };
        visitor.record(LoggedRecord { lsn: None, location, record, in_tail: false });
        at += len;
    }
    Ok(())
}

fn finding(kind: &'static str, segment: SegmentRef, error: &SealError) -> Finding {
    let file = PathBuf::from(segment.to_string());
    match error {
        SealError::Damaged { offset, damage, .. } => Finding::damage(kind, file, *offset, damage),
        error => Finding::damage("unreadable", file, 0, error),
    }
}
