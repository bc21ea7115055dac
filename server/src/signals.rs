//! Signals, caught on a thread of their own.
//!
//! Deliberately absent: what they mean, which is each command's.

use std::sync::mpsc::{self, Sender};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// SIGTERM and SIGINT: what asks a program to end.
pub(crate) const TO_END: [SignalKind; 2] = [SignalKind::terminate(), SignalKind::interrupt()];

/// Calls `handle` with the number of each of `kinds` that comes. They are caught when this returns;
/// whether that was possible. Otherwise they act on the process as ever.
pub(crate) fn catch(kinds: Vec<SignalKind>, handle: impl FnMut(i32) + Send + 'static) -> bool {
    let (sender, caught) = mpsc::channel();
    let spawned = thread::Builder::new().name("signals".to_owned());
    spawned.spawn(move || listen(kinds, &sender, handle)).is_ok() && caught.recv().is_ok()
}

/// Reports once that signals are caught.
fn listen(kinds: Vec<SignalKind>, caught: &Sender<()>, mut handle: impl FnMut(i32)) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    runtime.block_on(async {
        let (came, mut coming) = tokio::sync::mpsc::unbounded_channel();
        for kind in kinds {
            let Ok(mut signals) = signal(kind) else { return };
            let came = came.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() && came.send(kind.as_raw_value()).is_ok() {}
            });
        }
        if caught.send(()).is_err() {
            return;
        }
        while let Some(number) = coming.recv().await {
            handle(number);
        }
    });
}
