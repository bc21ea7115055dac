//! Memory that was made to answer readers, counted until the last of them has let go of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

/// Counts bytes. Answers leave their core, so this counts from any thread.
#[derive(Clone, Default, Debug)]
pub struct Held(Arc<AtomicUsize>);

/// Less than this is not worth counting.
const LEAST_BYTES: usize = 16 * 1024;

impl Held {
    /// The bytes as they are, counted while anybody has a part of them.
    #[must_use]
    pub fn count(&self, bytes: Vec<u8>) -> Bytes {
        self.0.fetch_add(bytes.len(), Relaxed);
        Bytes::from_owner(Counted { bytes, held: self.clone() })
    }

    /// The same, but for few.
    #[must_use]
    pub fn count_many(&self, bytes: bytes::BytesMut) -> Bytes {
        if bytes.len() < LEAST_BYTES { bytes.freeze() } else { self.count(bytes.into()) }
    }

    /// How many there are.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.load(Relaxed)
    }
}

struct Counted {
    bytes: Vec<u8>,
    held: Held,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes.len(), Relaxed);
    }
}
