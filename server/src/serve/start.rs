//! One core of a server, from its parts to its running tasks, and back down. Deliberately absent:
//! threads and sockets, so that a simulation starts its cores by the same code.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use thalweg_storage::recovery::StoredSubscriptions;

use super::StartError;
use crate::compactor::Compactor;
use crate::config::Config;
use crate::core::{Core, Parts};
use crate::crowd::{self, Crowd};
use crate::helper::Helper;
use crate::mailbox::{Inbox, Outbox, Post};
use crate::rt::{self, Driver};
use crate::shard::Shard;
use crate::shared::Shared;
use crate::subscriptions::{Control, Subscriptions};

/// How often a draining core looks whether it is done.
const DRAIN_PAUSE: Duration = Duration::from_millis(10);
/// What of `drain_timeout` is kept for the last checkpoint, if requests take all the rest; half of
/// it at most. Without a last checkpoint the next start reads more.
const CHECKPOINT_RESERVE: Duration = Duration::from_secs(5);

/// The cores that still have something to do. A core that is done keeps answering the others.
pub struct Running(AtomicUsize);

impl Running {
    /// All of so many.
    #[must_use]
    pub fn new(cores: usize) -> Running {
        Running(AtomicUsize::new(cores))
    }
}

/// Everything that a core starts from.
pub struct Start {
    /// Its number.
    pub core: usize,
    /// What was configured.
    pub config: Arc<Config>,
    /// What drives its thread.
    pub driver: Driver,
    /// All mailboxes.
    pub post: Post,
    /// Its own.
    pub inbox: Inbox,
    /// Its streams.
    pub shard: Shard,
    /// On core 0.
    pub subscriptions: Option<StoredSubscriptions>,
    /// The control plane.
    pub control: Control,
    /// Blocking disk work.
    pub helper: Helper,
    /// Sealing.
    pub compactor: Compactor,
    /// Who watches the server.
    pub shared: Shared,
    /// Seeds its random numbers.
    pub seed: u64,
}

impl Start {
    /// Builds the core and starts its tasks on this thread.
    pub fn start(self) -> Result<Rc<Core>, StartError> {
        let Start { core: id, config, driver, post, inbox, shard, control, .. } = self;
        let stored = self.subscriptions.as_ref();
        let subscriptions =
            stored.map(|stored| Subscriptions::restore(stored, control)).transpose()?;
        let failed = |source| StartError::Core { core: id, source };
        let (crowd, sends_ready) = Crowd::new(driver).map_err(failed)?;
        let parts = Parts {
            id,
            cores: post.cores(),
            config,
            shard,
            subscriptions,
            outbox: Outbox::new(post, id),
            helper: self.helper,
            compactor: self.compactor,
            crowd,
            shared: self.shared,
            seed: self.seed,
        };
        let core = Core::new(parts);
        rt::spawn(receive(Rc::clone(&core), inbox));
        rt::spawn(Rc::clone(&core).run_log());
        rt::spawn(Rc::clone(&core).run_ticks());
        rt::spawn(Rc::clone(&core).run_compaction());
        rt::spawn(crate::shed::probe::run(Rc::clone(&core)));
        crowd::start(&core, sends_ready);
        core.with_shard(|shard, now| shard.purge_unreferenced(now));
        crate::subscriptions::start(&core);
        Ok(core)
    }
}

async fn receive(core: Rc<Core>, inbox: Inbox) {
    let result = inbox.run(|message| core.receive(message)).await;
    if let Err(error) = result {
        tracing::error!(core = core.id, %error, "the doorbell failed; stopping");
        rt::fatal();
    }
}

/// Runs until the server is told to stop and every core is done.
pub async fn drain(core: &Rc<Core>, running: &Running) {
    while !core.draining.get() {
        core.drain_begins.notified().await;
    }
    let now = || core.clock.instant();
    let patience = core.limits.get().drain_timeout;
    let end = now() + patience;
    let deadline = end - CHECKPOINT_RESERVE.min(patience / 2);
    while core.connections.get() > 0 && now() < deadline {
        core.end_idle_connections();
        rt::sleep(DRAIN_PAUSE).await;
    }
    // On a full disk some of it may never become durable; nobody was told that it is.
    while !core.is_settled() && now() < deadline {
        rt::sleep(DRAIN_PAUSE).await;
    }
    let connections = core.connections.get();
    if connections > 0 || !core.is_settled() {
        tracing::warn!(
            core = core.id,
            connections,
            "not everything under way has ended in time: it is cut off; what was acknowledged is \
             kept"
        );
    }
    core.sync_log().await;
    core.last_checkpoint();
    while core.is_checkpointing() && now() < end {
        rt::sleep(DRAIN_PAUSE).await;
    }
    if core.is_checkpointing() {
        tracing::warn!(
            core = core.id,
            bytes = core.replay_bytes(),
            "the last checkpoint was not finished in time and is given up; nothing is lost, the \
             next start reads so many bytes of log"
        );
    }
    running.0.fetch_sub(1, Ordering::SeqCst);
    while running.0.load(Ordering::SeqCst) > 0 {
        rt::sleep(DRAIN_PAUSE).await;
    }
}
