//! The fan-out program as tasks, one per connection, for any runtime that runs them on one thread:
//! what the runtimes' comparison compares.
//!
//! Invariant: every reader gets every frame that came after it joined, each by a write of its own,
//! one write under way. The same as the floors do, so that what differs is the runtime's.
//!
//! Deliberately absent: noticing that a reader has left before the next frame; frames are kept
//! until the process ends.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;

use super::http::Request;
use super::stream::{Outcome, Stream};

/// A runtime's socket.
pub(crate) trait Socket {
    /// Reads what there is behind what `buf` has.
    fn read(&mut self, buf: Vec<u8>) -> impl Future<Output = io::Result<Vec<u8>>>;

    /// Writes all.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = io::Result<()>>;
}

/// The stream, and its frames in order.
pub(crate) struct Feed {
    stream: RefCell<Stream>,
    frames: RefCell<Vec<Bytes>>,
    waiting: RefCell<Vec<Waker>>,
}

impl Feed {
    pub(crate) fn new() -> Rc<Feed> {
        Rc::new(Feed {
            stream: RefCell::new(Stream::new()),
            frames: RefCell::default(),
            waiting: RefCell::default(),
        })
    }

    /// Serves a connection until it ends.
    pub(crate) async fn serve(self: Rc<Feed>, mut socket: impl Socket) {
        // A connection that breaks is over: there is nobody to tell.
        let _ = self.requests(&mut socket).await;
    }

    async fn requests(&self, socket: &mut impl Socket) -> io::Result<()> {
        let mut input = Vec::new();
        loop {
            let before = input.len();
            input.reserve(READ_BYTES);
            input = socket.read(input).await?;
            if input.len() == before {
                return Ok(());
            }
            let mut out = Vec::new();
            let (taken, follows) = self.answer(&input, &mut out)?;
            input.drain(..taken);
            if !out.is_empty() {
                socket.write(Bytes::from(out)).await?;
            }
            if let Some(first) = follows {
                drop(input);
                return self.follow(socket, first).await;
            }
        }
    }

    /// Answers every whole request. How many bytes they were; and the first frame that the
    /// connection gets, if it is a reader's now.
    fn answer(&self, input: &[u8], out: &mut Vec<u8>) -> io::Result<(usize, Option<usize>)> {
        let mut stream = self.stream.borrow_mut();
        let mut taken = 0;
        let first =
            |input| Request::first(input).map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
        while let Some((request, length)) = first(&input[taken..])? {
            taken += length;
            match stream.answer(&request, out) {
                Outcome::News(position) => {
                    self.frames.borrow_mut().push(stream.frame(position));
                    self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
                }
                Outcome::Follow => return Ok((taken, Some(self.frames.borrow().len()))),
                Outcome::Answered | Outcome::Wait => {}
            }
        }
        Ok((taken, None))
    }

    async fn follow(&self, socket: &mut impl Socket, first: usize) -> io::Result<()> {
        for index in first.. {
            let frame = poll_fn(|context| {
                let frame = self.frames.borrow().get(index).cloned();
                if frame.is_none() {
                    self.waiting.borrow_mut().push(context.waker().clone());
                }
                frame.map_or(Poll::Pending, Poll::Ready)
            });
            let frame = frame.await;
            socket.write(frame).await?;
        }
        Ok(())
    }
}

const READ_BYTES: usize = 1024;
