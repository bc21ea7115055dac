//! The first block of a segment file.
//!
//! Invariant: the header is durable before the first group of its segment is written, so groups
//! behind a damaged header mean damage, never a crash at an unlucky moment.

use crate::buffer::BLOCK_BYTES;
use crate::error::Damage;
use crate::format::check_version;
use crate::location::{LogId, Lsn, SegmentRef};
use crate::wire::{Fields, Put};
use crate::writer::Durability;

pub use crate::format::FORMAT_VERSION;

/// The first bytes of every segment.
pub const SEGMENT_MAGIC: [u8; 8] = *b"THALWEGS";
/// Bytes of the header: one block.
pub const SEGMENT_HEADER_BYTES: usize = BLOCK_BYTES;

const MAGIC_AT: usize = 0;
const VERSION_AT: usize = MAGIC_AT + 8;
const LOG_AT: usize = VERSION_AT + 4;
const NUMBER_AT: usize = LOG_AT + 4;
const DURABILITY_AT: usize = NUMBER_AT + 4;
const SALT_AT: usize = DURABILITY_AT + 4;
const BYTES_AT: usize = SALT_AT + 8;
const PREVIOUS_LSN_AT: usize = BYTES_AT + 8;
const PREVIOUS_CHAIN_AT: usize = PREVIOUS_LSN_AT + 8;
const ZERO_AT: usize = PREVIOUS_CHAIN_AT + 4;
const CRC_AT: usize = SEGMENT_HEADER_BYTES - 4;

const _: () = assert!(SALT_AT.is_multiple_of(8) && PREVIOUS_LSN_AT == 40 && ZERO_AT == 52);
const _: () = assert!(ZERO_AT < CRC_AT && CRC_AT == 4092);

/// What a segment says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentHeader {
    /// The log and the number.
    pub segment: SegmentRef,
    /// Whether its groups are synced before they are acknowledged.
    pub durability: Durability,
    /// Distinguishes its groups from what the file held in an earlier life.
    pub salt: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// The last record of the segment before; 0 at the beginning of a log.
    pub previous_lsn: Lsn,
    /// The CRC of the last group of the segment before; 0 at the beginning of a log.
    pub previous_chain: u32,
}

impl SegmentHeader {
    /// Appends the block.
    pub(crate) fn encode(&self, out: &mut impl Put) {
        let mut block = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        block.put(&SEGMENT_MAGIC);
        block.put_u32(FORMAT_VERSION);
        block.put_u32(self.segment.log.0);
        block.put_u32(self.segment.number);
        block.put_u32(self.durability.code());
        block.put_u64(self.salt);
        block.put_u64(self.bytes);
        block.put_u64(self.previous_lsn.0);
        block.put_u32(self.previous_chain);
        block.resize(CRC_AT, 0);
        let crc = crc32c::crc32c(&block);
        block.put_u32(crc);
        out.put(&block);
    }

    /// Reads the first block of a file.
    pub fn decode(bytes: &[u8]) -> Result<SegmentHeader, Damage> {
        let mut fields = Fields::new(bytes);
        let block = fields.take(SEGMENT_HEADER_BYTES)?;
        let (covered, crc) = block.split_at(CRC_AT);
        let mut fields = Fields::new(covered);
        if fields.take(SEGMENT_MAGIC.len())? != SEGMENT_MAGIC {
            return Err(Damage::Text { what: "magic of the segment" });
        }
        let stored = Fields::new(crc).u32()?;
        let found = crc32c::crc32c(covered);
        if stored != found {
            return Err(Damage::Checksum { what: "segment header", stored, found });
        }
        check_version("segment version", fields.u32()?)?;
        Ok(SegmentHeader {
            segment: SegmentRef { log: LogId(fields.u32()?), number: fields.u32()? },
            durability: Durability::from_code(fields.u32()?)?,
            salt: fields.u64()?,
            bytes: fields.u64()?,
            previous_lsn: Lsn(fields.u64()?),
            previous_chain: fields.u32()?,
        })
    }
}
