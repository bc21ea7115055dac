//! A worker: waits for controllers, and makes one run at a time for them.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::limits;
use super::message::Job;
use super::session;
use super::token::Token;
use crate::LoadError;
use crate::engine::{RunOptions, Stop};
use crate::result::{Machine, RunResult};

/// Makes a worker's part of a run.
pub type Runner = dyn Fn(&Job, &RunOptions) -> Result<RunResult, LoadError> + Send + Sync;

/// What a worker is told beforehand.
pub struct WorkerOptions {
    /// Only controllers that know it may start runs.
    pub token: Option<Token>,
    /// Its threads, and whatever else a run needs; the controller adds share, board and barrier.
    pub run: RunOptions,
    /// Shown to controllers.
    pub machine: Machine,
    /// How runs are made.
    pub runner: Box<Runner>,
    /// Told about controllers that come and go, one line each.
    pub log: Box<dyn Fn(&str) + Send + Sync>,
}

/// A worker that listens.
pub struct Worker {
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// What all of its connections see.
pub(super) struct Shared {
    pub(super) options: WorkerOptions,
    /// The controller whose run is under way.
    busy_with: Mutex<Option<SocketAddr>>,
    connections: AtomicUsize,
    /// Ends runs and the worker.
    pub(super) stop: Stop,
}

impl Worker {
    /// Listens from now on.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn bind(address: &str, options: WorkerOptions) -> io::Result<Worker> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let stop = options.run.stop.clone();
        let shared =
            Shared { options, busy_with: Mutex::new(None), connections: AtomicUsize::new(0), stop };
        Ok(Worker { listener, shared: Arc::new(shared) })
    }

    /// Where it listens: the port may have been chosen by the system.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves controllers until the `stop` of its run options is set; a run under way is stopped
    /// too, and its controller gets the result.
    pub fn serve(&self) {
        while !self.shared.stop.is_stopped() {
            match self.listener.accept() {
                Ok((stream, peer)) => self.admit(stream, peer),
                // Nobody is there, or there is something wrong with one who is no longer.
                Err(_) => thread::sleep(ACCEPT_EVERY),
            }
        }
        // Nobody reads an answer longer than the silence that makes a peer lost.
        let mut waited = Duration::ZERO;
        while self.shared.connections.load(Ordering::Relaxed) > 0 && waited < limits::SILENCE * 2 {
            thread::sleep(ACCEPT_EVERY);
            waited += ACCEPT_EVERY;
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let shared = Arc::clone(&self.shared);
        if shared.connections.fetch_add(1, Ordering::Relaxed) >= limits::CONNECTIONS {
            shared.connections.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let serving = thread::Builder::new().name("controller".to_owned());
        let served = Arc::clone(&shared);
        let spawned = serving.spawn(move || {
            if let Err(reason) = session::serve(stream, peer, &served) {
                (served.options.log)(&format!("{peer}: {reason}"));
            }
            served.connections.fetch_sub(1, Ordering::Relaxed);
        });
        if spawned.is_err() {
            shared.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Shared {
    /// Takes the worker for one run.
    pub(super) fn claim(&self, peer: SocketAddr) -> Result<Claim<'_>, String> {
        let end = Instant::now() + limits::BUSY;
        loop {
            let mut busy_with = self.busy_with.lock().unwrap_or_else(PoisonError::into_inner);
            match *busy_with {
                None => {
                    *busy_with = Some(peer);
                    return Ok(Claim(self));
                }
                Some(other) if Instant::now() >= end => {
                    return Err(format!("busy with a run of {other}: it takes one at a time"));
                }
                Some(_) => {}
            }
            drop(busy_with);
            thread::sleep(ACCEPT_EVERY);
        }
    }
}

/// The worker is busy as long as this lives.
pub(super) struct Claim<'a>(&'a Shared);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        *self.0.busy_with.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

const ACCEPT_EVERY: Duration = Duration::from_millis(20);
