//! What a live reader is sent: all news since its position, as one HTTP chunk, made once for all
//! readers that stand at the same place.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use thalweg_proto::http1::encode::LAST_CHUNK;
use thalweg_proto::offset::Offset;
use thalweg_proto::sse::Control;

use super::batch::{LiveBatch, encode_chunk, events_of};
use crate::config::limits::FRAMES_BYTES;

/// A chunk of an SSE answer.
#[derive(Clone)]
pub struct Frame {
    bytes: Bytes,
    /// Where in `bytes` the events are.
    events: Range<u32>,
    /// The token after the last byte that it carries.
    pub next: Offset,
    /// Nothing is left after it for now.
    pub all: bool,
    /// The stream is closed: nothing comes after this.
    pub closed: bool,
}

impl Frame {
    /// A frame of an encoded chunk. The last one of an answer carries the end of the body too.
    fn new(chunk: Bytes, next: Offset, all: bool, closed: bool) -> Frame {
        let Range { start, end } = events_of(&chunk);
        let bytes = if closed { [&chunk[..], LAST_CHUNK].concat().into() } else { chunk };
        Frame { bytes, events: start as u32..end as u32, next, all, closed }
    }

    /// The bytes for a reader of this kind: HTTP/1.0 has no chunks.
    #[must_use]
    pub fn bytes(&self, chunked: bool) -> Bytes {
        if chunked {
            return self.bytes.clone();
        }
        self.bytes.slice(self.events.start as usize..self.events.end as usize)
    }
}

/// The frames made since the last news, under a budget of bytes; what is beyond it is made again
/// for each reader. Under overload readers stand at a few places, and every place has its frame.
/// Readers that came back within a cursor's interval have cursors of their own, and a frame for
/// each of these.
#[derive(Default)]
pub(super) struct Frames {
    made: HashMap<(u64, u64), Frame, RandomState>,
    /// In all of them.
    bytes: usize,
}

impl Frames {
    /// News: what was made does not end at the end any more.
    pub(super) fn clear(&mut self) {
        self.made.clear();
        self.bytes = 0;
    }

    /// The frame of all of `batches`, for a reader with a cursor of its own if it is ahead of the
    /// clock's. `all`: nothing is left after them.
    pub(super) fn get<'a>(
        &mut self,
        batches: impl ExactSizeIterator<Item = &'a Arc<LiveBatch>>,
        from: u64,
        cursors: Cursors,
        all: bool,
    ) -> Option<Frame> {
        let cursor = cursors.own.max(cursors.current);
        if let Some(frame) = self.made.get(&(from, cursor)) {
            return Some(frame.clone());
        }
        let frame = make(batches, cursors, all)?;
        let bytes = self.bytes + frame.bytes.len() + size_of::<(u64, u64, Frame)>();
        if bytes <= FRAMES_BYTES {
            self.made.insert((from, cursor), frame.clone());
            self.bytes = bytes;
        }
        Some(frame)
    }
}

/// Which cursor a frame carries.
#[derive(Clone, Copy)]
pub struct Cursors {
    /// The clock's.
    pub current: u64,
    /// The least that this reader may be told.
    pub own: u64,
}

fn make<'a>(
    mut batches: impl ExactSizeIterator<Item = &'a Arc<LiveBatch>>,
    cursors: Cursors,
    all: bool,
) -> Option<Frame> {
    let only = batches.len() == 1;
    let first = batches.next()?;
    if only && all && cursors.own <= cursors.current {
        // The other cores use the same one.
        return Some(Frame::new(first.frame(cursors.current), first.next, all, first.closed));
    }
    let mut stored = first.stored.to_vec();
    let mut last = first;
    for batch in batches {
        stored.extend_from_slice(&batch.stored);
        last = batch;
    }
    let control = Control {
        next: last.next,
        cursor: cursors.own.max(cursors.current),
        up_to_date: all,
        closed: last.closed,
    };
    let chunk = encode_chunk(&last.content_type, &stored, control);
    Some(Frame::new(chunk, last.next, all, last.closed))
}
