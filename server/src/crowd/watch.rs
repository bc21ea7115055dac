//! Watches: connections that wait for something else than their peer, and want to know if it
//! leaves. A long-poll asks once for its connection, not once for each answer.
//!
//! Invariant: a watch is taken back before its socket closes, because on the ring a watch keeps
//! the socket open.

use std::future::poll_fn;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::Crowd;
use super::table::Entry;
use crate::core::Core;
use crate::rt::Socket;

/// A watch in the table.
#[derive(Default)]
pub(super) struct Watch {
    /// The peer has left, or the watch was taken back and the kernel has let go of it.
    gone: bool,
    taken_back: bool,
    waker: Option<Waker>,
}

/// A connection's watch. Given back with [`Crowd::unwatch`].
pub struct Watching(u32);

impl Crowd {
    /// Watches a socket. `None`: the kernel refused; the connection does without.
    #[must_use]
    pub fn watch(&self, core: &Rc<Core>, socket: &Socket) -> Option<Watching> {
        let mut inner = self.0.borrow_mut();
        let number = inner.table.add(Entry::Watch(Watch::default()));
        if inner.sends.watch(number, socket.as_fd()).is_err() {
            inner.table.remove(number);
            return None;
        }
        inner.submit(core);
        Some(Watching(number))
    }

    /// Takes a watch back. Its number is free when the kernel has let go of it.
    pub fn unwatch(&self, core: &Rc<Core>, watching: &Watching, socket: &Socket) {
        let mut inner = self.0.borrow_mut();
        let number = watching.0;
        let Some(watch) = inner.table.watch(number) else { return };
        watch.taken_back = true;
        if watch.gone {
            inner.table.remove(number);
            return;
        }
        if let Err(error) = inner.sends.unwatch(number, socket.as_fd()) {
            tracing::warn!(core = core.id, %error, "a connection may close late");
        }
        inner.submit(core);
    }

    /// Waits until the peer has left. Safe to drop.
    pub async fn gone(&self, watching: &Watching) {
        poll_fn(|context| {
            let mut inner = self.0.borrow_mut();
            match inner.table.watch(watching.0) {
                Some(watch) if !watch.gone => {
                    watch.waker = Some(context.waker().clone());
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        })
        .await;
    }
}

impl Watch {
    /// Of a connection that has left: what is still to come for its number.
    pub(super) fn taken_back() -> Watch {
        Watch { taken_back: true, ..Watch::default() }
    }

    /// The kernel says that it is over. True if nobody has the number any more.
    pub(super) fn completes(&mut self) -> bool {
        self.gone = true;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        self.taken_back
    }
}

/// Watches a socket if it is not watched yet.
pub(crate) fn ensure(watching: &mut Option<Watching>, core: &Rc<Core>, socket: &Socket) {
    if watching.is_none() {
        *watching = core.crowd.watch(core, socket);
    }
}
