//! One SSE reader: a socket, a cursor, and what is under way. Small: there are as many as there
//! are readers.
//!
//! ```text
//! Sending --sent--> Idle --news--> Sending        Idle --behind--> Fetching --page--> Sending
//!    |                |                               (over, or the peer has left)
//!    '----------------'--> Closing --peer's side is closed too--> free
//! ```

use std::rc::Rc;

use bytes::Bytes;
use thalweg_proto::http1::encode::LAST_CHUNK;
use thalweg_proto::offset::Offset;

use crate::conn::deadlines::{Guard, Phase};
use crate::conn::time_to_take;
use crate::core::Core;
use crate::fanout::Follower;
use crate::rt::{Socket, shutdown};

/// See the module.
pub struct Member {
    /// Before the socket: it leaves the deadlines' table before the socket closes.
    deadline: Guard,
    pub(super) socket: Socket,
    /// Taken away when the answer is over.
    pub(super) follower: Option<Follower>,
    /// The token after the last byte that was sent or is being sent.
    pub(super) next: Offset,
    /// The least cursor that this reader may be told.
    pub(super) cursor: u64,
    /// HTTP/1.0 has no chunks.
    pub(super) chunked: bool,
    pub(super) state: State,
    /// Look again after the write under way: it was called meanwhile, or there was more.
    pub(super) look_again: bool,
    /// The last page was not the last one.
    pub(super) behind: bool,
    /// Nothing follows the write under way.
    pub(super) over: bool,
    /// The kernel tells when the peer leaves.
    pub(super) watched: bool,
    /// The peer has left.
    pub(super) gone: bool,
}

/// What is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Nothing.
    Idle,
    /// A write.
    Sending,
    /// A page is being read.
    Fetching,
    /// The end of the connection.
    Closing,
}

/// What to do next with a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Wait,
    Look,
    Close,
    Free,
}

/// An encoded page, and where it leaves the reader.
pub struct Answer {
    /// The bytes for the socket.
    pub bytes: Bytes,
    /// The token after them.
    pub next: Offset,
    /// There is more to read.
    pub behind: bool,
    /// The stream is closed.
    pub closed: bool,
}

impl Member {
    /// A reader whose answer begins.
    #[must_use]
    pub fn new(
        socket: Socket,
        deadline: Guard,
        follower: Follower,
        cursor: u64,
        chunked: bool,
    ) -> Member {
        Member {
            deadline,
            socket,
            follower: Some(follower),
            next: Offset { epoch: 0, position: 0 },
            cursor,
            chunked,
            state: State::Idle,
            look_again: false,
            behind: false,
            over: false,
            watched: false,
            gone: false,
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

    /// A write begins: it has this long in all.
    pub(super) fn begins(&mut self, core: &Core, len: usize) {
        self.state = State::Sending;
        self.deadline.set(core.clock.instant(), time_to_take(core, len), Phase::Writing);
    }

    /// The write is complete.
    pub(super) fn sent(&mut self, well: bool) {
        self.deadline.clear();
        self.state = State::Idle;
        self.over |= !well;
    }

    /// The peer has closed its side. A write under way goes on: it may still read.
    pub(super) fn peer_left(&mut self) {
        self.gone = true;
        if self.state == State::Closing {
            self.state = State::Idle;
        }
    }

    pub(super) fn step(&mut self) -> Step {
        match self.state {
            State::Sending | State::Fetching | State::Closing => Step::Wait,
            State::Idle if self.gone => Step::Free,
            State::Idle if self.over => Step::Close,
            State::Idle if std::mem::take(&mut self.look_again) => Step::Look,
            State::Idle => Step::Wait,
        }
    }

    /// Ends both directions; the kernel then reports that the peer's side is closed too.
    pub(super) fn close(&mut self, core: &Rc<Core>) {
        self.leave(core);
        self.socket.discard_input();
        shutdown(self.socket.handle(), true);
        self.state = State::Closing;
    }

    /// Leaves the stream's readers.
    pub(super) fn leave(&mut self, core: &Rc<Core>) {
        if let Some(follower) = self.follower.take() {
            core.leave(follower);
        }
    }
}
