//! One core's thread: pins itself, builds its core, accepts, and ends when all cores have drained.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};

use super::StartError;
use super::start::{Running, Start, drain};
use crate::conn;
use crate::core::Core;
use crate::rt::{self, Listener};
use crate::tls::Keeper;

/// How long a core waits before it accepts again, when it has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Everything that a core's thread takes with it.
pub(super) struct CoreThread {
    pub(super) start: Start,
    pub(super) running: Arc<Running>,
    /// Connections begin with a handshake.
    pub(super) tls: Option<Arc<Keeper>>,
}

type Ready = Sender<Result<(), StartError>>;

impl CoreThread {
    /// Starts the thread. It says through `ready` whether it got as far as listening.
    pub(super) fn spawn(self, ready: Ready) -> Result<JoinHandle<()>, StartError> {
        let name = format!("core-{}", self.start.core);
        let run = move || {
            let core = self.start.core;
            self.pin();
            let failed = ready.clone();
            let driver = self.start.driver;
            if let Err(source) = rt::block_on(driver, self.run(ready)) {
                // If nobody waits any more, the server is stopping.
                let _ = failed.send(Err(StartError::Core { core, source }));
            }
        };
        std::thread::Builder::new().name(name).spawn(run).map_err(StartError::Thread)
    }

    fn pin(&self) {
        let mut cpus = CpuSet::new();
        let core = self.start.core;
        cpus.set(self.start.config.cores[core]);
        if let Err(error) = sched_setaffinity(None, &cpus) {
            tracing::warn!(core, %error, "the core could not be pinned to its CPU");
        }
    }

    async fn run(self, ready: Ready) {
        let CoreThread { start, running, tls } = self;
        let config = Arc::clone(&start.config);
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
        let core = match start.start() {
            Ok(core) => core,
            Err(error) => return drop(ready.send(Err(error))),
        };
        for (listener, address) in listeners {
            rt::spawn(accept(Rc::clone(&core), listener, address, tls.clone()));
        }
        let _ = ready.send(Ok(()));
        drop(ready);
        drain(&core, &running).await;
    }
}

async fn accept(core: Rc<Core>, listener: Listener, address: SocketAddr, tls: Option<Arc<Keeper>>) {
    let is_full =
        || core.connections.get() >= core.limits.get().max_connections.div_ceil(core.cores());
    loop {
        match listener.accept().await {
            Ok((socket, _)) if is_full() => {
                core.metrics.turned_away.increment();
                rt::spawn(conn::turn_away(Rc::clone(&core), socket, tls.is_some()));
            }
            Ok((socket, client)) => match core.gate.connects(client, || core.clock.instant()) {
                Ok(()) => {
                    core.metrics.accepted.increment();
                    rt::spawn(conn::serve(Rc::clone(&core), socket, Some(client), tls.clone()));
                }
                Err(problem) => {
                    let tls = tls.is_some();
                    rt::spawn(conn::turn_away_with(Rc::clone(&core), socket, tls, problem));
                }
            },
            Err(error) => {
                core.metrics.accept_errors.increment();
                tracing::warn!(core = core.id, %address, %error, "accept failed");
                rt::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
