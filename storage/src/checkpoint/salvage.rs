//! Reads what is good of a checkpoint file that may be damaged. Chunks are verified one by one, so
//! that a damaged one costs the streams in it.

use bytes::Bytes;

use super::chunk;
use super::decode::decode_start;
use super::encode::CheckpointStart;
use super::stream::{self, CheckpointedStream};
use crate::error::Damage;
use crate::format::FORMAT_VERSION;
use crate::location::Lsn;
use crate::wire::Fields;

/// What could be read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SalvagedCheckpoint {
    /// The version; that of this crate if the first chunk cannot be read.
    pub version: u32,
    /// The first chunk.
    pub start: Option<CheckpointStart>,
    /// Streams of good chunks.
    pub streams: Vec<CheckpointedStream>,
    /// The subscription snapshot.
    pub subscriptions: Option<Bytes>,
    /// Subscription events behind the snapshot.
    pub events: Vec<Bytes>,
    /// The last record when the checkpoint was finished; absent without the last chunk.
    pub last_lsn: Option<Lsn>,
    /// What is wrong, and where in the file.
    pub damages: Vec<(u64, Damage)>,
}

impl SalvagedCheckpoint {
    /// Whether all of it is good.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damages.is_empty()
    }

    fn take(&mut self, kind: u32, body: &[u8]) -> Result<(), Damage> {
        let mut fields = Fields::new(body);
        match kind {
            chunk::KIND_STREAMS => {
                while fields.remaining() > 0 {
                    self.streams.push(stream::decode(&mut fields, self.version)?);
                }
            }
            chunk::KIND_SUBSCRIPTIONS => self.subscriptions = Some(Bytes::copy_from_slice(body)),
            chunk::KIND_SUBSCRIPTION_EVENT => self.events.push(Bytes::copy_from_slice(body)),
            chunk::KIND_END => {
                let (count, last_lsn) = (fields.u64()?, Lsn(fields.u64()?));
                fields.finish("length of the last chunk")?;
                self.last_lsn = Some(last_lsn);
                let is_complete = count == self.streams.len() as u64;
                if !is_complete && self.damages.is_empty() {
                    return Err(Damage::Field { what: "number of streams", found: count });
                }
            }
            found => return Err(Damage::Field { what: "kind of the chunk", found: found.into() }),
        }
        Ok(())
    }
}

/// Reads a whole file, as far as it is good.
#[must_use]
pub fn salvage(bytes: &[u8]) -> SalvagedCheckpoint {
    let mut found = SalvagedCheckpoint { version: FORMAT_VERSION, ..SalvagedCheckpoint::default() };
    let mut at = match decode_start(bytes) {
        Ok((version, start, rest)) => {
            (found.version, found.start) = (version, Some(start));
            bytes.len() - rest.len()
        }
        Err(damage) => {
            found.damages.push((0, damage));
            let Some(next) = next_chunk(bytes, 0) else { return found };
            next
        }
    };
    for index in 1.. {
        if found.last_lsn.is_some() {
            break;
        }
        match chunk::open(&bytes[at..], index) {
            Ok((kind, body)) => {
                if let Err(damage) = found.take(kind, body) {
                    found.damages.push((at as u64, damage));
                }
                at += chunk::CHUNK_HEADER_BYTES + body.len();
            }
            Err(damage) => {
                found.damages.push((at as u64, damage));
                let Some(next) = next_chunk(bytes, at) else { return found };
                at = next;
            }
        }
    }
    if at < bytes.len() {
        let left = (bytes.len() - at) as u64;
        let what = "number of bytes after the last chunk";
        found.damages.push((at as u64, Damage::Field { what, found: left }));
    }
    found
}

/// Where the next chunk begins, if the length of a damaged one is to be believed.
fn next_chunk(bytes: &[u8], at: usize) -> Option<usize> {
    let len = bytes.get(at + 4..at + 8)?.try_into().ok().map(u32::from_le_bytes)?;
    let next = at.checked_add(chunk::CHUNK_HEADER_BYTES)?.checked_add(len as usize)?;
    (next < bytes.len()).then_some(next)
}
