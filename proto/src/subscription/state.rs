//! One subscription: its links with their cursors, and at most one wake.
//!
//! Owns what one [`Change`] does to one subscription. Invariants: generations and cursors only
//! grow; `pending` is exactly the set of links whose tail lies beyond their cursor. Tails are a
//! cache of what the streams' owners report and are not persisted. Absent: everything that spans
//! subscriptions (see `set`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::config::{Config, LinkType};
use super::event::{Change, NewLink, WakeIssued};
use super::wire::Position;
use crate::offset::Offset;
use crate::path::StreamPath;
use crate::time::Timestamp;

/// One subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscription {
    pub(super) id: Arc<str>,
    pub(super) config: Config,
    pub(super) base_url: Box<str>,
    pub(super) created_at: Timestamp,
    pub(super) links: BTreeMap<StreamPath, Link>,
    /// Derived from `links`.
    pub(super) pending: BTreeSet<StreamPath>,
    pub(super) generation: u64,
    /// Deliveries that failed in a row.
    pub(super) failures: u32,
    pub(super) wake: Option<Wake>,
    /// Whether the set's effect queue has an entry for it. Not persisted.
    pub(super) queued: bool,
}

/// A stream of a subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Link {
    pub(super) explicit: bool,
    pub(super) acked: Offset,
    /// Not persisted; never behind `acked`.
    pub(super) tail: Offset,
}

/// A wake in flight.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wake {
    pub(super) id: Arc<str>,
    pub(super) at: Timestamp,
    pub(super) stream: StreamPath,
    pub(super) snapshot: Vec<Position>,
    pub(super) stage: Stage,
    pub(super) lease_until: Option<Timestamp>,
    /// The worker that claimed it (pull-wake).
    pub(super) holder: Option<Arc<str>>,
    /// Whether the delivery was handed to the server. Not persisted, so that a restart repeats a
    /// delivery without a recorded result.
    pub(super) handed_over: bool,
}

/// How far the delivery of a wake is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// The next attempt waits for this time.
    Due(Timestamp),
    /// An attempt is to be made or under way.
    Attempting,
    /// Somebody has it: answered 2xx, called back, claimed; or the wake event is written.
    Delivered,
}

impl Subscription {
    /// What `Created` makes.
    pub(super) fn created(
        id: Arc<str>,
        config: Config,
        base_url: Box<str>,
        created_at: Timestamp,
        generation: u64,
    ) -> Subscription {
        Subscription {
            id,
            config,
            base_url,
            created_at,
            links: BTreeMap::new(),
            pending: BTreeSet::new(),
            generation,
            failures: 0,
            wake: None,
            queued: false,
        }
    }

    /// The client's name for it.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// What was asked for.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The newest wake's number.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The cursor of a linked stream.
    #[must_use]
    pub fn acked(&self, path: &StreamPath) -> Option<Offset> {
        self.links.get(path).map(|link| link.acked)
    }

    /// The worker that holds the lease of a pull-wake subscription.
    #[must_use]
    pub fn holder(&self) -> Option<&Arc<str>> {
        self.wake.as_ref()?.holder.as_ref()
    }

    /// `failed` from a failed delivery until the next one succeeds (section 6.3).
    #[must_use]
    pub fn status(&self) -> &'static str {
        if self.failures > 0 { "failed" } else { "active" }
    }

    /// Whether any linked stream has data beyond its cursor.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) fn explicit_count(&self) -> usize {
        self.links.values().filter(|link| link.explicit).count()
    }

    /// The one time at which something happens by itself.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let wake = self.wake.as_ref()?;
        match wake.stage {
            Stage::Due(at) => Some(at),
            Stage::Attempting | Stage::Delivered => wake.lease_until,
        }
    }

    /// Whether a delivery waits to be handed over.
    pub(super) fn wants_effect(&self) -> bool {
        self.wake.as_ref().is_some_and(|wake| {
            wake.stage == Stage::Attempting && !wake.handed_over && wake.holder.is_none()
        })
    }

    /// Pending links in path order, all the way round, beginning with `start` if `inclusive`, else
    /// with what follows it.
    pub(super) fn pending_from<'a>(
        &'a self,
        start: &'a StreamPath,
        inclusive: bool,
    ) -> impl Iterator<Item = (&'a StreamPath, &'a Link)> {
        let (from, to) = if inclusive {
            (Bound::Included(start), Bound::Excluded(start))
        } else {
            (Bound::Excluded(start), Bound::Included(start))
        };
        self.pending
            .range::<StreamPath, _>((from, Bound::Unbounded))
            .chain(self.pending.range::<StreamPath, _>((Bound::Unbounded, to)))
            .filter_map(|path| self.links.get_key_value(path))
    }

    /// A stream's owner reported its tail.
    pub(super) fn observe(&mut self, path: &StreamPath, tail: Offset) {
        if let Some(link) = self.links.get_mut(path)
            && tail > link.tail
        {
            link.tail = tail;
            if link.is_pending() && !self.pending.contains(path) {
                self.pending.insert(path.clone());
            }
        }
    }

    /// Acts on a change of this subscription. `Created` and `Deleted` are the set's business.
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Created { .. } | Change::Deleted => {}
            Change::Linked { links } => links.iter().for_each(|link| self.link(link)),
            Change::ExplicitRemoved { path } => self.remove_explicit(path),
            Change::Unlinked { path } => self.unlink(path),
            Change::Acked { acks } => acks.iter().for_each(|ack| self.ack(ack)),
            Change::WakeIssued(issued) => self.issue(issued),
            Change::WakeEnded => {
                self.wake = None;
                self.failures = 0;
            }
            about_the_wake => self.apply_to_wake(about_the_wake),
        }
    }

    fn apply_to_wake(&mut self, change: &Change) {
        let Some(wake) = &mut self.wake else { return };
        match change {
            Change::AttemptStarted { lease_until } => {
                wake.stage = Stage::Attempting;
                wake.lease_until = *lease_until;
                wake.handed_over = false;
            }
            Change::AttemptFailed { failures, next_attempt_at } => {
                // Nobody works on it: the lease begins again with the next attempt.
                wake.stage = Stage::Due(*next_attempt_at);
                wake.lease_until = None;
                self.failures = *failures;
            }
            Change::Delivered => {
                wake.stage = Stage::Delivered;
                self.failures = 0;
            }
            Change::Claimed { worker, lease_until } => {
                wake.stage = Stage::Delivered;
                wake.holder = Some(worker.clone());
                wake.lease_until = Some(*lease_until);
                self.failures = 0;
            }
            Change::LeaseExtended { lease_until } => {
                wake.stage = Stage::Delivered;
                wake.lease_until = Some(*lease_until);
                self.failures = 0;
            }
            _ => {}
        }
    }

    fn issue(&mut self, issued: &WakeIssued) {
        self.generation = self.generation.max(issued.generation);
        self.failures = issued.failures;
        self.wake = Some(Wake {
            id: issued.wake_id.clone(),
            at: issued.at,
            stream: issued.stream.clone(),
            snapshot: issued.snapshot.clone(),
            stage: issued.due.map_or(Stage::Attempting, Stage::Due),
            lease_until: issued.lease_until,
            holder: None,
            handed_over: false,
        });
    }

    pub(super) fn link(&mut self, new: &NewLink) {
        let fresh = Link { explicit: false, acked: new.acked, tail: new.acked };
        let link = self.links.entry(new.path.clone()).or_insert(fresh);
        link.explicit |= new.explicit;
        link.tail = link.tail.max(new.tail);
        self.refresh(&new.path);
    }

    fn remove_explicit(&mut self, path: &StreamPath) {
        if self.config.globs(path) {
            if let Some(link) = self.links.get_mut(path) {
                link.explicit = false;
            }
        } else {
            self.unlink(path);
        }
    }

    fn unlink(&mut self, path: &StreamPath) {
        self.links.remove(path);
        self.pending.remove(path);
    }

    fn ack(&mut self, ack: &Position) {
        if let Some(link) = self.links.get_mut(&ack.path) {
            link.acked = link.acked.max(ack.offset);
            link.tail = link.tail.max(link.acked);
            self.refresh(&ack.path);
        }
    }

    /// The stream is gone but stays linked: whatever comes next at its path has a larger epoch.
    pub(super) fn forget_tail(&mut self, path: &StreamPath) {
        if let Some(link) = self.links.get_mut(path) {
            link.tail = link.acked;
            self.refresh(path);
        }
    }

    fn refresh(&mut self, path: &StreamPath) {
        if self.links.get(path).is_some_and(Link::is_pending) {
            self.pending.insert(path.clone());
        } else {
            self.pending.remove(path);
        }
    }
}

impl Link {
    /// Data beyond the cursor. A new, empty incarnation of a stream has a larger epoch but
    /// nothing to read.
    pub(super) fn is_pending(&self) -> bool {
        self.tail > self.acked && self.tail.position > 0
    }

    pub(super) fn link_type(&self) -> LinkType {
        if self.explicit { LinkType::Explicit } else { LinkType::Glob }
    }
}
