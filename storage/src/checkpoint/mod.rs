//! Checkpoints: every stream of a core with the places of its bytes, so that recovery need not
//! read the log from its beginning.
//!
//! ```text
//! begin (log position) -> add, add, ... over many turns -> finish -> wait until durable -> install
//! ```
//!
//! They are fuzzy: the core goes on while one is made, so each stream says up to which record it
//! is complete, and replay skips what it has. Invariants: a checkpoint is installed only when
//! every record that it may have seen is durable in the log; the one before stays until then, and
//! one more round, to fall back to.

mod chunk;
mod decode;
mod encode;
mod file;
mod salvage;
mod stream;

pub use chunk::{CHECKPOINT_MAGIC, CHUNK_HEADER_BYTES};
pub(crate) use decode::decode_start;
pub use decode::{Checkpoint, decode};
pub(crate) use encode::START_CHUNK_BYTES;
pub use encode::{CheckpointEncoder, CheckpointStart, FinishedCheckpoint};
pub use file::{CheckpointFile, SYNC_LOG};
pub use salvage::{SalvagedCheckpoint, salvage};
pub use stream::CheckpointedStream;

#[cfg(test)]
mod tests;
