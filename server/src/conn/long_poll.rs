//! Long-polls (section 5.7): answer what there is, or wait for news.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use thalweg_proto::answer::{PageFacts, not_found, nothing_new, page};
use thalweg_proto::cursor;
use thalweg_proto::offset::{Offset, ReadFrom};
use thalweg_proto::request::ReadRequest;
use thalweg_proto::response::{Pieces, Response};

use super::dispatch::{Allowed, Peer};
use super::select::{Either, either};
use crate::core::Core;
use crate::crowd::Waiting;
use crate::fanout::batch::LiveBatch;
use crate::fanout::{Follower, Next};
use crate::mailbox::message::{Answer, Op};

/// What becomes of a long-poll.
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once, never kept")]
pub(super) enum Polled {
    Answer(Response),
    /// It waits, and the connection may be left to the crowd.
    Waits(Waiting),
}

/// Answers a long-poll, or says that it has to wait; `None` if the client has gone away.
pub(super) async fn poll(
    core: &Rc<Core>,
    request: ReadRequest,
    allowed: Allowed,
    peer: Peer<'_>,
) -> Option<Polled> {
    let until = allowed.until;
    let timeout = core.at_most_until(core.limits.live().long_poll_timeout, until);
    let follower = core.follow(&request.path, timeout);
    follower.keep(allowed.pass);
    let (cursor, rules) = (request.cursor, core.access_rules());
    let waiting = core.metrics.long_poll();
    let waited = wait(core, request, &follower, peer).await;
    drop(waiting);
    match waited {
        Some(Waited::Parks(next)) => {
            Some(Polled::Waits(Waiting { follower, next, cursor, until, rules }))
        }
        waited => {
            core.leave(follower);
            match waited? {
                Waited::Answer(response) => Some(Polled::Answer(response)),
                Waited::Parks(_) => None,
            }
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "made and taken apart at once, never kept")]
enum Waited {
    Answer(Response),
    /// It has come to this token, and the crowd may wait for what comes after it.
    Parks(Offset),
}

async fn wait(
    core: &Rc<Core>,
    mut request: ReadRequest,
    follower: &Follower,
    mut peer: Peer<'_>,
) -> Option<Waited> {
    let answered = |response| Some(Waited::Answer(response));
    let client_cursor = request.cursor;
    let cursor = || cursor::answer(core.clock.now(), client_cursor, core.random());
    let mut has_left = false;
    loop {
        let path = request.path.clone();
        let found = match core.ask_owner(&path, Op::Read(request.clone(), Some(core.id))).await? {
            Answer::Page(Ok(found)) => *found,
            Answer::Page(Err(problem)) => return answered(problem.into_response()),
            _ => return None,
        };
        if found.facts.start != found.facts.end || found.facts.closed {
            return answered(answer(core, &found.facts, found.stored, cursor()));
        }
        // One that expires is not kept waiting between two requests: that would keep it alive.
        if peer.parks() && found.facts.expires_at.is_none() {
            return Some(Waited::Parks(found.facts.next));
        }
        let position = found.facts.end;
        loop {
            peer.watch(core);
            let first = either(pin!(peer.gone(core, &mut has_left)), follower.next(position)).await;
            let next = match first {
                Either::Second(next) => next,
                // It may have sent the next request before it closed its sending side. A draining
                // server has closed its own reading end: that looks the same.
                Either::First(()) if peer.is_at_end() && !core.draining.get() => return None,
                Either::First(()) => continue,
            };
            match next {
                Next::News(batches) => {
                    return answered(news(core, &found.facts, &batches, follower, cursor()));
                }
                Next::Ended => return answered(not_found(&request.path).into_response()),
                Next::Expired => return answered(over(found.facts.next, cursor())),
                Next::Behind => break,
            }
        }
        request.from = ReadFrom::At(found.facts.next);
    }
}

/// The answer when there is something to tell.
pub(crate) fn answer(core: &Core, facts: &PageFacts, stored: Pieces, cursor: u64) -> Response {
    if facts.start == facts.end {
        return nothing_new(facts.next, facts.closed, cursor);
    }
    let cursor = (!facts.closed).then_some(cursor);
    page(facts, stored, None, false, cursor, core.clock.now())
}

/// The answer when its time is over.
pub(crate) fn over(next: Offset, cursor: u64) -> Response {
    nothing_new(next, false, cursor)
}

fn news(
    core: &Rc<Core>,
    before: &PageFacts,
    batches: &[Arc<LiveBatch>],
    follower: &Follower,
    cursor: u64,
) -> Response {
    let Some(last) = batches.last() else { return over(before.next, cursor) };
    let facts = PageFacts {
        start: before.end,
        end: last.to(),
        next: last.next,
        up_to_date: follower.is_at_end(last.to()),
        closed: last.closed,
        ..before.clone()
    };
    let stored: Pieces = batches
        .iter()
        .map(|batch| batch.stored.clone())
        .filter(|piece| !piece.is_empty())
        .collect();
    answer(core, &facts, stored, cursor)
}
