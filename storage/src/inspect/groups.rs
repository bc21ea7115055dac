//! The groups of one segment, in order, and beyond what is damaged.
//!
//! The same rules as recovery's: a group follows another if salt, number and chain say so; a
//! synced group behind one that is not there means that acknowledged data is damaged. Where
//! recovery stops, this goes on at that group.

use bytes::Bytes;
use thalweg_proto::stream::record::Record;

use super::view::View;
use crate::buffer::BLOCK_BYTES;
use crate::error::{Damage, IoFailure};
use crate::group::{GROUP_HEADER_BYTES, GROUP_MAGIC, GroupHeader};
use crate::location::Lsn;
use crate::record::{self, RECORD_HEADER_BYTES};
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::writer::Durability;

/// Where a walk through a segment is.
pub(super) struct Groups {
    salt: u64,
    /// The offset of the next group.
    pub(super) at: u64,
    /// The last record before it.
    pub(super) lsn: Lsn,
    /// The CRC of the group before it.
    pub(super) chain: u32,
    /// Where the walk ends, whatever follows.
    limit: u64,
}

/// A good group.
pub(super) struct Group {
    pub(super) at: u64,
    pub(super) header: GroupHeader,
    crc: u32,
    bytes: Bytes,
}

/// Groups that are not what they were, with good ones behind them.
pub(super) struct Broken {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) damage: Damage,
    /// The first record behind it.
    pub(super) next: Lsn,
}

/// What comes next.
pub(super) enum Step {
    Good(Group),
    Broken(Broken),
    End(End),
}

/// Why there is no next group.
pub(super) struct End {
    /// What is wrong with the place where it would be.
    pub(super) damage: Damage,
    /// Bytes that a group of this life of the file, not whole, claims there.
    pub(super) torn_bytes: u64,
    /// Good groups follow that were not synced: recovery drops them.
    pub(super) dropped: bool,
}

/// A record found among damaged bytes.
pub(crate) struct Salvaged {
    pub(crate) offset: usize,
    pub(crate) len: usize,
    pub(crate) record: Record,
}

impl Groups {
    /// From the beginning of a segment.
    pub(super) fn of(header: &SegmentHeader) -> Groups {
        Groups {
            salt: header.salt,
            at: SEGMENT_HEADER_BYTES as u64,
            lsn: header.previous_lsn,
            chain: header.previous_chain,
            limit: u64::from(u32::MAX),
        }
    }

    /// The same, ending at an offset.
    pub(super) fn up_to(mut self, limit: u64) -> Groups {
        self.limit = limit;
        self
    }

    /// From a place in a segment.
    pub(super) fn from(header: &SegmentHeader, at: u64, lsn: Lsn, chain: u32) -> Groups {
        Groups { at, lsn, chain, ..Groups::of(header) }
    }

    /// The next group.
    pub(super) fn next(&mut self, view: &mut View<'_>) -> Result<Step, IoFailure> {
        let end = self.limit.min(view.len());
        let damage = match read_group(view, self.at, end)? {
            Ok(group) if self.follows(&group.header) => {
                self.at += group.header.group_bytes();
                self.lsn = Lsn(self.lsn.0.saturating_add(group.header.records.into()));
                self.chain = group.crc;
                return Ok(Step::Good(group));
            }
            Ok(group) if group.header.salt == self.salt => Damage::Field {
                what: "number of the group's first record",
                found: group.header.first_lsn.0,
            },
            Ok(group) => Damage::Field { what: "salt of the group", found: group.header.salt },
            Err(damage) => damage,
        };
        self.beyond(view, end, damage)
    }

    /// Looks for the next good group of this life of the file.
    fn beyond(&mut self, view: &mut View<'_>, end: u64, damage: Damage) -> Result<Step, IoFailure> {
        let from = self.at;
        let (mut torn_bytes, mut dropped) = (0, false);
        let mut at = from;
        while at < end {
            if is_group_of(&view.bytes(at, 32)?, self.salt) {
                if at == from {
                    torn_bytes = claimed_bytes(&view.bytes(at, 32)?).min(end - at);
                }
                let found = read_group(view, at, end)?;
                if let Ok(group) = found
                    && group.header.first_lsn > self.lsn
                {
                    if group.header.durability == Durability::Sync {
                        let next = group.header.first_lsn;
                        (self.at, self.chain) = (at, group.header.chain);
                        self.lsn = Lsn(next.0.saturating_sub(1));
                        return Ok(Step::Broken(Broken { from, to: at, damage, next }));
                    }
                    dropped = true;
                }
            }
            at += BLOCK_BYTES as u64;
        }
        Ok(Step::End(End { damage, torn_bytes, dropped }))
    }

    fn follows(&self, header: &GroupHeader) -> bool {
        header.salt == self.salt
            && header.first_lsn == self.lsn.next()
            && header.chain == self.chain
    }
}

impl Group {
    /// The records with their offsets in the file; the first that cannot be read ends them.
    pub(super) fn records(
        &self,
    ) -> impl Iterator<Item = Result<(u64, Record, usize), (u64, Damage)>> + '_ {
        let end = GROUP_HEADER_BYTES + self.header.payload_len as usize;
        let mut at = GROUP_HEADER_BYTES;
        let mut left = self.header.records;
        std::iter::from_fn(move || {
            let offset = self.at + at as u64;
            if left == 0 {
                let extra = end - at;
                at = end;
                return (extra > 0).then(|| {
                    let what = "bytes after the records";
                    Err((offset, Damage::Field { what, found: extra as u64 }))
                });
            }
            left -= 1;
            match record::decode_at(&self.bytes.slice(at..end)) {
                Ok((record, len)) => {
                    at += len;
                    Some(Ok((offset, record, len)))
                }
                Err(damage) => {
                    (at, left) = (end, 0);
                    Some(Err((offset, damage)))
                }
            }
        })
    }
}

/// Reads the group at an offset, which ends before `end`.
pub(super) fn read_group(
    view: &mut View<'_>,
    at: u64,
    end: u64,
) -> Result<Result<Group, Damage>, IoFailure> {
    let room = end.saturating_sub(at);
    let head = view.bytes(at, room.min(GROUP_HEADER_BYTES as u64))?;
    let bytes = match head.starts_with(&GROUP_MAGIC) && head.len() == GROUP_HEADER_BYTES {
        true => view.bytes(at, claimed_bytes(&head).min(room))?,
        false => head,
    };
    Ok(GroupHeader::decode(&bytes).map(|(header, crc)| Group { at, header, crc, bytes }))
}

/// Bytes of a group that says so of itself.
pub(super) fn claimed_bytes(head: &[u8]) -> u64 {
    let len = head.get(28..32).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let content = GROUP_HEADER_BYTES as u64 + u64::from(len.unwrap_or(0));
    content.next_multiple_of(BLOCK_BYTES as u64)
}

/// Records whose own sums are good, among bytes that are not.
pub(crate) fn salvage(region: &Bytes) -> Vec<Salvaged> {
    let mut found = Vec::new();
    let mut offset = 0;
    while offset + RECORD_HEADER_BYTES <= region.len() {
        if looks_like_record(&region[offset..])
            && let Ok((record, len)) = record::decode_at(&region.slice(offset..))
        {
            found.push(Salvaged { offset, len, record });
            offset += len;
        } else {
            offset += 1;
        }
    }
    found
}

/// Cheap, so that a sum is made only where there may be a record.
fn looks_like_record(bytes: &[u8]) -> bool {
    let word = |at: usize| {
        let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
        word.map_or(0, u32::from_le_bytes) as usize
    };
    let len = word(4);
    (RECORD_HEADER_BYTES..=bytes.len()).contains(&len)
        && bytes.get(10..12) == Some([0, 0].as_slice())
        && word(12) <= len - RECORD_HEADER_BYTES
}

fn is_group_of(block: &[u8], salt: u64) -> bool {
    block.starts_with(&GROUP_MAGIC) && block.get(8..16) == Some(&salt.to_le_bytes())
}
