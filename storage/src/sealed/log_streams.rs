//! Which streams have records in a full segment of the log. Where these lie is not asked here: the
//! index of each stream knows.

use thalweg_proto::stream::record::StreamId;

use super::source::Source;
use super::{Pace, SealError};
use crate::buffer::BLOCK_BYTES;
use crate::error::Damage;
use crate::group::{GROUP_HEADER_BYTES, GROUP_MAGIC, GroupHeader};
use crate::location::Lsn;
use crate::record::peek;
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::wire::Fields;

/// What the next group of a segment must say about itself.
struct Expected {
    salt: u64,
    first_lsn: Lsn,
    chain: u32,
}

/// Adds the streams. The groups end where the next one does not follow; one that does, and cannot
/// be read, is returned as damage: the streams behind it stay where they are.
pub(super) fn log_streams(
    source: &mut Source,
    ids: &mut Vec<StreamId>,
    pace: Pace<'_>,
) -> Result<Option<SealError>, SealError> {
    let block = source.slice(0, SEGMENT_HEADER_BYTES as u64, pace)?;
    let header = SegmentHeader::decode(&block).map_err(|damage| source.damaged(0, damage))?;
    if header.segment != source.segment {
        let found = header.segment.number.into();
        return Err(source.damaged(0, Damage::Field { what: "number of the segment", found }));
    }
    let mut expected = Expected {
        salt: header.salt,
        first_lsn: header.previous_lsn.next(),
        chain: header.previous_chain,
    };
    let mut at = SEGMENT_HEADER_BYTES as u64;
    while at + BLOCK_BYTES as u64 <= source.file_bytes {
        let block = source.slice(at, BLOCK_BYTES as u64, pace)?;
        let Some(len) = expected.group_bytes(&block) else { break };
        let group = match source.slice(at, len, pace) {
            Ok(bytes) => GroupHeader::decode(&bytes).map(|(group, crc)| (group, crc, bytes)),
            Err(SealError::Damaged { damage, .. }) => Err(damage),
            Err(error) => return Err(error),
        };
        let (group, crc, bytes) = match group {
            Ok(found) => found,
            Err(damage) => return Ok(Some(source.damaged(at, damage))),
        };
        add_streams(&bytes, group.records, ids);
        let first_lsn = Lsn(group.first_lsn.0.saturating_add(group.records.into()));
        expected = Expected { first_lsn, chain: crc, ..expected };
        at += len;
    }
    Ok(None)
}

/// The streams of the records of a verified group.
fn add_streams(group: &[u8], records: u32, ids: &mut Vec<StreamId>) {
    let mut at = GROUP_HEADER_BYTES;
    for _ in 0..records {
        let Some(record) = group.get(at..).and_then(peek) else { break };
        // Subscription events have data and no stream.
        let counts = record.data_len > 0 && record.stream != StreamId(0);
        if counts && ids.last() != Some(&record.stream) {
            ids.push(record.stream);
        }
        at += record.len;
    }
}

impl Expected {
    /// The length of the group that begins with this block, if it follows as it says.
    fn group_bytes(&self, block: &[u8]) -> Option<u64> {
        let mut fields = Fields::new(block.strip_prefix(&GROUP_MAGIC)?);
        fields.take(4).ok()?;
        let follows = fields.u64().ok()? == self.salt
            && fields.u64().ok()? == self.first_lsn.0
            && fields.u32().ok()? == self.chain;
        let content = GROUP_HEADER_BYTES as u64 + u64::from(fields.u32().ok()?);
        follows.then(|| content.next_multiple_of(BLOCK_BYTES as u64))
    }
}
