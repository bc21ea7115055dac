//! Server-Sent Events (section 5.8): pages until the reader is at the tail, then the frames that
//! all readers share.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thalweg_proto::answer::event_stream;
use thalweg_proto::content_type::Framing;
use thalweg_proto::cursor;
use thalweg_proto::http1::Version;
use thalweg_proto::http1::encode::{Framing as HeadFraming, LAST_CHUNK};
use thalweg_proto::offset::{Offset, ReadFrom};
use thalweg_proto::path::StreamPath;
use thalweg_proto::request::ReadRequest;
use thalweg_proto::response::{Pieces, Response};
use thalweg_proto::sse::{Control, incomplete_utf8_tail};

use super::deadlines::{Guard, Phase};
use super::long_poll::leave;
use super::output::{encode, piece, time_to_take};
use super::select::{Either, either};
use crate::config::limits::SSE_LIFETIME_JITTER_PERCENT;
use crate::core::Core;
use crate::fanout::batch::{LiveBatch, encode_chunk};
use crate::fanout::{Follower, Next};
use crate::mailbox::message::{Answer, Op};
use crate::rt::{self, Gone, Socket, Writer};
use crate::shard::page::Page;

/// A live answer whose stream was found.
pub(super) struct Start {
    core: Rc<Core>,
    follower: Follower,
    request: ReadRequest,
    page: Page,
    version: Version,
}

/// Finds the stream and joins its readers, before anything is sent.
pub(super) async fn open(
    core: &Rc<Core>,
    request: ReadRequest,
    version: Version,
) -> Result<Box<Start>, Box<Response>> {
    let lifetime = jittered(core.config.live.sse_lifetime, core.random());
    let follower = core.follow(&request.path, lifetime);
    match read(core, &request).await {
        Ok(page) => {
            let core = Rc::clone(core);
            Ok(Box::new(Start { core, follower, request, page, version }))
        }
        Err(response) => {
            leave(core, follower);
            Err(response)
        }
    }
}

/// Carries on as a task of its own.
pub(super) fn go_live(start: Box<Start>, socket: Socket, deadline: Guard) {
    let Start { core, follower, request, page, version } = *start;
    let cursor = cursor::answer(core.clock.now(), request.cursor, core.random());
    let mut head = Vec::new();
    let streamed = event_stream(page.facts.content_type.framing());
    encode(&core, &mut head, &streamed, version, false, HeadFraming::Streamed);
    let (writer, gone) = socket.into_live();
    let reader = Reader {
        follower: Some(follower),
        path: request.path,
        next: page.facts.next,
        cursor,
        chunked: version == Version::Http11,
        core,
        writer,
        deadline,
    };
    rt::spawn(reader.run(gone, Bytes::from(head), Box::new(page)));
}

/// One live reader. Small: there are as many as there are readers.
struct Reader {
    core: Rc<Core>,
    /// Before the writer: it leaves the table before the socket closes.
    deadline: Guard,
    writer: Writer,
    follower: Option<Follower>,
    path: StreamPath,
    /// The token after the last byte sent.
    next: Offset,
    /// The least cursor that this reader may be told.
    cursor: u64,
    /// HTTP/1.0 has no chunks.
    chunked: bool,
}

impl Reader {
    async fn run(mut self, gone: Gone, head: Bytes, page: Box<Page>) {
        let mut gone = gone;
        if self.pages(head, page).await.is_some() {
            while self.live(Pin::new(&mut gone)).await.is_some() {}
        }
        if self.chunked {
            // If the reader is lost already, it does not matter.
            let _ = self.write(piece(Bytes::from_static(LAST_CHUNK))).await;
        }
        if let Some(follower) = self.follower.take() {
            leave(&self.core, follower);
        }
        self.writer.close();
        self.core.connections.set(self.core.connections.get() - 1);
    }

    /// Sends pages until the reader is at the tail. `None`: the answer is over.
    async fn pages(&mut self, head: Bytes, mut page: Box<Page>) -> Option<()> {
        let mut before = piece(head);
        loop {
            let cursor = self.cursor.max(cursor::current(self.core.clock.now()));
            let mut pieces = std::mem::take(&mut before);
            let next = encode_page(&mut page, cursor);
            pieces.push(self.framed(next));
            self.write(pieces).await?;
            self.next = page.facts.next;
            if page.facts.closed {
                return None;
            }
            if page.facts.up_to_date {
                return Some(());
            }
            *page = self.read_at(page.facts.next).await?;
        }
    }

    /// Sends the next news. `None`: the answer is over.
    async fn live(&mut self, gone: Pin<&mut Gone>) -> Option<()> {
        let follower = self.follower.as_ref()?;
        if follower.is_expired() {
            return None;
        }
        match either(gone, follower.next(self.next.position)).await {
            Either::First(()) => None,
            Either::Second(Next::Ended | Next::Expired) => None,
            Either::Second(Next::Behind) => Box::pin(self.catch_up()).await,
            Either::Second(Next::Batches(batches)) => {
                let frames = self.frames(&batches);
                let last = batches.last()?;
                self.next = last.next;
                let closed = last.closed;
                self.write(frames).await?;
                (!closed).then_some(())
            }
        }
    }

    async fn catch_up(&mut self) -> Option<()> {
        let page = self.read_at(self.next).await?;
        self.pages(Bytes::new(), Box::new(page)).await
    }

    fn frames(&self, batches: &[Arc<LiveBatch>]) -> Pieces {
        let current = cursor::current(self.core.clock.now());
        let mut frames = Pieces::new();
        for batch in batches {
            if self.cursor > current {
                frames
                    .extend(batch.frame_with_own_cursor(self.cursor).map(|part| self.framed(part)));
            } else {
                frames.push(self.framed(batch.frame(current)));
            }
        }
        frames
    }

    fn framed(&self, chunk: Bytes) -> Bytes {
        if self.chunked { chunk } else { without_chunk_framing(&chunk) }
    }

    async fn read_at(&self, offset: Offset) -> Option<Page> {
        let request = ReadRequest {
            path: self.path.clone(),
            from: ReadFrom::At(offset),
            live: thalweg_proto::request::LiveMode::Sse,
            cursor: None,
            if_none_match: None,
        };
        read(&self.core, &request).await.ok()
    }

    async fn write(&mut self, pieces: Pieces) -> Option<()> {
        let allowed = time_to_take(&self.core, pieces.iter().map(Bytes::len).sum());
        self.deadline.set(self.core.clock.instant(), allowed, Phase::Writing);
        let written = self.writer.write_all(pieces).await;
        self.deadline.clear();
        written.ok()
    }
}

async fn read(core: &Rc<Core>, request: &ReadRequest) -> Result<Page, Box<Response>> {
    match core.ask_owner(&request.path, Op::Read(request.clone(), Some(core.id))).await {
        Some(Answer::Page(Ok(page))) => Ok(*page),
        Some(Answer::Page(Err(problem))) => Err(Box::new(problem.into_response())),
        _ => Err(Box::new(crate::stopping().into_response())),
    }
}

/// A page as a data event and a control event. A text page that ends inside a character is cut
/// before it, and the rest is left for the next page.
fn encode_page(page: &mut Page, cursor: u64) -> Bytes {
    let mut stored = page.stored.concat();
    let facts = &mut page.facts;
    if facts.content_type.framing() == Framing::Text && !facts.up_to_date {
        let cut = incomplete_utf8_tail(&stored);
        stored.truncate(stored.len() - cut);
        facts.end -= cut as u64;
        facts.next.position -= cut as u64;
    }
    let control =
        Control { next: facts.next, cursor, up_to_date: facts.up_to_date, closed: facts.closed };
    encode_chunk(&facts.content_type, &stored, control)
}

fn without_chunk_framing(chunk: &Bytes) -> Bytes {
    let start = chunk.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    chunk.slice(start..chunk.len().saturating_sub(2).max(start))
}

fn jittered(lifetime: Duration, random: u64) -> Duration {
    let spread = lifetime.as_millis() as u64 * SSE_LIFETIME_JITTER_PERCENT / 100;
    let offset = random % (2 * spread + 1);
    lifetime - Duration::from_millis(spread) + Duration::from_millis(offset)
}
