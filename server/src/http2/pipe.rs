//! The bytes between a socket and `h2`, which knows only readers and writers: two buffers in
//! memory.
//!
//! Invariants: more is read from the socket when `h2` has taken what came before; `h2` is told to
//! wait when more waits for the socket than one write should carry.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{DATA, HEAD_BYTES, Head};
use super::link::Link;
use crate::config::limits::HTTP2_SEND_BYTES;
use crate::local::Notify;

/// See the module.
#[derive(Default)]
pub(super) struct Pipe {
    incoming: RefCell<BytesMut>,
    outgoing: RefCell<Vec<u8>>,
    /// `h2`, when it waits for bytes, and when it waits for room.
    reads: Cell<Option<Waker>>,
    writes: Cell<Option<Waker>>,
    /// Nothing more comes from the peer.
    pub(super) ended: Cell<bool>,
    /// `h2` is through: nothing more goes to the peer.
    pub(super) closed: Cell<bool>,
    /// The socket takes nothing more.
    pub(super) lost: Cell<bool>,
    /// There is something to be written, or an end to it.
    pub(super) news: Notify,
    /// What came has been taken.
    pub(super) taken: Notify,
}

impl Pipe {
    pub(super) fn new(first: BytesMut) -> Pipe {
        Pipe { incoming: RefCell::new(first), ..Pipe::default() }
    }

    /// Hands bytes to `h2`.
    pub(super) fn push(&self, bytes: BytesMut) {
        if !self.closed.get() {
            let mut incoming = self.incoming.borrow_mut();
            if incoming.is_empty() {
                *incoming = bytes;
            } else {
                incoming.extend_from_slice(&bytes);
            }
        }
        wake(&self.reads);
    }

    /// Nothing more comes from the peer.
    pub(super) fn end(&self) {
        self.ended.set(true);
        wake(&self.reads);
    }

    /// Whether more may be read from the socket.
    pub(super) fn is_empty(&self) -> bool {
        self.incoming.borrow().is_empty()
    }

    /// Puts a frame with DATA behind what `h2` has written so far.
    pub(super) fn put_data(&self, stream: u32, payload: &[u8]) {
        let head = Head { kind: DATA, flags: 0, stream, len: payload.len() };
        let mut outgoing = self.outgoing.borrow_mut();
        outgoing.reserve(HEAD_BYTES + payload.len());
        outgoing.extend_from_slice(&head.encode());
        outgoing.extend_from_slice(payload);
        self.news.notify();
    }

    /// What is to be written. There is room for more now.
    pub(super) fn take(&self, spare: Vec<u8>) -> Vec<u8> {
        let taken = self.outgoing.replace(spare);
        wake(&self.writes);
        taken
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_drained(&self) -> bool {
        self.outgoing.borrow().is_empty()
    }

    /// The socket takes nothing more.
    pub(super) fn lose(&self) {
        self.lost.set(true);
        self.end();
        wake(&self.writes);
    }

    /// `h2` is through.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.incoming.borrow_mut().clear();
        self.news.notify();
        self.taken.notify();
    }
}

fn wake(waker: &Cell<Option<Waker>>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// The end that `h2` holds.
pub(super) struct PipeEnd(pub(super) Rc<Link>);

impl AsyncRead for PipeEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let pipe = &self.0.pipe;
        let mut incoming = pipe.incoming.borrow_mut();
        if incoming.is_empty() {
            if pipe.ended.get() {
                return Poll::Ready(Ok(()));
            }
            pipe.reads.set(Some(context.waker().clone()));
            return Poll::Pending;
        }
        let taken = buf.remaining().min(incoming.len());
        buf.put_slice(&incoming[..taken]);
        incoming.advance(taken);
        if incoming.is_empty() {
            // An idle connection keeps no buffer.
            *incoming = BytesMut::new();
            pipe.taken.notify();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PipeEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let pipe = &self.0.pipe;
        if pipe.lost.get() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut outgoing = pipe.outgoing.borrow_mut();
        if outgoing.len() >= HTTP2_SEND_BYTES {
            pipe.writes.set(Some(context.waker().clone()));
            return Poll::Pending;
        }
        self.0.watch.went(bytes, &self.0.lane);
        outgoing.extend_from_slice(bytes);
        drop(outgoing);
        pipe.news.notify();
        self.0.lend();
        Poll::Ready(Ok(bytes.len()))
    }

    /// The writer's business: what `h2` waits for here would leave alone.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
