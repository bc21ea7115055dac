//! Server-Sent Events (section 5.8): finds the stream, makes the head and the first page, and hands
//! the socket to the crowd.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use thalweg_proto::answer::event_stream;
use thalweg_proto::cursor;
use thalweg_proto::http1::Version;
use thalweg_proto::http1::encode::Framing as HeadFraming;
use thalweg_proto::request::ReadRequest;
use thalweg_proto::response::Response;

use super::deadlines::Guard;
use super::dispatch::Allowed;
use super::output::encode;
use super::transport::Transport;
use crate::config::limits::SSE_LIFETIME_JITTER_PERCENT;
use crate::core::Core;
use crate::crowd::{Member, Reading, encode_page};
use crate::fanout::Follower;
use crate::limits::Bill;
use crate::mailbox::message::{Answer, Op};
use crate::shard::page::Page;

/// A live answer whose stream was found.
pub(crate) struct Start {
    core: Rc<Core>,
    follower: Follower,
    /// The client's.
    cursor: Option<u64>,
    page: Page,
    version: Version,
    bill: Option<Bill>,
    /// The head of the answer.
    pub(crate) head: Response,
}

impl Start {
    /// The reader, and the first bytes: the page, with something before it.
    pub(crate) fn begin(self, chunked: bool, before: &[u8]) -> (Reading, Bytes) {
        let Start { core, follower, cursor, page, bill, .. } = self;
        let cursor = cursor::answer(core.clock.now(), cursor, core.random());
        let first = encode_page(page, cursor, chunked, before);
        let mut reading = Reading::new(follower, cursor, chunked, bill);
        let first = reading.take_answer(first);
        (reading, first)
    }

    /// Bytes of the stream in it.
    pub(super) fn first_bytes(&self) -> usize {
        self.page.stored.iter().map(Bytes::len).sum()
    }

    /// Whom further pages are charged to.
    pub(super) fn charge_to(&mut self, bill: Option<Bill>) {
        self.bill = bill;
    }

    /// There will be no answer.
    pub(crate) fn give_up(self) {
        self.core.leave(self.follower);
    }
}

/// Finds the stream and joins its readers, before anything is sent. The answer ends when the reader
/// may not read any more.
pub(super) async fn open(
    core: &Rc<Core>,
    request: ReadRequest,
    version: Version,
    allowed: Allowed,
) -> Result<Box<Start>, Box<Response>> {
    let lifetime = jittered(core.limits.live().sse_lifetime, core.random());
    let follower = core.follow(&request.path, core.at_most_until(lifetime, allowed.until));
    follower.keep(allowed.pass);
    let cursor = request.cursor;
    match read(core, request).await {
        Ok(page) => {
            let core = Rc::clone(core);
            let head = event_stream(page.facts.content_type.framing());
            Ok(Box::new(Start { core, follower, cursor, page, version, bill: None, head }))
        }
        Err(response) => {
            core.leave(follower);
            Err(response)
        }
    }
}

/// The crowd carries on.
pub(super) fn go_live(start: Box<Start>, transport: Transport, deadline: Guard) {
    let core = Rc::clone(&start.core);
    let mut head = Vec::new();
    encode(&core, &mut head, &start.head, start.version, false, HeadFraming::Streamed);
    let chunked = start.version == Version::Http11;
    let (reading, first) = start.begin(chunked, &head);
    // What the client sent before its answer cannot be answered any more.
    let (socket, session, _) = transport.into_parts();
    core.crowd.join(&core, Member::new(socket, session, deadline, reading), first);
}

async fn read(core: &Rc<Core>, request: ReadRequest) -> Result<Page, Box<Response>> {
    let path = request.path.clone();
    match core.ask_owner(&path, Op::Read(request, Some(core.id))).await {
        Some(Answer::Page(Ok(page))) => Ok(*page),
        Some(Answer::Page(Err(problem))) => Err(Box::new(problem.into_response())),
        _ => Err(Box::new(crate::stopping().into_response())),
    }
}

fn jittered(lifetime: Duration, random: u64) -> Duration {
    let spread = lifetime.as_millis() as u64 * SSE_LIFETIME_JITTER_PERCENT / 100;
    let offset = random % (2 * spread + 1);
    lifetime - Duration::from_millis(spread) + Duration::from_millis(offset)
}
