//! Retention: which streams have more than they should, and dropping the beginning of them.
//!
//! A trim is a record like any other: readers see it once it is durable, recovery applies it with
//! the same code. Bytes that a fork reads stay until the last fork is gone; only the stream
//! itself begins later.
//!
//! Invariants: a trim ends where a record does, so that a JSON stream begins with a message; at
//! least as much is kept as was asked for. Streams wait in line to be looked at, each at most once,
//! so that a sweep never looks at all of them.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use thalweg_proto::answer::{Visible, offset_trimmed};
use thalweg_proto::problem::Problem;
use thalweg_proto::stream::StreamState;
use thalweg_proto::stream::record::{Record, StreamId};
use thalweg_proto::stream::retention::Retention;
use thalweg_proto::time::Timestamp;

use super::Shard;
use super::slot::Slot;

/// Streams of each line that one sweep looks at, at most: a sweep must not hold up requests.
const SWEEP_LIMIT: usize = 500;
/// Streams that one sweep looks at again after the limits of the server have changed, at most.
const REVIEW_LIMIT: usize = 5_000;
/// A stream is trimmed when it has this part of its limit too much, not at each append.
const SLACK_FRACTION: u64 = 16;
/// How soon a stream is looked at again whose oldest bytes could not be trimmed yet.
const RETRY_MS: u64 = 1000;

/// Which streams to look at.
#[derive(Default)]
pub(super) struct Trims {
    /// The limits of streams that have none of their own.
    server: Retention,
    /// Streams that have grown beyond their limit.
    grown: VecDeque<StreamId>,
    /// When the oldest bytes of a stream will be too old.
    ageing: BTreeSet<(Timestamp, StreamId)>,
    /// The limits have changed: streams behind this one are still to be looked at again.
    review: Option<StreamId>,
}

impl Trims {
    pub(super) fn new(server: Retention) -> Trims {
        Trims { server, ..Trims::default() }
    }

    /// The limits in force.
    pub(super) fn limits(&self, state: &StreamState) -> Retention {
        state.config.retention.or(self.server)
    }

    /// A stream comes to be, or comes back: how old its bytes are is remembered if that matters.
    pub(super) fn adopt(&self, state: &mut StreamState) {
        match self.limits(state).max_age_ms() {
            Some(_) if state.ages.is_none() => state.watch_age(),
            Some(_) => {}
            None => state.ages = None,
        }
    }

    /// Puts a stream in line if it has something to trim, now or later.
    pub(super) fn watch(&mut self, slot: &mut Slot) {
        let limits = self.limits(&slot.state);
        if let Some(limit) = limits.max_bytes()
            && !slot.trim_due
        {
            let Range { start, end } = slot.readable();
            slot.trim_due = end - start > limit.saturating_add(limit / SLACK_FRACTION);
            self.grown.extend(slot.trim_due.then_some(slot.state.id));
        }
        if let Some(age) = limits.max_age_ms()
            && !slot.ageing
            && let Some(oldest) = slot.state.ages.as_ref().and_then(|ages| ages.oldest())
        {
            slot.ageing = true;
            self.ageing.insert((oldest.plus_ms(age), slot.state.id));
        }
    }

    /// The first position to keep.
    fn target(&self, slot: &Slot, now: Timestamp) -> u64 {
        let limits = self.limits(&slot.state);
        let tail = slot.visible_tail;
        let by_bytes = limits.max_bytes().and_then(|limit| {
            let position = tail.checked_sub(limit)?;
            slot.boundary_before(position)
        });
        let by_age = limits.max_age_ms().and_then(|age| {
            let too_old = Timestamp(now.0.checked_sub(age)?);
            slot.state.ages.as_ref()?.older_than(too_old).filter(|position| *position <= tail)
        });
        by_bytes.unwrap_or(0).max(by_age.unwrap_or(0))
    }

    fn pop_too_old(&mut self, now: Timestamp) -> Option<StreamId> {
        let (due, _) = *self.ageing.first()?;
        if due > now {
            return None;
        }
        self.ageing.pop_first().map(|(_, id)| id)
    }
}

impl Shard {
    /// Other limits of the server hold from now on, for the streams that are there too.
    pub fn set_retention(&mut self, server: Retention) {
        if self.trims.server != server {
            self.trims.server = server;
            self.trims.review = Some(StreamId(0));
        }
    }

    /// Looks at some streams again after the limits have changed.
    fn review_retention(&mut self) {
        let Some(after) = self.trims.review else { return };
        let some = self.streams.after(Some(after)).take(REVIEW_LIMIT);
        let ids: Vec<StreamId> = some.map(|slot| slot.state.id).collect();
        self.trims.review = ids.last().copied().filter(|_| ids.len() == REVIEW_LIMIT);
        for id in ids {
            let Some(slot) = self.streams.get_mut(id) else { continue };
            self.trims.adopt(&mut slot.state);
            // An entry for the limit of before may be too late.
            slot.ageing = false;
            self.trims.watch(slot);
        }
    }

    /// Trims what has grown too long or too old. Called several times a second.
    pub(super) fn sweep_retention(&mut self, now: Timestamp) {
        self.review_retention();
        if self.overloaded().is_some() {
            return;
        }
        for _ in 0..SWEEP_LIMIT {
            let Some(id) = self.trims.grown.pop_front() else { break };
            let Some(slot) = self.streams.get_mut(id) else { continue };
            slot.trim_due = false;
            self.trim(id, now);
        }
        for _ in 0..SWEEP_LIMIT {
            let Some(id) = self.trims.pop_too_old(now) else { break };
            let Some(slot) = self.streams.get_mut(id) else { continue };
            slot.ageing = false;
            self.trim(id, now);
            self.watch_age_again(id, now);
        }
    }

    fn trim(&mut self, id: StreamId, now: Timestamp) {
        let Some(slot) = self.streams.get(id).filter(|slot| !slot.deleted) else { return };
        let to = self.trims.target(slot, now);
        if to > slot.state.earliest && !slot.soft_deleted() {
            self.write(Record::Trim { id, at: now, to });
        }
    }

    /// The next bytes of a stream will be too old later, or could not go yet.
    fn watch_age_again(&mut self, id: StreamId, now: Timestamp) {
        let Some(slot) = self.streams.get_mut(id) else { return };
        let age = self.trims.limits(&slot.state).max_age_ms();
        let oldest = slot.state.ages.as_ref().and_then(|ages| ages.oldest());
        if let (Some(age), Some(oldest)) = (age, oldest) {
            let due = oldest.plus_ms(age).max(now.plus_ms(RETRY_MS));
            slot.ageing = true;
            self.trims.ageing.insert((due, id));
        }
    }

    /// A trim is durable.
    pub(super) fn trimmed(&mut self, id: StreamId, to: u64) {
        let Some(slot) = self.streams.get_mut(id) else { return };
        let dropped = to.saturating_sub(slot.visible_earliest);
        slot.visible_earliest += dropped;
        self.counters.trims += 1;
        self.counters.trimmed_bytes += dropped;
        self.give_up_trimmed(id);
    }

    /// Gives back the space of what nobody reads any more.
    pub(super) fn give_up_trimmed(&mut self, id: StreamId) {
        let Some(slot) = self.streams.get_mut(id).filter(|slot| slot.forks == 0) else { return };
        let dropped = slot.extents.drop_before(slot.visible_earliest);
        self.history.trim(id, slot.visible_earliest);
        if !self.log.is_durable() {
            slot.drop_hot_before_earliest();
        }
        slot.give_back_trimmed();
        self.log.forget(dropped);
    }

    /// What of a stream may be told.
    pub(super) fn visible(&self, slot: &Slot) -> Visible {
        Visible {
            earliest: slot.visible_earliest,
            tail: slot.visible_tail,
            closed: slot.visible_closed,
            retention: self.trims.limits(&slot.state),
        }
    }
}

/// The refusal for a position that a stream has given up.
pub(super) fn trimmed_at(slot: &Slot, position: u64) -> Option<Box<Problem>> {
    let earliest = slot.visible_earliest;
    let is_gone = position < slot.first_kept();
    (is_gone && position < earliest)
        .then(|| Box::new(offset_trimmed(slot.state.offset_at(earliest), "offset")))
}
