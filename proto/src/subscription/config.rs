//! What a subscription is asked to be: the normalised configuration of a PUT (section 6.2).
//!
//! Two configurations are the same subscription if and only if they are equal: streams are sorted
//! and deduplicated, defaults are filled in. (The protocol speaks of comparing hashes of the
//! normalised form; comparing the form itself accepts the same requests.)

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::wire;
use crate::glob::Glob;
use crate::path::StreamPath;

pub use crate::limits::{
    DEFAULT_LEASE_TTL_MS, LEASE_TTL_MS, MAX_BACKFILL_LINKS, MAX_DESCRIPTION_BYTES,
    MAX_EXPLICIT_LINKS, MAX_WAKE_STREAMS, MAX_WEBHOOK_URL_BYTES,
};

const _: () = assert!(
    MAX_EXPLICIT_LINKS >= crate::limits::MAX_SUBSCRIPTION_STREAMS,
    "one legal request must fit"
);

/// A checked, normalised configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    pattern: Option<Glob>,
    #[serde(with = "wire::paths")]
    streams: Vec<StreamPath>,
    delivery: Delivery,
    lease_ttl_ms: u64,
    description: Option<Box<str>>,
}

/// How workers learn of pending work.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// The server POSTs each wake to a URL.
    Webhook {
        /// Where.
        url: Box<str>,
    },
    /// The server appends each wake to a stream, and workers claim.
    PullWake {
        /// The wake channel, created by the application.
        #[serde(with = "wire::path")]
        wake_stream: StreamPath,
    },
}

/// Why a stream belongs to a subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkType {
    /// Matched by the pattern.
    Glob,
    /// Named by the client, possibly matched as well.
    Explicit,
}

impl Config {
    /// Normalises and checks what the parts mean together.
    pub fn new(
        pattern: Option<Glob>,
        mut streams: Vec<StreamPath>,
        delivery: Delivery,
        lease_ttl_ms: u64,
        description: Option<Box<str>>,
    ) -> Result<Config, Refusal> {
        if pattern.is_none() && streams.is_empty() {
            return Err(Refusal::invalid("pattern", "at least one of `pattern` and `streams`"));
        }
        if !LEASE_TTL_MS.contains(&lease_ttl_ms) {
            return Err(Refusal::invalid("lease_ttl_ms", "an integer from 1000 to 600000"));
        }
        streams.sort_unstable();
        streams.dedup();
        let config = Config { pattern, streams, delivery, lease_ttl_ms, description };
        match config.wake_stream() {
            Some(wake_stream) if config.streams.contains(wake_stream) => {
                Err(Refusal::invalid("streams", "streams other than the `wake_stream` itself"))
            }
            _ => Ok(config),
        }
    }

    /// The glob over stream paths.
    #[must_use]
    pub fn pattern(&self) -> Option<&Glob> {
        self.pattern.as_ref()
    }

    /// The explicit streams of the PUT, sorted, without duplicates.
    #[must_use]
    pub fn streams(&self) -> &[StreamPath] {
        &self.streams
    }

    /// How workers are woken.
    #[must_use]
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// How long a lease lasts without a sign of life.
    #[must_use]
    pub fn lease_ttl_ms(&self) -> u64 {
        self.lease_ttl_ms
    }

    /// The client's note to itself.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The URL of a webhook subscription.
    #[must_use]
    pub fn webhook_url(&self) -> Option<&str> {
        match &self.delivery {
            Delivery::Webhook { url } => Some(url),
            Delivery::PullWake { .. } => None,
        }
    }

    /// The wake channel of a pull-wake subscription.
    #[must_use]
    pub fn wake_stream(&self) -> Option<&StreamPath> {
        match &self.delivery {
            Delivery::Webhook { .. } => None,
            Delivery::PullWake { wake_stream } => Some(wake_stream),
        }
    }

    /// Whether a stream at `path` is linked by the pattern. The wake channel never is: each wake
    /// would be the reason for the next.
    #[must_use]
    pub fn globs(&self, path: &StreamPath) -> bool {
        self.pattern.as_ref().is_some_and(|glob| glob.matches(path.as_str()))
            && self.wake_stream() != Some(path)
    }
}

impl LinkType {
    /// As responses spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LinkType::Glob => "glob",
            LinkType::Explicit => "explicit",
        }
    }
}
