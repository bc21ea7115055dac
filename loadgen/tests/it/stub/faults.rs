//! What the server does wrong.

use std::time::Duration;

/// All that it does wrong; nothing by default.
#[derive(Clone, Default, Debug)]
pub(crate) struct Faults {
    /// After this append everything stands still for so long.
    pub(crate) stall: Option<(u64, Duration)>,
    /// One append in so many is refused with 503, and not stored.
    pub(crate) refuse_one_in: Option<u64>,
    /// Before an append is answered.
    pub(crate) answer_after: Duration,
    /// Before readers can see a message.
    pub(crate) visible_after: Duration,
    /// Before a live reader is answered at all.
    pub(crate) follow_after: Duration,
    /// Between the two halves of an answer to a read.
    pub(crate) halves: Option<Duration>,
    /// What becomes of a single message, at this delivery of all, from 0.
    pub(crate) harm: Option<(u64, Harm)>,
    /// One SSE event in so many is the last of its connection.
    pub(crate) cut: Option<(u64, Cut)>,
    /// Instead of proper answers.
    pub(crate) reply: Option<(Target, Reply)>,
    /// Messages in one answer to a plain read.
    pub(crate) page: Option<usize>,
    /// Bytes of a connection's send buffer.
    pub(crate) send_buffer: Option<usize>,
    /// New connections are accepted, and nothing is ever read from them.
    pub(crate) deaf: bool,
}

/// What becomes of a message on its way to one reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Harm {
    Drop,
    Repeat,
    /// It comes after the one that follows it.
    Delay,
    /// One byte of its padding is another one.
    Damage,
    /// Its number is one that nobody sent.
    Number,
}

/// Where an SSE answer ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    /// Within the data.
    Data,
    /// After the data, before the control event.
    Control,
    /// After the control event, as it should.
    Proper,
}

/// Requests that are answered differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// POST.
    Appends,
    /// GET that is not live.
    Reads,
    /// GET that is.
    Live,
}

/// An answer as its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Then {
    Close,
    Stay,
}
