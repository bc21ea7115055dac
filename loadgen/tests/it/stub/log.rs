//! What the server has seen and done.

use std::collections::BTreeMap;
use std::time::Instant;

/// What has happened.
#[derive(Clone, Default, Debug)]
pub(crate) struct Log {
    /// Requests in the order in which they came.
    pub(crate) requests: Vec<Logged>,
    pub(crate) accepted: u64,
    pub(crate) open: u64,
    pub(crate) appends: u64,
    pub(crate) refused: u64,
    /// Messages that were sent to live readers.
    pub(crate) deliveries: u64,
    /// Messages that came to harm.
    pub(crate) harmed: Vec<Harmed>,
    /// SSE answers that were ended early.
    pub(crate) cuts: u64,
    /// By connection: the most messages that waited for its socket to take something.
    pub(crate) most_behind: BTreeMap<u64, usize>,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) at: Instant,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) fields: String,
    pub(crate) body: Vec<u8>,
}

/// A message that came to harm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Harmed {
    pub(crate) stream: String,
    pub(crate) message: Vec<u8>,
}
