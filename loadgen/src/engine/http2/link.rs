//! The bytes between a socket and `h2`, which knows only readers and writers: two buffers in
//! memory, and the two tasks that move them. TLS happens on the way.
//!
//! Invariant: the clock is read right after each receive, before anything is decrypted or parsed;
//! more is received when what came before has been taken.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use monoio::io::{AsyncReadRent, OwnedReadHalf};
use monoio::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::line::{CONNECTION_WEIGHT, Line};
use crate::engine::clock::Clock;
use crate::engine::ending::Ending;
use crate::net::{ReadHalf, Stream, Tls, WriteHalf};

/// See the module.
pub(crate) struct Link {
    clock: Clock,
    pub(super) line: Line,
    tls: Option<Rc<RefCell<Tls>>>,
    /// As it came; what of it `h2` has taken.
    incoming: RefCell<Incoming>,
    outgoing: RefCell<Vec<u8>>,
    /// `h2`, when it waits for bytes.
    reads: Cell<Option<Waker>>,
    taken: Signal,
    news: Signal,
    /// When the bytes that `h2` has last taken were received.
    pub(super) received_ns: Cell<u64>,
    /// `h2` has taken something.
    pub(super) was_fed: Cell<bool>,
    /// Nothing more comes.
    ended: Cell<bool>,
    /// Nothing more goes: the socket is lost, or `h2` is through.
    closed: Cell<bool>,
    /// What is received is under it.
    ending: Ending,
}

#[derive(Default)]
struct Incoming {
    raw: Vec<u8>,
    plain: Vec<u8>,
    /// Of `plain`.
    taken: usize,
}

impl Link {
    /// Starts to move the bytes of a connection.
    pub(super) fn start(stream: Stream, clock: Clock, line: &Line) -> Rc<Link> {
        line.start();
        let Stream { reads, writes } = stream;
        let (socket, rest) = ReadHalf::into_parts(reads);
        let (tls, plain) = rest.map_or((None, Vec::new()), |(tls, plain)| (Some(tls), plain));
        let link = Rc::new(Link {
            clock,
            line: line.clone(),
            tls,
            incoming: RefCell::new(Incoming { plain, ..Incoming::default() }),
            outgoing: RefCell::default(),
            reads: Cell::default(),
            taken: Signal::default(),
            news: Signal::default(),
            received_ns: Cell::new(clock.now_ns()),
            was_fed: Cell::new(false),
            ended: Cell::new(false),
            closed: Cell::new(false),
            ending: Ending::default(),
        });
        drop(monoio::spawn(Rc::clone(&link).read_all(socket)));
        drop(monoio::spawn(Rc::clone(&link).write_all(writes)));
        link
    }

    /// Whether it can still be used.
    pub(super) fn is_open(&self) -> bool {
        !self.ended.get() && !self.closed.get()
    }

    /// Ends the connection: who waits on it is told.
    pub(crate) fn end(&self) {
        self.ended.set(true);
        self.ending.end();
        self.wake_h2();
    }

    /// `h2` is through.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.end();
        self.taken.set();
        self.news.set();
    }

    async fn read_all(self: Rc<Self>, socket: OwnedReadHalf<TcpStream>) {
        self.ending.or_ended(self.receive_all(socket)).await;
        self.ended.set(true);
        self.wake_h2();
    }

    async fn receive_all(&self, mut socket: OwnedReadHalf<TcpStream>) {
        let mut buf = Vec::new();
        while !self.ended.get() {
            buf.clear();
            buf.reserve(READ_BYTES);
            let (read, back) = socket.read(buf).await;
            self.received_ns.set(self.clock.now_ns());
            buf = back;
            if !matches!(read, Ok(1..)) {
                break;
            }
            {
                let mut incoming = self.incoming.borrow_mut();
                let Incoming { raw, plain, .. } = &mut *incoming;
                let into = if self.tls.is_some() { raw } else { plain };
                std::mem::swap(into, &mut buf);
            }
            self.wake_h2();
            while !self.has_taken() && !self.closed.get() {
                self.taken.wait().await;
            }
        }
    }

    fn has_taken(&self) -> bool {
        let incoming = self.incoming.borrow();
        incoming.raw.is_empty() && incoming.plain.is_empty()
    }

    fn wake_h2(&self) {
        if let Some(waker) = self.reads.take() {
            self.line.stand(waker, CONNECTION_WEIGHT);
        }
    }

    async fn write_all(self: Rc<Self>, mut writes: WriteHalf) {
        loop {
            let bytes = std::mem::take(&mut *self.outgoing.borrow_mut());
            let wants_write = self.tls.as_ref().is_some_and(|tls| tls.borrow().wants_write());
            if bytes.is_empty() && !wants_write {
                if self.closed.get() {
                    break;
                }
                self.news.wait().await;
                continue;
            }
            if writes.write_all(bytes).await.0.is_err() {
                break;
            }
        }
        self.closed.set(true);
        self.end();
    }

    fn poll_take(&self, context: &Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut incoming = self.incoming.borrow_mut();
        let Incoming { raw, plain, taken } = &mut *incoming;
        if plain.is_empty()
            && !raw.is_empty()
            && let Some(tls) = &self.tls
        {
            let opened = tls.borrow_mut().take_in(raw, plain);
            raw.clear();
            self.news.set();
            opened?;
        }
        if plain.is_empty() {
            self.taken.set();
            if self.ended.get() {
                return Poll::Ready(Ok(()));
            }
            self.reads.set(Some(context.waker().clone()));
            return Poll::Pending;
        }
        self.was_fed.set(true);
        let len = buf.remaining().min(plain.len() - *taken);
        buf.put_slice(&plain[*taken..*taken + len]);
        *taken += len;
        if *taken == plain.len() {
            plain.clear();
            *taken = 0;
            self.taken.set();
        }
        Poll::Ready(Ok(()))
    }
}

/// The end that `h2` holds.
pub(super) struct LinkEnd(pub(super) Rc<Link>);

impl AsyncRead for LinkEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_take(context, buf)
    }
}

impl AsyncWrite for LinkEnd {
    /// Everything is taken: what `h2` sends is requests, and those are bounded by the plan.
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.0.closed.get() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.0.outgoing.borrow_mut().extend_from_slice(bytes);
        self.0.news.set();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Tells one task that something has changed.
#[derive(Default)]
struct Signal {
    is_set: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Signal {
    fn set(&self) {
        self.is_set.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|context| {
            if self.is_set.take() {
                return Poll::Ready(());
            }
            self.waker.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// An event for a hundred readers, in one receive.
const READ_BYTES: usize = 64 * 1024;
