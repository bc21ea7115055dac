//! A run of a stream's bytes in one piece, as readers get them.

use thalweg_proto::content_type::Framing;
use thalweg_proto::stream::record::Payload;

use super::Held;

/// See the module. Whole records, so a JSON chunk is whole messages.
#[derive(Debug)]
pub struct Chunk {
    start: u64,
    payload: Payload,
}

impl Chunk {
    /// The position of the first byte.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The position after the last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start + self.payload.bytes.len() as u64
    }

    /// The bytes, with all places between JSON messages.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.payload.bytes.len() + self.payload.cuts.capacity() * size_of::<u32>()
    }
}

/// Makes a chunk out of verified records, in order.
pub struct ChunkBuilder {
    start: u64,
    bytes: Vec<u8>,
    cuts: Vec<u32>,
    framing: Framing,
}

impl ChunkBuilder {
    /// From a position on, for so many bytes.
    #[must_use]
    pub fn new(start: u64, len: usize, framing: Framing) -> ChunkBuilder {
        ChunkBuilder { start, bytes: Vec::with_capacity(len), cuts: Vec::new(), framing }
    }

    /// Adds what a record holds. Returns `false` and does nothing if it does not follow.
    #[must_use]
    pub fn push(&mut self, position: u64, payload: &Payload) -> bool {
        let Ok(at) = u32::try_from(self.bytes.len()) else { return false };
        if position != self.end() {
            return false;
        }
        if self.framing == Framing::Json {
            self.cuts.extend((at > 0).then_some(at));
            self.cuts.extend(payload.cuts.iter().map(|cut| at.saturating_add(*cut)));
        }
        self.bytes.extend_from_slice(&payload.bytes);
        true
    }

    /// The position after the last byte so far.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// The chunk.
    #[must_use]
    pub fn finish(mut self, held: &Held) -> Chunk {
        self.cuts.shrink_to_fit();
        let payload = Payload { bytes: held.count(self.bytes), cuts: self.cuts };
        Chunk { start: self.start, payload }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn records_become_one_run_with_the_places_between_messages() {
        let payload = |text: &'static str, cuts: &[u32]| Payload {
            bytes: Bytes::from_static(text.as_bytes()),
            cuts: cuts.to_vec(),
        };
        for (framing, cuts) in [(Framing::Json, &[2, 5, 8][..]), (Framing::Binary, &[])] {
            let held = Held::default();
            let mut builder = ChunkBuilder::new(100, 10, framing);
            assert!(builder.push(100, &payload("1,", &[])));
            assert!(!builder.push(103, &payload("4,", &[])), "there would be a hole");
            assert!(builder.push(102, &payload("22,33,4,", &[3, 6])));
            assert_eq!(held.bytes(), 0);
            let chunk = builder.finish(&held);
            assert_eq!((chunk.start(), chunk.end(), held.bytes()), (100, 110, 10));
            assert_eq!(chunk.payload().bytes, "1,22,33,4,");
            assert_eq!(chunk.payload().cuts, cuts, "{framing:?}");
            drop(chunk);
            assert_eq!(held.bytes(), 0);
        }
    }
}
