//! How far an SSE reader has come, and what it is to be sent next, whatever carries it.

use std::rc::Rc;

use bytes::Bytes;
use thalweg_proto::http1::encode::LAST_CHUNK;
use thalweg_proto::offset::{Offset, ReadFrom};
use thalweg_proto::request::{LiveMode, ReadRequest};

use crate::core::Core;
use crate::fanout::{Cursors, Follower, Next};
use crate::limits::Bill;

/// See the module.
pub struct Reading {
    /// Taken away when the answer is over.
    follower: Option<Follower>,
    /// The token after the last byte that was sent or is being sent.
    next: Offset,
    /// The least cursor that this reader may be told.
    pub(super) cursor: u64,
    /// HTTP/1.1 has chunks.
    pub(super) chunked: bool,
    /// Look again after the write under way: it was called meanwhile, or there was more.
    pub(super) look_again: bool,
    /// The last page was not the last one.
    behind: bool,
    /// Nothing follows the write under way.
    pub(super) over: bool,
    /// Whom pages are charged to; on the heap, because mostly there is none.
    bill: Option<Box<Bill>>,
}

/// An encoded page, and where it leaves the reader.
pub struct Answer {
    /// The bytes for the reader.
    pub bytes: Bytes,
    /// The token after them.
    pub next: Offset,
    /// There is more to read.
    pub behind: bool,
    /// The stream is closed.
    pub closed: bool,
}

/// What there is for a reader.
pub(super) enum Found {
    Nothing,
    /// It has to read a page.
    Page,
    Bytes(Bytes),
}

impl Reading {
    /// A reader whose answer begins.
    #[must_use]
    pub fn new(follower: Follower, cursor: u64, chunked: bool, bill: Option<Bill>) -> Reading {
        Reading {
            follower: Some(follower),
            next: Offset { epoch: 0, position: 0 },
            cursor,
            chunked,
            look_again: false,
            behind: false,
            over: false,
            bill: bill.map(Box::new),
        }
    }

    /// Takes note of what is sent now and returns its bytes.
    pub fn take_answer(&mut self, answer: Answer) -> Bytes {
        self.next = answer.next;
        self.behind = answer.behind;
        self.over = answer.closed;
        // While the page was read nobody called, or the call was for something else.
        self.look_again = true;
        answer.bytes
    }

    /// Brings what a look looks at into the processor's cache.
    pub(super) fn touch(&self) -> u64 {
        self.next.position ^ self.cursor ^ u64::from(self.over)
    }

    /// What it is to be sent now.
    pub(super) fn look(&mut self, current: u64) -> Found {
        let Some(follower) = &self.follower else { return Found::Nothing };
        let cursors = Cursors { current, own: self.cursor };
        match follower.take(self.next.position, cursors) {
            Some(Next::Ended | Next::Expired) => Found::Bytes(self.end()),
            Some(Next::Behind) => Found::Page,
            _ if self.behind => Found::Page,
            None => Found::Nothing,
            Some(Next::News(frame)) => {
                self.next = frame.next;
                self.over = frame.closed;
                self.look_again = !frame.all;
                Found::Bytes(frame.bytes(self.chunked))
            }
        }
    }

    /// The request for the page that it needs.
    pub(super) fn request(&self) -> Option<ReadRequest> {
        Some(ReadRequest {
            path: self.follower.as_ref()?.path().clone(),
            from: ReadFrom::At(self.next),
            live: LiveMode::Sse,
            cursor: None,
            if_none_match: None,
        })
    }

    /// Whom its pages are charged to.
    pub(super) fn bill(&self) -> Option<Bill> {
        self.bill.as_deref().copied()
    }

    /// The answer ends without more data: what is left to send.
    pub(super) fn end(&mut self) -> Bytes {
        self.over = true;
        Bytes::from_static(if self.chunked { LAST_CHUNK } else { b"" })
    }

    /// From now on news call this number.
    pub(super) fn call_as(&self, number: u32) {
        if let Some(follower) = &self.follower {
            follower.call(number);
        }
    }

    /// Leaves the stream's readers.
    pub fn leave(&mut self, core: &Rc<Core>) {
        if let Some(follower) = self.follower.take() {
            core.leave(follower);
        }
    }
}
