//! Waiting for the signal to stop. A second one ends the process at once.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// SIGTERM and SIGINT, caught.
pub(super) struct Signals(Receiver<()>);

impl Signals {
    /// Catches them from now on: before anybody is told that the server is ready.
    pub(super) fn catch() -> Signals {
        let (sender, receiver) = mpsc::channel();
        let spawned = thread::Builder::new().name("signals".to_owned());
        if spawned.spawn(move || listen(&sender)).is_err() || receiver.recv().is_err() {
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

/// Reports once that signals are caught, then the first one.
fn listen(sender: &Sender<()>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    runtime.block_on(async {
        let terminate = signal(SignalKind::terminate());
        let interrupt = signal(SignalKind::interrupt());
        let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else { return };
        if sender.send(()).is_err() {
            return;
        }
        for round in 0.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if round > 0 || sender.send(()).is_err() {
                tracing::warn!("stopping at once");
                std::process::exit(1);
            }
        }
    });
}
