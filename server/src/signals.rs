//! SIGTERM and SIGINT, caught on a thread of their own, and SIGHUP on another one.
//!
//! Deliberately absent: what they mean, which is each command's.

use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// Calls `handle` with the number of each of the two signals that comes. They are caught when this
/// returns; whether that was possible. Otherwise they end the process at once, as ever.
pub(crate) fn catch(handle: impl FnMut(i32) + Send + 'static) -> bool {
    let (sender, caught) = mpsc::channel();
    let spawned = thread::Builder::new().name("signals".to_owned());
    spawned.spawn(move || listen(&sender, handle)).is_ok() && caught.recv().is_ok()
}

/// Reports once that signals are caught.
fn listen(caught: &Sender<()>, mut handle: impl FnMut(i32)) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    runtime.block_on(async {
        let (term, int) = (SignalKind::terminate(), SignalKind::interrupt());
        let (Ok(mut terminate), Ok(mut interrupt)) = (signal(term), signal(int)) else { return };
        if caught.send(()).is_err() {
            return;
        }
        loop {
            tokio::select! {
                _ = terminate.recv() => handle(term.as_raw_value()),
                _ = interrupt.recv() => handle(int.as_raw_value()),
            }
        }
    });
}

/// What SIGHUP does, in order.
static RELOADS: Mutex<Vec<Box<dyn Fn() + Send>>> = Mutex::new(Vec::new());

/// Calls `reload` for each SIGHUP from now on. Without any, the signal ends the process, as ever.
pub(crate) fn on_hangup(reload: impl Fn() + Send + 'static) {
    let mut reloads = RELOADS.lock().unwrap_or_else(PoisonError::into_inner);
    let is_first = reloads.is_empty();
    reloads.push(Box::new(reload));
    drop(reloads);
    if is_first {
        let (sender, caught) = mpsc::channel();
        let spawned = thread::Builder::new().name("hangup".to_owned());
        let spawned = spawned.spawn(move || listen_for_hangup(&sender));
        if spawned.is_err() || caught.recv().is_err() {
            tracing::error!("SIGHUP cannot be caught: it ends this server");
        }
    }
}

fn listen_for_hangup(caught: &Sender<()>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    runtime.block_on(async {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
        if caught.send(()).is_err() {
            return;
        }
        while hangup.recv().await.is_some() {
            RELOADS
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .for_each(|reload| reload());
        }
    });
}
