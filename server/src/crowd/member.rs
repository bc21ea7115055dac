//! One SSE reader with a socket of its own, and what is under way. Small: there are as many as
//! there are readers.
//!
//! ```text
//! Sending --sent--> Idle --news--> Sending        Idle --behind--> Fetching --page--> Sending
//!    |                |                               (over, or the peer has left)
//!    '----------------'--> Closing --peer's side is closed too--> free
//! ```

use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use super::reading::Reading;
use crate::conn::deadlines::{Guard, Phase};
use crate::conn::time_to_take;
use crate::core::Core;
use crate::rt::{Socket, shutdown};
use crate::tls::Session;

/// See the module.
pub struct Member {
    /// Before the socket: it leaves the deadlines' table before the socket closes.
    deadline: Guard,
    pub(super) socket: Socket,
    /// Encrypts what is sent.
    tls: Option<Box<Session>>,
    pub(super) reading: Reading,
    pub(super) state: State,
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

impl Member {
    /// A reader whose answer begins.
    #[must_use]
    pub fn new(
        socket: Socket,
        tls: Option<Box<Session>>,
        deadline: Guard,
        reading: Reading,
    ) -> Member {
        let state = State::Idle;
        Member { deadline, socket, tls, reading, state, watched: false, gone: false }
    }

    /// The bytes as they go over the wire; the last ones say that they are. `None`: the session
    /// has failed.
    pub(super) fn sealed(&mut self, bytes: Bytes) -> Option<Bytes> {
        let Some(session) = &mut self.tls else { return Some(bytes) };
        // Whatever the peer says now cannot be answered.
        let mut ignored = BytesMut::new();
        session.send(&bytes, &mut ignored).ok()?;
        if self.reading.over {
            session.close(&mut ignored).ok()?;
        }
        Some(Bytes::from(session.take_outgoing()))
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
        self.reading.over |= !well;
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
            State::Idle if self.reading.over => Step::Close,
            State::Idle if std::mem::take(&mut self.reading.look_again) => Step::Look,
            State::Idle => Step::Wait,
        }
    }

    /// Ends both directions; the kernel then reports that the peer's side is closed too.
    pub(super) fn close(&mut self, core: &Rc<Core>) {
        self.reading.leave(core);
        self.socket.discard_input();
        shutdown(self.socket.handle(), true);
        self.state = State::Closing;
    }
}
