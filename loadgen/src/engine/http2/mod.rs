//! HTTP/2 (RFC 9113): a connection that carries many requests, by the `h2` crate, which does no I/O
//! of its own here.
//!
//! ```text
//! socket -> stamp -> [line] -> TLS -> h2 -> [line] -> one reader or exchange each
//! ```
//!
//! Invariant: a reader that does not read holds no other: the connection's window is larger than
//! those of its streams together.
//!
//! Deliberately absent: what requests mean. They and their answers are those of HTTP/1.1.

mod line;
mod link;
mod shared;
mod text;

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::Method;

use super::clock::Clock;
use super::wire::{Answers, Response, WireError};
use crate::net::Stream;
use crate::plan::limits::MAX_READERS_PER_CONNECTION;
pub(crate) use line::Line;
use line::Place;
pub(crate) use link::Link;
use link::LinkEnd;
pub(crate) use shared::Trunks;

/// A connection.
pub(crate) struct Trunk {
    send: SendRequest<Bytes>,
    pub(crate) link: Rc<Link>,
    scheme: &'static str,
}

impl Trunk {
    /// Speaks HTTP/2 over a connection; fails if the server does not, or takes fewer requests at
    /// once than `streams`. The caller limits the time.
    pub(crate) async fn open(
        stream: Stream,
        clock: Clock,
        line: &Line,
        scheme: &'static str,
        streams: u32,
    ) -> Result<Rc<Trunk>, WireError> {
        let link = Link::start(stream, clock, line);
        let handshake = builder(streams).handshake(LinkEnd(Rc::clone(&link))).await;
        let (send, connection) = match handshake {
            Ok(both) => both,
            Err(error) => {
                link.close();
                return Err(error.into());
            }
        };
        let driven = Rc::clone(&link);
        drop(monoio::spawn(async move {
            // Why it ended is what its streams say.
            let _ = connection.await;
            driven.close();
        }));
        let trunk = Rc::new(Trunk { send, link, scheme });
        trunk.greeted().await?;
        let allowed = u32::try_from(trunk.send.current_max_send_streams()).unwrap_or(u32::MAX);
        match allowed < streams {
            true => Err(WireError::FewStreams { allowed, wanted: streams }),
            false => Ok(trunk),
        }
    }

    /// Waits for the server's settings, which are the first thing that it says.
    async fn greeted(&self) -> Result<(), WireError> {
        while !self.link.was_fed.get() {
            if !self.link.is_open() {
                return Err(WireError::NotHttp2);
            }
            monoio::time::sleep(LOOK).await;
        }
        // `h2` has taken them, and is done with them when it is our turn again.
        monoio::time::sleep(LOOK).await;
        if self.is_open() { Ok(()) } else { Err(WireError::NotHttp2) }
    }

    /// Whether another request may go over it.
    pub(crate) fn is_open(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let ready = self.send.clone().poll_ready(&mut context);
        self.link.is_open() && !matches!(ready, Poll::Ready(Err(_)))
    }

    /// Sends a request, given as HTTP/1.1 would send it.
    pub(crate) fn begin(self: &Rc<Self>, request: &[u8]) -> Result<Incoming, WireError> {
        let (request, body) = text::request(request, self.scheme)?;
        let (answer, mut stream) = self.send.clone().send_request(request, body.is_empty())?;
        if !body.is_empty() {
            // What the windows do not take yet is held.
            stream.send_data(body, true)?;
        }
        let (trunk, place) = (Rc::clone(self), Place::new(&self.link.line));
        Ok(Incoming { trunk, place, state: State::Head(answer) })
    }
}

/// The answer to one request, as it comes. Dropping it takes the request back.
pub(crate) struct Incoming {
    trunk: Rc<Trunk>,
    place: Place,
    state: State,
}

enum State {
    Head(ResponseFuture),
    Body(RecvStream),
}

impl Incoming {
    /// Takes what has come behind `out`: the head as HTTP/1.1 would have it, then pieces of the
    /// body. How much, and when it was received; 0 at the end. Dropping the wait loses nothing.
    pub(crate) async fn receive(&mut self, out: &mut Vec<u8>) -> Result<(usize, u64), WireError> {
        let begin = out.len();
        poll_fn(|context| self.poll_receive(context, out)).await?;
        Ok((out.len() - begin, self.trunk.link.received_ns.get()))
    }

    fn poll_receive(
        &mut self,
        context: &Context<'_>,
        out: &mut Vec<u8>,
    ) -> Poll<Result<(), WireError>> {
        let Incoming { place, state, .. } = self;
        match state {
            State::Head(answer) => {
                let answer = place.poll(context, |context| Pin::new(answer).poll(context));
                let Poll::Ready(answer) = answer else { return Poll::Pending };
                let (parts, body) = answer?.into_parts();
                text::head(parts.status, &parts.headers, out);
                *state = State::Body(body);
                Poll::Ready(Ok(()))
            }
            State::Body(body) => loop {
                let data = place.poll(context, |context| body.poll_data(context));
                let Poll::Ready(data) = data else { return Poll::Pending };
                let Some(data) = data.transpose()? else { return Poll::Ready(Ok(())) };
                if data.is_empty() {
                    continue;
                }
                out.extend_from_slice(&data);
                // It is ours now: the server may send as much again. An error is the connection's.
                let _ = body.flow_control().release_capacity(data.len());
                return Poll::Ready(Ok(()));
            },
        }
    }

    /// Waits for the whole answer to a request with `method`.
    pub(crate) async fn whole(mut self, method: &Method) -> Result<Response, WireError> {
        let (mut answers, mut buf, mut last_ns) = (Answers::default(), Vec::new(), None);
        let mut answer = None;
        loop {
            buf.clear();
            let (read, now_ns) = self.receive(&mut buf).await?;
            if read == 0 {
                break;
            }
            last_ns = Some(now_ns);
            answers.push(&buf, now_ns);
            answer = match answer {
                None => answers.next(method, now_ns)?,
                some => some,
            };
        }
        let now_ns = last_ns.unwrap_or_else(|| self.trunk.link.received_ns.get());
        let answer = match answer {
            None => answers.finish(now_ns).map_err(WireError::Cut)?,
            some => some,
        };
        let mut answer = answer.ok_or(WireError::NotHttp2)?;
        answer.keep_alive = self.trunk.is_open();
        Ok(answer)
    }
}

fn builder(streams: u32) -> Builder {
    let connection_window = (streams.saturating_add(1)).saturating_mul(STREAM_WINDOW);
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(connection_window.clamp(CONNECTION_WINDOW, MAX_WINDOW))
        .max_header_list_size(MAX_HEADER_BYTES)
        .enable_push(false)
        // Small frames are what it is for.
        .data_frame_budget(usize::MAX / 2);
    builder
}

const LOOK: std::time::Duration = std::time::Duration::from_millis(1);
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// The protocol's.
const MAX_WINDOW: u32 = (1 << 31) - 1;
const MAX_HEADER_BYTES: u32 = 64 * 1024;
const _: () = assert!(
    MAX_READERS_PER_CONNECTION < MAX_WINDOW / STREAM_WINDOW,
    "each reader has a window of its own in the connection's"
);
