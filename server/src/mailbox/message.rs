//! The closed set of messages between cores, and from helper threads to cores.

use std::sync::Arc;

use bytes::Bytes;
use thalweg_proto::offset::Offset;
use thalweg_proto::path::StreamPath;
use thalweg_proto::problem::Problem;
use thalweg_proto::request::{
    AppendRequest, ControlRequest, CreateRequest, ForkRequest, ListRequest, ReadRequest,
};
use thalweg_proto::response::Response;
use thalweg_proto::stream::fork::{ForkPoint, ForkRefusal};
use thalweg_proto::stream::record::StreamId;
use thalweg_proto::subscription::Interest;
use thalweg_storage::{IoFailure, LogPosition, PreparedSegment, SegmentRef, StorageError};

use super::CoreId;
use crate::auth::Authority;
use crate::compactor::Done;
use crate::config::Config;
use crate::control::ControlEvent;
use crate::core::Frozen;
use crate::fanout::batch::LiveBatch;
use crate::limits::Limiting;
use crate::metrics::Snapshot;
use crate::shard::page::Page;
use crate::shard::range::{Range, RangeRequest};
use crate::subscriptions::Wanted;

/// What one core tells another.
pub enum Message {
    /// Do something with a stream that you own, and reply.
    Ask {
        /// Who asks.
        from: CoreId,
        /// Where the reply goes: the asker's number for it.
        ticket: u64,
        /// What.
        op: Box<Op>,
    },
    /// The reply.
    Reply {
        /// The asker's number.
        ticket: u64,
        /// The reply.
        answer: Answer,
    },
    /// Do something; no reply.
    Tell(Note),
}

/// Something to do with a reply.
pub enum Op {
    /// PUT. Replies [`Answer::Response`].
    Create(CreateRequest, PublicUrl),
    /// POST. Replies [`Answer::Response`].
    Append(AppendRequest),
    /// DELETE. Replies [`Answer::Response`].
    Delete(StreamPath),
    /// HEAD. Replies [`Answer::Response`].
    Metadata(StreamPath),
    /// One page; replies [`Answer::Page`]. A live reader's core is named: from this page on it
    /// is told what becomes durable.
    Read(ReadRequest, Option<CoreId>),
    /// One page of this core's streams. Replies [`Answer::Listing`].
    List(ListRequest),
    /// Resolve a fork point and count the fork. Replies [`Answer::ForkPoint`].
    Fork(StreamPath, ForkRequest),
    /// Bytes of a stream that a fork inherits. Replies [`Answer::Range`].
    Range(RangeRequest),
    /// All streams that subscriptions want, with their tails. Replies [`Answer::Scan`].
    Scan(Arc<Wanted>),
    /// A request under `__ds/`, on core 0. Replies [`Answer::Response`].
    Control(ControlRequest),
}

/// `scheme://host` as the client addressed it, for `Location`; `None` for internal requests.
pub type PublicUrl = Option<Box<str>>;

/// A reply.
pub enum Answer {
    /// A whole response.
    Response(Box<Response>),
    /// A page of a stream.
    Page(Result<Box<Page>, Box<Problem>>),
    /// Streams, ascending by path.
    Listing(Vec<Listed>),
    /// Where to fork.
    ForkPoint(Result<Box<ForkPoint>, Box<ForkRefusal>>),
    /// Inherited bytes.
    Range(Result<Box<Range>, Box<Problem>>),
    /// Streams and tails.
    Scan(Vec<(StreamPath, Offset)>),
}

/// One stream of a listing.
pub struct Listed {
    /// Its path.
    pub path: StreamPath,
    /// Its entry, encoded as JSON.
    pub entry: Bytes,
}

/// Something to know.
pub enum Note {
    /// A core has no live readers of this path any more.
    Unfollow {
        /// Who.
        core: CoreId,
        /// What.
        path: StreamPath,
    },
    /// Durable news of a stream, for a core with live readers.
    Live(Arc<LiveBatch>),
    /// A followed stream is gone.
    Ended(StreamPath),
    /// A fork of this stream was not created after all, or was deleted.
    Unfork {
        /// The source's path.
        path: StreamPath,
        /// The source.
        id: StreamId,
    },
    /// To core 0: a watched stream has a new durable tail.
    Advanced {
        /// The stream.
        path: StreamPath,
        /// The tail.
        tail: Offset,
    },
    /// To core 0: a watched stream is gone.
    Vanished(StreamPath),
    /// From core 0: what subscriptions watch now.
    Watch(Arc<Interest>),
    /// To core 0, from the control plane.
    Control(Box<ControlEvent>),
    /// To core 0 itself: what subscriptions stored is durable.
    SubscriptionsDurable,
    /// From the disk helper: a segment, and a free one that was not used for it.
    Segment(Box<Result<PreparedSegment, IoFailure>>, Option<SegmentRef>),
    /// From the checkpoint helper: done, or what went wrong.
    Checkpoint(Box<Result<LogPosition, StorageError>>),
    /// From the compactor: a step of a sealing is done.
    Compactor(Done),
    /// Say what you have counted, to whoever asks.
    Snapshot(tokio::sync::oneshot::Sender<Snapshot>),
    /// The configuration was read again: take over what can change.
    Settings(Arc<Config>),
    /// From now on these rates and quotas hold.
    Limiting(Limiting),
    /// Other keys, tokens or rules: from now on they decide. `None`: everybody may do everything.
    Authority(Option<Arc<Authority>>),
    /// Write a checkpoint, unless one is being written.
    CheckpointNow,
    /// Begin no more writes, and say where the log ends once none is under way.
    Freeze(std::sync::mpsc::Sender<Frozen>),
    /// Write again.
    Thaw,
    /// Finish what is under way and stop.
    Drain,
}
