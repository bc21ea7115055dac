//! Facts about one stream and about one append.

use super::Content;

/// A stream that was heard of: one incarnation at a path.
pub(crate) struct Stream {
    pub(crate) path: usize,
    pub(crate) json: bool,
    /// The position of its own first byte: 0, or the fork point.
    pub(crate) start: u64,
    pub(crate) content: Content,
    /// It begins here: what was before was dropped.
    pub(crate) earliest: u64,
    /// Whether something of it may be dropped, or of the stream that it was forked from.
    pub(crate) trims: bool,
    /// At least so many bytes are kept, if they are not too old.
    pub(crate) keep_bytes: Option<u64>,
    /// It was at least so long once.
    pub(crate) min_tail: u64,
    pub(crate) closed_at: Option<u64>,
    /// When it went, somebody had asked for its close: a read under way then may tell so later.
    pub(crate) close_sent: bool,
    /// The step at which it was said to be gone.
    pub(crate) gone: Option<u64>,
}

/// One append, however often it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Append {
    pub(crate) path: usize,
    /// As it is sent.
    pub(crate) body: String,
    /// What is stored of it.
    pub(crate) stored: Vec<u8>,
    pub(crate) state: AppendState,
    /// Times that it was sent and not clearly refused.
    pub(crate) tries: u32,
    /// The server's life in which it was last sent.
    pub(crate) life: u64,
    /// Whether it is under way.
    pub(crate) under_way: bool,
}

/// What is known of an append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AppendState {
    /// It is stored whole, or not at all.
    Unknown,
    /// It is stored in this stream; where it ends, if that was said.
    Stored {
        /// The stream.
        stream: u64,
        /// The position after it.
        end: Option<u64>,
    },
    /// It is not stored.
    Refused,
    /// The server that got it is gone, and it was not there afterwards.
    Lost,
    /// Nothing is asked of it any more.
    Forgotten,
}
