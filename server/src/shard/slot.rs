//! One stream as its owner keeps it: the accepted state, and what of it readers may see.

use std::collections::VecDeque;

use thalweg_proto::offset::Offset;
use thalweg_proto::stream::record::Payload;
use thalweg_proto::stream::{Lifecycle, StreamState};
use thalweg_proto::time::Timestamp;
use thalweg_storage::{Extents, Lsn};

/// A stream. `state` runs ahead of what is durable; the `visible_*` fields are what readers get.
pub struct Slot {
    /// The state that the next decision is made on.
    pub state: StreamState,
    /// Where the durable bytes are.
    pub extents: Extents,
    /// The newest durable bytes, contiguous up to the visible tail. A mirror of the log, never
    /// the only copy, except at `durability = "memory"`.
    pub hot: VecDeque<Hot>,
    /// The durable tail.
    pub visible_tail: u64,
    /// Whether the closure is durable.
    pub visible_closed: bool,
    /// The newest record about this stream.
    pub last_lsn: Lsn,
    /// The newest record that made the stream appear or disappear.
    pub lifecycle_lsn: Lsn,
    /// The record that made it.
    pub born_lsn: Lsn,
    /// Deleted; the slot waits for that to be durable.
    pub deleted: bool,
    /// Forks that name this stream as their source.
    pub forks: u32,
    /// Cores with live readers, one bit each.
    pub followers: u128,
    /// The access time that the log knows.
    pub logged_access: Timestamp,
    /// Whether subscriptions watch this stream, and as of which watch set.
    pub watched: (u64, bool),
}

/// A run of recent bytes.
pub struct Hot {
    /// The position of its first byte.
    pub position: u64,
    /// The bytes.
    pub payload: Payload,
}

impl Slot {
    /// A slot for a stream that was just decided on, nothing of it durable yet.
    #[must_use]
    pub fn new(state: StreamState, lsn: Lsn) -> Slot {
        Slot {
            visible_tail: state.start(),
            visible_closed: false,
            extents: Extents::default(),
            hot: VecDeque::new(),
            last_lsn: lsn,
            lifecycle_lsn: lsn,
            born_lsn: lsn,
            deleted: false,
            forks: 0,
            followers: 0,
            logged_access: state.last_access,
            watched: (0, false),
            state,
        }
    }

    /// A slot for a recovered stream, all of it durable.
    #[must_use]
    pub fn recovered(state: StreamState, extents: Extents, last_lsn: Lsn, forks: u32) -> Slot {
        Slot {
            visible_tail: state.tail,
            visible_closed: state.closed.is_some(),
            extents,
            forks,
            lifecycle_lsn: Lsn::default(),
            born_lsn: Lsn::default(),
            ..Slot::new(state, last_lsn)
        }
    }

    /// The token of the visible tail.
    #[must_use]
    pub fn visible_offset(&self) -> Offset {
        self.state.offset_at(self.visible_tail)
    }

    /// Whether readers may know of the stream: its creation is durable, its deletion is not.
    #[must_use]
    pub fn is_visible(&self, durable: Lsn) -> bool {
        let gone = self.deleted || self.soft_deleted();
        self.born_lsn <= durable && !(gone && self.lifecycle_lsn <= durable)
    }

    /// Whether the stream was deleted while forks read it.
    #[must_use]
    pub fn soft_deleted(&self) -> bool {
        self.state.lifecycle == Lifecycle::SoftDeleted
    }

    /// The position of the first hot byte.
    #[must_use]
    pub fn hot_start(&self) -> u64 {
        self.hot.front().map_or(self.visible_tail, |first| first.position)
    }

    /// Makes a durable payload readable.
    pub fn reveal(&mut self, position: u64, payload: &Payload) {
        if payload.bytes.is_empty() {
            return;
        }
        debug_assert_eq!(position, self.visible_tail, "records become durable in order");
        self.visible_tail = position + payload.bytes.len() as u64;
        self.hot.push_back(Hot { position, payload: payload.clone() });
    }
}
