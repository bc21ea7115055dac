//! The shard's part in sealing: which bytes of a segment live, and where they went.

use thalweg_proto::stream::record::StreamId;
use thalweg_storage::{Placement, Plan, ReadSpan, SegmentRef};

use super::Shard;

/// How far the streams of a job have been asked.
#[derive(Clone, Copy, Default, Debug)]
pub struct SealCursor {
    /// The next stream, by its index among the ids.
    next: usize,
    /// The position in it from which spans are still to be given.
    position: u64,
}

/// Streams that are looked at before other work gets its turn.
const SLICE_STREAMS: usize = 1024;
/// Spans that are given or replaced at once.
const SLICE_SPANS: usize = 8 * 1024;
/// Bytes that are given to be copied at once.
const SLICE_BYTES: u64 = 16 * 1024 * 1024;

impl Shard {
    /// The next spans that streams have in these segments: what is worth copying. `None` when all
    /// streams have been asked; an empty slice is not the end.
    pub fn spans_in(
        &self,
        ids: &[StreamId],
        cursor: &mut SealCursor,
        inputs: &[SegmentRef],
    ) -> Option<Vec<Placement>> {
        let (mut slice, mut bytes) = (Vec::new(), 0);
        let rest = ids.get(cursor.next..).filter(|rest| !rest.is_empty())?;
        for id in rest.iter().take(SLICE_STREAMS) {
            // What is deleted, or about to be, needs no better place.
            if let Some(slot) = self.streams.get(*id).filter(|slot| !slot.deleted) {
                for span in slot.extents.in_segments(inputs, cursor.position) {
                    if slice.len() >= SLICE_SPANS || bytes >= SLICE_BYTES {
                        return Some(slice);
                    }
                    bytes += u64::from(span.location.record_len);
                    cursor.position = span.end();
                    slice.push(Placement { stream: *id, span });
                }
            }
            *cursor = SealCursor { next: cursor.next + 1, position: 0 };
        }
        Some(slice)
    }

    /// Moves the next streams to their chunks in a sealed segment; returns the chunks of those
    /// that are left. A stream that has gone keeps its chunks from being counted.
    pub fn move_spans<'a>(&mut self, plan: &Plan, chunks: &'a [Placement]) -> &'a [Placement] {
        let Some(table) = self.log.segment_table() else { return &[] };
        let mut rest = chunks;
        while let Some(first) = rest.first() {
            let of_stream = rest.partition_point(|chunk| chunk.stream <= first.stream);
            if chunks.len() - rest.len() > 0 && chunks.len() - rest.len() + of_stream > SLICE_SPANS
            {
                break;
            }
            let (now, later) = rest.split_at(of_stream);
            rest = later;
            let Some(slot) = self.streams.get_mut(first.stream) else { continue };
            let spans: Vec<ReadSpan> = now.iter().map(|chunk| chunk.span).collect();
            match slot.extents.reseal(&plan.inputs, &spans) {
                Some(resealed) => table.record_resealed(&resealed, plan.output),
                None => tracing::error!(
                    stream = first.stream.0,
                    output = %plan.output,
                    "the sealed segment does not have all of the stream; it stays where it is"
                ),
            }
        }
        rest
    }
}
