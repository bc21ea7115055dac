//! One stream as its owner keeps it: the accepted state, and what of it readers may see.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use thalweg_proto::offset::Offset;
use thalweg_proto::stream::record::Payload;
use thalweg_proto::stream::{Lifecycle, StreamState};
use thalweg_proto::time::Timestamp;
use thalweg_storage::{Extents, Lsn};

use crate::limits::Members;

/// A stream. `state` runs ahead of what is durable; the `visible_*` fields are what readers get.
pub struct Slot {
    /// The state that the next decision is made on.
    pub state: StreamState,
    /// Where the durable bytes are.
    pub extents: Extents,
    /// The newest durable bytes, contiguous up to the visible tail. A mirror of the log, never
    /// the only copy, except at `durability = "memory"`.
    pub hot: VecDeque<Hot>,
    /// The first position that readers may ask for.
    pub visible_earliest: u64,
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
    /// In line to be trimmed because it is long.
    pub trim_due: bool,
    /// In line to be trimmed when it is old.
    pub ageing: bool,
    /// Forks that name this stream as their source.
    pub forks: u32,
    /// Cores with live readers, one bit each.
    pub followers: u128,
    /// The access time that the log knows.
    pub logged_access: Timestamp,
    /// Whether subscriptions watch this stream, and as of which watch set.
    pub watched: (u64, bool),
    /// The quotas that it counts for.
    pub members: Option<Arc<Members>>,
    /// The bytes that it counts for there.
    pub counted_bytes: u64,
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
            visible_earliest: state.earliest,
            visible_tail: state.start(),
            visible_closed: false,
            extents: Extents::default(),
            hot: VecDeque::new(),
            last_lsn: lsn,
            lifecycle_lsn: lsn,
            born_lsn: lsn,
            deleted: false,
            trim_due: false,
            ageing: false,
            forks: 0,
            followers: 0,
            logged_access: state.last_access,
            watched: (0, false),
            members: None,
            counted_bytes: 0,
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

    /// The positions that readers may ask for, the tail among them.
    #[must_use]
    pub fn readable(&self) -> Range<u64> {
        self.visible_earliest..self.visible_tail
    }

    /// The position of the first own byte that is still there.
    #[must_use]
    pub fn first_kept(&self) -> u64 {
        self.extents.first().unwrap_or_else(|| self.hot_start())
    }

    /// The last position up to `position` at which the stream may begin: where a record begins, or
    /// where a run of inherited bytes ends.
    #[must_use]
    pub fn boundary_before(&self, position: u64) -> Option<u64> {
        // Without a log the hot tail is all there is.
        let hot = || {
            let after = self.hot.partition_point(|hot| hot.position <= position);
            after.checked_sub(1).map(|last| self.hot[last].position)
        };
        let own = self.extents.boundary_before(position).or_else(hot);
        let ends = || self.state.config.lineage().iter().map(|run| run.end);
        own.or_else(|| ends().rfind(|end| *end <= position))
    }

    /// Without a log: gives up what readers may not ask for any more.
    pub fn drop_hot_before_earliest(&mut self) {
        let earliest = self.visible_earliest;
        let gone = |hot: &mut Hot| hot.position + hot.payload.bytes.len() as u64 <= earliest;
        while self.hot.pop_front_if(gone).is_some() {}
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
