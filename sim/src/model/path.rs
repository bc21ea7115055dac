//! A path and what its owner among the clients knows of it. Others append to it and read it, but
//! one client alone creates, closes and deletes there, so that what is there is always one of few
//! things.

/// What a create asked for.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct CreateWish {
    /// The stream to fork and the point.
    pub(crate) fork: Option<(u64, u64)>,
    /// The path of the stream to fork.
    pub(crate) source: Option<usize>,
    /// Seconds without access after which it expires.
    pub(crate) ttl: Option<u64>,
    /// How many bytes of it are kept at least; more may be dropped.
    pub(crate) keep_bytes: Option<u64>,
    /// For how many seconds bytes are kept at least.
    pub(crate) keep_seconds: Option<u64>,
    /// The append that its body is.
    pub(crate) body: Option<usize>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct PathState {
    number: usize,
    /// Grows when everything is forgotten.
    generation: u32,
    pub(crate) owner: usize,
    pub(crate) json: bool,
    /// The newest create that was sent.
    pub(crate) wish: Option<CreateWish>,
    /// A create was sent whose outcome is not known.
    pub(crate) creating: bool,
    /// Times that it was sent.
    pub(crate) create_tries: u32,
    /// The wall clock of the newest request that put its expiry off.
    pub(crate) accessed_ms: u64,
    /// A crash came before the log had this access: the stream may expire as if it had not been.
    pub(crate) access_lost: bool,
    /// The step at which a create was acknowledged.
    pub(crate) created_at: Option<u64>,
    /// The same, while nothing has happened since that could end the stream.
    pub(crate) stable_since: Option<u64>,
    /// Deletes that were sent and whose outcome is not known.
    pub(crate) deleting: u32,
    /// Whether a close was ever sent to the stream that is there now.
    pub(crate) close_sent: bool,
    /// The stream that is there, as far as anybody has heard.
    pub(crate) known: Option<u64>,
    /// Since when there is another one, or none.
    pub(crate) known_since: u64,
    /// Streams that were there before.
    pub(crate) past: Vec<u64>,
}

impl PathState {
    pub(crate) fn new(number: usize, owner: usize) -> PathState {
        PathState {
            number,
            generation: 0,
            owner,
            json: number % 2 == 1,
            wish: None,
            creating: false,
            create_tries: 0,
            accessed_ms: 0,
            access_lost: false,
            created_at: None,
            stable_since: None,
            deleting: 0,
            close_sent: false,
            known: None,
            known_since: 0,
            past: Vec::new(),
        }
    }

    /// As the server knows it.
    pub(crate) fn name(&self) -> String {
        format!("g{}/s{}", self.generation, self.number)
    }

    /// Whether a stream is there, as far as its owner knows.
    pub(crate) fn is_there(&self) -> bool {
        self.created_at.is_some() && self.deleting == 0 && !self.creating
    }

    /// Whether nothing is there, as far as its owner knows.
    pub(crate) fn is_free(&self) -> bool {
        self.created_at.is_none() && !self.creating
    }

    pub(crate) fn start_over(&mut self) {
        let generation = self.generation + 1;
        *self = PathState { generation, ..PathState::new(self.number, self.owner) };
    }
}
