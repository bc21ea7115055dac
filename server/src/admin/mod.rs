//! The admin listener: metrics and health for those who operate the server.
//!
//! It has a thread and a small HTTP server of its own, so that it answers while the data is still
//! being read, while the cores are busy, and while they drain. Cores are asked for their numbers by
//! message; one that does not answer in time is left out and reported.
//!
//! Deliberately absent: anything that changes the server, and any secret. Whoever reaches this
//! listener may read it.

mod listener;
mod scrape;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use crate::config::{Config, DEFAULT_ADMIN};
use crate::mailbox::Post;
use crate::metrics::Sample;
use crate::serve::StartError;
use crate::shared::Shared;

/// What the listener tells about. Cheap to clone.
#[derive(Clone)]
pub struct Subject(Arc<Inner>);

struct Inner {
    shared: Shared,
    started: SystemTime,
    cores: usize,
    running: OnceLock<Running>,
    /// The last attempt to read the configuration again came to nothing, or to less than all.
    reload_failed: AtomicBool,
}

/// What there is to tell once the cores run.
pub struct Running {
    /// How to reach the cores.
    pub post: Post,
    /// Streams found at the start.
    pub streams: u64,
    /// Records replayed at the start.
    pub records: u64,
    /// How long that took.
    pub recovery: Duration,
}

impl Subject {
    /// A server that starts now.
    #[must_use]
    pub fn new(shared: Shared, cores: usize) -> Subject {
        let started = SystemTime::now();
        let running = OnceLock::new();
        let reload_failed = AtomicBool::new(false);
        Subject(Arc::new(Inner { shared, started, cores, running, reload_failed }))
    }

    /// The configuration was read again; `well`: all of it that can change is in use.
    pub fn reloaded(&self, well: bool) {
        self.0.reload_failed.store(!well, Ordering::Relaxed);
    }

    /// All samples of the server, after asking the cores.
    pub async fn samples(&self) -> Vec<Sample> {
        scrape::samples(&self.0).await
    }

    /// The cores run.
    pub fn runs(&self, running: Running) {
        // A server starts once.
        let _ = self.0.running.set(running);
    }
}

/// Starts the listener, if the configuration has one. Returns where it listens.
pub fn start(config: &Config, subject: &Subject) -> Result<Option<SocketAddr>, StartError> {
    let Some(address) = config.admin else { return Ok(None) };
    let bound = TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .and_then(|listener| listener.local_addr().map(|address| (listener, address)));
    let (listener, address) = match bound {
        Ok(bound) => bound,
        // Several servers on one machine need no flag to get along.
        Err(error) if address == DEFAULT_ADMIN => {
            tracing::warn!(
                %address, %error,
                "no admin listener: its default address is not to be had; choose one with --admin"
            );
            return Ok(None);
        }
        Err(source) => return Err(StartError::Admin { address, source }),
    };
    let subject = subject.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(StartError::Thread)?;
    let run = move || runtime.block_on(listener::serve(listener, subject));
    std::thread::Builder::new().name("admin".to_owned()).spawn(run).map_err(StartError::Thread)?;
    Ok(Some(address))
}
