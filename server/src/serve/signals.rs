//! Waiting for signals: SIGTERM and SIGINT stop the server, a second one ends the process at once,
//! SIGHUP makes it read its configuration again.

use std::sync::mpsc::{self, Receiver};
use std::thread;

use tokio::signal::unix::SignalKind;

use crate::signals;

/// The signals, caught.
pub(super) struct Signals(Receiver<Event>);

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// Finish what is under way and end.
    Stop,
    /// Read the configuration again.
    Reload,
}

impl Signals {
    /// Catches them from now on: before anybody is told that the server is ready.
    pub(super) fn catch() -> Signals {
        let (sender, receiver) = mpsc::channel();
        let hangup = SignalKind::hangup();
        let mut stopping = false;
        let caught = signals::catch([&signals::TO_END[..], &[hangup]].concat(), move |number| {
            if number == hangup.as_raw_value() {
                // A server that stops has no use for another configuration.
                let _ = sender.send(Event::Reload);
                return;
            }
            if stopping || sender.send(Event::Stop).is_err() {
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
    pub(super) fn next(&self) -> Event {
        loop {
            match self.0.recv() {
                Ok(event) => return event,
                Err(_) => thread::park(),
            }
        }
    }
}
