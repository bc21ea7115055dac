//! The stand-in for bytes of streams that are lost: a file in which their places lie.
//!
//! A start demands a place for every byte of a stream. `repair` gives lost bytes a place in a file
//! of zeros, so that reading them is an error with a name, and everything else serves. Invariant:
//! no place in such a file ever holds a record that can be read.

use crate::extents::{Extents, ReadSpan};
use crate::location::{Location, SegmentRef};
use crate::record::RECORD_HEADER_BYTES;
use crate::segment::SEGMENT_HEADER_BYTES;

/// The first bytes of the file; zeros follow.
pub const LOST_MAGIC: [u8; 8] = *b"THALWEGV";

/// A lost range is cut into pieces, so that no read takes much memory before it fails.
const PIECE_BYTES: u64 = 256 * 1024;

/// Bytes of the file.
pub(crate) const LOST_FILE_BYTES: u64 =
    SEGMENT_HEADER_BYTES as u64 + PIECE_BYTES + RECORD_HEADER_BYTES as u64;

/// Gives bytes `from..to` of a stream places in the file. `false` if they lie before the end of
/// what is there.
#[must_use]
pub(crate) fn place_lost(extents: &mut Extents, file: SegmentRef, (from, to): (u64, u64)) -> bool {
    let mut position = from;
    while position < to {
        let len = (to - position).min(PIECE_BYTES) as u32;
        let record_len = len + RECORD_HEADER_BYTES as u32;
        let file_offset = SEGMENT_HEADER_BYTES as u32;
        let location = Location { segment: file, file_offset, record_len };
        if !extents.push(ReadSpan { position, len, location }) {
            return false;
        }
        position += u64::from(len);
    }
    true
}
