//! Webhook delivery: one signed POST and the reading of its answer (section 7.1).
//!
//! Invariants: every address is checked when it is connected to (see `ssrf`), no redirect is
//! followed, no proxy of the environment is used, and an answer costs bounded time and memory.
//! Absent: retries and leases, which the subscriptions schedule.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use reqwest::{Client, Response, redirect};
use thalweg_proto::subscription::WakeRef;
use thalweg_proto::time::Timestamp;

use super::keys::Keys;
use super::ssrf::{GuardedResolver, Rejection, Verdict, check_text};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the name's resolution to the last byte of the answer.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
/// Answers are `{"done":true}` or close to it; a longer one is not read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_CONNECTIONS_PER_HOST: usize = 8;

/// A wake on its way to a webhook.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Which wake.
    pub wake: WakeRef,
    /// Where to.
    pub url: Box<str>,
    /// What: the JSON body.
    pub body: Bytes,
}

/// How a delivery ended.
#[derive(Debug)]
pub enum DeliveryResult {
    /// 2xx with `{"done":true}`.
    Done,
    /// 2xx: the receiver will call back.
    Accepted,
    /// Anything else.
    Failed(DeliveryError),
}

/// Why a delivery failed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The rules have changed since the subscription was made.
    #[error("the URL {0}")]
    Rejected(Rejection),
    /// The TLS client could not be set up when the server started.
    #[error("the HTTP client could not be set up")]
    NoClient,
    /// No connection, no answer, or not in time.
    #[error("{0}")]
    Transport(Box<str>),
    /// An answer, but not 2xx.
    #[error("the receiver answered {0}")]
    Status(u16),
}

/// Sends deliveries.
#[derive(Debug)]
pub(super) struct Deliverer {
    /// Absent if the system's TLS roots cannot be read. That must not keep the server from
    /// serving streams.
    client: Option<Client>,
    keys: Arc<Keys>,
    now: fn() -> Timestamp,
}

impl Deliverer {
    pub(super) fn new(keys: Arc<Keys>, now: fn() -> Timestamp) -> Deliverer {
        // Another part of the server may have installed it first: it is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .dns_resolver(Arc::new(GuardedResolver))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST)
            .build();
        if let Err(error) = &client {
            tracing::error!(%error, "webhooks cannot be delivered: no HTTP client");
        }
        Deliverer { client: client.ok(), keys, now }
    }

    pub(super) async fn deliver(&self, delivery: &Delivery) -> DeliveryResult {
        let result = self.try_deliver(delivery).await;
        if let Err(error) = &result {
            tracing::warn!(
                subscription = &*delivery.wake.subscription,
                generation = delivery.wake.generation,
                %error,
                "webhook delivery failed"
            );
        }
        match result {
            Ok(true) => DeliveryResult::Done,
            Ok(false) => DeliveryResult::Accepted,
            Err(error) => DeliveryResult::Failed(error),
        }
    }

    /// Whether the receiver is done.
    async fn try_deliver(&self, delivery: &Delivery) -> Result<bool, DeliveryError> {
        // The client connects to a literal address without asking its resolver.
        if let Verdict::Reject(rejection) = check_text(&delivery.url) {
            return Err(DeliveryError::Rejected(rejection));
        }
        let client = self.client.as_ref().ok_or(DeliveryError::NoClient)?;
        let seconds = (self.now)().seconds();
        let signature = self.keys.webhook.signature_header(seconds, &delivery.body);
        let response = client
            .post(&*delivery.url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(USER_AGENT, concat!("thalweg/", env!("CARGO_PKG_VERSION")))
            .header("webhook-signature", signature)
            .body(delivery.body.clone())
            .send()
            .await
            .map_err(|error| DeliveryError::Transport(describe(error)))?;
        if response.status().is_success() {
            Ok(says_done(response).await)
        } else {
            Err(DeliveryError::Status(response.status().as_u16()))
        }
    }
}

/// A 2xx took the wake, whatever becomes of the rest of the answer.
async fn says_done(mut response: Response) -> bool {
    let mut answer = BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if answer.len() + chunk.len() > MAX_ANSWER_BYTES {
            return false;
        }
        answer.extend_from_slice(&chunk);
    }
    let json = serde_json::from_slice::<serde_json::Value>(&answer);
    json.is_ok_and(|json| json["done"] == true)
}

/// The error and its causes, without the URL: its path or query may hold a secret.
fn describe(error: reqwest::Error) -> Box<str> {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.into()
}
