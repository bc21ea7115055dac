//! Telling a service manager how the server is: sd_notify(3), and its watchdog.
//!
//! The manager names a socket in `NOTIFY_SOCKET` and may ask in `WATCHDOG_USEC` for a sign of life
//! at least that often. A sign is given only after every core has answered a question, so that a
//! core which hangs is noticed too. Without a manager nothing happens.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;

use crate::mailbox::Post;
use crate::mailbox::message::{Message, Note};

/// The way to the service manager, if there is one. Cheap to clone.
#[derive(Clone)]
pub(super) struct Manager(Option<Arc<UnixDatagram>>);

impl Manager {
    /// The one that the environment names.
    pub(super) fn find() -> Manager {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return Manager(None) };
        match connect(&name) {
            Ok(socket) => Manager(Some(Arc::new(socket))),
            Err(error) => {
                tracing::warn!(socket = ?name, %error, "the service manager cannot be reached");
                Manager(None)
            }
        }
    }

    /// The server serves.
    pub(super) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// It reads its configuration again; [`Manager::ready`] follows.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// It stops.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=draining");
    }

    /// Gives the signs of life that were asked for, as long as all cores answer.
    pub(super) fn start_watchdog(&self, post: &Post) {
        let Some(interval) = watchdog_interval().filter(|_| self.0.is_some()) else { return };
        let (manager, post) = (self.clone(), post.clone());
        let watch = move || {
            while (0..post.cores()).all(|core| answers(&post, core)) {
                manager.send("WATCHDOG=1");
                std::thread::sleep(interval / 2);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("watchdog".to_owned()).spawn(watch) {
            tracing::error!(%error, "no thread for the watchdog: the service manager will restart the server");
        }
    }

    fn send(&self, state: &str) {
        if let Some(socket) = &self.0
            && let Err(error) = socket.send(state.as_bytes())
        {
            tracing::warn!(%error, "the service manager could not be told");
        }
    }
}

/// Waits for an answer of a core, for ever if it hangs. False once the core has ended.
fn answers(post: &Post, core: usize) -> bool {
    let (reply, answer) = oneshot::channel();
    post.send_from_outside(core, Message::Tell(Note::Snapshot(reply)));
    answer.blocking_recv().is_ok()
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match name.as_bytes() {
        [b'@', name @ ..] => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        _ => socket.connect(name)?,
    }
    Ok(socket)
}

/// How often a sign of life is expected; `None`: never, or of another process.
fn watchdog_interval() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    if number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id())) {
        return None;
    }
    number("WATCHDOG_USEC").filter(|micros| *micros > 0).map(Duration::from_micros)
}
