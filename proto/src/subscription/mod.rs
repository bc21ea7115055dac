//! Subscriptions: durable cursors over streams that wake workers by webhook or pull-wake
//! (sections 6 and 7).
//!
//! [`Subscriptions`] holds all of a server's subscriptions and is owned by one actor. It is
//! event-sourced: `decide`, `tick` and the other inputs return [`Event`]s, the owner logs them,
//! and [`Subscriptions::apply`] acts on them, live and in recovery.
//! [`Subscriptions::poll_effect`] then says what is to be delivered. Clock, randomness and the
//! token key are arguments; sockets, DNS and signatures of webhooks are the server's business.
//!
//! ```text
//!               pending work                      attempt failed
//!   (idle) ───────────────────▶ Attempting ─────────────────────▶ Due(next_attempt_at)
//!     ▲                          │      ▲                            │
//!     │             2xx, written │      └────────────────────────────┘ tick: same generation
//!     │       callback or claim  ▼
//!     └─────────────────────  Delivered
//!       done, release, lease expired: then at once the next wake, if work is pending
//! ```
//!
//! A generation is one pass from idle to idle. The lease of a webhook runs while an attempt or a
//! receiver works on it, not while a retry waits; the lease of a pull-wake runs from its claim.

mod body;
mod config;
mod effect;
mod event;
mod interest;
mod lease;
mod membership;
mod refusal;
mod render;
mod request;
mod set;
mod snapshot;
mod state;
mod token;
mod wake;
mod wire;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod scenario_tests;
#[cfg(test)]
mod test_world;

use std::sync::Arc;

pub use config::{
    Config, DEFAULT_LEASE_TTL_MS, Delivery, LEASE_TTL_MS, LinkType, MAX_BACKFILL_LINKS,
    MAX_DESCRIPTION_BYTES, MAX_EXPLICIT_LINKS, MAX_WAKE_STREAMS, MAX_WEBHOOK_URL_BYTES,
};
pub use effect::{Effect, WakeRef};
pub use event::{Change, DecodeError, Event, NewLink, WakeIssued};
pub use interest::Interest;
pub use refusal::Refusal;
pub use render::Reply;
pub use request::{Operation, SubscriptionRequest, WakeReport};
pub use set::{Entropy, Subscriptions};
pub use state::Subscription;
pub use token::{Claims, TOKEN_GRACE_MS, TokenSigner};
pub use wire::Position;

use crate::offset::Offset;
use crate::path::StreamPath;
use crate::time::Timestamp;

/// What a decision depends on beside the state and the request.
pub struct Context<'a> {
    /// The time of the request.
    pub now: Timestamp,
    /// Random numbers, for wake ids.
    pub entropy: Entropy<'a>,
    /// The key of the wake tokens.
    pub signer: &'a dyn TokenSigner,
    /// The public URL of the stream root, without a slash at the end. A new subscription keeps it.
    pub base_url: &'a str,
    /// The tails that [`SubscriptionRequest::wanted_tails`] asks for.
    pub tails: &'a [(StreamPath, Offset)],
}

/// An accepted request: log the events, apply them, then render the outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// What changes. Empty if nothing does.
    pub events: Vec<Event>,
    /// What to answer once the events are durable.
    pub outcome: Outcome,
}

/// What to answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// 201 with the subscription.
    Created,
    /// 200 with the subscription: it was there already, or it was asked for.
    Found,
    /// 204.
    NoContent,
    /// 200 with the wake and its token.
    Claimed {
        /// The signed token.
        token: Box<str>,
    },
    /// 200 with `ok` and `next_wake`.
    Acked {
        /// Whether pending work made another wake.
        next_wake: bool,
    },
}

impl Subscriptions {
    /// Decides on a request without changing anything. Drain [`tick`](Subscriptions::tick) first,
    /// so that no expired lease is taken for a held one.
    pub fn decide(
        &self,
        id: &Arc<str>,
        operation: &Operation,
        context: &mut Context<'_>,
    ) -> Result<Decision, Refusal> {
        match operation {
            Operation::Put(config) => self.put(id, config, context),
            Operation::Get => {
                let _: &Subscription = self.existing(id)?;
                Ok(Decision { events: Vec::new(), outcome: Outcome::Found })
            }
            Operation::Delete => Ok(self.delete(id)),
            Operation::AddStreams(streams) => self.add_streams(id, streams, context),
            Operation::RemoveStream(path) => self.remove_stream(id, path),
            Operation::Claim { worker } => self.claim(id, worker, context),
            Operation::Ack(report) => self.ack(id, report, context),
            Operation::Callback(report) => self.callback(id, report, context),
            Operation::Release(report) => self.release(id, report, context),
        }
    }

    fn existing(&self, id: &str) -> Result<&Subscription, Refusal> {
        self.get(id).ok_or(Refusal::NotFound)
    }
}

impl Subscription {
    fn event(&self, change: Change) -> Event {
        Event { id: self.id.clone(), change }
    }
}
