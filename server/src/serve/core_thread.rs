//! One core's thread: pins itself, builds its core, accepts, and ends when all cores have drained.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};
use thalweg_storage::recovery::StoredSubscriptions;

use super::StartError;
use crate::compactor::Compactor;
use crate::config::Config;
use crate::conn;
use crate::core::{Core, Parts};
use crate::crowd::{self, Crowd};
use crate::helper::Helper;
use crate::mailbox::{Inbox, Outbox, Post};
use crate::rt::{self, Driver, Listener};
use crate::shard::Shard;
use crate::subscriptions::{Control, Subscriptions};

/// How often a draining core looks whether it is done.
const DRAIN_PAUSE: Duration = Duration::from_millis(10);
/// How long a stopping core waits for its last checkpoint. Without it the next start reads more.
const LAST_CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a core waits before it accepts again, when it has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The cores that still have something to do. A core that is done keeps answering the others.
pub(super) struct Running(AtomicUsize);

impl Running {
    pub(super) fn new(cores: usize) -> Running {
        Running(AtomicUsize::new(cores))
    }
}

/// Everything that a core's thread takes with it.
pub(super) struct CoreThread {
    pub(super) core: usize,
    pub(super) config: Arc<Config>,
    pub(super) driver: Driver,
    pub(super) post: Post,
    pub(super) inbox: Inbox,
    pub(super) shard: Shard,
    pub(super) subscriptions: Option<StoredSubscriptions>,
    pub(super) control: Control,
    pub(super) helper: Helper,
    pub(super) compactor: Compactor,
    pub(super) running: Arc<Running>,
    pub(super) seed: u64,
}

type Ready = Sender<Result<(), StartError>>;

impl CoreThread {
    /// Starts the thread. It says through `ready` whether it got as far as listening.
    pub(super) fn spawn(self, ready: Ready) -> Result<JoinHandle<()>, StartError> {
        let name = format!("core-{}", self.core);
        let run = move || {
            let core = self.core;
            self.pin();
            let failed = ready.clone();
            let driver = self.driver;
            if let Err(source) = rt::block_on(driver, self.run(ready)) {
                // If nobody waits any more, the server is stopping.
                let _ = failed.send(Err(StartError::Core { core, source }));
            }
        };
        std::thread::Builder::new().name(name).spawn(run).map_err(StartError::Thread)
    }

    fn pin(&self) {
        let mut cpus = CpuSet::new();
        cpus.set(self.config.cores[self.core]);
        if let Err(error) = sched_setaffinity(None, &cpus) {
            tracing::warn!(core = self.core, %error, "the core could not be pinned to its CPU");
        }
    }

    async fn run(self, ready: Ready) {
        let CoreThread { core: id, config, driver, post, inbox, shard, running, .. } = self;
        let subscriptions = match self
            .subscriptions
            .map(|stored| Subscriptions::restore(&stored, self.control.clone()))
        {
            None => None,
            Some(Ok(subscriptions)) => Some(subscriptions),
            Some(Err(error)) => return drop(ready.send(Err(error))),
        };
        let (crowd, sends_ready) = match Crowd::new(driver) {
            Ok(crowd) => crowd,
            Err(source) => return drop(ready.send(Err(StartError::Core { core: id, source }))),
        };
        let parts = Parts {
            id,
            cores: post.cores(),
            config: Arc::clone(&config),
            shard,
            subscriptions,
            outbox: Outbox::new(post, id),
            helper: self.helper,
            compactor: self.compactor,
            crowd,
            seed: self.seed,
        };
        let core = Core::new(parts);
        let mut listeners = Vec::with_capacity(config.listen.len());
        for address in &config.listen {
            match Listener::bind(*address) {
                Ok(listener) => listeners.push((listener, *address)),
                Err(source) => {
                    let error = StartError::Listen { address: *address, source };
                    return drop(ready.send(Err(error)));
                }
            }
        }
        rt::spawn(receive(Rc::clone(&core), inbox));
        rt::spawn(Rc::clone(&core).run_log());
        rt::spawn(Rc::clone(&core).run_ticks());
        rt::spawn(Rc::clone(&core).run_compaction());
        crowd::start(&core, sends_ready);
        core.with_shard(|shard, now| shard.purge_unreferenced(now));
        crate::subscriptions::start(&core);
        for (listener, address) in listeners {
            rt::spawn(accept(Rc::clone(&core), listener, address));
        }
        let _ = ready.send(Ok(()));
        drop(ready);
        drain(&core, &running).await;
    }
}

async fn receive(core: Rc<Core>, inbox: Inbox) {
    let result = inbox.run(|message| core.receive(message)).await;
    if let Err(error) = result {
        tracing::error!(core = core.id, %error, "the doorbell failed; stopping");
        std::process::abort();
    }
}

async fn accept(core: Rc<Core>, listener: Listener, address: SocketAddr) {
    let capacity = core.config.limits.max_connections.div_ceil(core.cores());
    loop {
        match listener.accept().await {
            Ok((socket, _)) if core.connections.get() >= capacity => {
                rt::spawn(conn::turn_away(Rc::clone(&core), socket));
            }
            Ok((socket, _)) => rt::spawn(conn::serve(Rc::clone(&core), socket)),
            Err(error) => {
                tracing::warn!(core = core.id, %address, %error, "accept failed");
                rt::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Runs until the server is told to stop and every core is done.
async fn drain(core: &Rc<Core>, running: &Running) {
    while !core.draining.get() {
        core.drain_begins.notified().await;
    }
    let patience = core.config.limits.drain_timeout.saturating_sub(LAST_CHECKPOINT_TIMEOUT);
    let deadline = Instant::now() + patience;
    while core.connections.get() > 0 && Instant::now() < deadline {
        core.end_idle_connections();
        rt::sleep(DRAIN_PAUSE).await;
    }
    // On a full disk some of it may never become durable; nobody was told that it is.
    while !core.is_settled() && Instant::now() < deadline {
        rt::sleep(DRAIN_PAUSE).await;
    }
    core.sync_log().await;
    core.checkpoint();
    let deadline = Instant::now() + LAST_CHECKPOINT_TIMEOUT;
    while core.is_checkpointing() && Instant::now() < deadline {
        rt::sleep(DRAIN_PAUSE).await;
    }
    running.0.fetch_sub(1, Ordering::SeqCst);
    while running.0.load(Ordering::SeqCst) > 0 {
        rt::sleep(DRAIN_PAUSE).await;
    }
}
