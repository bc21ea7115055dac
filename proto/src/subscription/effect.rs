//! What is to be delivered: the outputs of the state machine.
//!
//! An effect is derived from the state, never stored: after a restart every delivery without a
//! recorded result comes out again. So receivers may see a wake twice, with the same wake id.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::config::{Delivery, MAX_WAKE_STREAMS};
use super::event::encode_json;
use super::render::{StreamState, control_url};
use super::set::Subscriptions;
use super::state::{Subscription, Wake};
use super::token::TokenSigner;
use crate::path::StreamPath;

/// Names one wake: what a delivery's result is reported for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WakeRef {
    /// The subscription's id.
    pub subscription: Arc<str>,
    /// The generation.
    pub generation: u64,
    /// The wake id.
    pub wake_id: Arc<str>,
}

/// Something for the server to do. Report the result with
/// [`delivery_succeeded`](Subscriptions::delivery_succeeded) or
/// [`delivery_failed`](Subscriptions::delivery_failed).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// POST the body to the URL, signed.
    Deliver {
        /// For which wake.
        wake: WakeRef,
        /// Where.
        url: Box<str>,
        /// The JSON body, token included: not for logs.
        body: Bytes,
        /// 1 for the first.
        attempt: u32,
    },
    /// Append the event to the wake stream.
    WriteWake {
        /// For which wake.
        wake: WakeRef,
        /// Where.
        wake_stream: StreamPath,
        /// One JSON message.
        event: Bytes,
    },
}

#[derive(Serialize)]
struct Notification<'a> {
    subscription_id: &'a str,
    wake_id: &'a str,
    generation: u64,
    streams: Vec<StreamState<'a>>,
    callback_url: String,
    callback_token: String,
}

#[derive(Serialize)]
struct WakeEvent<'a> {
    r#type: &'static str,
    subscription_id: &'a str,
    stream: &'a str,
    generation: u64,
    ts: u64,
}

impl Subscriptions {
    /// The next thing to deliver. Call it only when there is room to take an effect on: what was
    /// returned is not returned again until its result is reported, its lease ends, or a restart.
    pub fn poll_effect(&mut self, signer: &dyn TokenSigner) -> Option<Effect> {
        while let Some(id) = self.queue.pop_front() {
            let Some(one) = self.all.get_mut(&id) else { continue };
            one.queued = false;
            if !one.wants_effect() {
                continue;
            }
            if let Some(wake) = &mut one.wake {
                wake.handed_over = true;
            }
            if let Some(wake) = &one.wake {
                return Some(one.effect(wake, signer));
            }
        }
        None
    }
}

impl Subscription {
    fn effect(&self, wake: &Wake, signer: &dyn TokenSigner) -> Effect {
        let names = WakeRef {
            subscription: self.id.clone(),
            generation: self.generation,
            wake_id: wake.id.clone(),
        };
        match self.config.delivery() {
            Delivery::Webhook { url } => Effect::Deliver {
                wake: names,
                url: url.clone(),
                body: self.notification(wake, signer),
                attempt: self.failures.saturating_add(1),
            },
            Delivery::PullWake { wake_stream } => Effect::WriteWake {
                wake: names,
                wake_stream: wake_stream.clone(),
                event: encode_json(&WakeEvent {
                    r#type: "wake",
                    subscription_id: &self.id,
                    stream: wake.stream.as_str(),
                    generation: self.generation,
                    ts: wake.at.0,
                }),
            },
        }
    }

    fn notification(&self, wake: &Wake, signer: &dyn TokenSigner) -> Bytes {
        let claims = self.claims(self.generation, &wake.id, wake.lease_until.unwrap_or(wake.at));
        encode_json(&Notification {
            subscription_id: &self.id,
            wake_id: &wake.id,
            generation: self.generation,
            streams: self.told_streams(wake),
            callback_url: control_url(&self.base_url, &self.id, "callback"),
            callback_token: claims.encode(signer),
        })
    }

    /// The snapshot, then the other links as room allows. What advanced after the snapshot is not
    /// shown as pending: `done` would not ack it.
    fn told_streams<'a>(&'a self, wake: &'a Wake) -> Vec<StreamState<'a>> {
        let in_snapshot: HashSet<&StreamPath> =
            wake.snapshot.iter().map(|told| &told.path).collect();
        let pending = wake.snapshot.iter().filter_map(|told| {
            let link = self.links.get(&told.path)?;
            Some(StreamState::new(&told.path, link, told.offset.max(link.acked)))
        });
        let others = self
            .links
            .iter()
            .filter(|(path, _)| !in_snapshot.contains(path))
            .map(|(path, link)| StreamState::new(path, link, link.acked));
        pending.chain(others).take(MAX_WAKE_STREAMS).collect()
    }
}
