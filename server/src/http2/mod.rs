//! HTTP/2 (RFC 9113): one connection that carries many requests, by the `h2` crate, which does no
//! I/O of its own here.
//!
//! ```text
//! socket -> reader --(TLS)--> pipe -> h2 -> one task for each request -> conn::dispatch
//! socket <- writer <-(TLS)--- pipe <- h2 <- answers
//!                              '---- lane <- readers of the crowd
//! ```
//!
//! Everything of a connection runs on its core. Invariants: what is handed to `h2` in one turn of
//! the core leaves in one write; a request whose window is closed holds no other; what a
//! connection may have under way is bounded in requests and in bytes. Deliberately absent: what
//! requests mean, which HTTP/1.1 and HTTP/2 share; server push; upgrades from HTTP/1.1.

mod answer;
mod body;
mod frames;
mod inbound;
mod lane;
mod link;
mod links;
mod pipe;
mod pump;
mod request;
mod sink;
mod watch;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use h2::Reason;
use h2::server::{Builder, Connection};
use thalweg_proto::limits::MAX_HEAD_BYTES;

use crate::config::limits::{
    HTTP2_ANSWER_STEP, HTTP2_CONNECTION_WINDOW, HTTP2_EARLY_RESETS, HTTP2_FRAME_BYTES,
    HTTP2_REFUSED_STREAMS, HTTP2_STREAM_ERRORS, HTTP2_STREAM_WINDOW, LINGER_TIMEOUT,
};
use crate::conn::deadlines::{Guard, Phase};
use crate::core::Core;
use crate::proxy::Origin;
use crate::rt::{self, Socket};
use crate::tls::Session;
pub use link::Link;
pub use links::Links;
use pipe::PipeEnd;
use pump::Pump;
pub use sink::{Offered, Sink};

/// A connection that turned out to speak HTTP/2.
pub struct Opened {
    /// Its socket.
    pub socket: Socket,
    /// Its TLS, if it has any.
    pub session: Option<Box<Session>>,
    /// Where it comes from.
    pub origin: Origin,
    /// What it has sent so far, decrypted.
    pub first: BytesMut,
    /// Its deadline.
    pub deadline: Guard,
    /// It came when the server was stopping already.
    pub late: bool,
}

/// Serves a connection until it ends.
pub async fn serve(core: Rc<Core>, opened: Opened) {
    let Opened { socket, session, origin, first, deadline, late } = opened;
    deadline.set(core.clock.about(), core.limits.get().request_head_timeout, Phase::Head);
    let link = Link::new(&core, origin, deadline, session.as_deref(), late, first);
    let place = core.http2.add(&link);
    let counts = &core.metrics.http2;
    counts.opened.increment();
    counts.connections.set(counts.connections.get() + 1);
    let pump = Pump::start(&core, &link, socket, session);
    let handshake = builder(&core).handshake(PipeEnd(Rc::clone(&link))).await;
    match handshake {
        Ok(mut connection) => {
            link.opens(&core);
            drive(&core, &link, &mut connection).await;
        }
        Err(error) => tracing::debug!(core = core.id, %error, "no HTTP/2 after its preface"),
    }
    // The connection is dropped: whoever waits for one of its streams is told.
    link.close(&core);
    core.http2.remove(place);
    counts.connections.set(counts.connections.get() - 1);
    pump.end(&core, &link, LINGER_TIMEOUT).await;
    core.connections.set(core.connections.get() - 1);
}

fn builder(core: &Core) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(core.limits.get().http2_streams)
        .initial_window_size(HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME_BYTES)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .max_send_buffer_size(2 * HTTP2_ANSWER_STEP)
        .max_pending_accept_reset_streams(HTTP2_EARLY_RESETS)
        .max_concurrent_reset_streams(HTTP2_REFUSED_STREAMS)
        .max_local_error_reset_streams(Some(HTTP2_STREAM_ERRORS));
    builder
}

type Served = Connection<PipeEnd, Bytes>;

/// Takes requests until the connection is over.
async fn drive(core: &Rc<Core>, link: &Rc<Link>, connection: &mut Served) {
    poll_fn(|context| turn(core, link, connection, context)).await;
}

fn turn(
    core: &Rc<Core>,
    link: &Rc<Link>,
    connection: &mut Served,
    context: &mut Context<'_>,
) -> Poll<()> {
    link.driven_by(context.waker());
    if link.should_drain() {
        core.metrics.http2.goaways.increment("drain");
        connection.graceful_shutdown();
    }
    if let Some(flood) = link.has_flooded() {
        core.metrics.refused(flood.code());
        connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
    }
    if link.has_been_idle() {
        core.metrics.http2.goaways.increment("idle");
        // Nothing is under way: the client may ask again elsewhere for what it sends now.
        connection.abrupt_shutdown(Reason::NO_ERROR);
    }
    loop {
        match connection.poll_accept(context) {
            Poll::Ready(Some(Ok((request, mut respond)))) => {
                match link.permit(core, respond.stream_id().as_u32()) {
                    Some(permit) => {
                        rt::spawn(request::handle(Rc::clone(core), permit, request, respond));
                    }
                    None => respond.send_reset(Reason::REFUSED_STREAM),
                }
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(core = core.id, %error, "an HTTP/2 connection failed");
                return Poll::Ready(());
            }
            Poll::Ready(None) => return Poll::Ready(()),
            Poll::Pending => break,
        }
    }
    link.count_errors(core);
    link.is_quiet(core, !connection.has_streams());
    Poll::Pending
}
