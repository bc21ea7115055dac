//! The last block of a sealed segment: where the index is, and what the file holds.

use super::header::SEALED_VERSION;
use super::index::INDEX_ENTRY_BYTES;
use crate::buffer::BLOCK_BYTES;
use crate::error::Damage;
use crate::location::{LogId, SegmentRef};
use crate::wire::{Fields, Put};

/// The first bytes of the last block.
pub const FOOTER_MAGIC: [u8; 8] = *b"THALWEGF";
/// Bytes of the footer: one block.
pub const FOOTER_BYTES: usize = BLOCK_BYTES;

const MAGIC_AT: usize = 0;
const VERSION_AT: usize = MAGIC_AT + 8;
const LOG_AT: usize = VERSION_AT + 4;
const NUMBER_AT: usize = LOG_AT + 4;
const INDEX_CRC_AT: usize = NUMBER_AT + 4;
const INDEX_AT: usize = INDEX_CRC_AT + 4;
const CHUNKS_AT: usize = INDEX_AT + 8;
const RECORDS_AT: usize = CHUNKS_AT + 8;
const DATA_BYTES_AT: usize = RECORDS_AT + 8;
const ZERO_AT: usize = DATA_BYTES_AT + 8;
const CRC_AT: usize = FOOTER_BYTES - 4;

const _: () = assert!(INDEX_AT == 24 && INDEX_AT.is_multiple_of(8) && ZERO_AT == 56);
const _: () = assert!(ZERO_AT < CRC_AT && CRC_AT == 4092);

/// What a sealed segment says about itself at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Footer {
    /// The segment, as in the header.
    pub segment: SegmentRef,
    /// Where the index begins: behind the last record.
    pub index_at: u64,
    /// Entries of the index.
    pub chunks: u64,
    /// Records in all chunks.
    pub records: u64,
    /// Bytes of streams in all records.
    pub data_bytes: u64,
    /// CRC of the index.
    pub index_crc: u32,
}

impl Footer {
    /// Bytes of the index.
    #[must_use]
    pub fn index_bytes(&self) -> u64 {
        self.chunks.saturating_mul(INDEX_ENTRY_BYTES as u64)
    }

    /// Appends the block.
    pub(crate) fn encode(&self, out: &mut impl Put) {
        let mut block = Vec::with_capacity(FOOTER_BYTES);
        block.put(&FOOTER_MAGIC);
        block.put_u32(SEALED_VERSION);
        block.put_u32(self.segment.log.0);
        block.put_u32(self.segment.index());
        block.put_u32(self.index_crc);
        block.put_u64(self.index_at);
        block.put_u64(self.chunks);
        block.put_u64(self.records);
        block.put_u64(self.data_bytes);
        seal_block(&mut block);
        out.put(&block);
    }

    /// Reads the last block of a file of so many bytes.
    pub fn decode(bytes: &[u8], file_bytes: u64) -> Result<Footer, Damage> {
        let mut fields = open_block(bytes, FOOTER_MAGIC, "footer of the sealed segment")?;
        let segment = SegmentRef::sealed(LogId(fields.u32()?), fields.u32()?);
        let index_crc = fields.u32()?;
        let (index_at, chunks) = (fields.u64()?, fields.u64()?);
        let (records, data_bytes) = (fields.u64()?, fields.u64()?);
        let footer = Footer { segment, index_at, chunks, records, data_bytes, index_crc };
        let end = index_at.checked_add(footer.index_bytes());
        let fits = end.is_some_and(|end| end + FOOTER_BYTES as u64 <= file_bytes);
        if !fits || index_at < BLOCK_BYTES as u64 {
            return Err(Damage::Field { what: "place of the index", found: index_at });
        }
        Ok(footer)
    }
}

/// Pads a header or footer and adds its CRC.
pub(super) fn seal_block(block: &mut Vec<u8>) {
    block.resize(CRC_AT, 0);
    let crc = crc32c::crc32c(block);
    block.put_u32(crc);
}

/// Verifies a header or footer; what follows magic and version is left to read.
pub(super) fn open_block<'a>(
    bytes: &'a [u8],
    magic: [u8; 8],
    what: &'static str,
) -> Result<Fields<'a>, Damage> {
    let block = Fields::new(bytes).take(BLOCK_BYTES)?;
    let (covered, crc) = block.split_at(CRC_AT);
    let (stored, found) = (Fields::new(crc).u32()?, crc32c::crc32c(covered));
    if stored != found {
        return Err(Damage::Checksum { what, stored, found });
    }
    let mut fields = Fields::new(covered);
    if fields.take(magic.len())? != magic {
        return Err(Damage::Text { what });
    }
    let version = fields.u32()?;
    if version != SEALED_VERSION {
        return Err(Damage::Field { what: "version of the sealed segment", found: version.into() });
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::SealedHeader;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let segment = SegmentRef::sealed(LogId(4), 7);
        let footer = Footer {
            segment,
            index_at: 5000,
            chunks: 3,
            records: 9,
            data_bytes: 700,
            index_crc: 1,
        };
        let (mut head, mut foot) = (Vec::new(), Vec::new());
        SealedHeader { segment }.encode(&mut head);
        footer.encode(&mut foot);
        assert_eq!((head.len(), foot.len()), (4096, 4096));
        assert_eq!(SealedHeader::decode(&head), Ok(SealedHeader { segment }));
        assert_eq!(Footer::decode(&foot, 12288), Ok(footer));
        assert!(Footer::decode(&foot, 9000).is_err(), "no room for the index");
        for bit in (0..4096 * 8).step_by(7) {
            for block in [&mut head, &mut foot] {
                block[bit / 8] ^= 1 << (bit % 8);
            }
            assert!(SealedHeader::decode(&head).is_err(), "bit {bit}");
            assert!(Footer::decode(&foot, 12288).is_err(), "bit {bit}");
            for block in [&mut head, &mut foot] {
                block[bit / 8] ^= 1 << (bit % 8);
            }
        }
        assert!(SealedHeader::decode(&head[..4095]).is_err());
    }
}
