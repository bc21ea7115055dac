//! Where the bytes of one SSE reader go: a stream of a connection, with its windows.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::{Reason, SendStream};

use super::link::{Link, Permit};
use crate::conn::{Either, either, time_to_take};
use crate::core::Core;
use crate::rt;

/// See the module.
pub struct Sink {
    stream: SendStream<Bytes>,
    /// Its place among the requests of the connection.
    permit: Permit,
}

/// What became of bytes that were offered. Those that are left stay with the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offered {
    /// The connection has them all.
    Taken,
    /// The connection has enough to do.
    Full,
    /// The client does not take more on this stream, or on the connection, at the moment.
    Closed,
    /// The client is gone.
    Lost,
}

impl Sink {
    pub(super) fn new(stream: SendStream<Bytes>, permit: Permit) -> Sink {
        Sink { stream, permit }
    }

    /// Hands over as much as the windows allow. `last`: the answer ends with these bytes.
    pub fn offer(&mut self, bytes: &mut Bytes, last: bool) -> Offered {
        let link = &self.permit.0;
        if link.is_closed() {
            return Offered::Lost;
        }
        if link.is_full() && !bytes.is_empty() {
            return Offered::Full;
        }
        // No more than is sent at once: the connection's window belongs to all its streams.
        self.stream.reserve_capacity(bytes.len());
        let part = bytes.split_to(self.stream.capacity().min(bytes.len()));
        let (taken, whole) = (part.len(), bytes.is_empty());
        if (taken > 0 || whole && last) && self.stream.send_data(part, whole && last).is_err() {
            return Offered::Lost;
        }
        link.queue(taken);
        if whole { Offered::Taken } else { Offered::Closed }
    }

    /// The crowd's reader has been called. The connection, if it is the first one on it.
    pub(crate) fn call(&self, reader: u32) -> Option<Rc<Link>> {
        let link = &self.permit.0;
        link.call(reader).then(|| Rc::clone(link))
    }

    /// The crowd's reader is called when the connection has less to do.
    pub(crate) fn wait_for_connection(&self, reader: u32) {
        self.permit.0.park(reader);
    }

    /// Waits until the client takes more; `None` if it leaves instead, or takes too long.
    pub(crate) async fn wait_for_window(mut self, core: &Core) -> Option<Sink> {
        let patience = rt::sleep(time_to_take(core, 0));
        let room = pin!(poll_fn(|context| self.stream.poll_capacity(context)));
        match either(room, patience).await {
            Either::First(Some(Ok(_))) => Some(self),
            Either::First(_) => None,
            Either::Second(()) => {
                self.stream.send_reset(Reason::CANCEL);
                None
            }
        }
    }

    /// Whether the client has taken its request back.
    pub(crate) fn is_lost(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.permit.0.is_closed() || !matches!(self.stream.poll_reset(&mut context), Poll::Pending)
    }

    /// Whether it is a stream of this connection.
    pub(crate) fn belongs_to(&self, link: &Rc<Link>) -> bool {
        Rc::ptr_eq(&self.permit.0, link)
    }
}
