//! Waiting for the signal to stop. A second one ends the process at once.

use std::sync::mpsc::{self, Receiver};
use std::thread;

use crate::signals;

/// SIGTERM and SIGINT, caught.
pub(super) struct Signals(Receiver<()>);

impl Signals {
    /// Catches them from now on: before anybody is told that the server is ready.
    pub(super) fn catch() -> Signals {
        let (sender, receiver) = mpsc::channel();
        let mut stopping = false;
        let caught = signals::catch(move |_| {
            if stopping || sender.send(()).is_err() {
                tracing::warn!("stopping at once");
                std::process::exit(1);
            }
            stopping = true;
        });
        if !caught {
            tracing::error!("signals cannot be caught: they end this server at once");
        }
        Signals(receiver)
    }

    /// Returns when one has come.
    pub(super) fn wait(&self) {
        while self.0.recv().is_err() {
            thread::park();
        }
    }
}
