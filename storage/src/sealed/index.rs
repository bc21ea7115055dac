//! The index of a sealed segment: one entry for each chunk, ascending by stream and position.

use thalweg_proto::stream::record::StreamId;

use crate::error::Damage;
use crate::extents::ReadSpan;
use crate::location::{Location, SegmentRef};
use crate::wire::{Fields, Put};
use crate::writer::Placement;

const STREAM_AT: usize = 0;
const POSITION_AT: usize = STREAM_AT + 8;
const LEN_AT: usize = POSITION_AT + 8;
const OFFSET_AT: usize = LEN_AT + 4;
const RECORD_BYTES_AT: usize = OFFSET_AT + 4;
const RECORDS_AT: usize = RECORD_BYTES_AT + 4;
/// Bytes of an entry.
pub const INDEX_ENTRY_BYTES: usize = RECORDS_AT + 4;

const _: () = assert!(INDEX_ENTRY_BYTES == 32 && size_of::<IndexEntry>() == INDEX_ENTRY_BYTES);

/// A chunk: records of one stream, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IndexEntry {
    /// The stream.
    pub stream: StreamId,
    /// The position of the first byte of data in the stream.
    pub position: u64,
    /// Bytes of data in all records.
    pub len: u32,
    /// The first byte of the first record in the file.
    pub file_offset: u32,
    /// Bytes of all records.
    pub record_bytes: u32,
    /// How many records.
    pub records: u32,
}

impl IndexEntry {
    /// The chunk as an index of a stream has it.
    #[must_use]
    pub fn placement(&self, segment: SegmentRef) -> Placement {
        let IndexEntry { file_offset, record_bytes: record_len, .. } = *self;
        let location = Location { segment, file_offset, record_len };
        let span = ReadSpan { position: self.position, len: self.len, location };
        Placement { stream: self.stream, span }
    }

    pub(super) fn encode(&self, out: &mut impl Put) {
        out.put_u64(self.stream.0);
        out.put_u64(self.position);
        out.put_u32(self.len);
        out.put_u32(self.file_offset);
        out.put_u32(self.record_bytes);
        out.put_u32(self.records);
    }

    fn decode(fields: &mut Fields<'_>) -> Result<IndexEntry, Damage> {
        Ok(IndexEntry {
            stream: StreamId(fields.u64()?),
            position: fields.u64()?,
            len: fields.u32()?,
            file_offset: fields.u32()?,
            record_bytes: fields.u32()?,
            records: fields.u32()?,
        })
    }
}

/// Reads a whole index, whose CRC was checked; its records end where it begins. Arbitrary bytes
/// give an error, never a panic.
pub fn decode_index(bytes: &[u8], index_at: u64) -> Result<Vec<IndexEntry>, Damage> {
    let mut fields = Fields::new(bytes);
    let mut entries = Vec::with_capacity(bytes.len() / INDEX_ENTRY_BYTES);
    let mut before: Option<IndexEntry> = None;
    while fields.remaining() > 0 {
        let entry = IndexEntry::decode(&mut fields)?;
        let IndexEntry { stream, position, len, file_offset, record_bytes, records } = entry;
        let end = u64::from(file_offset) + u64::from(record_bytes);
        let in_range = end <= index_at && position.checked_add(len.into()).is_some();
        if records == 0 || len == 0 || record_bytes < len || !in_range {
            return Err(Damage::Field { what: "place of a chunk", found: file_offset.into() });
        }
        if before.is_some_and(|before| (before.stream, before.position) >= (stream, position)) {
            return Err(Damage::Field { what: "order of the index", found: stream.0 });
        }
        before = Some(entry);
        entries.push(entry);
    }
    Ok(entries)
}
