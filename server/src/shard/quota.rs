//! What the streams of this core count for in their quotas.
//!
//! A stream counts from the moment its record is accepted until its deletion is durable; its bytes
//! from their append until they are given up: as long as a fork reads them they are there. Each
//! slot remembers what it counts for, so that exactly that is given back.
//!
//! When the patterns change, a sweep looks at a part of the streams at a time; until it is through,
//! a new quota does not know all of its streams.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use smallvec::SmallVec;
use thalweg_proto::path::StreamPath;
use thalweg_proto::problem::Problem;
use thalweg_proto::stream::record::StreamId;

use super::Shard;
use super::slot::Slot;
use crate::config::limits::QUOTA_SWEEP_STREAMS;
use crate::limits::{Members, Quotas};

/// The quotas of a core.
#[derive(Default)]
pub(super) struct Counting {
    quotas: Arc<Quotas>,
    /// Streams with the same quotas share them.
    members: HashMap<SmallVec<[u16; 4]>, Arc<Members>, RandomState>,
    /// Streams up to this one have the newest quotas; the outer `None`: all have.
    counted: Option<Option<StreamId>>,
}

impl Counting {
    /// The quotas of a path, if there are any.
    fn of(&mut self, path: &StreamPath) -> Option<Arc<Members>> {
        if self.quotas.is_empty() {
            return None;
        }
        let numbers: SmallVec<[u16; 4]> = self.quotas.of(path).collect();
        if numbers.is_empty() {
            return None;
        }
        if let Some(known) = self.members.get(&numbers) {
            return Some(Arc::clone(known));
        }
        let members = Arc::new(self.quotas.members(&numbers));
        self.members.insert(numbers, Arc::clone(&members));
        Some(members)
    }

    /// Gives a stream its quotas, which count it from now on.
    fn adopt(&mut self, slot: &mut Slot) {
        if slot.members.as_ref().is_some_and(|members| members.are_of(&self.quotas)) {
            return;
        }
        if slot.members.is_none() {
            slot.counted_bytes = slot.stored_bytes();
        }
        let members = self.of(&slot.state.path);
        if let Some(members) = &members {
            members.count(slot.counted_bytes, slot.members.as_deref());
        }
        slot.members = members;
    }
}

impl Shard {
    /// Counts all streams now: before anybody is served.
    pub fn count_quotas(&mut self, quotas: Arc<Quotas>) {
        self.set_quotas(quotas);
        while self.counting.counted.is_some() {
            self.sweep_quotas();
        }
    }

    /// From now on these are the quotas. Streams are counted by the next sweeps.
    pub fn set_quotas(&mut self, quotas: Arc<Quotas>) {
        if quotas.differs_from(&self.counting.quotas) {
            self.counting = Counting { quotas, counted: Some(None), ..Counting::default() };
        }
    }

    /// Counts a part of the streams.
    pub(super) fn sweep_quotas(&mut self) {
        let Some(after) = self.counting.counted else { return };
        let some: Vec<StreamId> =
            self.streams.after(after).take(QUOTA_SWEEP_STREAMS).map(|slot| slot.state.id).collect();
        for id in &some {
            if let Some(slot) = self.streams.get_mut(*id) {
                self.counting.adopt(slot);
            }
        }
        self.counting.counted = match some.last() {
            Some(last) if some.len() == QUOTA_SWEEP_STREAMS => Some(Some(*last)),
            _ => None,
        };
    }

    /// Room for a new stream at a path; what it is given back by.
    pub(super) fn room_for_stream(
        &mut self,
        path: &StreamPath,
        bytes: usize,
    ) -> Result<Option<Arc<Members>>, Problem> {
        let members = self.counting.of(path);
        if let Some(members) = &members {
            members.take(1, bytes as u64)?;
        }
        Ok(members)
    }

    /// Room for more bytes of a stream.
    pub(super) fn room_for_bytes(&mut self, id: StreamId, bytes: usize) -> Result<(), Problem> {
        let Some(slot) = self.streams.get_mut(id) else { return Ok(()) };
        let Some(members) = &slot.members else { return Ok(()) };
        members.take(0, bytes as u64)?;
        slot.counted_bytes += bytes as u64;
        Ok(())
    }
}

impl Slot {
    /// Bytes of its own that are kept, accepted ones included.
    pub(super) fn stored_bytes(&self) -> u64 {
        // What a fork reads stays; otherwise nothing before the beginning does.
        let earliest = if self.forks == 0 { self.visible_earliest } else { 0 };
        self.state.tail.saturating_sub(self.first_kept().max(earliest))
    }

    /// The beginning of the stream was given up.
    pub(super) fn give_back_trimmed(&mut self) {
        let kept = self.stored_bytes();
        if let Some(members) = &self.members {
            members.give(0, self.counted_bytes.saturating_sub(kept));
            self.counted_bytes = self.counted_bytes.min(kept);
        }
    }

    /// The stream is gone.
    pub(super) fn give_back_all(&self) {
        if let Some(members) = &self.members {
            members.give(1, self.counted_bytes);
        }
    }
}
