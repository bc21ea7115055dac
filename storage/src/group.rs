//! Groups: what one write puts into a segment.
//!
//! Invariant: a group starts on a block and fills whole blocks; its CRC covers all of them and
//! becomes the `chain` of the next group. So a group that a torn write left behind in an earlier
//! life of the place can never follow a newer one, and every flipped bit is noticed.

use crate::buffer::BLOCK_BYTES;
use crate::error::Damage;
use crate::location::Lsn;
use crate::planted::{self, Bug};
use crate::wire::Fields;
use crate::writer::Durability;

/// The first bytes of every group.
pub const GROUP_MAGIC: [u8; 4] = *b"GRP1";

const MAGIC_AT: usize = 0;
pub(crate) const CRC_AT: usize = MAGIC_AT + 4;
const SALT_AT: usize = CRC_AT + 4;
const FIRST_LSN_AT: usize = SALT_AT + 8;
const CHAIN_AT: usize = FIRST_LSN_AT + 8;
const PAYLOAD_LEN_AT: usize = CHAIN_AT + 4;
const RECORDS_AT: usize = PAYLOAD_LEN_AT + 4;
const DURABILITY_AT: usize = RECORDS_AT + 4;
/// Bytes of a group header; the records follow.
pub const GROUP_HEADER_BYTES: usize = DURABILITY_AT + 4;

const _: () = assert!(GROUP_HEADER_BYTES == 40 && GROUP_HEADER_BYTES < BLOCK_BYTES);

/// What a group says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupHeader {
    /// The salt of its segment.
    pub salt: u64,
    /// The number of its first record.
    pub first_lsn: Lsn,
    /// The CRC of the group before; 0 for the first one of a log.
    pub chain: u32,
    /// Bytes of its records.
    pub payload_len: u32,
    /// How many records.
    pub records: u32,
    /// Whether it was synced before it was acknowledged.
    pub durability: Durability,
}

impl GroupHeader {
    /// Bytes of the group: header, records, padding.
    #[must_use]
    pub fn group_bytes(&self) -> u64 {
        let content = GROUP_HEADER_BYTES as u64 + u64::from(self.payload_len);
        content.next_multiple_of(BLOCK_BYTES as u64)
    }

    /// Fills the header into the first bytes of a padded group and returns the CRC.
    pub(crate) fn seal(&self, group: &mut [u8]) -> u32 {
        group[MAGIC_AT..CRC_AT].copy_from_slice(&GROUP_MAGIC);
        group[SALT_AT..FIRST_LSN_AT].copy_from_slice(&self.salt.to_le_bytes());
        group[FIRST_LSN_AT..CHAIN_AT].copy_from_slice(&self.first_lsn.0.to_le_bytes());
        group[CHAIN_AT..PAYLOAD_LEN_AT].copy_from_slice(&self.chain.to_le_bytes());
        group[PAYLOAD_LEN_AT..RECORDS_AT].copy_from_slice(&self.payload_len.to_le_bytes());
        group[RECORDS_AT..DURABILITY_AT].copy_from_slice(&self.records.to_le_bytes());
        let durability = self.durability.code().to_le_bytes();
        group[DURABILITY_AT..GROUP_HEADER_BYTES].copy_from_slice(&durability);
        let crc = crc32c::crc32c(&group[SALT_AT..]);
        group[CRC_AT..SALT_AT].copy_from_slice(&crc.to_le_bytes());
        crc
    }

    /// Reads the group at the beginning of `bytes`, which may go on behind it. Returns the header
    /// and the CRC, which is the chain of the next group.
    pub fn decode(bytes: &[u8]) -> Result<(GroupHeader, u32), Damage> {
        let mut fields = Fields::new(bytes);
        if fields.take(GROUP_MAGIC.len())? != GROUP_MAGIC {
            return Err(Damage::Text { what: "magic of the group" });
        }
        let stored = fields.u32()?;
        let (salt, first_lsn, chain) = (fields.u64()?, Lsn(fields.u64()?), fields.u32()?);
        let (payload_len, records) = (fields.u32()?, fields.u32()?);
        let durability = Durability::from_code(fields.u32()?)?;
        let header = GroupHeader { salt, first_lsn, chain, payload_len, records, durability };
        let needed = header.group_bytes();
        let Some(group) = usize::try_from(needed).ok().and_then(|len| bytes.get(..len)) else {
            return Err(Damage::Truncated { needed, found: bytes.len() as u64 });
        };
        let found = crc32c::crc32c(&group[SALT_AT..]);
        if stored != found && !planted::is(Bug::IgnoreCrc) {
            return Err(Damage::Checksum { what: "group", stored, found });
        }
        Ok((header, stored))
    }
}
