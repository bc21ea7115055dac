//! A connection: one task that reads a request, asks for the answer, writes it, and begins anew.
//!
//! A thin coordinator: reading is in `input`, live answers in `long_poll` and `sse`,
//! everything else in `answer`. Invariants: answers leave in the order of the requests
//! (pipelining); after a request whose end is not certain, the connection closes.

mod answer;
pub mod deadlines;
mod health;
mod input;
mod long_poll;
mod observe;
mod output;
mod select;
mod sse;

use std::rc::Rc;

use bytes::Bytes;
use http::{Method, StatusCode};
use thalweg_proto::http1::{RequestHead, Version};
use thalweg_proto::problem::Problem;
use thalweg_proto::request::{LiveMode, Request};
use thalweg_proto::response::Response;
use thalweg_proto::time::Timestamp;

use crate::auth;
use crate::config::limits::{LINGER_TIMEOUT, TURN_AWAY_TIMEOUT};
use crate::core::Core;
use crate::crowd::Watching;
use crate::metrics::Operation;
use crate::rt::Socket;
use input::{Input, Received};
use observe::Exchange;
use output::Output;
pub(crate) use output::time_to_take;

/// What the rest of the connection needs to know of a request's head.
struct Meta {
    version: Version,
    keep_alive: bool,
    head_only: bool,
}

/// Serves a connection until it ends.
pub async fn serve(core: Rc<Core>, socket: Socket) {
    let deadline = core.deadlines.register(socket.handle());
    let mut connection = Connection {
        input: Input::new(),
        output: Output::default(),
        core: Rc::clone(&core),
        socket,
        watching: None,
        deadline,
        late: core.draining.get(),
    };
    core.connections.set(core.connections.get() + 1);
    while let Some(next) = connection.turn().await {
        if let Next::Sse(start) = next {
            connection.unwatch();
            let Connection { socket, deadline, .. } = connection;
            sse::go_live(start, socket, deadline);
            return;
        }
    }
    connection.unwatch();
    connection.socket.linger(&core, &connection.deadline, LINGER_TIMEOUT).await;
    core.connections.set(core.connections.get() - 1);
}

/// Answers a request that came without a connection; live reads as the page that they begin with.
/// `None` only while the server stops.
pub async fn respond(core: &Rc<Core>, head: &RequestHead, body: Bytes) -> Option<Response> {
    match thalweg_proto::request::parse(head, body, &core.parse) {
        Err(problem) => Some(problem.into_response()),
        Ok(request) => answer::answer(core, request, head).await,
    }
}

/// Tells a connection over capacity to come again.
pub async fn turn_away(core: Rc<Core>, mut socket: Socket) {
    let deadline = core.deadlines.register(socket.handle());
    let problem = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "over-capacity",
        "the server has as many connections as it may; try again",
    );
    let response = problem.with("retry-after", 1).into_response();
    core.metrics.answered(Operation::Invalid, &response);
    let meta = Meta { version: Version::Http11, keep_alive: false, head_only: false };
    let mut output = Output::default();
    if output.write(&core, &mut socket, &deadline, response, &meta).await {
        socket.linger(&core, &deadline, TURN_AWAY_TIMEOUT).await;
    }
}

struct Connection {
    core: Rc<Core>,
    /// Before the socket: it leaves the table before the socket closes.
    deadline: deadlines::Guard,
    socket: Socket,
    /// Whether the peer has left, since the first long-poll.
    watching: Option<Watching>,
    input: Input,
    output: Output,
    /// It came when the server was stopping already: only health is answered.
    late: bool,
}

/// How a connection goes on after a request.
enum Next {
    /// With the next request.
    Request,
    /// As the live answer to this one.
    Sse(Box<sse::Start>),
}

impl Connection {
    /// One request and its answer; `None` ends the connection.
    async fn turn(&mut self) -> Option<Next> {
        let received = self.input.receive(&self.core, &mut self.socket, &self.deadline).await;
        match received {
            Received::Request(head, body) => self.answer(&head, body).await,
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
        let meta = Meta {
            version: head.version,
            keep_alive: head.keep_alive && !self.core.draining.get(),
            head_only: head.method == Method::HEAD,
        };
        if let Some(response) = health::answer(&self.core, head) {
            self.core.metrics.answered(Operation::Health, &response);
            let written = self.write(response, &meta).await;
            return (written && meta.keep_alive).then_some(Next::Request);
        }
        if self.late {
            let response = crate::stopping().into_response();
            self.core.metrics.answered(Operation::of_method(&head.method), &response);
            self.write(response, &meta).await;
            return None;
        }
        let body_len = body.len();
        let (request, until) = self.parse(head, body);
        let (operation, socket) = (Operation::of(&request, &head.method), &self.socket);
        let exchange = Exchange::begin(&self.core, operation, head, body_len, || socket.peer());
        let mut response = match request {
            Err(problem) => problem.into_response(),
            Ok(Request::Read(request)) if request.live == LiveMode::Sse => {
                match sse::open(&self.core, request, meta.version, until).await {
                    Ok(mut start) => {
                        self.deadline.clear();
                        exchange.end(&self.core, &mut start.head);
                        return Some(Next::Sse(start));
                    }
                    Err(response) => *response,
                }
            }
            Ok(Request::Read(request)) if request.live == LiveMode::LongPoll => {
                let Connection { core, socket, watching, .. } = self;
                let peer = long_poll::Peer { socket, watching };
                long_poll::poll(core, request, until, peer).await?
            }
            Ok(request) => answer::answer(&self.core, request, head).await?,
        };
        exchange.end(&self.core, &mut response);
        let written = self.write(response, &meta).await;
        (written && meta.keep_alive).then_some(Next::Request)
    }

    /// What is asked for, if whoever asks may, and until when they may.
    fn parse(
        &self,
        head: &RequestHead,
        body: Bytes,
    ) -> (Result<Request, Problem>, Option<Timestamp>) {
        let grant = match self.core.admit(head) {
            Ok(grant) => grant,
            Err(problem) => return (Err(problem), None),
        };
        let request = thalweg_proto::request::parse(head, body, &self.core.parse);
        let Some(grant) = grant else { return (request, None) };
        let request = request.and_then(|request| {
            auth::check_fork(&grant, &request)?;
            Ok(request)
        });
        (request, grant.expires)
    }

    fn unwatch(&mut self) {
        if let Some(watching) = self.watching.take() {
            self.core.crowd.unwatch(&self.core, &watching, &self.socket);
        }
    }

    async fn write(&mut self, response: Response, meta: &Meta) -> bool {
        self.output.write(&self.core, &mut self.socket, &self.deadline, response, meta).await
    }
}
