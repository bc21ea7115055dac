//! The first block of a sealed segment.

use super::footer::{open_block, seal_block};
use crate::buffer::BLOCK_BYTES;
use crate::error::Damage;
use crate::location::{LogId, SegmentRef};
use crate::wire::Put;

/// The first bytes of every sealed segment.
pub const SEALED_MAGIC: [u8; 8] = *b"THALWEGX";
/// The version of the format in which sealed segments came.
pub const SEALED_VERSION: u32 = 2;
/// Bytes of the header: one block.
pub const SEALED_HEADER_BYTES: usize = BLOCK_BYTES;

const MAGIC_AT: usize = 0;
const VERSION_AT: usize = MAGIC_AT + 8;
const LOG_AT: usize = VERSION_AT + 4;
const NUMBER_AT: usize = LOG_AT + 4;
const ZERO_AT: usize = NUMBER_AT + 4;

const _: () = assert!(ZERO_AT == 20);

/// What a sealed segment says about itself at its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SealedHeader {
    /// The log of the core that made it, and its number.
    pub segment: SegmentRef,
}

impl SealedHeader {
    /// Appends the block.
    pub(crate) fn encode(self, out: &mut impl Put) {
        let mut block = Vec::with_capacity(SEALED_HEADER_BYTES);
        block.put(&SEALED_MAGIC);
        block.put_u32(SEALED_VERSION);
        block.put_u32(self.segment.log.0);
        block.put_u32(self.segment.index());
        seal_block(&mut block);
        out.put(&block);
    }

    /// Reads the first block of a file.
    pub fn decode(bytes: &[u8]) -> Result<SealedHeader, Damage> {
        let mut fields = open_block(bytes, SEALED_MAGIC, "header of the sealed segment")?;
        let (log, index) = (LogId(fields.u32()?), fields.u32()?);
        Ok(SealedHeader { segment: SegmentRef::sealed(log, index) })
    }
}
