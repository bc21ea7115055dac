//! A client that appends at a fixed rate whatever comes of it, over connections with one request
//! each under way. What was accepted and what was refused is timed apart, from the moment at which
//! it was due.
//!
//! One thread that looks at its connections again and again: it has a CPU of its own.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::super::cross_core_client::Client;
use super::super::plans::MESSAGE_BYTES;
use crate::Failure;
use crate::contest::Running;

/// What to send.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) connections: usize,
    /// Appends per second; `None`: each connection's next one when its last is answered.
    pub(super) rate: Option<f64>,
    pub(super) length: Duration,
    /// JSON messages of an append.
    pub(super) messages: usize,
}

/// What came of it after [`SETTLING`].
pub(super) struct Outcome {
    pub(super) accepted: Taken,
    pub(super) refused: Taken,
    /// Due when no connection was free.
    pub(super) not_sent: u64,
    /// Measured.
    pub(super) seconds: f64,
}

/// How long things took, in milliseconds.
#[derive(Default)]
pub(super) struct Taken(Vec<f64>);

impl Taken {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// NaN if there is none.
    pub(super) fn percentile(&self, percentile: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = ((sorted.len() as f64 * percentile / 100.0) as usize).min(sorted.len().max(1) - 1);
        sorted.get(at).copied().unwrap_or(f64::NAN)
    }
}

impl Outcome {
    pub(super) fn accepted_rate(&self) -> f64 {
        self.accepted.len() as f64 / self.seconds
    }
}

/// Makes the streams.
pub(super) fn prepare(running: &Running) -> Result<(), Failure> {
    let mut client = Client::connect(running)?;
    (0..STREAMS).try_for_each(|stream| client.create(&format!("siege-{stream}")))
}

/// Sends and waits.
pub(super) fn run(running: &Running, shape: Shape) -> Result<Outcome, Failure> {
    let mut lines = (0..shape.connections)
        .map(|number| Line::connect(running, number % STREAMS, shape.messages))
        .collect::<Result<Vec<_>, Failure>>()?;
    let begin = Instant::now();
    let counted = begin + SETTLING.min(shape.length / 2);
    let end = begin + shape.length;
    let (accepted, refused) = (Taken::default(), Taken::default());
    let seconds = (end - counted).as_secs_f64();
    let mut outcome = Outcome { accepted, refused, not_sent: 0, seconds };
    let mut sent = 0u64;
    // The one after the last that was free: all are used alike.
    let mut next = 0;
    loop {
        let now = Instant::now();
        if now >= end {
            return Ok(outcome);
        }
        for line in &mut lines {
            let Some((due, status)) = line.look()? else { continue };
            let taken = match status {
                200..300 => &mut outcome.accepted,
                429 | 503 => &mut outcome.refused,
                status => return Err(format!("an append was answered {status}").into()),
            };
            if due >= counted {
                taken.0.push(due.elapsed().as_secs_f64() * 1e3);
            }
        }
        let Some(rate) = shape.rate else {
            for line in lines.iter_mut().filter(|line| line.due.is_none()) {
                line.send(Instant::now())?;
            }
            continue;
        };
        // What has become due since the last look, each with the moment at which it did.
        let all_due = ((now - begin).as_secs_f64() * rate) as u64;
        while sent < all_due {
            let due = begin + Duration::from_secs_f64(sent as f64 / rate);
            sent += 1;
            let count = lines.len();
            let mut others = (0..count).map(|step| (next + step) % count);
            match others.find(|line| lines[*line].due.is_none()) {
                Some(free) => {
                    lines[free].send(due)?;
                    next = free + 1;
                }
                None => outcome.not_sent += u64::from(due >= counted),
            }
        }
    }
}

/// A connection.
struct Line {
    socket: TcpStream,
    request: Vec<u8>,
    /// When what is under way was due.
    due: Option<Instant>,
    answer: Vec<u8>,
}

impl Line {
    fn connect(running: &Running, stream: usize, messages: usize) -> Result<Line, Failure> {
        let socket = running.connect()?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let message = format!("\"{}\"", "x".repeat(MESSAGE_BYTES as usize - 2));
        let body = format!("[{}]", vec![message; messages].join(","));
        let request = format!(
            "POST {}/siege-{stream} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            running.base_path(),
            body.len()
        );
        Ok(Line { socket, request: request.into_bytes(), due: None, answer: Vec::new() })
    }

    fn send(&mut self, due: Instant) -> Result<(), Failure> {
        self.due = Some(due);
        let mut rest = self.request.as_slice();
        while !rest.is_empty() {
            match self.socket.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// When it was due and the status, if an answer is there.
    fn look(&mut self) -> Result<Option<(Instant, u16)>, Failure> {
        let Some(due) = self.due else { return Ok(None) };
        let mut piece = [0; 2048];
        match self.socket.read(&mut piece) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(read) => self.answer.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let Some(status) = whole(&self.answer)? else { return Ok(None) };
        self.answer.clear();
        self.due = None;
        Ok(Some((due, status)))
    }
}

/// The status, if the answer is there with its body.
fn whole(answer: &[u8]) -> Result<Option<u16>, Failure> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(answer)? else { return Ok(None) };
    let field = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let body = field.and_then(|field| std::str::from_utf8(field.value).ok()?.parse::<usize>().ok());
    let is_whole = answer.len() >= length + body.unwrap_or(0);
    Ok(head.code.filter(|_| is_whole))
}

/// Not counted, at the beginning: whoever regulates needs a moment.
const SETTLING: Duration = Duration::from_secs(2);
const STREAMS: usize = 64;
