//! The control plane: one thread with an ordinary tokio runtime for what is not the data path and
//! has a good library there. Today that is webhook delivery and the DNS checks of webhook URLs.
//!
//! Cores talk to it through [`Handle`], whose queues are bounded and whose methods never wait; it
//! answers through the callback given at the start, which must not block. Deliberately absent:
//! any state that matters. Whatever is lost here is delivered again, because the subscriptions
//! know which deliveries have no result.

pub mod keys;
pub mod ssrf;
pub mod webhook;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use thalweg_proto::subscription::WakeRef;
use thalweg_proto::time::Timestamp;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::config::limits::{
    CHECK_QUEUE, DELIVERY_QUEUE, MAX_CHECKS, MAX_DELIVERIES, RESOLVER_THREADS, SHUTDOWN_GRACE,
};
use keys::Keys;
use ssrf::Rejection;
use webhook::{Deliverer, Delivery, DeliveryResult};

/// What the control plane reports.
#[derive(Debug)]
pub enum ControlEvent {
    /// A delivery ended.
    Delivered(DeliveryOutcome),
    /// A URL is checked.
    UrlChecked {
        /// As it was given to [`Handle::check_url`].
        token: u64,
        /// Whether the URL may be a webhook.
        verdict: Result<(), Rejection>,
    },
}

/// How a delivery ended.
#[derive(Debug)]
pub struct DeliveryOutcome {
    /// Of which wake.
    pub wake: WakeRef,
    /// How.
    pub result: DeliveryResult,
}

/// Where [`ControlEvent`]s go. Called on the control thread.
pub type Report = Box<dyn Fn(ControlEvent) + Send + Sync>;

/// The running thread. Dropping it stops the thread without waiting.
#[derive(Debug)]
pub struct ControlPlane {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How cores reach the control plane. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    deliveries: mpsc::Sender<Delivery>,
    checks: mpsc::Sender<UrlCheck>,
}

/// The control plane cannot take more now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Busy;

#[derive(Debug)]
struct UrlCheck {
    url: Box<str>,
    token: u64,
}

impl ControlPlane {
    /// Starts the thread. `now` reads the wall clock, for the timestamps in signatures.
    pub fn start(
        keys: Arc<Keys>,
        now: fn() -> Timestamp,
        report: Report,
    ) -> io::Result<(ControlPlane, Handle)> {
        let (deliveries, delivery_queue) = mpsc::channel(DELIVERY_QUEUE);
        let (checks, check_queue) = mpsc::channel(CHECK_QUEUE);
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(RESOLVER_THREADS)
            .build()?;
        let deliverer = Arc::new(Deliverer::new(keys, now));
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(move || {
            let report: Arc<dyn Fn(ControlEvent) + Send + Sync> = report.into();
            runtime.block_on(async {
                let checks = tokio::spawn(run_checks(check_queue, report.clone()));
                run_deliveries(delivery_queue, deliverer, report, stopped).await;
                checks.abort();
            });
            // A resolver thread may hang in the system's resolver: leave it.
            runtime.shutdown_background();
        })?;
        let plane = ControlPlane { stop: Some(stop), thread: Some(thread) };
        Ok((plane, Handle { deliveries, checks }))
    }

    /// Lets deliveries under way finish, for a few seconds at most, and joins the thread.
    pub fn shutdown(mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            let _ = thread.join();
        }
    }
}

impl Handle {
    /// A handle of no control plane: it is always busy.
    #[must_use]
    pub fn detached() -> Handle {
        Handle { deliveries: mpsc::channel(1).0, checks: mpsc::channel(1).0 }
    }

    /// Whether the next [`deliver`](Handle::deliver) will be accepted, if this is its only caller.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.deliveries.capacity() > 0
    }

    /// Begins a delivery; [`ControlEvent::Delivered`] follows.
    pub fn deliver(&self, delivery: Delivery) -> Result<(), Busy> {
        self.deliveries.try_send(delivery).map_err(|_| Busy)
    }

    /// Begins a check of every address that the URL's host resolves to;
    /// [`ControlEvent::UrlChecked`] with `token` follows. Only for [`ssrf::Verdict::NeedsDns`].
    pub fn check_url(&self, url: &str, token: u64) -> Result<(), Busy> {
        self.checks.try_send(UrlCheck { url: url.into(), token }).map_err(|_| Busy)
    }
}

async fn run_deliveries(
    mut queue: mpsc::Receiver<Delivery>,
    deliverer: Arc<Deliverer>,
    report: Arc<dyn Fn(ControlEvent) + Send + Sync>,
    mut stopped: oneshot::Receiver<()>,
) {
    let slots = Arc::new(Semaphore::new(MAX_DELIVERIES));
    loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await.ok()?;
            Some((slot, queue.recv().await?))
        };
        let Some((slot, delivery)) = (tokio::select! {
            biased;
            _ = &mut stopped => None,
            next = next => next,
        }) else {
            break;
        };
        let (deliverer, report) = (deliverer.clone(), report.clone());
        tokio::spawn(async move {
            let result = deliverer.deliver(&delivery).await;
            report(ControlEvent::Delivered(DeliveryOutcome { wake: delivery.wake, result }));
            drop(slot);
        });
    }
    let all = u32::try_from(MAX_DELIVERIES).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, slots.acquire_many(all)).await;
}

async fn run_checks(
    mut queue: mpsc::Receiver<UrlCheck>,
    report: Arc<dyn Fn(ControlEvent) + Send + Sync>,
) {
    let slots = Arc::new(Semaphore::new(MAX_CHECKS));
    while let Ok(slot) = slots.clone().acquire_owned().await {
        let Some(UrlCheck { url, token }) = queue.recv().await else { break };
        let report = report.clone();
        tokio::spawn(async move {
            let verdict = ssrf::check_resolved(&url).await;
            report(ControlEvent::UrlChecked { token, verdict });
            drop(slot);
        });
    }
}
