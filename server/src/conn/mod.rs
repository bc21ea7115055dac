//! A connection: one task that reads a request, asks for the answer, writes it, and begins anew.
//!
//! A thin coordinator: TLS and HTTP/2 are told apart here, reading is in `input`, what a request
//! leads to in `dispatch`. Invariants: answers leave in the order of the requests (pipelining);
//! after a request whose end is not certain, the connection closes.

mod answer;
pub mod deadlines;
mod dispatch;
mod health;
mod input;
mod long_poll;
mod observe;
mod output;
mod select;
mod sse;
mod transport;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use thalweg_proto::http1::{RequestHead, Version};
use thalweg_proto::problem::Problem;
use thalweg_proto::response::Response;

use crate::config::limits::{LINGER_TIMEOUT, MAX_TURNED_AWAY, TURN_AWAY_TIMEOUT};
use crate::core::Core;
use crate::crowd::{Poller, Template, Waiting, Watching};
use crate::http2;
use crate::metrics::{Operation, connections};
use crate::rt::{self, Socket};
use crate::tls::{Keeper, NoHandshake, TlsStream};
use deadlines::{Guard, Phase};
pub(crate) use dispatch::{Dispatched, Peer, dispatch};
use input::{Input, Received};
pub(crate) use input::{timeout, too_slow};
pub(crate) use long_poll::{answer as long_poll_answer, over as long_poll_over};
use output::Output;
pub(crate) use output::{encode_answer, time_to_take};
pub(crate) use select::{Either, either};
pub(crate) use sse::Start;
use transport::Transport;

/// What the rest of the connection needs to know of a request's head.
struct Meta {
    version: Version,
    keep_alive: bool,
    head_only: bool,
}

/// Serves a connection until it ends. `client`: who made it, as far as is known. `tls`: it must
/// begin with a handshake.
pub async fn serve(
    core: Rc<Core>,
    socket: Socket,
    client: Option<SocketAddr>,
    tls: Option<Arc<Keeper>>,
) {
    let deadline = core.deadlines.register(socket.handle());
    core.connections.set(core.connections.get() + 1);
    let late = core.draining.get();
    let (transport, deadline) = match tls {
        None => (Transport::Plain(socket), deadline),
        Some(keeper) => match shake_hands(&core, socket, deadline, &keeper).await {
            Some(ready) => ready,
            None => return core.connections.set(core.connections.get() - 1),
        },
    };
    let chose_http2 = transport.chose_http2();
    let connection = Connection {
        // Whoever chose HTTP/1.1 in the handshake means it.
        input: Input::new(client, chose_http2.is_none()),
        output: Output::default(),
        core,
        transport,
        client,
        watching: None,
        deadline,
        late,
        may_park: true,
    };
    if chose_http2 == Some(true) {
        return connection.go_on_as_http2().await;
    }
    connection.run().await;
}

/// Serves a connection that comes back from the crowd, with what has been read of its next request.
/// `may_park`: it may go there again.
pub(crate) fn go_on(
    core: &Rc<Core>,
    socket: Socket,
    client: Option<SocketAddr>,
    deadline: Guard,
    read: BytesMut,
    may_park: bool,
) {
    let connection = Connection {
        core: Rc::clone(core),
        deadline,
        transport: Transport::Plain(socket),
        client,
        watching: None,
        input: Input::resumed(client, read),
        output: Output::default(),
        late: false,
        may_park,
    };
    rt::spawn(connection.run());
}

/// Answers a request that came without a connection; live reads as the page that they begin with.
/// `None` only while the server stops.
pub async fn respond(core: &Rc<Core>, head: &RequestHead, body: Bytes) -> Option<Response> {
    match thalweg_proto::request::parse(head, body, &core.parse) {
        Err(problem) => Some(problem.into_response()),
        Ok(request) => answer::answer(core, request, head).await,
    }
}

/// Tells a connection over capacity to come again. One that wants TLS is closed without a word: a
/// handshake is what the server has no time for.
pub async fn turn_away(core: Rc<Core>, socket: Socket, tls: bool) {
    let problem = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "over-capacity",
        "the server has as many connections as it may; try again",
    );
    turn_away_with(core, socket, tls, problem.with("retry-after", 1)).await;
}

/// The same for another reason. Who is told costs a little; of many at once not everybody is.
pub async fn turn_away_with(core: Rc<Core>, socket: Socket, tls: bool, problem: Problem) {
    let deadline = core.deadlines.register(socket.handle());
    let told = core.turned_away.get();
    if !tls && told < MAX_TURNED_AWAY {
        let response = problem.into_response();
        core.metrics.answered(Operation::Invalid, &response);
        core.turned_away.set(told + 1);
        refuse(&core, socket, deadline, response, TURN_AWAY_TIMEOUT).await;
        core.turned_away.set(core.turned_away.get() - 1);
    } else {
        core.metrics.refused(problem.code);
        // It leaves the table before the socket closes.
        drop(deadline);
        drop(socket);
    }
}

/// One answer to whatever comes, in plain HTTP/1.1, and the end.
async fn refuse(
    core: &Rc<Core>,
    socket: Socket,
    deadline: Guard,
    response: Response,
    linger: Duration,
) {
    let meta = Meta { version: Version::Http11, keep_alive: false, head_only: false };
    let mut transport = Transport::Plain(socket);
    if Output::default().write(core, &mut transport, &deadline, response, &meta).await {
        transport.linger(core, &deadline, linger).await;
    }
    // It leaves the table before the socket closes.
    drop(deadline);
    drop(transport);
}

/// The handshake, under its deadline.
async fn shake_hands(
    core: &Rc<Core>,
    socket: Socket,
    deadline: Guard,
    keeper: &Keeper,
) -> Option<(Transport, Guard)> {
    deadline.set(core.clock.about(), core.limits.get().tls_handshake_timeout, Phase::Writing);
    let began = core.clock.instant();
    let (socket, why) = match TlsStream::accept(socket, keeper.current()).await {
        Ok((stream, handshake)) => {
            core.metrics.tls.shook(handshake);
            core.metrics.tls.took.record_time(core.clock.instant() - began);
            deadline.clear();
            return Some((Transport::Tls(Box::new(stream)), deadline));
        }
        Err(failed) => failed,
    };
    match why {
        NoHandshake::Ended => {
            core.metrics.tls.failures.increment("ended");
            drop(deadline);
            drop(socket);
        }
        NoHandshake::NotTls => {
            core.metrics.tls.failures.increment("not_tls");
            let problem = Problem::bad_request(
                "not-tls",
                "this port speaks TLS: use https:// instead of http://",
            );
            refuse(core, socket, deadline, problem.into_response(), LINGER_TIMEOUT).await;
        }
        NoHandshake::Refused(error) => {
            core.metrics.tls.failures.increment(connections::reason_of(&error));
            tracing::debug!(core = core.id, %error, "a TLS handshake failed");
            // The peer should get to read the alert.
            let mut transport = Transport::Plain(socket);
            transport.linger(core, &deadline, LINGER_TIMEOUT).await;
            drop(deadline);
            drop(transport);
        }
    }
    None
}

struct Connection {
    core: Rc<Core>,
    /// Before the socket: it leaves the table before the socket closes.
    deadline: Guard,
    transport: Transport,
    /// Who made it: whoever limits and logs clients goes by this, never by the socket.
    client: Option<SocketAddr>,
    /// Whether the peer has left, since the first long-poll.
    watching: Option<Watching>,
    input: Input,
    output: Output,
    /// It came when the server was stopping already: only health is answered.
    late: bool,
    /// The crowd may have it while a long-poll waits.
    may_park: bool,
}

/// How a connection goes on after a request.
enum Next {
    /// With the next request.
    Request,
    /// As the live answer to this one.
    Live(Box<Start>),
    /// As one that waits for the answer to this one.
    Parked(Waiting, Template),
    /// In another version of the protocol.
    Http2,
}

impl Connection {
    /// Request after request, until the end or until somebody else carries on.
    async fn run(mut self) {
        while let Some(next) = self.turn().await {
            match next {
                Next::Request => {}
                Next::Http2 => return self.go_on_as_http2().await,
                Next::Live(start) => {
                    self.unwatch();
                    let Connection { transport, deadline, .. } = self;
                    return sse::go_live(start, transport, deadline);
                }
                Next::Parked(waiting, asks) => {
                    self.unwatch();
                    let Connection { core, transport, client, deadline, .. } = self;
                    let (socket, ..) = transport.into_parts();
                    let poller = Poller::new(socket, client, deadline, asks, waiting);
                    return core.crowd.park(&core, poller);
                }
            }
        }
        self.unwatch();
        let Connection { core, transport, deadline, .. } = &mut self;
        transport.linger(core, deadline, LINGER_TIMEOUT).await;
        core.connections.set(core.connections.get() - 1);
    }

    /// One request and its answer; `None` ends the connection.
    async fn turn(&mut self) -> Option<Next> {
        let received = self.input.receive(&self.core, &mut self.transport, &self.deadline).await;
        match received {
            Received::Request(mut head, body) => {
                head.secure = self.transport.is_secure();
                self.answer(&head, body).await
            }
            Received::Http2 => Some(Next::Http2),
            Received::Refused(problem, version) => {
                let meta = Meta { version, keep_alive: false, head_only: false };
                let response = problem.into_response();
                self.core.metrics.answered(Operation::Invalid, &response);
                self.write(response, &meta).await;
                None
            }
            Received::End => None,
        }
    }

    async fn answer(&mut self, head: &RequestHead, body: Bytes) -> Option<Next> {
        let Connection { core, transport, client, watching, input, late, .. } = self;
        let keep_alive = head.keep_alive && !core.draining.get() && !*late;
        let meta =
            Meta { version: head.version, keep_alive, head_only: head.method == Method::HEAD };
        let is_usual = keep_alive && head.version == Version::Http11;
        // Whoever is logged is answered here, where the log is written.
        let asks = input.take_template().filter(|_| {
            is_usual && self.may_park && !transport.is_secure() && !core.looks_at_each_request()
        });
        let parks = asks.is_some();
        let peer = Peer::Connection { transport, client: *client, watching, parks };
        match dispatch(core, head, body, *late, peer).await? {
            Dispatched::Waits(waiting) => Some(Next::Parked(waiting, asks?)),
            Dispatched::Live(start) => {
                self.deadline.clear();
                Some(Next::Live(start))
            }
            Dispatched::Answer(response) => {
                let written = self.write(response, &meta).await;
                (written && meta.keep_alive).then_some(Next::Request)
            }
        }
    }

    async fn go_on_as_http2(self) {
        let Connection { core, deadline, transport, client, input, late, .. } = self;
        let mut first = input.into_bytes();
        let (socket, session, early) = transport.into_parts();
        first.extend_from_slice(&early);
        http2::serve(core, http2::Opened { socket, client, session, first, deadline, late }).await;
    }

    fn unwatch(&mut self) {
        if let Some(watching) = self.watching.take() {
            self.core.crowd.unwatch(&self.core, &watching, self.transport.socket());
        }
    }

    async fn write(&mut self, response: Response, meta: &Meta) -> bool {
        self.output.write(&self.core, &mut self.transport, &self.deadline, response, meta).await
    }
}
