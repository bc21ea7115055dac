//! Page-aligned buffers for direct I/O, made without `unsafe`: a vector of 4 KiB blocks.
//!
//! Invariant: a buffer's length is always a whole number of blocks and the bytes after what was
//! put are zero, so the padding of a group is zeros whatever the buffer held before.

use bytemuck::{Pod, Zeroable};

use crate::wire::Put;

/// Bytes of a block: the unit in which logs are written.
pub const BLOCK_BYTES: usize = 4096;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK_BYTES]);

const _: () = assert!(size_of::<Block>() == BLOCK_BYTES && align_of::<Block>() == BLOCK_BYTES);

/// Bytes at a 4 KiB-aligned address, a multiple of 4 KiB long. Its address is stable while it is
/// not written to.
#[derive(Default)]
pub struct AlignedBuf {
    blocks: Vec<Block>,
    used: usize,
}

impl AlignedBuf {
    /// An empty buffer; allocates nothing.
    #[must_use]
    pub fn new() -> AlignedBuf {
        AlignedBuf::default()
    }

    /// Bytes put so far, without the padding.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes in the buffer: what was put, padded to whole blocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES
    }

    /// Whether nothing was put.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Bytes that fit without another allocation.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.blocks.capacity() * BLOCK_BYTES
    }

    /// Forgets the content, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.blocks.clear();
        self.used = 0;
    }

    /// Makes room for `more` bytes, so that putting them does not move what is there.
    pub(crate) fn reserve(&mut self, more: usize) {
        let blocks = (self.used + more).div_ceil(BLOCK_BYTES);
        self.blocks.reserve(blocks.saturating_sub(self.blocks.len()));
    }

    /// The content as bytes that can be patched: headers are filled in when all is known.
    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.blocks)
    }
}

impl Put for AlignedBuf {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.used + bytes.len();
        self.blocks.resize(end.div_ceil(BLOCK_BYTES), Block::zeroed());
        let start = self.used;
        self.as_mut()[start..end].copy_from_slice(bytes);
        self.used = end;
    }
}

impl AsRef<[u8]> for AlignedBuf {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.blocks)
    }
}

impl std::fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlignedBuf({} of {} bytes used)", self.used, self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_padded_and_clean_after_reuse() {
        let mut buf = AlignedBuf::new();
        buf.put(&[7; BLOCK_BYTES + 1]);
        assert_eq!((buf.used(), buf.len()), (BLOCK_BYTES + 1, 2 * BLOCK_BYTES));
        assert_eq!(buf.as_ref().as_ptr().addr() % BLOCK_BYTES, 0);
        assert!(buf.as_ref()[BLOCK_BYTES + 1..].iter().all(|byte| *byte == 0));
        buf.clear();
        buf.put(b"x");
        assert_eq!(buf.as_ref()[0], b'x');
        assert!(buf.as_ref()[1..].iter().all(|byte| *byte == 0));
    }
}
