//! One client connection: a request out, its answer in.
//!
//! Invariant: after an error the connection is not used again; after a whole answer that allows it
//! the next request goes over the same connection.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::{Method, StatusCode};
use thalweg_proto::http1::{BodyDecoder, BodyLength, CodecError, Fields, Progress};
use thalweg_proto::http1::{ResponseBody, ResponseHead, ResponseHeadStatus, parse_response_head};

use super::clock::Clock;
use super::http2::Trunk;
use crate::net::Stream;

/// Bytes of a connection's buffer: an answer to an append fits several times.
const READ_BYTES: usize = 8 * 1024;
/// And of one whose answers are long: a page of 4 MiB in tens of reads instead of hundreds.
const MOST_READ_BYTES: usize = 256 * 1024;
/// Room that is made for an answer because it says that it will need it.
const MOST_ROOM_BYTES: usize = 16 * 1024 * 1024;
/// No answer of a stream server is longer than this.
const MAX_ANSWER_BYTES: u64 = 256 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the connection could not be made: {0}")]
    Connect(io::Error),
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("the answer was cut off: {0}")]
    Cut(CodecError),
    #[error("the answer is malformed: {0}")]
    Malformed(#[from] CodecError),
    #[error("HTTP/2: {0}")]
    Http2(#[from] h2::Error),
    #[error("the server does not speak HTTP/2")]
    NotHttp2,
    #[error(
        "the server takes {allowed} requests at once on an HTTP/2 connection \
         (SETTINGS_MAX_CONCURRENT_STREAMS), and {wanted} are wanted: expected \
         readers_per_connection up to {allowed}, or a server that takes more"
    )]
    FewStreams { allowed: u32, wanted: u32 },
    #[error("the request cannot be sent over HTTP/2: {0}")]
    Unsendable(String),
}

impl WireError {
    /// What failures are counted by.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            WireError::Connect(_) => "connect",
            WireError::Broken(_) | WireError::Cut(_) => "connection",
            WireError::Timeout(_) => "timeout",
            WireError::Malformed(_) => "malformed answer",
            WireError::Http2(_) => "connection",
            WireError::NotHttp2 | WireError::FewStreams { .. } => "connect",
            WireError::Unsendable(_) => "request",
        }
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) fields: Fields,
    pub(crate) body: BytesMut,
    pub(crate) first_byte_ns: u64,
    pub(crate) ended_ns: u64,
    /// Head and body as they came over the wire.
    pub(crate) bytes: u64,
    pub(crate) keep_alive: bool,
}

/// Takes whole answers out of the bytes of a connection, in order.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    input: BytesMut,
    current: Option<(ResponseHead, BodyDecoder, BytesMut)>,
    /// Of the answer under way.
    first_byte_ns: u64,
    bytes: u64,
}

impl Answers {
    /// Takes bytes that were received at `now_ns`.
    pub(crate) fn push(&mut self, bytes: &[u8], now_ns: u64) {
        if self.input.is_empty() && self.current.is_none() {
            self.first_byte_ns = now_ns;
        }
        // Most of a long answer goes where it belongs at once.
        let taken = match &mut self.current {
            Some((_, decoder, body)) if self.input.is_empty() => decoder.decode_data(bytes, body),
            _ => 0,
        };
        self.bytes += taken as u64;
        self.input.extend_from_slice(&bytes[taken..]);
    }

    /// The next whole answer, to a request with `method`.
    pub(crate) fn next(
        &mut self,
        method: &Method,
        now_ns: u64,
    ) -> Result<Option<Response>, CodecError> {
        loop {
            if self.current.is_none() {
                let parsed = parse_response_head(&self.input, method)?;
                let ResponseHeadStatus::Complete(head, taken) = parsed else { return Ok(None) };
                self.input.advance(taken);
                self.bytes += taken as u64;
                if head.status.is_informational() {
                    continue;
                }
                let decoder = head.body.decoder(MAX_ANSWER_BYTES)?;
                let body = BytesMut::with_capacity(announced(&head));
                self.current = Some((head, decoder, body));
            }
            let Some((_, decoder, body)) = &mut self.current else { continue };
            let before = self.input.len();
            let progress = decoder.decode(&mut self.input, body)?;
            self.bytes += (before - self.input.len()) as u64;
            if progress == Progress::More {
                return Ok(None);
            }
            return Ok(self.take(now_ns));
        }
    }

    /// The connection ended: an answer that ends with it is whole.
    pub(crate) fn finish(&mut self, now_ns: u64) -> Result<Option<Response>, CodecError> {
        match &mut self.current {
            Some((_, decoder, _)) => {
                decoder.finish()?;
                let mut response = self.take(now_ns);
                if let Some(response) = &mut response {
                    response.keep_alive = false;
                }
                Ok(response)
            }
            None => Ok(None),
        }
    }

    fn take(&mut self, now_ns: u64) -> Option<Response> {
        let (head, _, body) = self.current.take()?;
        let first_byte_ns = std::mem::replace(&mut self.first_byte_ns, now_ns);
        let bytes = std::mem::take(&mut self.bytes);
        let ResponseHead { status, fields, keep_alive, .. } = head;
        Some(Response { status, fields, body, first_byte_ns, ended_ns: now_ns, bytes, keep_alive })
    }
}

/// What to make room for at once: a long body that grows is copied again and again.
fn announced(head: &ResponseHead) -> usize {
    match head.body {
        ResponseBody::Framed(BodyLength::Length(len)) => {
            usize::try_from(len).map_or(MOST_ROOM_BYTES, |len| len.min(MOST_ROOM_BYTES))
        }
        _ => 0,
    }
}

/// A connection for one request at a time.
pub(crate) struct Connection(Kind);

enum Kind {
    Http1(Box<Http1>),
    /// Others may go over it at the same time.
    Http2(Rc<Trunk>),
}

struct Http1 {
    stream: Stream,
    answers: Answers,
    buf: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(stream: Stream) -> Connection {
        let (answers, buf) = (Answers::default(), Vec::new());
        Connection(Kind::Http1(Box::new(Http1 { stream, answers, buf })))
    }

    pub(crate) fn over(trunk: Rc<Trunk>) -> Connection {
        Connection(Kind::Http2(trunk))
    }

    /// Sends a request, given as its bytes, and takes its answer. Gives the request's memory back.
    pub(crate) async fn exchange(
        &mut self,
        clock: Clock,
        method: &Method,
        request: Vec<u8>,
        timeout: Duration,
    ) -> (Result<Response, WireError>, Vec<u8>) {
        let exchanged = monoio::time::timeout(timeout, async {
            match &mut self.0 {
                Kind::Http1(http1) => http1.exchange(clock, method, request).await,
                Kind::Http2(trunk) => {
                    let answer = match trunk.begin(&request) {
                        Ok(incoming) => incoming.whole(method).await,
                        Err(error) => Err(error),
                    };
                    (answer, Some(request))
                }
            }
        });
        let timed_out = (Err(WireError::Timeout(timeout)), None);
        let (answer, request) = exchanged.await.unwrap_or(timed_out);
        (answer, request.unwrap_or_default())
    }
}

impl Http1 {
    async fn exchange(
        &mut self,
        clock: Clock,
        method: &Method,
        request: Vec<u8>,
    ) -> (Result<Response, WireError>, Option<Vec<u8>>) {
        let (sent, request) = self.stream.write_all(request).await;
        match sent {
            Ok(()) => (self.answer(clock, method).await, Some(request)),
            Err(error) => (Err(error.into()), Some(request)),
        }
    }

    async fn answer(&mut self, clock: Clock, method: &Method) -> Result<Response, WireError> {
        loop {
            let mut buf = std::mem::take(&mut self.buf);
            // What filled the buffer is likely to go on.
            let full = !buf.is_empty() && buf.len() == buf.capacity();
            let more = if full { (2 * buf.len()).min(MOST_READ_BYTES) } else { READ_BYTES };
            buf.clear();
            buf.reserve(more);
            let (read, buf) = self.stream.read(buf).await;
            let now_ns = clock.now_ns();
            self.buf = buf;
            if read? == 0 {
                let ended = self.answers.finish(now_ns).map_err(WireError::Cut)?;
                return ended.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.answers.push(&self.buf, now_ns);
            if let Some(response) = self.answers.next(method, now_ns)? {
                return Ok(response);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_cut_anywhere() {
        let text = "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
                    HTTP/1.1 409 x\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\
                    transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
        for size in [1, 5, text.len()] {
            let mut answers = Answers::default();
            let (mut got, mut bytes) = (Vec::new(), 0);
            for (at, piece) in text.as_bytes().chunks(size).enumerate() {
                answers.push(piece, at as u64);
                while let Some(answer) = answers.next(&Method::POST, at as u64).unwrap() {
                    bytes += answer.bytes;
                    assert!(answer.first_byte_ns <= answer.ended_ns);
                    got.push((answer.status.as_u16(), answer.body.to_vec()));
                }
            }
            let want = [(204, &b""[..]), (409, b"abc"), (200, b"x")];
            assert_eq!(got, want.map(|(status, body)| (status, body.to_vec())), "{size}");
            assert_eq!(bytes, text.len() as u64);
        }
    }

    #[test]
    fn an_answer_may_end_with_the_connection() {
        let mut answers = Answers::default();
        answers.push(b"HTTP/1.1 200 OK\r\n\r\nabc", 1);
        assert!(answers.next(&Method::GET, 1).unwrap().is_none());
        let answer = answers.finish(2).unwrap().unwrap();
        assert_eq!((&answer.body[..], answer.keep_alive), (&b"abc"[..], false));

        let mut cut = Answers::default();
        cut.push(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc", 1);
        assert!(cut.next(&Method::GET, 1).unwrap().is_none());
        assert!(cut.finish(2).is_err());
    }
}
