//! What the tests stand on: a server process of their own, a strict HTTP/1.1 client, a receiver
//! for webhooks. Nothing here sleeps and hopes: whoever waits, polls for a condition.

mod certs;
mod client;
mod events;
mod receiver;
mod server;

use std::thread;
use std::time::{Duration, Instant};

pub(crate) use certs::{Authority, Pair, connection};
pub(crate) use client::{Client, Request, Response};
pub(crate) use events::{Event, Events};
pub(crate) use receiver::{Delivery, Receiver};
pub(crate) use server::{BASE, Server, refused_start};

/// How long anything may take before a test gives up on it. Two cores run everything at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until there is something.
pub(crate) fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Polls until it holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}
