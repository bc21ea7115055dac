//! Pages for readers that are not at the tail: read like anybody else's, sent as SSE.

use std::rc::Rc;

use bytes::Bytes;
use thalweg_proto::content_type::Framing;
use thalweg_proto::cursor;
use thalweg_proto::http1::encode::LAST_CHUNK;
use thalweg_proto::sse::{Control, incomplete_utf8_tail};

use super::reading::{Answer, Reading};
use crate::core::Core;
use crate::fanout::batch::{encode_chunk, events_of};
use crate::mailbox::message::{Answer as Reply, Op};
use crate::rt;
use crate::shard::page::Page;

/// Reads the next page of a member and has it sent. The member's entry waits for it.
pub(super) fn fetch(core: &Rc<Core>, number: u32, reading: &Reading) {
    let Some(request) = reading.request() else { return };
    core.metrics.fanout_pages.increment();
    let (own, chunked, bill) = (reading.cursor, reading.chunked, reading.bill());
    let core = Rc::clone(core);
    rt::spawn(async move {
        let path = request.path.clone();
        let answer = match core.ask_owner(&path, Op::Read(request, Some(core.id))).await {
            Some(Reply::Page(Ok(page))) => {
                let bytes = page.stored.iter().map(Bytes::len).sum();
                core.gate.answers(bill.as_ref(), bytes, || core.clock.instant());
                let cursor = own.max(cursor::current(core.clock.now()));
                Some(encode(*page, cursor, chunked, &[]))
            }
            _ => None,
        };
        core.crowd.deliver(&core, number, answer);
    });
}

/// A page as a data event and a control event, with something before it. A text page that ends
/// inside a character is cut before it, and the rest is left for the next page.
#[must_use]
pub fn encode(mut page: Page, cursor: u64, chunked: bool, before: &[u8]) -> Answer {
    let mut stored = page.stored.concat();
    let facts = &mut page.facts;
    if facts.content_type.framing() == Framing::Text && !facts.up_to_date {
        // A page of nothing else would be read again for ever.
        let cut =
            Some(incomplete_utf8_tail(&stored)).filter(|cut| *cut < stored.len()).unwrap_or(0);
        stored.truncate(stored.len() - cut);
        facts.end -= cut as u64;
        facts.next.position -= cut as u64;
    }
    let control =
        Control { next: facts.next, cursor, up_to_date: facts.up_to_date, closed: facts.closed };
    let chunk = encode_chunk(&facts.content_type, &stored, control);
    let mut bytes = Vec::with_capacity(before.len() + chunk.len() + LAST_CHUNK.len());
    bytes.extend_from_slice(before);
    if chunked {
        bytes.extend_from_slice(&chunk);
        if facts.closed {
            bytes.extend_from_slice(LAST_CHUNK);
        }
    } else {
        bytes.extend_from_slice(&chunk[events_of(&chunk)]);
    }
    Answer {
        bytes: Bytes::from(bytes),
        next: facts.next,
        behind: !facts.up_to_date,
        closed: facts.closed,
    }
}
