//! A small server of streams that can be told to misbehave: one thread, one epoll loop.
//!
//! Invariant: it does wrong exactly what [`Faults`] say, and notes in its [`Log`] what it did.
//!
//! Deliberately absent: everything of the protocol that a plan does not ask for.

mod answers;
mod connection;
mod faults;
mod log;
mod server;
mod streams;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

pub(crate) use faults::{Cut, Faults, Harm, Reply, Target, Then};
pub(crate) use log::Log;

use server::Server;

/// A running server; it ends when it is dropped.
pub(crate) struct Stub {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the tests and the server's thread have in common.
#[derive(Default)]
pub(crate) struct Shared {
    stop: AtomicBool,
    faults: Mutex<Faults>,
    log: Mutex<Log>,
}

impl Stub {
    /// A server without a fault.
    pub(crate) fn start() -> Stub {
        Stub::with(Faults::default())
    }

    pub(crate) fn with(faults: Faults) -> Stub {
        let shared = Arc::new(Shared { faults: Mutex::new(faults), ..Shared::default() });
        let server = Server::bind(Arc::clone(&shared)).expect("a port");
        let address = server.address();
        let thread = Some(std::thread::spawn(move || server.run().expect("a sound epoll loop")));
        Stub { address, shared, thread }
    }

    /// What plans have as their target.
    pub(crate) fn target(&self) -> String {
        format!("http://{}/s", self.address)
    }

    /// What has happened so far.
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.shared.log()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.transpose().expect("the server ended well");
        }
    }
}

impl Shared {
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
