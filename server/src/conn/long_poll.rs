//! Long-polls (section 5.7): answer what there is, or wait for news.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use thalweg_proto::answer::{PageFacts, not_found, nothing_new, page};
use thalweg_proto::cursor;
use thalweg_proto::offset::ReadFrom;
use thalweg_proto::request::ReadRequest;
use thalweg_proto::response::{Pieces, Response};

use super::dispatch::{Allowed, Peer};
use super::select::{Either, either};
use crate::core::Core;
use crate::fanout::batch::LiveBatch;
use crate::fanout::{Follower, Next};
use crate::mailbox::message::{Answer, Op};
use crate::shard::page::Page;

/// Answers a long-poll; `None` if the client has gone away.
pub(super) async fn poll(
    core: &Rc<Core>,
    request: ReadRequest,
    allowed: Allowed,
    peer: Peer<'_>,
) -> Option<Response> {
    let timeout = core.at_most_until(core.limits.live().long_poll_timeout, allowed.until);
    let follower = core.follow(&request.path, timeout);
    follower.keep(allowed.pass);
    let waiting = core.metrics.long_poll();
    let response = wait(core, request, &follower, peer).await;
    drop(waiting);
    core.leave(follower);
    response
}

async fn wait(
    core: &Rc<Core>,
    mut request: ReadRequest,
    follower: &Follower,
    mut peer: Peer<'_>,
) -> Option<Response> {
    let client_cursor = request.cursor;
    let cursor = || cursor::answer(core.clock.now(), client_cursor, core.random());
    let mut has_left = false;
    loop {
        let path = request.path.clone();
        let found = match core.ask_owner(&path, Op::Read(request.clone(), Some(core.id))).await? {
            Answer::Page(Ok(found)) => *found,
            Answer::Page(Err(problem)) => return Some(problem.into_response()),
            _ => return None,
        };
        if found.facts.start != found.facts.end || found.facts.closed {
            return Some(answer(core, found, cursor()));
        }
        let position = found.facts.end;
        loop {
            peer.watch(core);
            let first = either(pin!(peer.gone(core, &mut has_left)), follower.next(position)).await;
            let next = match first {
                Either::Second(next) => next,
                // It may have sent the next request before it closed its sending side.
                Either::First(()) if peer.is_at_end() => return None,
                Either::First(()) => continue,
            };
            match next {
                Next::News(batches) => {
                    return Some(news(core, &found.facts, &batches, follower, cursor()));
                }
                Next::Ended => return Some(not_found(&request.path).into_response()),
                Next::Expired => return Some(nothing_new(&found.facts, cursor())),
                Next::Behind => break,
            }
        }
        request.from = ReadFrom::At(found.facts.next);
    }
}

fn answer(core: &Rc<Core>, found: Page, cursor: u64) -> Response {
    if found.facts.start == found.facts.end {
        return nothing_new(&found.facts, cursor);
    }
    let cursor = (!found.facts.closed).then_some(cursor);
    page(&found.facts, found.stored, None, false, cursor, core.clock.now())
}

fn news(
    core: &Rc<Core>,
    before: &PageFacts,
    batches: &[Arc<LiveBatch>],
    follower: &Follower,
    cursor: u64,
) -> Response {
    let Some(last) = batches.last() else { return nothing_new(before, cursor) };
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
    answer(core, Page { facts, stored }, cursor)
}
