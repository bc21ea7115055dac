//! All subscriptions of a server, as one value owned by one actor.
//!
//! [`apply`](Subscriptions::apply) is the only mutation of what is persisted, live and in
//! recovery. Beside it live three caches that no restart needs: the tails that the streams'
//! owners report, the queue of effects, and the indexes (streams to subscriptions, glob prefixes
//! to subscriptions, deadlines). Absent: decisions (see `membership`, `lease`, `wake`).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::event::{Change, Event};
use super::interest::Interest;
use super::state::Subscription;
use crate::glob::segment_prefixes;
use crate::path::StreamPath;
use crate::time::Timestamp;

/// Random numbers as an argument. The live server passes a generator seeded by the system.
pub type Entropy<'a> = &'a mut dyn FnMut() -> u64;

/// Every subscription of a server.
#[derive(Clone, Debug, Default)]
pub struct Subscriptions {
    pub(super) all: BTreeMap<Arc<str>, Subscription>,
    /// The largest generation of any deleted subscription. New ones count on from it, so that no
    /// id ever sees a generation twice, for one number instead of a tombstone each.
    pub(super) floor: u64,
    linked: HashMap<StreamPath, BTreeSet<Arc<str>>>,
    by_prefix: HashMap<Box<str>, BTreeSet<Arc<str>>>,
    deadlines: BTreeSet<(Timestamp, Arc<str>)>,
    pub(super) queue: VecDeque<Arc<str>>,
    interest_revision: u64,
}

impl Subscriptions {
    /// A server without subscriptions.
    #[must_use]
    pub fn new() -> Subscriptions {
        Subscriptions::default()
    }

    /// One subscription.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Subscription> {
        self.all.get(id)
    }

    /// All ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.all.keys()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The earliest time at which [`tick`](Subscriptions::tick) has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The streams whose appends matter here, for their owners.
    #[must_use]
    pub fn interest(&self) -> Interest {
        let mut interest = Interest::new(self.interest_revision);
        for subscription in self.all.values() {
            if let Some(glob) = subscription.config.pattern() {
                interest.add_glob(glob);
            }
            for (path, link) in &subscription.links {
                if link.explicit {
                    interest.add_path(path);
                }
            }
        }
        interest
    }

    /// Grows whenever [`interest`](Subscriptions::interest) may have changed.
    #[must_use]
    pub fn interest_revision(&self) -> u64 {
        self.interest_revision
    }

    /// Acts on an event. An event about an unknown subscription does nothing.
    pub fn apply(&mut self, event: &Event) {
        match &event.change {
            Change::Created { at, base_url, generation, config, links } => {
                let mut subscription = Subscription::created(
                    event.id.clone(),
                    config.clone(),
                    base_url.clone(),
                    *at,
                    *generation,
                );
                links.iter().for_each(|link| subscription.link(link));
                self.insert(subscription);
            }
            Change::Deleted => self.remove(&event.id),
            change => self.apply_to_one(&event.id, change),
        }
    }

    pub(super) fn insert(&mut self, subscription: Subscription) {
        let id = subscription.id.clone();
        self.remove(&id);
        for path in subscription.links.keys() {
            self.linked.entry(path.clone()).or_default().insert(id.clone());
        }
        if let Some(glob) = subscription.config.pattern() {
            let ids = self.by_prefix.entry(glob.literal_prefix().into()).or_default();
            ids.insert(id.clone());
        }
        if let Some(deadline) = subscription.deadline() {
            self.deadlines.insert((deadline, id.clone()));
        }
        self.all.insert(id.clone(), subscription);
        self.interest_revision += 1;
        self.enqueue(&id);
    }

    fn remove(&mut self, id: &Arc<str>) {
        let Some(gone) = self.all.remove(id) else { return };
        self.floor = self.floor.max(gone.generation);
        if let Some(deadline) = gone.deadline() {
            self.deadlines.remove(&(deadline, id.clone()));
        }
        for path in gone.links.keys() {
            drop_from_index(&mut self.linked, path, id);
        }
        if let Some(glob) = gone.config.pattern() {
            drop_from_index(&mut self.by_prefix, glob.literal_prefix(), id);
        }
        self.interest_revision += 1;
    }

    fn apply_to_one(&mut self, id: &Arc<str>, change: &Change) {
        let Some(subscription) = self.all.get_mut(id) else { return };
        let old = subscription.deadline();
        subscription.apply(change);
        let new = subscription.deadline();
        match change {
            Change::Linked { links } => {
                for link in links {
                    self.linked.entry(link.path.clone()).or_default().insert(id.clone());
                    self.interest_revision += u64::from(link.explicit);
                }
            }
            Change::ExplicitRemoved { path } | Change::Unlinked { path } => {
                if !subscription.links.contains_key(path) {
                    drop_from_index(&mut self.linked, path, id);
                }
                self.interest_revision += 1;
            }
            _ => {}
        }
        if old != new {
            old.map(|at| self.deadlines.remove(&(at, id.clone())));
            new.map(|at| self.deadlines.insert((at, id.clone())));
        }
        self.enqueue(id);
    }

    /// Queues a subscription whose delivery waits to be handed over.
    pub(super) fn enqueue(&mut self, id: &Arc<str>) {
        if let Some(subscription) = self.all.get_mut(id)
            && subscription.wants_effect()
            && !subscription.queued
        {
            subscription.queued = true;
            self.queue.push_back(id.clone());
        }
    }

    /// Subscriptions that have a link to `path`.
    pub(super) fn linked_to(&self, path: &StreamPath) -> Vec<Arc<str>> {
        self.linked.get(path).map(|ids| ids.iter().cloned().collect()).unwrap_or_default()
    }

    /// Subscriptions whose pattern matches `path`, but which have no link to it yet.
    pub(super) fn discovering(&self, path: &StreamPath) -> Vec<Arc<str>> {
        segment_prefixes(path.as_str())
            .filter_map(|prefix| self.by_prefix.get(prefix))
            .flatten()
            .filter_map(|id| self.all.get(id))
            .filter(|one| !one.links.contains_key(path) && one.config.globs(path))
            .map(|one| one.id.clone())
            .collect()
    }

    /// Subscriptions whose deadline has come, earliest first.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = &Subscription> {
        self.deadlines
            .iter()
            .take_while(move |(at, _)| *at <= now)
            .filter_map(|(_, id)| self.all.get(id))
    }
}

fn drop_from_index<K, Q>(index: &mut HashMap<K, BTreeSet<Arc<str>>>, key: &Q, id: &Arc<str>)
where
    K: std::borrow::Borrow<Q> + std::hash::Hash + Eq,
    Q: std::hash::Hash + Eq + ?Sized,
{
    if let Some(ids) = index.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}
