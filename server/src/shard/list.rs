//! Listings: the bounded extension for clients, and the scan for subscriptions.

use std::ops::Bound;

use bytes::Bytes;
use serde_json::json;
use thalweg_proto::request::ListRequest;
use thalweg_proto::time::Timestamp;

use super::slot::Slot;
use super::{Answer, ReplyTo, Shard};
use crate::mailbox::message::Listed;
use crate::subscriptions::Wanted;

impl Shard {
    /// One more stream than asked for, so that the asker knows whether there are more.
    pub(super) fn list(&mut self, request: &ListRequest, to: ReplyTo, now: Timestamp) {
        let durable = self.log.durable();
        let from = match &request.cursor {
            Some(cursor) if cursor.as_str() >= request.prefix.as_str() => {
                Bound::Excluded(cursor.as_str())
            }
            _ => Bound::Included(request.prefix.as_str()),
        };
        let listed = self
            .streams
            .paths_from(from)
            .take_while(|slot| slot.state.path.as_str().starts_with(&request.prefix))
            .filter(|slot| slot.is_visible(durable) && !slot.state.is_expired(now))
            .take(request.limit + 1)
            .map(|slot| Listed { path: slot.state.path.clone(), entry: entry(slot) })
            .collect();
        self.reply(to, Answer::Listing(listed));
    }

    pub(super) fn scan(&mut self, wanted: &Wanted, to: ReplyTo) {
        let durable = self.log.durable();
        let is_there = |slot: &&Slot| slot.is_visible(durable);
        let tail = |slot: &Slot| (slot.state.path.clone(), slot.visible_offset());
        let found = match wanted {
            // Without a pattern there is no need to look at every stream.
            Wanted::Request(None, paths) => {
                let named = paths.iter().filter_map(|path| self.streams.at(path));
                named.filter(is_there).map(tail).collect()
            }
            // At most starts nobody watches: a million streams need not be looked at for that.
            Wanted::Interest(interest) if interest.is_empty() => Vec::new(),
            wanted => {
                let all = self.streams.after(None).filter(is_there);
                all.filter(|slot| wanted.matches(&slot.state.path)).map(tail).collect()
            }
        };
        self.reply(to, Answer::Scan(found));
    }
}

fn entry(slot: &Slot) -> Bytes {
    let state = &slot.state;
    let entry = json!({
        "path": state.path.as_str(),
        "content_type": state.config.content_type.as_str(),
        "next_offset": slot.visible_offset().to_string(),
        "closed": slot.visible_closed,
        "created_at": state.created.to_rfc3339(),
        "expires_at": state.expires_at().map(Timestamp::to_rfc3339),
    });
    Bytes::from(entry.to_string())
}
