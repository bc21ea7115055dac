//! Which records make a chunk. Readers begin anywhere, but their chunks should be the same: a
//! stream is cut at multiples of the chunk size, and a record belongs to where it begins.

use thalweg_proto::content_type::Framing;
use thalweg_proto::stream::record::StreamId;
use thalweg_storage::ReadSpan;

use super::History;
use crate::config::limits::READ_CHUNK_BYTES;
use crate::shard::slot::Slot;

/// A chunk to be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChunkPlan {
    /// Of which stream.
    pub id: StreamId,
    /// How its bytes are framed.
    pub framing: Framing,
    /// The records, in order and without a hole; at least one.
    pub spans: Vec<ReadSpan>,
    /// The position of the first byte.
    pub start: u64,
    /// The position after the last one.
    pub end: u64,
}

impl History {
    /// How to get the chunk that has a position; `None` if it could not be kept, or if there is
    /// nothing at that position.
    pub(in crate::shard) fn plan(&self, slot: &Slot, position: u64) -> Option<ChunkPlan> {
        let id = slot.state.id;
        let at = slot.extents.covering(position, 1).next()?;
        if at.position > position || at.end() <= position || at.len as usize > self.largest() {
            return None;
        }
        let window = at.position - at.position % READ_CHUNK_BYTES;
        let window_end = window + READ_CHUNK_BYTES;
        // Who begins near the end of what there is should not wait for all that lies before.
        let last = window_end.min(slot.visible_tail);
        let late = at.position - window > last.saturating_sub(at.position);
        let (before, after) = self.neighbours(id, position);
        let from = if late { at.position } else { window.max(before.min(at.position)) };
        let until = window_end.min(after.max(at.end()));
        let mut spans: Vec<ReadSpan> = Vec::new();
        let covering = slot.extents.covering(from, until.saturating_sub(from));
        for span in covering.filter(|span| span.position >= from) {
            let follows = spans.last().is_none_or(|last| last.end() == span.position);
            let begin = spans.first().map_or(span.position, |first| first.position);
            if !follows || span.end() - begin > self.largest() as u64 {
                // Only what is in one piece with the position belongs to its chunk.
                match span.position <= at.position {
                    true => spans.clear(),
                    false => break,
                }
            }
            spans.push(span);
        }
        let (start, end) = (spans.first()?.position, spans.last()?.end());
        let framing = slot.state.config.content_type.framing();
        (start <= position && position < end).then_some(ChunkPlan {
            id,
            framing,
            spans,
            start,
            end,
        })
    }
}
