//! Waiting for the signal to stop. A second one ends the process at once.

use tokio::signal::unix::{SignalKind, signal};

/// Returns when SIGTERM or SIGINT has come.
pub(super) fn wait() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let spawned =
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || listen(&sender));
    if spawned.is_err() || receiver.recv().is_err() {
        tracing::error!("signals cannot be caught; only SIGKILL ends this server");
        loop {
            std::thread::park();
        }
    }
}

fn listen(sender: &std::sync::mpsc::Sender<()>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    runtime.block_on(async {
        let terminate = signal(SignalKind::terminate());
        let interrupt = signal(SignalKind::interrupt());
        let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else { return };
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
