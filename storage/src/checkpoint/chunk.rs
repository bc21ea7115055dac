//! The frames of a checkpoint file: each verified alone, numbered, so that none can be missing.

use crate::error::Damage;
use crate::wire::{Fields, Put};

/// The first bytes of the body of the first chunk.
pub const CHECKPOINT_MAGIC: [u8; 8] = *b"THALWEGC";

const CRC_AT: usize = 0;
const LEN_AT: usize = CRC_AT + 4;
const INDEX_AT: usize = LEN_AT + 4;
const KIND_AT: usize = INDEX_AT + 4;
/// Bytes before the body of a chunk.
pub const CHUNK_HEADER_BYTES: usize = KIND_AT + 4;

const _: () = assert!(CHUNK_HEADER_BYTES == 16);

pub(super) const KIND_START: u32 = 1;
pub(super) const KIND_STREAMS: u32 = 2;
pub(super) const KIND_SUBSCRIPTIONS: u32 = 3;
pub(super) const KIND_SUBSCRIPTION_EVENT: u32 = 4;
pub(super) const KIND_END: u32 = 5;

/// Room for the header of a chunk, before its body is appended.
pub(super) fn begin() -> Vec<u8> {
    vec![0; CHUNK_HEADER_BYTES]
}

/// Fills in the header.
pub(super) fn seal(chunk: &mut [u8], index: u32, kind: u32) {
    let mut header = Vec::with_capacity(CHUNK_HEADER_BYTES);
    header.put_len(chunk.len() - CHUNK_HEADER_BYTES);
    header.put_u32(index);
    header.put_u32(kind);
    chunk[LEN_AT..CHUNK_HEADER_BYTES].copy_from_slice(&header);
    let crc = crc32c::crc32c(&chunk[LEN_AT..]);
    chunk[CRC_AT..LEN_AT].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the chunk at the beginning of `bytes`, which may go on behind it: kind, body.
pub(super) fn open(bytes: &[u8], index: u32) -> Result<(u32, &[u8]), Damage> {
    let mut fields = Fields::new(bytes);
    let (stored, len) = (fields.u32()?, fields.u32()?);
    let (found_index, kind) = (fields.u32()?, fields.u32()?);
    let body = fields.take(len as usize)?;
    let found = crc32c::crc32c(&bytes[LEN_AT..fields.at()]);
    if stored != found {
        return Err(Damage::Checksum { what: "checkpoint chunk", stored, found });
    }
    if found_index != index {
        return Err(Damage::Field { what: "number of the chunk", found: found_index.into() });
    }
    Ok((kind, body))
}
