//! Checkpoints: the persisted part of the whole state as JSON, versioned like events.
//!
//! Equal states give equal bytes. Tails, queues and indexes are left out on purpose.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::config::Config;
use super::event::{DecodeError, NewLink, check_version, decode_json, encode_json};
use super::set::Subscriptions;
use super::state::{Stage, Subscription, Wake};
use super::wire::{self, Position};
use crate::offset::Offset;
use crate::path::StreamPath;
use crate::time::Timestamp;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Image {
    v: u32,
    floor: u64,
    subscriptions: Vec<SubscriptionImage>,
}

#[derive(Serialize, Deserialize)]
struct SubscriptionImage {
    #[serde(with = "wire::name")]
    id: Arc<str>,
    config: Config,
    base_url: Box<str>,
    #[serde(with = "wire::timestamp")]
    created_at: Timestamp,
    links: Vec<LinkImage>,
    generation: u64,
    failures: u32,
    wake: Option<WakeImage>,
}

#[derive(Serialize, Deserialize)]
struct LinkImage {
    #[serde(rename = "p", with = "wire::path")]
    path: StreamPath,
    #[serde(rename = "e")]
    explicit: bool,
    #[serde(rename = "o", with = "wire::offset")]
    acked: Offset,
}

#[derive(Serialize, Deserialize)]
struct WakeImage {
    #[serde(with = "wire::name")]
    id: Arc<str>,
    #[serde(with = "wire::timestamp")]
    at: Timestamp,
    #[serde(with = "wire::path")]
    stream: StreamPath,
    snapshot: Vec<Position>,
    stage: StageImage,
    #[serde(with = "wire::maybe_timestamp")]
    lease_until: Option<Timestamp>,
    #[serde(with = "wire::maybe_name")]
    holder: Option<Arc<str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StageImage {
    Due(u64),
    Attempting,
    Delivered,
}

impl Subscriptions {
    /// The persisted state as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Bytes {
        let subscriptions = self.all.values().map(SubscriptionImage::of).collect();
        encode_json(&Image { v: VERSION, floor: self.floor, subscriptions })
    }

    /// The state that [`snapshot`](Subscriptions::snapshot) wrote. Deliveries without a result
    /// are queued again; tails are to be reported with
    /// [`stream_advanced`](Subscriptions::stream_advanced).
    pub fn restore(bytes: &[u8]) -> Result<Subscriptions, DecodeError> {
        check_version(bytes, VERSION)?;
        let image: Image = decode_json(bytes)?;
        let mut subscriptions = Subscriptions::new();
        subscriptions.floor = image.floor;
        for one in image.subscriptions {
            subscriptions.insert(one.restore());
        }
        Ok(subscriptions)
    }
}

impl SubscriptionImage {
    fn of(one: &Subscription) -> SubscriptionImage {
        let link_image = |(path, link): (&StreamPath, &super::state::Link)| LinkImage {
            path: path.clone(),
            explicit: link.explicit,
            acked: link.acked,
        };
        SubscriptionImage {
            id: one.id.clone(),
            config: one.config.clone(),
            base_url: one.base_url.clone(),
            created_at: one.created_at,
            links: one.links.iter().map(link_image).collect(),
            generation: one.generation,
            failures: one.failures,
            wake: one.wake.as_ref().map(WakeImage::of),
        }
    }

    fn restore(self) -> Subscription {
        let mut one = Subscription::created(
            self.id,
            self.config,
            self.base_url,
            self.created_at,
            self.generation,
        );
        for LinkImage { path, explicit, acked } in self.links {
            one.link(&NewLink { path, explicit, acked, tail: acked });
        }
        one.failures = self.failures;
        one.wake = self.wake.map(WakeImage::restore);
        one
    }
}

impl WakeImage {
    fn of(wake: &Wake) -> WakeImage {
        WakeImage {
            id: wake.id.clone(),
            at: wake.at,
            stream: wake.stream.clone(),
            snapshot: wake.snapshot.clone(),
            stage: match wake.stage {
                Stage::Due(at) => StageImage::Due(at.0),
                Stage::Attempting => StageImage::Attempting,
                Stage::Delivered => StageImage::Delivered,
            },
            lease_until: wake.lease_until,
            holder: wake.holder.clone(),
        }
    }

    fn restore(self) -> Wake {
        Wake {
            id: self.id,
            at: self.at,
            stream: self.stream,
            snapshot: self.snapshot,
            stage: match self.stage {
                StageImage::Due(at) => Stage::Due(Timestamp(at)),
                StageImage::Attempting => Stage::Attempting,
                StageImage::Delivered => Stage::Delivered,
            },
            lease_until: self.lease_until,
            holder: self.holder,
            handed_over: false,
        }
    }
}
