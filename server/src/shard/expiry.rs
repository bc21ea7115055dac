//! Streams that go away by themselves: sliding and absolute expiry (section 5.1).
//!
//! An expired stream is deleted by a record like any other, before anybody is told that it is
//! gone, so that it cannot come back after a crash. Reads move a sliding expiry in memory, and
//! in the log only now and then; recovery makes up for the difference by waiting longer. While the
//! disk is full, what is left of the segment in use is for these touches.

use std::collections::BTreeSet;

use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::config::Expiry;
use thalweg_proto::stream::record::{Record, StreamId};
use thalweg_proto::time::Timestamp;

use super::Shard;
use super::slot::Slot;

/// Streams that one sweep looks at, at most: a sweep must not hold up requests.
const SWEEP_LIMIT: usize = 1000;
/// A read is logged when the log's access time is older than this part of the TTL...
const TOUCH_FRACTION: u64 = 8;
/// ...and at least this many milliseconds.
const MIN_TOUCH_MS: u64 = 1000;

/// When to look at which stream again. An entry may be too early, never too late.
#[derive(Default)]
pub(super) struct Expiries(BTreeSet<(Timestamp, StreamId)>);

impl Expiries {
    /// Notes when a stream may expire.
    pub(super) fn watch(&mut self, slot: &Slot) {
        if let Some(instant) = slot.state.expires_at() {
            self.0.insert((instant, slot.state.id));
        }
    }

    fn look_again(&mut self, at: Timestamp, id: StreamId) {
        self.0.insert((at, id));
    }

    fn pop_due(&mut self, now: Timestamp) -> Option<StreamId> {
        let (instant, _) = *self.0.first()?;
        if instant > now {
            return None;
        }
        self.0.pop_first().map(|(_, id)| id)
    }
}

/// How far the log's access time may lag behind the newest read.
#[must_use]
pub(super) fn touch_interval_ms(ttl_seconds: u64) -> u64 {
    (ttl_seconds.saturating_mul(1000) / TOUCH_FRACTION).max(MIN_TOUCH_MS)
}

/// Touches that wait because the disk is full.
#[derive(Default)]
pub(super) struct Owed {
    streams: BTreeSet<StreamId>,
    /// When the next ones are logged: what space is left must last.
    next: Timestamp,
}

impl Shard {
    /// Deletes what has expired, trims what is kept no longer, counts what must be counted. Called several times a second.
    pub fn sweep(&mut self, now: Timestamp) {
        self.log_owed_touches(now);
        self.sweep_expired(now);
        self.sweep_retention(now);
        self.sweep_quotas();
    }

    /// Streams whose newest reads a crash would forget now, because nothing says them in the log:
    /// those may expire early after it.
    pub fn unlogged_reads(&self) -> impl Iterator<Item = StreamId> {
        let durable = self.log.durable();
        let is_waiting = move |slot: &&Slot| {
            matches!(slot.state.config.expiry, Expiry::Ttl { .. }) && slot.last_lsn > durable
        };
        let waiting = self.streams.after(None).filter(is_waiting).map(|slot| slot.state.id);
        self.owed.streams.iter().copied().chain(waiting)
    }

    fn sweep_expired(&mut self, now: Timestamp) {
        for _ in 0..SWEEP_LIMIT {
            let Some(id) = self.expiries.pop_due(now) else { return };
            self.expire_or_rewatch(id, now);
        }
    }

    fn expire_or_rewatch(&mut self, id: StreamId, now: Timestamp) {
        let Some(slot) = self.streams.get_mut(id) else { return };
        if slot.deleted || slot.soft_deleted() {
            return;
        }
        // A stream with live readers is being read, whether or not there is anything to say.
        if slot.followers != 0 {
            let path = slot.state.path.clone();
            self.touch(&path, now);
        }
        let Some(slot) = self.streams.get_mut(id) else { return };
        if slot.state.is_expired(now) && self.disk_full {
            // There is no space to say that it is gone; look again soon.
            self.expiries.look_again(now.plus_ms(MIN_TOUCH_MS), id);
        } else if slot.state.is_expired(now) {
            tracing::debug!(stream = %slot.state.path, "stream expired");
            self.remove(id, now);
        } else if slot.followers != 0 {
            self.watch_followed(id, now);
        } else {
            self.expiries.watch(slot);
        }
    }

    /// A stream with live readers is looked at well before it would expire, and its touches are
    /// logged as those of any reads are.
    pub(super) fn watch_followed(&mut self, id: StreamId, now: Timestamp) {
        let Some(slot) = self.streams.get(id) else { return };
        if let Expiry::Ttl { seconds } = slot.state.config.expiry {
            let interval = touch_interval_ms(seconds).min(seconds * 1000 / 4);
            self.expiries.look_again(now.plus_ms(interval), id);
        }
    }

    /// Deletes the stream at a path if its time has come.
    pub(super) fn expire_if_due(&mut self, path: &StreamPath, now: Timestamp) {
        let due = self.streams.at(path).filter(|slot| slot.state.is_expired(now));
        if let Some(id) = due.map(|slot| slot.state.id) {
            self.expire_or_rewatch(id, now);
        }
    }

    /// A read moves the sliding expiry.
    pub(super) fn touch(&mut self, path: &StreamPath, now: Timestamp) {
        let Some(slot) = self.streams.at_mut(path) else { return };
        let Expiry::Ttl { seconds } = slot.state.config.expiry else { return };
        let touch = Record::Touch { id: slot.state.id, at: now };
        slot.state.apply(&touch);
        let unlogged = now.ms_since(slot.logged_access);
        if unlogged < touch_interval_ms(seconds) {
            return;
        }
        if self.disk_full {
            self.owed.streams.insert(slot.state.id);
        } else {
            slot.logged_access = now;
            self.write(touch);
        }
    }

    /// Logs touches that waited: all of them once there is space; before that now and then, as
    /// long as they need no other segment.
    fn log_owed_touches(&mut self, now: Timestamp) {
        if self.owed.streams.is_empty() || self.disk_full && now < self.owed.next {
            return;
        }
        self.owed.next = now.plus_ms(MIN_TOUCH_MS);
        for _ in 0..SWEEP_LIMIT {
            let Some(id) = self.owed.streams.first().copied() else { return };
            let slot = self.streams.get_mut(id).filter(|slot| !slot.deleted);
            if let Some(slot) = slot {
                let touch = Record::Touch { id, at: slot.state.last_access };
                if self.disk_full && !self.log.has_room(&touch) {
                    return;
                }
                slot.logged_access = slot.state.last_access;
                self.write(touch);
            }
            self.owed.streams.remove(&id);
        }
    }

    /// A write has logged its own time.
    pub(super) fn access_logged(&mut self, path: &StreamPath, now: Timestamp) {
        if let Some(slot) = self.streams.at_mut(path) {
            slot.logged_access = now;
        }
    }
}

/// The state of a recovered stream may be as old as its last logged access: give it the time
/// that unlogged reads may have added. None of them was after `now`; without this bound every
/// restart would add to what the last one gave.
pub(super) fn forgive_unlogged_reads(slot: &mut Slot, now: Timestamp) {
    if let Expiry::Ttl { seconds } = slot.state.config.expiry {
        let at = slot.state.last_access.plus_ms(touch_interval_ms(seconds)).min(now);
        slot.state.apply(&Record::Touch { id: slot.state.id, at });
    }
}
