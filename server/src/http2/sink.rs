//! Where the bytes of one SSE reader go: a stream of a connection, with its windows.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use h2::{Reason, SendStream};

use super::lane::Window;
use super::link::{Link, Permit};
use crate::conn::deadlines::Phase;
use crate::conn::{Either, either, time_to_take};
use crate::core::Core;
use crate::rt;

/// See the module.
pub struct Sink {
    stream: SendStream<Bytes>,
    window: Rc<Window>,
    /// `h2` keeps some of the connection's window for it.
    reserved: bool,
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
        let window = permit.link.lane.window(permit.stream);
        Sink { stream, window, reserved: false, permit }
    }

    /// Hands over as much as the windows allow. `last`: the answer ends with these bytes.
    pub fn offer(&mut self, bytes: &mut Bytes, last: bool) -> Offered {
        let link = &self.permit.link;
        if link.is_closed() || self.window.is_gone() {
            return Offered::Lost;
        }
        if link.is_full() && !bytes.is_empty() {
            return Offered::Full;
        }
        let most = bytes.len().min(self.window.left(&link.lane));
        let ends = last && most == bytes.len();
        let taken = if !ends && link.sends_past(self.permit.stream, &self.window, &bytes[..most]) {
            if std::mem::take(&mut self.reserved) {
                self.stream.reserve_capacity(0);
            }
            self.permit.core.metrics.http2.lane_frames.increment();
            Some(most)
        } else {
            self.send_by_h2(bytes, most, ends)
        };
        let Some(taken) = taken else { return Offered::Lost };
        self.permit.link.queue(taken);
        bytes.advance(taken);
        if bytes.is_empty() { Offered::Taken } else { Offered::Closed }
    }

    /// How much of so many bytes `h2` takes. `ends`: the answer ends with them.
    fn send_by_h2(&mut self, bytes: &Bytes, most: usize, ends: bool) -> Option<usize> {
        // No more than is sent at once: the connection's window belongs to all its streams.
        self.stream.reserve_capacity(most);
        let taken = self.stream.capacity().min(most);
        self.reserved = taken < most;
        let ends = ends && taken == most;
        if taken > 0 || ends {
            self.window.goes_through_h2(taken);
            self.stream.send_data(bytes.slice(..taken), ends).ok()?;
        }
        Some(taken)
    }

    /// Brings what an offer looks at into the processor's cache.
    pub(crate) fn touch(&self) -> u64 {
        self.window.touch() ^ u64::from(self.permit.stream)
    }

    /// The crowd's reader has been called. The connection, if it is the first one on it.
    pub(crate) fn call(&self, reader: u32) -> Option<Rc<Link>> {
        let link = &self.permit.link;
        link.call(reader).then(|| Rc::clone(link))
    }

    /// The crowd's reader is called when the connection has less to do.
    pub(crate) fn wait_for_connection(&self, reader: u32) {
        self.permit.link.park(reader);
    }

    /// Waits until the client takes more; `None` if it leaves instead, or takes too long.
    pub(crate) async fn wait_for_window(mut self, core: &Core) -> Option<Sink> {
        let patience = rt::sleep(time_to_take(core, 0));
        let came = either(pin!(self.room()), patience).await;
        match came {
            Either::First(Some(())) => Some(self),
            Either::First(None) => None,
            Either::Second(()) => {
                core.deadlines.count(Phase::Writing);
                self.stream.send_reset(Reason::CANCEL);
                None
            }
        }
    }

    /// Waits for what was missing: the window of the stream, or that of the connection.
    async fn room(&mut self) -> Option<()> {
        let Sink { stream, window, reserved, permit } = self;
        if *reserved {
            return poll_fn(|context| stream.poll_capacity(context)).await?.ok().map(drop);
        }
        poll_fn(|context| {
            if window.is_gone() {
                return Poll::Ready(None);
            }
            if window.left(&permit.link.lane) > 0 {
                return Poll::Ready(Some(()));
            }
            window.wait(context.waker());
            Poll::Pending
        })
        .await
    }

    /// Whether the client has taken its request back.
    pub(crate) fn is_lost(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.permit.link.is_closed()
            || self.window.is_gone()
            || !matches!(self.stream.poll_reset(&mut context), Poll::Pending)
    }

    /// Whether it is a stream of this connection.
    pub(crate) fn belongs_to(&self, link: &Rc<Link>) -> bool {
        Rc::ptr_eq(&self.permit.link, link)
    }
}
