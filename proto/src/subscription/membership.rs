//! Which subscriptions there are and which streams they have: PUT, DELETE and explicit links
//! (sections 6.2 to 6.4). Decisions only.
//!
//! DELETE of an unknown id succeeds: a client that lost the first answer may ask again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::config::{Config, MAX_BACKFILL_LINKS, MAX_EXPLICIT_LINKS};
use super::event::{Change, Event, NewLink};
use super::refusal::Refusal;
use super::set::Subscriptions;
use super::{Context, Decision, Outcome};
use crate::limits::MAX_SUBSCRIPTIONS;
use crate::offset::Offset;
use crate::path::StreamPath;

impl Subscriptions {
    pub(super) fn put(
        &self,
        id: &Arc<str>,
        config: &Config,
        context: &Context<'_>,
    ) -> Result<Decision, Refusal> {
        if let Some(existing) = self.get(id) {
            if existing.config != *config {
                return Err(Refusal::ConfigConflict);
            }
            return Ok(Decision { events: Vec::new(), outcome: Outcome::Found });
        }
        if self.len() >= MAX_SUBSCRIPTIONS {
            return Err(Refusal::TooManySubscriptions);
        }
        let links = first_links(config, context.tails);
        if links.len() > MAX_BACKFILL_LINKS {
            return Err(Refusal::TooManyStreams);
        }
        let created = Change::Created {
            at: context.now,
            base_url: context.base_url.into(),
            generation: self.floor,
            config: config.clone(),
            links,
        };
        let events = vec![Event { id: id.clone(), change: created }];
        Ok(Decision { events, outcome: Outcome::Created })
    }

    pub(super) fn delete(&self, id: &Arc<str>) -> Decision {
        let events = self.get(id).map(|gone| gone.event(Change::Deleted)).into_iter().collect();
        Decision { events, outcome: Outcome::NoContent }
    }

    pub(super) fn add_streams(
        &self,
        id: &Arc<str>,
        streams: &[StreamPath],
        context: &Context<'_>,
    ) -> Result<Decision, Refusal> {
        let one = self.existing(id)?;
        if one.config.wake_stream().is_some_and(|wake_stream| streams.contains(wake_stream)) {
            return Err(Refusal::invalid("streams", "streams other than the `wake_stream` itself"));
        }
        let tails: HashMap<_, _> = context.tails.iter().map(|(path, tail)| (path, *tail)).collect();
        let mut links = BTreeMap::new();
        for path in streams {
            let link = match one.links.get(path) {
                Some(link) if link.explicit => continue,
                Some(link) => new_link(path, true, link.acked, link.tail),
                None => {
                    let tail = tails.get(path).copied().unwrap_or_default();
                    new_link(path, true, tail, tail)
                }
            };
            links.insert(path, link);
        }
        if one.explicit_count() + links.len() > MAX_EXPLICIT_LINKS {
            return Err(Refusal::TooManyStreams);
        }
        let links: Vec<NewLink> = links.into_values().collect();
        let linked = (!links.is_empty()).then(|| one.event(Change::Linked { links }));
        Ok(Decision { events: linked.into_iter().collect(), outcome: Outcome::NoContent })
    }

    pub(super) fn remove_stream(
        &self,
        id: &Arc<str>,
        path: &StreamPath,
    ) -> Result<Decision, Refusal> {
        let one = self.existing(id)?;
        let explicit = one.links.get(path).is_some_and(|link| link.explicit);
        let removed = explicit.then(|| one.event(Change::ExplicitRemoved { path: path.clone() }));
        Ok(Decision { events: removed.into_iter().collect(), outcome: Outcome::NoContent })
    }
}

/// The links of a new subscription: everything begins at its tail, so that history is not
/// replayed; what does not exist yet begins at the beginning.
fn first_links(config: &Config, tails: &[(StreamPath, Offset)]) -> Vec<NewLink> {
    let mut links: BTreeMap<&StreamPath, NewLink> = config
        .streams()
        .iter()
        .map(|path| (path, new_link(path, true, Offset::ZERO, Offset::ZERO)))
        .collect();
    for (path, tail) in tails {
        if let Some(link) = links.get_mut(path) {
            link.acked = *tail;
            link.tail = *tail;
        } else if config.globs(path) {
            links.insert(path, new_link(path, false, *tail, *tail));
        }
    }
    links.into_values().collect()
}

fn new_link(path: &StreamPath, explicit: bool, acked: Offset, tail: Offset) -> NewLink {
    NewLink { path: path.clone(), explicit, acked, tail }
}
