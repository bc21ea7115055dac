//! News of a stream, made once and shared by every live reader on every core.

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use thalweg_proto::content_type::ContentType;
use thalweg_proto::http1::encode::{CHUNK_SUFFIX, chunk_prefix};
use thalweg_proto::offset::Offset;
use thalweg_proto::path::StreamPath;
use thalweg_proto::sse::{self, Control};
use thalweg_proto::stream::record::StreamId;

/// What became durable in one commit, of one stream.
pub struct LiveBatch {
    /// The stream's path.
    pub path: StreamPath,
    /// The stream.
    pub stream: StreamId,
    /// Its content type.
    pub content_type: ContentType,
    /// The position of the first byte.
    pub from: u64,
    /// The token after the last byte.
    pub next: Offset,
    /// The stored bytes; empty when the stream was only closed.
    pub stored: Bytes,
    /// Whether the stream is closed now.
    pub closed: bool,
    frame: OnceLock<Bytes>,
}

impl LiveBatch {
    /// A batch.
    #[must_use]
    pub fn new(
        path: StreamPath,
        stream: StreamId,
        content_type: ContentType,
        from: u64,
        next: Offset,
        stored: Bytes,
        closed: bool,
    ) -> LiveBatch {
        LiveBatch { path, stream, content_type, from, next, stored, closed, frame: OnceLock::new() }
    }

    /// The position after the last byte.
    #[must_use]
    pub fn to(&self) -> u64 {
        self.next.position
    }

    /// What it costs to keep: the stored bytes, their encodings, and itself.
    #[must_use]
    pub fn cost(&self) -> usize {
        3 * self.stored.len() + size_of::<LiveBatch>() + 256
    }

    /// The batch as one chunk of an SSE answer. Encoded by whoever needs it first, with that
    /// one's cursor: a cursor that is a little old is still right.
    #[must_use]
    pub fn frame(&self, cursor: u64) -> Bytes {
        let encode = || encode_chunk(&self.content_type, &self.stored, self.control(cursor));
        self.frame.get_or_init(encode).clone()
    }

    fn control(&self, cursor: u64) -> Control {
        Control { next: self.next, cursor, up_to_date: true, closed: self.closed }
    }
}

/// A data event (unless there is no data) and a control event as one HTTP chunk.
#[must_use]
pub fn encode_chunk(content_type: &ContentType, stored: &[u8], control: Control) -> Bytes {
    let mut events = data_event(content_type, stored);
    sse::write_control(&mut events, control);
    as_chunk(&events)
}

/// Where in a chunk its events are: what a reader of HTTP/1.0 is sent.
pub(crate) fn events_of(chunk: &[u8]) -> Range<usize> {
    let start = chunk.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    start..chunk.len().saturating_sub(CHUNK_SUFFIX.len()).max(start)
}

/// A data event, with room for a control event behind it; nothing if there is no data.
fn data_event(content_type: &ContentType, stored: &[u8]) -> Vec<u8> {
    let mut events = Vec::with_capacity(stored.len() + stored.len() / 3 + 256);
    if !stored.is_empty() {
        sse::write_data(&mut events, content_type.framing(), stored);
    }
    events
}

fn as_chunk(events: &[u8]) -> Bytes {
    let prefix = chunk_prefix(events.len());
    let mut chunk = Vec::with_capacity(prefix.len() + events.len() + 2);
    chunk.extend_from_slice(&prefix);
    chunk.extend_from_slice(events);
    chunk.extend_from_slice(CHUNK_SUFFIX);
    Bytes::from(chunk)
}
