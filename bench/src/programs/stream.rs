//! The one stream of a program, whatever path a request names: its bytes in memory, and answers
//! and frames as the server itself makes them, by the same code.
//!
//! Invariant: what goes over the wire has the form and the size of the server's own.
//!
//! Deliberately absent: durability, other content types than JSON, closing, and deleting.

use bytes::Bytes;
use http::StatusCode;
use thalweg::clock::Clock;
use thalweg::fanout::batch::encode_chunk;
use thalweg_proto::answer::{self, PageFacts};
use thalweg_proto::content_type::ContentType;
use thalweg_proto::cors::AllowOrigin;
use thalweg_proto::cursor;
use thalweg_proto::http1::Version;
use thalweg_proto::http1::encode::{Framing, HeadOptions, write_head};
use thalweg_proto::json;
use thalweg_proto::offset::{Offset, ReadFrom};
use thalweg_proto::response::{Pieces, Response};
use thalweg_proto::sse::Control;
use thalweg_proto::stream::append::AppendAck;
use thalweg_proto::stream::record::StreamId;

use super::http::{Method, Request};

pub(crate) struct Stream {
    content_type: ContentType,
    stored: Vec<u8>,
    clock: Clock,
}

/// Answers that were there before their requests.
pub(crate) struct Prepared {
    /// To a GET: a page.
    pub(crate) read: Vec<u8>,
    /// Of it, at the end.
    pub(crate) body_bytes: usize,
    /// To a PUT.
    pub(crate) created: Vec<u8>,
    /// To a POST.
    pub(crate) appended: Vec<u8>,
}

/// What becomes of a request; answers have been written to the buffer that was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Answered,
    /// Answered, and there is news for live readers: the stream's bytes from here on.
    News(u64),
    /// The head and the first event are written: every frame from now on belongs to this reader.
    Follow,
    /// Nothing is written: it is answered by the next news.
    Wait,
}

impl Stream {
    pub(crate) fn new() -> Stream {
        // The literal is a content type.
        let content_type = ContentType::parse(JSON).unwrap_or_else(ContentType::octet_stream);
        Stream { content_type, stored: Vec::new(), clock: Clock::new() }
    }

    /// The answers of a stream that always has one page of so many bytes, brackets included: two
    /// at least.
    pub(crate) fn prepared(page_bytes: usize) -> Prepared {
        let mut stream = Stream::new();
        // A message is stored with a comma, and a page has two brackets for the last one.
        stream.stored = vec![b'1'; page_bytes.saturating_sub(1)];
        let (mut read, mut created, mut appended) = (Vec::new(), Vec::new(), Vec::new());
        stream.write_page(&mut read, 0, false);
        stream.whole(&mut created, &stream.created());
        stream.whole(&mut appended, &stream.appended());
        Prepared { read, body_bytes: page_bytes.max(2), created, appended }
    }

    /// Answers a request by appending to `out`.
    pub(crate) fn answer(&mut self, request: &Request<'_>, out: &mut Vec<u8>) -> Outcome {
        match request.method {
            Method::Put => self.whole(out, &self.created()),
            Method::Post => return self.append(request.body, out),
            Method::Get => return self.read(request, out),
            Method::Other => self.whole(out, &Response::new(StatusCode::NO_CONTENT)),
        }
        Outcome::Answered
    }

    /// Where the next message begins.
    pub(crate) fn tail_position(&self) -> u64 {
        self.tail().position
    }

    /// Everything from a position on as one frame for SSE readers.
    pub(crate) fn frame(&self, from: u64) -> Bytes {
        let cursor = cursor::current(self.clock.now());
        let control = Control { next: self.tail(), cursor, up_to_date: true, closed: false };
        encode_chunk(&self.content_type, self.stored_from(from), control)
    }

    /// Everything from a position on as the answer to a read or a long-poll.
    pub(crate) fn page(&self, from: u64) -> Bytes {
        let mut out = Vec::new();
        self.write_page(&mut out, from, false);
        Bytes::from(out)
    }

    /// Stores messages; where they begin.
    pub(crate) fn store(&mut self, body: &[u8]) -> Option<u64> {
        let from = self.stored.len() as u64;
        let payload = json::flatten(body).ok()?;
        self.stored.extend_from_slice(&payload.bytes);
        Some(from)
    }

    fn append(&mut self, body: &[u8], out: &mut Vec<u8>) -> Outcome {
        let Some(from) = self.store(body) else {
            self.whole(out, &Response::new(StatusCode::BAD_REQUEST));
            return Outcome::Answered;
        };
        self.whole(out, &self.appended());
        Outcome::News(from)
    }

    fn read(&self, request: &Request<'_>, out: &mut Vec<u8>) -> Outcome {
        let tail = self.tail().position;
        let from = match request.query("offset").and_then(ReadFrom::parse) {
            None | Some(ReadFrom::Start) => 0,
            Some(ReadFrom::Now) => tail,
            Some(ReadFrom::At(offset)) => offset.position.min(tail),
        };
        match request.query("live") {
            Some("sse") => {
                let head = answer::event_stream(self.content_type.framing());
                self.head(out, &head, Framing::Streamed);
                out.extend_from_slice(&self.frame(from));
                Outcome::Follow
            }
            Some(_) if from == tail => Outcome::Wait,
            _ => {
                self.write_page(out, from, request.query("offset") == Some("now"));
                Outcome::Answered
            }
        }
    }

    fn appended(&self) -> Response {
        let next = self.tail();
        answer::appended(AppendAck { next, closed: false, producer: None, new_data: true })
    }

    fn created(&self) -> Response {
        Response::new(StatusCode::CREATED)
            .with("content-type", JSON)
            .with("stream-next-offset", self.tail())
    }

    fn write_page(&self, out: &mut Vec<u8>, from: u64, from_now: bool) {
        let now = self.clock.now();
        let facts = PageFacts {
            stream: ID,
            content_type: self.content_type.clone(),
            start: from,
            end: self.tail().position,
            next: self.tail(),
            up_to_date: true,
            closed: false,
            expires_at: None,
        };
        let stored = Bytes::copy_from_slice(self.stored_from(from));
        let stored = Pieces::from_iter(Some(stored).filter(|stored| !stored.is_empty()));
        let cursor = Some(cursor::current(now));
        self.whole(out, &answer::page(&facts, stored, None, from_now, cursor, now));
    }

    fn whole(&self, out: &mut Vec<u8>, response: &Response) {
        self.head(out, response, Framing::Sized);
        response.body.iter().for_each(|piece| out.extend_from_slice(piece));
    }

    fn head(&self, out: &mut Vec<u8>, response: &Response, framing: Framing) {
        let _ = self.clock.tick();
        let date = self.clock.date();
        let options = HeadOptions {
            version: Version::Http11,
            keep_alive: true,
            date: &date,
            allow_origin: AllowOrigin::Any,
            framing,
        };
        write_head(out, response, &options);
    }

    fn tail(&self) -> Offset {
        Offset { epoch: ID.0, position: self.stored.len() as u64 }
    }

    fn stored_from(&self, position: u64) -> &[u8] {
        usize::try_from(position).ok().and_then(|at| self.stored.get(at..)).unwrap_or_default()
    }
}

const ID: StreamId = StreamId(1);
const JSON: &str = "application/json";
